package runbooktest

import (
	"testing"

	"jwksbot/runbook"
)

// Advance executes the run's present state and applies what follows.
func (o *World) Advance(t *testing.T, id string) (runbook.Run, runbook.Transition) {
	t.Helper()
	tr, err := o.Machine.Advance(t.Context(), o.Run(t, id))
	if err != nil {
		t.Fatalf("advance from %s: %v", o.Run(t, id).State, err)
	}
	return o.Apply(t, id, tr), tr
}

// Apply records a transition as a journal does.
func (o *World) Apply(t *testing.T, id string, tr runbook.Transition) runbook.Run {
	t.Helper()
	run, err := o.Ledger.Change(t.Context(), id, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		return tr.Audit, r.Apply(tr, o.Clock.Now())
	})
	if err != nil {
		t.Fatalf("apply %s to %s: %v", tr.From, tr.To, err)
	}
	return run
}

// Until executes states until the run is in the state, or has ended.
func (o *World) Until(t *testing.T, id string, s runbook.State) runbook.Run {
	t.Helper()
	run := o.Run(t, id)
	for run.State != s && !run.State.Ended() && run.State != runbook.StatePending {
		run, _ = o.Advance(t, id)
	}
	if run.State != s {
		t.Fatalf("the run is %s (%s), not %s", run.State, run.Outcome, s)
	}
	return run
}

// Refill writes the live keys back as soon as somebody waits for them.
func (o *World) Refill(value string, atWait int) {
	o.Clock.OnWait = func(n int) {
		if n == atWait {
			o.Cache.Set("jwks:current", value)
		}
	}
}

// Receipt finds the receipt of a step.
func Receipt(t *testing.T, run runbook.Run, step string) runbook.Receipt {
	t.Helper()
	for _, r := range run.Receipts {
		if r.Step == step {
			return r
		}
	}
	t.Fatalf("run %s has no receipt of %s: %+v", run.ID, step, run.Receipts)
	return runbook.Receipt{}
}
