package runbook

import (
	"context"
	"fmt"
	"time"
)

// breachAlarm is the call for people when failures persist.
func (t *Target) breachAlarm(run Run, w Watch, o outlook, now time.Time) *Escalation {
	p, _ := o.last()
	e := run.newEscalation(EscalateBreach, fmt.Sprintf("Token validation of %s fails for %s of requests, above %s for %s since the last mitigation.",
		run.Target, exact(p.ratio()), exact(t.Watch.Ratio), plural(o.above, "minute", "minutes")), now)
	e.Ratio, e.Minutes = p.ratio(), o.above
	for _, q := range o.pools[max(0, len(o.pools)-3):] {
		e.Evidence = append(e.Evidence, fmt.Sprintf("%s: %s failures of %s requests (%s)", q.from.UTC().Format("15:04 MST"), count(q.failures), count(q.requests), exact(q.ratio())))
	}
	if b, ok := share(w.Before); ok {
		e.Evidence = append(e.Evidence, "before the mitigation: "+exact(b.ratio()))
	}
	if w.Note != "" {
		e.Evidence = append(e.Evidence, w.Note)
	}
	return e
}

// alarmEvidence is what every call says of the run.
func (r Run) alarmEvidence() []string {
	out := []string{fmt.Sprintf("run %s, ticket %s, requested by %s", r.ID, r.Ticket, r.Requester.Label())}
	if r.Plan.Summary != "" {
		out = append(out, "verdict at the request: "+r.Plan.Summary)
	}
	for _, rec := range r.Receipts {
		out = append(out, fmt.Sprintf("%s at %s: %s", rec.Step, rec.EndedAt.UTC().Format("15:04:05 MST"), rec.Summary))
	}
	return out
}

// alarm is the call in the terms of the outside services.
func (r Run) alarm() Alarm {
	e := r.Escalation
	return Alarm{Key: "jwksbot/" + r.ID, Run: r.ID, Target: r.Target, Ticket: r.Ticket, Summary: e.Why, Evidence: e.Evidence, At: e.At}
}

// pages says that a pager goes off: not for a watch that could not tell, where
// people are only asked to look.
func (e *Escalation) pages() bool { return e.Kind != EscalateBlind }

// escalate tells the on-call team. The page may be repeated; the announcement
// may not, and is written down before. What cannot be reached is noted: a run
// never depends on it to go on.
func (m *Machine) escalate(ctx context.Context, t *Target, run Run) (Transition, error) {
	if run.Escalation == nil {
		return m.fail(run, nil, "%s", run.with("There was nothing to escalate.")), nil
	}
	if run.Escalation.pages() && run.Escalation.Paged.IsZero() && t.Pager != nil {
		if err := m.page(ctx, t, run); err != nil {
			return Transition{}, err
		}
	}
	if run.Escalation.pages() && run.Escalation.Published.IsZero() && t.Publisher != nil {
		if err := m.publish(ctx, t, run); err != nil {
			return Transition{}, err
		}
	}
	tr := Transition{From: run.State, To: StateWatch}
	switch {
	case run.Escalation.Kind == EscalateDied:
		tr.To = StateFailed
	case run.Watch != nil && !run.Watch.EndedAt.IsZero():
		tr.To = run.end()
	}
	return tr, nil
}

// page triggers the paging service.
func (m *Machine) page(ctx context.Context, t *Target, run Run) error {
	failed, err := m.paged(ctx, func() error { return t.Pager.Trigger(ctx, run.alarm()) })
	if err != nil {
		return err
	}
	return m.called(ctx, run, "page", failed, func(e *Escalation) {
		if failed != nil {
			e.Notes = append(e.Notes, fmt.Sprintf("the paging service %s, call the on-call team yourself: %v", unheard(failed), failed))
			return
		}
		e.Paged = m.clock.Now()
	})
}

// unheard is why a call did not get through, in half a sentence.
func unheard(failed error) string {
	if IsDenied(failed) {
		return "refused the call"
	}
	return "could not be reached"
}

// publish announces the call once.
func (m *Machine) publish(ctx context.Context, t *Target, run Run) error {
	if !run.Escalation.Begun.IsZero() {
		return m.called(ctx, run, "publish", nil, func(e *Escalation) {
			e.Notes = append(e.Notes, "it may have been announced before a restart of jwksbot; it was not announced again")
			e.Published = e.Begun
		})
	}
	if err := m.guard(ctx); err != nil {
		return err
	}
	if err := m.called(ctx, run, "", nil, func(e *Escalation) { e.Begun = m.clock.Now() }); err != nil {
		return err
	}
	id, err := t.Publisher.Publish(ctx, run.alarm())
	return m.called(context.WithoutCancel(ctx), run, "publish", err, func(e *Escalation) {
		if err != nil {
			e.Notes = append(e.Notes, fmt.Sprintf("it could not be announced: %v", err))
			return
		}
		e.Message, e.Published = id, m.clock.Now()
	})
}

// called keeps what became of a call, beside what people do to it meanwhile.
func (m *Machine) called(ctx context.Context, run Run, effect string, err error, change func(*Escalation)) error {
	_, cerr := m.ledger.Change(ctx, run.ID, func(r *Run) ([]AuditEntry, error) {
		if r.State != run.State || r.Escalation == nil {
			return nil, ErrMoved
		}
		change(r.Escalation)
		switch {
		case effect == "":
			return nil, nil
		case err != nil:
			return []AuditEntry{r.audit(m.clock.Now(), AuditSelf, "effect", fmt.Sprintf("%s failed: %v", effect, err))}, nil
		}
		return []AuditEntry{r.audit(m.clock.Now(), AuditSelf, "effect", effect+": "+r.Escalation.Why)}, nil
	})
	return cerr
}

// resolve closes the incident at the paging service when a breach is over. It
// may be repeated.
func (m *Machine) resolve(ctx context.Context, t *Target, run *Run, o outlook) error {
	if !run.Escalation.breach() || o.calm < calmAfter {
		return nil
	}
	var failed error
	if t.Pager != nil && !run.Escalation.Paged.IsZero() {
		var err error
		failed, err = m.paged(ctx, func() error { return t.Pager.Resolve(ctx, run.alarm()) })
		if err != nil {
			return err
		}
	}
	changed, err := m.ledger.Change(ctx, run.ID, func(r *Run) ([]AuditEntry, error) {
		if r.State != run.State || r.Escalation == nil {
			return nil, ErrMoved
		}
		r.Escalation.Resolved = m.clock.Now()
		if failed != nil {
			r.Escalation.Notes = append(r.Escalation.Notes, fmt.Sprintf("the incident could not be closed at the paging service, close it yourself: %v", failed))
		}
		return []AuditEntry{r.audit(m.clock.Now(), AuditSelf, "resolve", "the share of failures fell to the limit or below")}, nil
	})
	if err == nil {
		run.Escalation = changed.Escalation
	}
	return err
}

// paged calls the paging service, which itself repeats what can be repeated.
// failed is what came of it; err says that this process may not go on.
func (m *Machine) paged(ctx context.Context, call func() error) (failed, err error) {
	if err := m.guard(ctx); err != nil {
		return nil, err
	}
	failed = call()
	return failed, ctx.Err()
}
