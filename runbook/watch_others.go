package runbook

import (
	"context"
	"fmt"
	"time"
)

// others says how other runs of the target stand to this one's watch: successor
// is a run that changed something since, and is watched instead; called is one
// that has called people for failures that still go on. Both are nil as a rule.
func (m *Machine) others(ctx context.Context, run Run, since time.Time) (successor, called *Run, err error) {
	runs, err := m.ledger.Runs(ctx, Filter{Target: run.Target, ActiveSince: since, Limit: manyRuns})
	if err != nil {
		return nil, nil, err
	}
	for i, r := range runs {
		if r.ID == run.ID {
			continue
		}
		if r.effectAt().After(since) {
			successor = &runs[i]
		}
		if r.State.Executes() && r.Escalation.breach() {
			called = &runs[i]
		}
	}
	return successor, called, nil
}

// superseded ends a watch whose minutes belong to another run by now. One that
// has called people goes on, so that it sees the end of the breach.
func (m *Machine) superseded(run Run, w Watch, by Run) Transition {
	w.Verdict, w.EndedAt = WatchSuperseded, m.clock.Now()
	text := fmt.Sprintf("The watch ended after %s: run %s changed %s since, and is watched instead.", Duration(w.EndedAt.Sub(w.Since)), by.ID, run.Target)
	return Transition{From: run.State, To: run.end(), Watch: &w, Outcome: run.with(text)}
}
