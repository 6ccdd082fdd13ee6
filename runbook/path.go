package runbook

import (
	"context"
	"strings"
	"time"
)

// next is the state that follows in the run's plan: the first after a state
// that the plan has a step for, or the target something to read for.
func (t *Target) next(run Run, after State) State {
	p := run.Plan
	if p.Restore != nil {
		if after == StateApproved {
			return StateRestore
		}
		return StateDone
	}
	flush := p.Has(FlushCache)
	path := []struct {
		state State
		in    bool
	}{
		{StateApproved, true},
		{StateSnapshot, flush && !p.NoUndo},
		{StateFlush, flush},
		{StateVerify, flush},
		{StateRestart, p.Restart != nil},
		{StateGateway, p.Gateway != nil},
		{StateConfirm, t.confirms(p)},
		{StateWatch, t.watches()},
	}
	passed := false
	for _, step := range path {
		if passed && step.in {
			return step.state
		}
		passed = passed || step.state == after
	}
	return StateDone
}

// confirms says that something is left to be read after the last mitigation: a
// success, or the cache once more when steps came after its flush.
func (t *Target) confirms(p Plan) bool {
	later := p.Has(FlushCache) && (p.Restart != nil || p.Gateway != nil)
	return t.Successes != nil || t.Canary != nil || later
}

// watches says that the minutes after a mitigation can be followed.
func (t *Target) watches() bool {
	return t.Watch.For > 0 && (t.Logs != nil || t.Meter != nil && t.API != nil)
}

// onward leads from a state that did its work to the next one. sentence tells
// what came of the state; it is added to what came of those before.
func (m *Machine) onward(t *Target, run Run, after State, receipt Receipt, sentence string) Transition {
	run.Receipts = append(run.Receipts[:len(run.Receipts):len(run.Receipts)], receipt)
	to := t.next(run, after)
	if to == StateDone {
		to = run.end()
	}
	return Transition{From: run.State, To: to, Receipt: &receipt, Outcome: run.with(sentence)}
}

// with is the outcome with one more sentence.
func (r Run) with(sentence string) string {
	return strings.TrimSpace(r.Outcome + " " + sentence)
}

// begin writes down that an effect is about to be caused, and says whether that
// was written before: then it may have happened already.
func (m *Machine) begin(ctx context.Context, run Run, what Mitigation) (already bool, err error) {
	_, err = m.inState(ctx, run, func(r *Run) []AuditEntry {
		if _, already = r.Begun[what]; already {
			return nil
		}
		if r.Begun == nil {
			r.Begun = map[Mitigation]time.Time{}
		}
		r.Begun[what] = m.clock.Now()
		return nil
	})
	return already, err
}

// inState changes the run's row while it still is in the run's state.
func (m *Machine) inState(ctx context.Context, run Run, change func(*Run) []AuditEntry) (Run, error) {
	return m.ledger.Change(ctx, run.ID, func(r *Run) ([]AuditEntry, error) {
		if r.State != run.State {
			return nil, ErrMoved
		}
		return change(r), nil
	})
}

// show tells how far the running step is.
func (m *Machine) show(ctx context.Context, run Run, p Progress) error {
	_, err := m.inState(ctx, run, func(r *Run) []AuditEntry {
		r.Progress = p
		return nil
	})
	return err
}

// tell shows what a step waits for.
func (m *Machine) tell(ctx context.Context, run Run, text string) error {
	return m.show(ctx, run, Progress{Text: text})
}

// effectAt is when the last mitigation of the run ended; zero if there was none.
func (r Run) effectAt() time.Time {
	var at time.Time
	for _, rec := range r.Receipts {
		if rec.Finding == FoundRefused {
			continue
		}
		switch Mitigation(rec.Step) {
		case FlushCache, RestartAuthoriser, FlushGateway, RestoreCache:
			at = rec.EndedAt
		}
	}
	return at
}
