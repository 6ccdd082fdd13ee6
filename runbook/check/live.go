package check

import (
	"context"
	"fmt"
	"sync"

	"jwksbot/runbook"
)

// probes is how often the live endpoint is asked: one answer alone cannot tell
// a rotation from one edge that lags behind.
const probes = 3

// liveKeys asks the JWKS URL several times at once, each on its own connection.
type liveKeys struct{ t *Target }

func (liveKeys) Name() string { return runbook.StepLiveKeys }

func (c liveKeys) Run(ctx context.Context, _ Question) (Result, error) {
	ev := &runbook.LiveEvidence{URL: c.t.JWKSURL, Probes: make([]runbook.Probe, probes)}
	var wg sync.WaitGroup
	for i := range ev.Probes {
		wg.Go(func() { ev.Probes[i] = c.t.Live.Probe(ctx) })
	}
	wg.Wait()
	status, summary := describeLive(ev)
	return Result{Status: status, Summary: summary, Evidence: runbook.Evidence{Live: ev}}, nil
}

// describeLive says in one line what the probes brought.
func describeLive(ev *runbook.LiveEvidence) (runbook.Status, string) {
	healthy, unhealthy, unreachable := ev.Sort()
	switch {
	case len(healthy) == 0 && len(unhealthy) == 0:
		return runbook.StatusError, "unreachable from here: " + unreachable[0].Problem
	case len(healthy) == 0:
		return runbook.StatusFail, unhealthy[0].Problem
	case len(unhealthy) > 0:
		return runbook.StatusFail, fmt.Sprintf("%d of %d probes answered badly: %s", len(unhealthy), len(ev.Probes), unhealthy[0].Problem)
	case !ev.Agree():
		return runbook.StatusFail, fmt.Sprintf("%d probes brought different key sets", len(healthy))
	}
	set := healthy[0].Set
	text := fmt.Sprintf("%s, %d of %d usable, %d probes agree", runbook.Plural(len(set.Keys), "key", "keys"), set.Usable, len(set.Keys), len(healthy))
	if len(unreachable) > 0 {
		return runbook.StatusWarn, fmt.Sprintf("%s; %d unreachable: %s", text, len(unreachable), unreachable[0].Problem)
	}
	if len(set.Problems) > 0 {
		return runbook.StatusWarn, text + "; " + set.Problems[0]
	}
	return runbook.StatusOK, text
}
