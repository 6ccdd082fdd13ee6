package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
)

// setupOnce asks the gateway how it is configured, once in a check, although
// two steps want to know.
type setupOnce struct {
	api   gatewayAPI
	once  sync.Once
	setup runbook.GatewaySetup
	err   error
}

func (s *setupOnce) get(ctx context.Context) (runbook.GatewaySetup, error) {
	s.once.Do(func() {
		s.err = errors.New("the gateway did not say how it is configured")
		s.setup, s.err = s.api.Setup(ctx)
	})
	return s.setup, s.err
}

// gatewayErrors reads how many requests the gateway turns away, and who judges
// tokens there.
type gatewayErrors struct {
	t     *Target
	setup *setupOnce
}

func (gatewayErrors) Name() string { return runbook.StepGateway }

// Run reads three things that need different permissions; one that is denied
// never hides the others.
func (c gatewayErrors) Run(ctx context.Context, q Question) (Result, error) {
	ev := &runbook.GatewayEvidence{Since: q.Since, Until: q.Until}
	var errMetrics, errLog error
	var wg sync.WaitGroup
	wg.Go(func() { errLog = c.denied(ctx, q, ev) })
	errSetup := c.traffic(ctx, q, ev, &errMetrics)
	wg.Wait()
	for _, err := range []error{errSetup, errMetrics, errLog} {
		if err != nil {
			ev.Problems = append(ev.Problems, runbook.OneLine(err))
		}
	}
	if ev.Kind == "" && len(ev.Points) == 0 && ev.Denied == nil {
		err := errors.Join(errSetup, errMetrics, errLog)
		return Result{Status: runbook.StatusError, Summary: strings.Join(ev.Problems, "; ")}, err
	}
	status, summary := describeGateway(ev)
	return Result{Status: status, Summary: summary, Evidence: runbook.Evidence{Gateway: ev}}, nil
}

// traffic reads the setup and then the metrics, which go by names in it.
func (c gatewayErrors) traffic(ctx context.Context, q Question, ev *runbook.GatewayEvidence, errMetrics *error) error {
	if c.t.API == nil {
		return nil
	}
	setup, err := c.setup.get(ctx)
	ev.GatewaySetup = setup
	if c.t.Meter != nil && setup.Kind != "" {
		ev.Points, *errMetrics = c.t.Meter.Gateway(ctx, setup, q.Since, q.Until)
	}
	return err
}

// denied counts 401 and 403 in the window, and again in its newest minutes: the
// verdict asks what happens now, not what happened before a flush.
func (c gatewayErrors) denied(ctx context.Context, q Question, ev *runbook.GatewayEvidence) error {
	if c.t.Access == nil {
		return nil
	}
	n, atLeast, err := c.t.Access.Denied(ctx, q.Since, q.Until)
	if err != nil {
		return err
	}
	ev.Denied, ev.AtLeast = &n, atLeast
	if n == 0 {
		ev.DeniedNow = &n
		return nil
	}
	now, _, err := c.t.Access.Denied(ctx, q.Until.Add(-diagnose.RecentMinutes*time.Minute), q.Until)
	if err != nil {
		return err
	}
	ev.DeniedNow = &now
	return nil
}

func describeGateway(ev *runbook.GatewayEvidence) (runbook.Status, string) {
	status := runbook.StatusOK
	parts := []string{ev.Title()}
	if ev.Points != nil || ev.Denied == nil {
		parts = append(parts, errorText(ev))
	}
	if t, ok := diagnose.FindChangePoint(ev); ok && t.Spike {
		status = runbook.StatusFail
	}
	if ev.Denied != nil {
		text := runbook.Plural(*ev.Denied, "request", "requests")
		if ev.AtLeast {
			text = "at least " + text
		}
		parts = append(parts, text+" denied (HTTP 401 or 403) in the last "+runbook.Duration(ev.Until.Sub(ev.Since)))
	}
	if ev.Kind != "" {
		parts = append(parts, ev.AuthoriserText())
	}
	if len(ev.Problems) > 0 && status == runbook.StatusOK {
		status = runbook.StatusWarn
	}
	return status, strings.Join(append(parts, ev.Problems...), "; ")
}

func errorText(ev *runbook.GatewayEvidence) string {
	now, ok := diagnose.ClientErrors(diagnose.Newest(ev.Points))
	if !ok {
		return fmt.Sprintf("no data: CloudWatch has no requests in the last %d min", diagnose.RecentMinutes)
	}
	text := runbook.Percent(now) + " of requests answered 4xx now"
	switch t, known := diagnose.FindChangePoint(ev); {
	case known && t.Spike:
		text += fmt.Sprintf(", %s until %s ago: spike", runbook.Percent(t.Before), runbook.Duration(ev.Until.Sub(t.At)))
	case known:
		text += fmt.Sprintf(", %s before: no spike", runbook.Percent(t.Before))
	}
	if server := diagnose.ServerErrors(diagnose.Newest(ev.Points)); server >= 0.01 {
		text += fmt.Sprintf("; %s answered 5xx", runbook.Percent(server))
	}
	return text
}
