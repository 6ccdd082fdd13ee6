package execute

import (
	"context"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
)

// next is the state that follows in the run's plan: the first after a state
// that the plan has a step for, or the target something to read for.
func next(t *check.Target, run runbook.Run, after runbook.State) runbook.State {
	p := run.Plan
	if p.Restore != nil {
		if after == runbook.StateApproved {
			return runbook.StateRestore
		}
		return runbook.StateDone
	}
	flush := p.Has(runbook.FlushCache)
	path := []struct {
		state runbook.State
		in    bool
	}{
		{runbook.StateApproved, true},
		{runbook.StateSnapshot, flush && !p.NoUndo},
		{runbook.StateFlush, flush},
		{runbook.StateVerify, flush},
		{runbook.StateRestart, p.Restart != nil},
		{runbook.StateGateway, p.Gateway != nil},
		{runbook.StateConfirm, confirms(t, p)},
		{runbook.StateWatch, watches(t)},
	}
	passed := false
	for _, step := range path {
		if passed && step.in {
			return step.state
		}
		passed = passed || step.state == after
	}
	return runbook.StateDone
}

// confirms says that something is left to be read after the last mitigation: a
// success, or the cache once more when steps came after its flush.
func confirms(t *check.Target, p runbook.Plan) bool {
	later := p.Has(runbook.FlushCache) && (p.Restart != nil || p.Gateway != nil)
	return t.Successes != nil || t.Canary != nil || later
}

// watches says that the minutes after a mitigation can be followed.
func watches(t *check.Target) bool {
	return t.Watch.For > 0 && (t.Logs != nil || t.Meter != nil && t.API != nil)
}

// onward leads from a state that did its work to the next one. sentence tells
// what came of the state; it is added to what came of those before.
func (m *Machine) onward(t *check.Target, run runbook.Run, after runbook.State, receipt runbook.Receipt, sentence string) runbook.Transition {
	run.Receipts = append(run.Receipts[:len(run.Receipts):len(run.Receipts)], receipt)
	to := next(t, run, after)
	if to == runbook.StateDone {
		to = run.End()
	}
	return runbook.Transition{From: run.State, To: to, Receipt: &receipt, Outcome: run.With(sentence)}
}

// begin writes down that an effect is about to be caused, and says whether that
// was written before: then it may have happened already.
func (m *Machine) begin(ctx context.Context, run runbook.Run, what runbook.Mitigation) (already bool, err error) {
	_, err = m.inState(ctx, run, func(r *runbook.Run) []runbook.AuditEntry {
		if _, already = r.Begun[what]; already {
			return nil
		}
		if r.Begun == nil {
			r.Begun = map[runbook.Mitigation]time.Time{}
		}
		r.Begun[what] = m.clock.Now()
		return nil
	})
	return already, err
}

// inState changes the run's row while it still is in the run's state.
func (m *Machine) inState(ctx context.Context, run runbook.Run, change func(*runbook.Run) []runbook.AuditEntry) (runbook.Run, error) {
	return m.ledger.Change(ctx, run.ID, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		if r.State != run.State {
			return nil, runbook.ErrMoved
		}
		return change(r), nil
	})
}

// show tells how far the running step is.
func (m *Machine) show(ctx context.Context, run runbook.Run, p runbook.Progress) error {
	_, err := m.inState(ctx, run, func(r *runbook.Run) []runbook.AuditEntry {
		r.Progress = p
		return nil
	})
	return err
}

// tell shows what a step waits for.
func (m *Machine) tell(ctx context.Context, run runbook.Run, text string) error {
	return m.show(ctx, run, runbook.Progress{Text: text})
}
