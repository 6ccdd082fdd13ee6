package execute

import (
	"context"
	"fmt"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
)

// others says how other runs of the target stand to this one's watch: successor
// is a run that changed something since, and is watched instead; called is one
// that has called people for failures that still go on. Both are nil as a rule.
func (m *Machine) others(ctx context.Context, run runbook.Run, since time.Time) (successor, called *runbook.Run, err error) {
	runs, err := m.ledger.Runs(ctx, runbook.Filter{Target: run.Target, ActiveSince: since, Limit: approve.ManyRuns})
	if err != nil {
		return nil, nil, err
	}
	for i, r := range runs {
		if r.ID == run.ID {
			continue
		}
		if r.EffectAt().After(since) {
			successor = &runs[i]
		}
		if r.State.Executes() && r.Escalation.Breach() {
			called = &runs[i]
		}
	}
	return successor, called, nil
}

// superseded ends a watch whose minutes belong to another run by now. One that
// has called people goes on, so that it sees the end of the breach.
func (m *Machine) superseded(run runbook.Run, w runbook.Watch, by runbook.Run) runbook.Transition {
	w.Verdict, w.EndedAt = runbook.WatchSuperseded, m.clock.Now()
	text := fmt.Sprintf("The watch ended after %s: run %s changed %s since, and is watched instead.", runbook.Duration(w.EndedAt.Sub(w.Since)), by.ID, run.Target)
	return runbook.Transition{From: run.State, To: run.End(), Watch: &w, Outcome: run.With(text)}
}
