package execute

import (
	"context"
	"fmt"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

// breachAlarm is the call for people when failures persist.
func breachAlarm(t *check.Target, run runbook.Run, w runbook.Watch, o outlook, now time.Time) *runbook.Escalation {
	p, _ := o.last()
	e := run.NewEscalation(runbook.EscalateBreach, fmt.Sprintf("Token validation of %s fails for %s of requests, above %s for %s since the last mitigation.",
		run.Target, runbook.ExactPercent(p.Ratio()), runbook.ExactPercent(t.Watch.Ratio), runbook.Plural(o.above, "minute", "minutes")), now)
	e.Ratio, e.Minutes = p.Ratio(), o.above
	for _, q := range o.pools[max(0, len(o.pools)-3):] {
		e.Evidence = append(e.Evidence, fmt.Sprintf("%s: %s failures of %s requests (%s)", q.from.UTC().Format("15:04 MST"), count(q.failures), count(q.requests), runbook.ExactPercent(q.Ratio())))
	}
	if b, ok := Share(w.Before); ok {
		e.Evidence = append(e.Evidence, "before the mitigation: "+runbook.ExactPercent(b.Ratio()))
	}
	if w.Note != "" {
		e.Evidence = append(e.Evidence, w.Note)
	}
	return e
}

// alarm is the call in the terms of the outside services.
func alarm(r runbook.Run) runbook.Alarm {
	e := r.Escalation
	return runbook.Alarm{Key: "jwksbot/" + r.ID, Run: r.ID, Target: r.Target, Ticket: r.Ticket, Summary: e.Why, Evidence: e.Evidence, At: e.At}
}

// pages says that a pager goes off: not for a watch that could not tell, where
// people are only asked to look.
func pages(e *runbook.Escalation) bool { return e.Kind != runbook.EscalateBlind }

// escalate tells the on-call team. The page may be repeated; the announcement
// may not, and is written down before. What cannot be reached is noted: a run
// never depends on it to go on.
func (m *Machine) escalate(ctx context.Context, t *check.Target, run runbook.Run) (runbook.Transition, error) {
	if run.Escalation == nil {
		return m.fail(run, nil, "%s", run.With("There was nothing to escalate.")), nil
	}
	if pages(run.Escalation) && run.Escalation.Paged.IsZero() && t.Pager != nil {
		if err := m.page(ctx, t, run); err != nil {
			return runbook.Transition{}, err
		}
	}
	if pages(run.Escalation) && run.Escalation.Published.IsZero() && t.Publisher != nil {
		if err := m.publish(ctx, t, run); err != nil {
			return runbook.Transition{}, err
		}
	}
	tr := runbook.Transition{From: run.State, To: runbook.StateWatch}
	switch {
	case run.Escalation.Kind == runbook.EscalateDied:
		tr.To = runbook.StateFailed
	case run.Watch != nil && !run.Watch.EndedAt.IsZero():
		tr.To = run.End()
	}
	return tr, nil
}

// page triggers the paging service.
func (m *Machine) page(ctx context.Context, t *check.Target, run runbook.Run) error {
	failed, err := m.Paged(ctx, func() error { return t.Pager.Trigger(ctx, alarm(run)) })
	if err != nil {
		return err
	}
	return m.called(ctx, run, "page", failed, func(e *runbook.Escalation) {
		if failed != nil {
			e.Notes = append(e.Notes, fmt.Sprintf("the paging service %s, call the on-call team yourself: %v", unheard(failed), failed))
			return
		}
		e.Paged = m.clock.Now()
	})
}

// unheard is why a call did not get through, in half a sentence.
func unheard(failed error) string {
	if runbook.IsDenied(failed) {
		return "refused the call"
	}
	return "could not be reached"
}

// publish announces the call once.
func (m *Machine) publish(ctx context.Context, t *check.Target, run runbook.Run) error {
	if !run.Escalation.Begun.IsZero() {
		return m.called(ctx, run, "publish", nil, func(e *runbook.Escalation) {
			e.Notes = append(e.Notes, "it may have been announced before a restart of jwksbot; it was not announced again")
			e.Published = e.Begun
		})
	}
	if err := m.guard(ctx); err != nil {
		return err
	}
	if err := m.called(ctx, run, "", nil, func(e *runbook.Escalation) { e.Begun = m.clock.Now() }); err != nil {
		return err
	}
	id, err := t.Publisher.Publish(ctx, alarm(run))
	return m.called(context.WithoutCancel(ctx), run, "publish", err, func(e *runbook.Escalation) {
		if err != nil {
			e.Notes = append(e.Notes, fmt.Sprintf("it could not be announced: %v", err))
			return
		}
		e.Message, e.Published = id, m.clock.Now()
	})
}

// called keeps what became of a call, beside what people do to it meanwhile.
func (m *Machine) called(ctx context.Context, run runbook.Run, effect string, err error, change func(*runbook.Escalation)) error {
	_, cerr := m.ledger.Change(ctx, run.ID, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		if r.State != run.State || r.Escalation == nil {
			return nil, runbook.ErrMoved
		}
		change(r.Escalation)
		switch {
		case effect == "":
			return nil, nil
		case err != nil:
			return []runbook.AuditEntry{approve.Audit(*r, m.clock.Now(), runbook.AuditSelf, "effect", fmt.Sprintf("%s failed: %v", effect, err))}, nil
		}
		return []runbook.AuditEntry{approve.Audit(*r, m.clock.Now(), runbook.AuditSelf, "effect", effect+": "+r.Escalation.Why)}, nil
	})
	return cerr
}

// resolve closes the incident at the paging service when a breach is over. It
// may be repeated.
func (m *Machine) resolve(ctx context.Context, t *check.Target, run *runbook.Run, o outlook) error {
	if !run.Escalation.Breach() || o.calm < calmAfter {
		return nil
	}
	var failed error
	if t.Pager != nil && !run.Escalation.Paged.IsZero() {
		var err error
		failed, err = m.Paged(ctx, func() error { return t.Pager.Resolve(ctx, alarm(*run)) })
		if err != nil {
			return err
		}
	}
	changed, err := m.ledger.Change(ctx, run.ID, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		if r.State != run.State || r.Escalation == nil {
			return nil, runbook.ErrMoved
		}
		r.Escalation.Resolved = m.clock.Now()
		if failed != nil {
			r.Escalation.Notes = append(r.Escalation.Notes, fmt.Sprintf("the incident could not be closed at the paging service, close it yourself: %v", failed))
		}
		return []runbook.AuditEntry{approve.Audit(*r, m.clock.Now(), runbook.AuditSelf, "resolve", "the share of failures fell to the limit or below")}, nil
	})
	if err == nil {
		run.Escalation = changed.Escalation
	}
	return err
}

// Paged calls the paging service, which itself repeats what can be repeated.
// failed is what came of it; err says that this process may not go on.
func (m *Machine) Paged(ctx context.Context, call func() error) (failed, err error) {
	if err := m.guard(ctx); err != nil {
		return nil, err
	}
	failed = call()
	return failed, ctx.Err()
}
