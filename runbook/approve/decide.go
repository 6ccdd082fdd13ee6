package approve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/redact"
)

// Click is one decision of a person on a run.
type Click struct {
	Run string
	// Generation is the plan that the person was shown; zero, from a card or a
	// terminal that names none, decides nothing.
	Generation int
	By         string // the person's id
	Kind       runbook.DecisionKind
	Reason     string
	Via        runbook.Via
}

// Answer is what a decision led to.
type Answer struct {
	Run  runbook.Run
	Text string // one sentence for the person who decided
}

// Decide takes a decision. Whoever may not decide, or comes too late, gets a
// *Refusal that says why, who decided and when. Before an approval counts the
// world is read again: a changed plan is put before the approvers anew, and a
// healed one ends the run.
func (s *Service) Decide(ctx context.Context, c Click) (Answer, error) {
	answer, target, err := s.decide(ctx, c)
	if err != nil {
		return answer, s.noteRefusal(ctx, string(c.Kind)+" of run "+runbook.Clip(redact.Text(c.Run), maxTicket), c.By, target, err)
	}
	return answer, nil
}

func (s *Service) decide(ctx context.Context, c Click) (Answer, string, error) {
	run, err := s.known(ctx, c.Run)
	if err != nil {
		return Answer{}, "", err
	}
	t, person, err := s.mayDecide(ctx, run, c)
	if err != nil {
		return Answer{Run: run}, run.Target, err
	}
	if err := shownPlan(run, c); err != nil {
		return Answer{Run: run}, run.Target, err
	}
	c.Reason = runbook.Clip(redact.Text(c.Reason), MaxReason)
	if c.Kind != runbook.DecideApprove {
		run, err = s.end(ctx, run, c, person)
		return Answer{Run: run, Text: endText[c.Kind]}, run.Target, err
	}
	if len(run.Approvals())+1 >= run.Required { // it would start now
		busy, err := ConflictingRun(ctx, s.ledger, run)
		if err != nil {
			return Answer{Run: run}, run.Target, err
		}
		if busy != nil {
			return Answer{Run: run}, run.Target, notCounted(busy)
		}
	}
	if run.Plan.Has(runbook.FlushCache) {
		if err := s.cooledDown(ctx, t, run.ID); err != nil {
			return Answer{Run: run}, run.Target, err
		}
	}
	now, err := Recheck(ctx, t, s.ledger, s.snaps, run, s.clock.Now())
	if err != nil {
		return Answer{Run: run}, run.Target, err
	}
	switch now.Drift {
	case DriftHealed:
		return s.obsolete(ctx, run, c, now.Why)
	case DriftChanged:
		return s.proposeAnew(ctx, run, c, now)
	}
	return s.Approve(ctx, t, run, c)
}

// shownPlan refuses a decision on a plan that is not the present one: people
// decide on what they saw. A denial or a withdrawal touches nothing, whichever
// plan it was about, but has to name one: what names none was posted by a build
// that knew no plans, and nobody can tell what it showed.
func shownPlan(run runbook.Run, c Click) error {
	switch {
	case c.Generation == 0:
		return runbook.Refuse(RefusedPlan, "Nothing was decided: what you used does not say which plan it showed. Look at the present plan (%d) and decide on that.", run.Generation)
	case c.Generation != run.Generation && c.Kind == runbook.DecideApprove:
		return runbook.Refuse(RefusedPlan, "Not approved: you were shown plan %d, and this is plan %d now%s. Look at what it would touch and decide again.", c.Generation, run.Generation, because(run.Changes))
	}
	return nil
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}

// known finds the run that is to be decided.
func (s *Service) known(ctx context.Context, id string) (runbook.Run, error) {
	run, err := s.ledger.Run(ctx, id)
	if errors.Is(err, runbook.ErrUnknownRun) {
		return runbook.Run{}, runbook.Refuse(RefusedUnknownRun, "There is no run with this id, so nothing was decided. Make a new request.")
	}
	return run, err
}

var endText = map[runbook.DecisionKind]string{
	runbook.DecideDeny:     "Denied. Nothing was touched.",
	runbook.DecideWithdraw: "Withdrawn. Nothing was touched.",
}

// mayDecide checks the person, and everybody else on whom the run depends,
// against the run and the target's policy.
func (s *Service) mayDecide(ctx context.Context, run runbook.Run, c Click) (*check.Target, Person, error) {
	t, err := s.Target(run.Target)
	if err != nil {
		return nil, Person{}, err
	}
	p, _, _, err := s.deciders(ctx, t, run, c)
	if err != nil {
		return t, p, err
	}
	return t, p, open(run, s.clock.Now())
}

// open refuses decisions on a run that waits for none any more.
func open(run runbook.Run, now time.Time) error {
	if run.State == runbook.StatePending {
		if now.Before(run.ExpiresAt) {
			return nil
		}
		return runbook.Refuse(RefusedEnded, "This request expired %s ago. Request it again.", runbook.Duration(now.Sub(run.ExpiresAt)))
	}
	last, ok := run.Decided()
	if !ok || run.State == runbook.StateExpired || run.State == runbook.StateObsolete {
		return runbook.Refuse(RefusedEnded, "This request is over: it is %s. %s", run.State, run.Outcome)
	}
	return runbook.Refuse(RefusedEnded, "Already decided: %s %s at %s; the run is now %s.", last.By.Label(), last.Kind.Did("it"), last.At.Format("15:04:05 MST"), run.State)
}

// end carries out a denial or a withdrawal.
func (s *Service) end(ctx context.Context, run runbook.Run, c Click, p Person) (runbook.Run, error) {
	to := map[runbook.DecisionKind]runbook.State{runbook.DecideDeny: runbook.StateDenied, runbook.DecideWithdraw: runbook.StateWithdrawn}[c.Kind]
	return s.ledger.Change(ctx, run.ID, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		now := s.clock.Now()
		if err := open(*r, now); err != nil {
			return nil, err
		}
		if err := r.Move(to, now); err != nil {
			return nil, err
		}
		decide(r, c, p, s.verified, now)
		r.Outcome = fmt.Sprintf("%s %s.", p.Label(), c.Kind.Did("it"))
		if c.Reason != "" {
			r.Outcome = fmt.Sprintf("%s %s: %s", p.Label(), c.Kind.Did("it"), c.Reason)
		}
		return []runbook.AuditEntry{Audit(*r, now, c.By, string(c.Kind), c.Reason)}, nil
	})
}

func decide(r *runbook.Run, c Click, p Person, verified string, now time.Time) {
	r.Decisions = append(r.Decisions, runbook.Decision{By: p.PersonRef, Kind: c.Kind, Reason: c.Reason, Generation: r.Generation, At: now, Via: c.Via, Verified: verified})
}

// Approve counts an approval, and with the last one that is needed hands the
// run over for execution.
func (s *Service) Approve(ctx context.Context, t *check.Target, run runbook.Run, c Click) (Answer, string, error) {
	p, lost, heard, err := s.deciders(ctx, t, run, c) // once more: reading the world took its time
	if err != nil {
		return Answer{Run: run}, run.Target, err
	}
	changed, err := s.ledger.Change(ctx, run.ID, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		now := s.clock.Now()
		if err := open(*r, now); err != nil {
			return nil, err
		}
		if err := shownPlan(*r, c); err != nil {
			return nil, err
		}
		for _, a := range r.Approvals() {
			if a.By.ID == c.By {
				return nil, runbook.Refuse(RefusedTwice, "You approved this already, at %s. It needs %s by different people.", a.At.Format("15:04:05 MST"), runbook.Plural(r.Required, "approval", "approvals"))
			}
		}
		var trail []runbook.AuditEntry
		if len(lost) > 0 {
			r.Reopen(lost.Ids(), lost.Text(), now)
			trail = append(trail, Audit(*r, now, runbook.AuditSelf, "reopen", lost.Text()))
		}
		decide(r, c, p, s.verified, now)
		if len(r.Approvals()) >= r.Required {
			if err := r.Move(runbook.StateApproved, now); err != nil {
				return nil, err
			}
			r.ApprovedAt, r.StartBy = now, now.Add(startWithin)
		}
		detail := fmt.Sprintf("%d of %d", len(r.Approvals()), r.Required) + heard
		return append(trail, Audit(*r, now, c.By, string(c.Kind), detail)), nil
	})
	var busy *runbook.BusyError
	if errors.As(err, &busy) {
		return Answer{Run: run}, run.Target, notCounted(busy)
	}
	if err != nil {
		return Answer{Run: run}, run.Target, err
	}
	if changed.State == runbook.StatePending {
		text := fmt.Sprintf("Counted: %d of %d approvals.", len(changed.Approvals()), changed.Required)
		for _, f := range lost {
			text += " An earlier one no longer counts: " + f.text() + "."
		}
		return Answer{Run: changed, Text: text}, run.Target, nil
	}
	return Answer{Run: changed, Text: fmt.Sprintf("Approved. The %s starts now.", changed.Plan.Noun())}, run.Target, nil
}

func notCounted(busy *runbook.BusyError) error {
	return runbook.Refuse(runbook.RefusedBusy, "Not now: %s. Your approval was not counted; approve again afterwards.", busy.Error())
}

// obsolete ends a run whose work was done by somebody else, or by time.
func (s *Service) obsolete(ctx context.Context, run runbook.Run, c Click, why string) (Answer, string, error) {
	changed, err := s.ledger.Change(ctx, run.ID, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		now := s.clock.Now()
		if err := open(*r, now); err != nil {
			return nil, err
		}
		if err := r.Move(runbook.StateObsolete, now); err != nil {
			return nil, err
		}
		r.Outcome = "Nothing is left to do: " + why + "."
		return []runbook.AuditEntry{Audit(*r, now, c.By, "state", r.Outcome)}, nil
	})
	return Answer{Run: changed, Text: "Nothing is left to do: " + why + ". Nothing was touched."}, run.Target, err
}

// proposeAnew puts the plan that fits the world before the approvers.
func (s *Service) proposeAnew(ctx context.Context, run runbook.Run, c Click, now Rechecked) (Answer, string, error) {
	changed, err := s.ledger.Change(ctx, run.ID, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		at := s.clock.Now()
		if err := open(*r, at); err != nil {
			return nil, err
		}
		if err := shownPlan(*r, c); err != nil {
			return nil, err
		}
		r.Propose(now.Plan, now.Why, at)
		return []runbook.AuditEntry{Audit(*r, at, c.By, "replan", now.Why)}, nil
	})
	if err != nil {
		return Answer{Run: run}, run.Target, err
	}
	return Answer{Run: changed}, run.Target, runbook.Refuse(runbook.RefusedChanged, "Not approved: things changed since plan %d (%s). Plan %d says what would be touched now; look at it and decide again.", run.Generation, now.Why, changed.Generation)
}
