package check

import (
	"context"
	"fmt"
	"time"

	"jwksbot/runbook"
)

// loggedKeys reads what the authoriser failed on.
type loggedKeys struct{ t *Target }

func (loggedKeys) Name() string { return runbook.StepLoggedKeys }

func (c loggedKeys) Run(ctx context.Context, q Question) (Result, error) {
	ev, err := c.t.Logs.Failures(ctx, q.Since, q.Until, q.Kid)
	if err != nil && ev.Pages == 0 {
		return Result{Status: runbook.StatusError, Summary: err.Error()}, err
	}
	status, summary := describeLogged(ev, q.Until)
	r := Result{Status: status, Summary: summary, Evidence: runbook.Evidence{Logged: &ev}}
	if err != nil {
		// What was read is a lower bound and still worth a verdict.
		r.Status, r.Summary = runbook.StatusWarn, summary+"; reading stopped: "+err.Error()
	}
	return r, nil
}

func describeLogged(ev runbook.LogEvidence, now time.Time) (runbook.Status, string) {
	if ev.Count == 0 {
		return runbook.StatusOK, fmt.Sprintf("no failures in the last %s", runbook.Duration(ev.Until.Sub(ev.Since)))
	}
	text := ev.CountText() + " in the last " + runbook.Duration(ev.Until.Sub(ev.Since))
	if last, ok := ev.LastFailure(); ok && now.Sub(last) > 3*time.Minute {
		return runbook.StatusWarn, fmt.Sprintf("%s, none in the last %s", text, runbook.Duration(now.Sub(last)))
	}
	return runbook.StatusFail, text + ev.KidsText()
}
