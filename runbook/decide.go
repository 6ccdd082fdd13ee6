package runbook

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Click is one decision of a person on a run.
type Click struct {
	Run string
	// Generation is the plan that the person was shown; zero, from a card or a
	// terminal that names none, decides nothing.
	Generation int
	By         string // the person's id
	Kind       DecisionKind
	Reason     string
	Via        Via
}

// Answer is what a decision led to.
type Answer struct {
	Run  Run
	Text string // one sentence for the person who decided
}

// Decide takes a decision. Whoever may not decide, or comes too late, gets a
// *Refusal that says why, who decided and when. Before an approval counts the
// world is read again: a changed plan is put before the approvers anew, and a
// healed one ends the run.
func (d *Desk) Decide(ctx context.Context, c Click) (Answer, error) {
	answer, target, err := d.decide(ctx, c)
	if err != nil {
		return answer, d.noteRefusal(ctx, string(c.Kind)+" of run "+clip(Redact(c.Run), maxTicket), c.By, target, err)
	}
	return answer, nil
}

func (d *Desk) decide(ctx context.Context, c Click) (Answer, string, error) {
	run, err := d.known(ctx, c.Run)
	if err != nil {
		return Answer{}, "", err
	}
	t, person, err := d.mayDecide(ctx, run, c)
	if err != nil {
		return Answer{Run: run}, run.Target, err
	}
	if err := shownPlan(run, c); err != nil {
		return Answer{Run: run}, run.Target, err
	}
	c.Reason = clip(Redact(c.Reason), maxReason)
	if c.Kind != DecideApprove {
		run, err = d.end(ctx, run, c, person)
		return Answer{Run: run, Text: endText[c.Kind]}, run.Target, err
	}
	if len(run.Approvals())+1 >= run.Required { // it would start now
		busy, err := rival(ctx, d.ledger, run)
		if err != nil {
			return Answer{Run: run}, run.Target, err
		}
		if busy != nil {
			return Answer{Run: run}, run.Target, notCounted(busy)
		}
	}
	if run.Plan.Has(FlushCache) {
		if err := d.cooledDown(ctx, t, run.ID); err != nil {
			return Answer{Run: run}, run.Target, err
		}
	}
	now, err := recheck(ctx, t, d.ledger, d.snaps, run, d.clock.Now())
	if err != nil {
		return Answer{Run: run}, run.Target, err
	}
	switch now.drift {
	case DriftHealed:
		return d.obsolete(ctx, run, c, now.why)
	case DriftChanged:
		return d.proposeAnew(ctx, run, c, now)
	}
	return d.approve(ctx, t, run, c)
}

// shownPlan refuses a decision on a plan that is not the present one: people
// decide on what they saw. A denial or a withdrawal touches nothing, whichever
// plan it was about, but has to name one: what names none was posted by a build
// that knew no plans, and nobody can tell what it showed.
func shownPlan(run Run, c Click) error {
	switch {
	case c.Generation == 0:
		return refuse(RefusedPlan, "Nothing was decided: what you used does not say which plan it showed. Look at the present plan (%d) and decide on that.", run.Generation)
	case c.Generation != run.Generation && c.Kind == DecideApprove:
		return refuse(RefusedPlan, "Not approved: you were shown plan %d, and this is plan %d now%s. Look at what it would touch and decide again.", c.Generation, run.Generation, because(run.Changes))
	}
	return nil
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}

// known finds a run by what a button carries.
func (d *Desk) known(ctx context.Context, id string) (Run, error) {
	run, err := d.ledger.Run(ctx, id)
	if errors.Is(err, ErrUnknownRun) {
		return Run{}, refuse(RefusedUnknownRun, "This button belongs to no run that jwksbot knows. Start again with /jwks-flush.")
	}
	return run, err
}

var endText = map[DecisionKind]string{
	DecideDeny:     "Denied. Nothing was touched.",
	DecideWithdraw: "Withdrawn. Nothing was touched.",
}

// mayDecide checks the person, and everybody else on whom the run depends,
// against the run and the target's policy.
func (d *Desk) mayDecide(ctx context.Context, run Run, c Click) (*Target, Person, error) {
	t, err := d.Target(run.Target)
	if err != nil {
		return nil, Person{}, err
	}
	p, _, _, err := d.deciders(ctx, t, run, c)
	if err != nil {
		return t, p, err
	}
	return t, p, open(run, d.clock.Now())
}

// open refuses decisions on a run that waits for none any more.
func open(run Run, now time.Time) error {
	if run.State == StatePending {
		if now.Before(run.ExpiresAt) {
			return nil
		}
		return refuse(RefusedEnded, "This request expired %s ago. Request it again.", Duration(now.Sub(run.ExpiresAt)))
	}
	last, ok := run.Decided()
	if !ok || run.State == StateExpired || run.State == StateObsolete {
		return refuse(RefusedEnded, "This request is over: it is %s. %s", run.State, run.Outcome)
	}
	return refuse(RefusedEnded, "Already decided: %s %s at %s; the run is now %s.", last.By.Label(), past[last.Kind], last.At.Format("15:04:05 MST"), run.State)
}

var past = map[DecisionKind]string{DecideApprove: "approved it", DecideDeny: "denied it", DecideWithdraw: "withdrew it",
	DecideBreakGlass: "broke the glass"}

// end carries out a denial or a withdrawal.
func (d *Desk) end(ctx context.Context, run Run, c Click, p Person) (Run, error) {
	to := map[DecisionKind]State{DecideDeny: StateDenied, DecideWithdraw: StateWithdrawn}[c.Kind]
	return d.ledger.Change(ctx, run.ID, func(r *Run) ([]AuditEntry, error) {
		now := d.clock.Now()
		if err := open(*r, now); err != nil {
			return nil, err
		}
		if err := r.move(to, now); err != nil {
			return nil, err
		}
		r.decide(c, p, d.verified, now)
		r.Outcome = fmt.Sprintf("%s %s.", p.Label(), past[c.Kind])
		if c.Reason != "" {
			r.Outcome = fmt.Sprintf("%s %s: %s", p.Label(), past[c.Kind], c.Reason)
		}
		return []AuditEntry{r.audit(now, c.By, string(c.Kind), c.Reason)}, nil
	})
}

func (r *Run) decide(c Click, p Person, verified string, now time.Time) {
	r.Decisions = append(r.Decisions, Decision{By: p.PersonRef, Kind: c.Kind, Reason: c.Reason, Generation: r.Generation, At: now, Via: c.Via, Verified: verified})
}

// approve counts an approval, and with the last one that is needed hands the
// run over for execution.
func (d *Desk) approve(ctx context.Context, t *Target, run Run, c Click) (Answer, string, error) {
	p, lost, heard, err := d.deciders(ctx, t, run, c) // once more: reading the world took its time
	if err != nil {
		return Answer{Run: run}, run.Target, err
	}
	changed, err := d.ledger.Change(ctx, run.ID, func(r *Run) ([]AuditEntry, error) {
		now := d.clock.Now()
		if err := open(*r, now); err != nil {
			return nil, err
		}
		if err := shownPlan(*r, c); err != nil {
			return nil, err
		}
		for _, a := range r.Approvals() {
			if a.By.ID == c.By {
				return nil, refuse(RefusedTwice, "You approved this already, at %s. It needs %s by different people.", a.At.Format("15:04:05 MST"), plural(r.Required, "approval", "approvals"))
			}
		}
		var trail []AuditEntry
		if len(lost) > 0 {
			r.reopen(lost.ids(), lost.text(), now)
			trail = append(trail, r.audit(now, AuditSelf, "reopen", lost.text()))
		}
		r.decide(c, p, d.verified, now)
		if len(r.Approvals()) >= r.Required {
			if err := r.move(StateApproved, now); err != nil {
				return nil, err
			}
			r.ApprovedAt, r.StartBy = now, now.Add(startWithin)
		}
		detail := fmt.Sprintf("%d of %d", len(r.Approvals()), r.Required) + heard
		return append(trail, r.audit(now, c.By, string(c.Kind), detail)), nil
	})
	var busy *BusyError
	if errors.As(err, &busy) {
		return Answer{Run: run}, run.Target, notCounted(busy)
	}
	if err != nil {
		return Answer{Run: run}, run.Target, err
	}
	if changed.State == StatePending {
		text := fmt.Sprintf("Counted: %d of %d approvals.", len(changed.Approvals()), changed.Required)
		for _, f := range lost {
			text += " An earlier one does not count any more: " + f.text() + "."
		}
		return Answer{Run: changed, Text: text}, run.Target, nil
	}
	return Answer{Run: changed, Text: fmt.Sprintf("Approved. %s starts now.", capital(changed.Plan.begins()))}, run.Target, nil
}

func notCounted(busy *BusyError) error {
	return refuse(RefusedBusy, "Not now: %s. Your approval was not counted; press again afterwards.", busy.Error())
}

// obsolete ends a run whose work was done by somebody else, or by time.
func (d *Desk) obsolete(ctx context.Context, run Run, c Click, why string) (Answer, string, error) {
	changed, err := d.ledger.Change(ctx, run.ID, func(r *Run) ([]AuditEntry, error) {
		now := d.clock.Now()
		if err := open(*r, now); err != nil {
			return nil, err
		}
		if err := r.move(StateObsolete, now); err != nil {
			return nil, err
		}
		r.Outcome = "Nothing is left to do: " + why + "."
		return []AuditEntry{r.audit(now, c.By, "state", r.Outcome)}, nil
	})
	return Answer{Run: changed, Text: "Nothing is left to do: " + why + ". Nothing was touched."}, run.Target, err
}

// proposeAnew puts the plan that fits the world before the approvers.
func (d *Desk) proposeAnew(ctx context.Context, run Run, c Click, now planCheck) (Answer, string, error) {
	changed, err := d.ledger.Change(ctx, run.ID, func(r *Run) ([]AuditEntry, error) {
		at := d.clock.Now()
		if err := open(*r, at); err != nil {
			return nil, err
		}
		if err := shownPlan(*r, c); err != nil {
			return nil, err
		}
		r.propose(now.plan, now.why, at)
		return []AuditEntry{r.audit(at, c.By, "replan", now.why)}, nil
	})
	if err != nil {
		return Answer{Run: run}, run.Target, err
	}
	return Answer{Run: changed}, run.Target, refuse(RefusedChanged, "Not approved: things changed since plan %d (%s). Plan %d says what would be touched now; look at it and decide again.", run.Generation, now.why, changed.Generation)
}
