package record

import (
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/execute"
)

// Series is what a chart of the run shows: the minutes before and after the
// mitigation, with the moments that matter. It is empty for a run that was not
// watched.
func Series(r runbook.Run) runbook.Series {
	if r.Watch == nil {
		return runbook.Series{}
	}
	w := *r.Watch
	s := runbook.Series{Title: "Share of failures, " + r.Target + ", run " + r.ID, Threshold: w.Limit,
		Since: execute.First(w).Add(-execute.WatchBefore), Until: w.Until}
	for _, p := range append(append([]runbook.RatioPoint(nil), w.Before...), w.Points...) {
		if _, ok := p.Ratio(); ok {
			s.Failures = append(s.Failures, p)
		}
	}
	mark := func(at time.Time, label string) {
		if !at.Before(s.Since) && !at.After(s.Until) {
			s.Marks = append(s.Marks, runbook.Mark{At: at, Label: label})
		}
	}
	mark(r.Rotated, "rotation")
	for _, rec := range r.Receipts {
		if label, ok := markLabels[rec.Step]; ok && rec.Status != runbook.StatusFail {
			mark(rec.EndedAt, label)
		}
	}
	if r.Escalation != nil {
		mark(r.Escalation.At, "escalation")
	}
	return s
}

var markLabels = map[string]string{string(runbook.FlushCache): "flush", string(runbook.RestartAuthoriser): "restart", string(runbook.FlushGateway): "gateway flush"}
