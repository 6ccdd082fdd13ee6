package approve

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"jwksbot/runbook"
	"jwksbot/runbook/redact"
)

// StopWatch ends the watch of a run early, for a reason. Whoever may request or
// approve mitigations of the target may do that. A page that is open stays so.
func (s *Service) StopWatch(ctx context.Context, id, by, reason string, via runbook.Via) (runbook.Run, error) {
	run, err := s.stopWatch(ctx, id, by, reason, via)
	if err != nil {
		return run, s.noteRefusal(ctx, "stop of the watch of run "+runbook.Clip(redact.Text(id), maxTicket), by, run.Target, err)
	}
	return run, nil
}

func (s *Service) stopWatch(ctx context.Context, id, by, reason string, via runbook.Via) (runbook.Run, error) {
	run, p, err := s.mayTouch(ctx, id, by, "stop the watch of ")
	if err != nil {
		return run, err
	}
	if reason = runbook.Clip(redact.Text(strings.TrimSpace(reason)), MaxReason); reason == "" {
		return run, runbook.Refuse(RefusedReason, "Say in a few words why the watch can stop: the record needs it.")
	}
	return s.ledger.Change(ctx, id, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		now := s.clock.Now()
		if r.State != runbook.StateWatch || r.Watch == nil {
			return nil, runbook.Refuse(RefusedEnded, "There is no watch to stop: the run is %s.", r.State)
		}
		r.Watch.Stopped = &runbook.Decision{By: p.PersonRef, Kind: runbook.DecideStop, Reason: reason, Generation: r.Generation, At: now, Via: via}
		r.Watch.EndedAt = now
		if err := r.Move(r.End(), now); err != nil {
			return nil, err
		}
		r.Say(fmt.Sprintf("%s stopped the watch after %s: %s.", p.Label(), runbook.Duration(now.Sub(r.Watch.Since)), reason))
		return []runbook.AuditEntry{Audit(*r, now, by, "stop_watch", reason)}, nil
	})
}

// Acknowledge records who takes an escalation over. Whoever may see the
// target's checks may do that, also after the run has ended.
func (s *Service) Acknowledge(ctx context.Context, id, by string) (runbook.Run, error) {
	run, err := s.acknowledge(ctx, id, by)
	if err != nil {
		return run, s.noteRefusal(ctx, "taking over run "+runbook.Clip(redact.Text(id), maxTicket), by, run.Target, err)
	}
	return run, nil
}

func (s *Service) acknowledge(ctx context.Context, id, by string) (runbook.Run, error) {
	run, err := s.known(ctx, id)
	if err != nil {
		return run, err
	}
	if _, err := s.view(ctx, run.Target, by); err != nil {
		return run, err
	}
	p, err := LookUp(ctx, s.people, false, []string{by}, nil).person(by)
	if err != nil {
		return run, err
	}
	return s.ledger.Change(ctx, id, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		now := s.clock.Now()
		switch e := r.Escalation; {
		case e == nil:
			return nil, runbook.Refuse(RefusedEnded, "Nobody was called for this run, so there is nothing to take over.")
		case e.Taken():
			return nil, runbook.Refuse(RefusedTwice, "%s took it over at %s.", e.TakenBy.Label(), e.TakenAt.Format("15:04:05 MST"))
		default:
			e.TakenBy, e.TakenAt = p.PersonRef, now
		}
		return []runbook.AuditEntry{Audit(*r, now, by, "acknowledge", "took the escalation over")}, nil
	})
}

// Escalate calls the on-call team for a run that is being watched, because a
// person asks for it.
func (s *Service) Escalate(ctx context.Context, id, by, reason string) (runbook.Run, error) {
	run, err := s.escalate(ctx, id, by, reason)
	if err != nil {
		return run, s.noteRefusal(ctx, "escalation of run "+runbook.Clip(redact.Text(id), maxTicket), by, run.Target, err)
	}
	return run, nil
}

func (s *Service) escalate(ctx context.Context, id, by, reason string) (runbook.Run, error) {
	run, p, err := s.mayTouch(ctx, id, by, "escalate a run of ")
	if err != nil {
		return run, err
	}
	reason = runbook.Clip(redact.Text(strings.TrimSpace(reason)), MaxReason)
	return s.ledger.Change(ctx, id, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		now := s.clock.Now()
		if r.State != runbook.StateWatch {
			return nil, runbook.Refuse(RefusedEnded, "Only a run that is being watched can be escalated; this one is %s. Call the on-call team yourself.", r.State)
		}
		if r.Escalation.Open() {
			return nil, runbook.Refuse(RefusedTwice, "The on-call team was called at %s already.", r.Escalation.At.Format("15:04:05 MST"))
		}
		why := fmt.Sprintf("%s asked for help with %s", p.Label(), r.Target)
		if reason != "" {
			why += ": " + reason
		}
		e := r.NewEscalation(runbook.EscalateAsked, why+".", now)
		e.By = p.PersonRef
		r.Escalation = e
		return []runbook.AuditEntry{Audit(*r, now, by, "escalate", why)}, r.Move(runbook.StateEscalate, now)
	})
}

// mayTouch finds the run and checks that the person may request or approve
// mitigations of its target.
func (s *Service) mayTouch(ctx context.Context, id, by, what string) (runbook.Run, Person, error) {
	run, err := s.known(ctx, id)
	if err != nil {
		return run, Person{}, err
	}
	t, err := s.Target(run.Target)
	if err != nil {
		return run, Person{}, err
	}
	list := slices.Concat(t.Policy.Requesters, t.Policy.Approvers)
	h := LookUp(ctx, s.people, true, []string{by}, groupsFor(by, list))
	p, err := h.person(by)
	if err != nil {
		return run, p, err
	}
	return run, p, h.allowed(p, list, what+t.Name)
}

// RenewCard has the card of a pending run posted anew, once: it was posted by a
// build whose buttons named no plan, so that they decide nothing.
func (s *Service) RenewCard(ctx context.Context, id string) error {
	_, err := s.ledger.Change(ctx, id, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		r.Renewed = r.Renewed || r.State == runbook.StatePending
		return nil, nil
	})
	return err
}

// Posted is what a presenter put into the thread of a run.
type Posted struct {
	Ping      string // the message that called the on-call team
	GlassPing string // the message that told the approvers of a broken glass
	GlassTold string // the one that did in the target's own channel
	Chart     string // the file with the chart of the watch
}

// Record keeps what was posted, so that it is posted once. Empty fields leave
// what is there.
func (s *Service) Record(ctx context.Context, id string, p Posted) (runbook.Run, error) {
	return s.ledger.Change(ctx, id, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		if p.Ping != "" && r.Escalation != nil {
			r.Escalation.Pinged = p.Ping
		}
		if p.GlassPing != "" {
			r.GlassPing = p.GlassPing
		}
		if p.GlassTold != "" {
			r.GlassTold = p.GlassTold
		}
		if p.Chart != "" {
			r.Chart = p.Chart
		}
		return nil, nil
	})
}
