package check

import (
	"context"
	"fmt"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
)

func describeTraffic(ev runbook.TrafficEvidence) (runbook.Status, string) {
	before, now := diagnose.Split(ev)
	ratio, ok := diagnose.Ratio(now)
	if !ok {
		return runbook.StatusWarn, fmt.Sprintf("no data: CloudWatch has no hits or misses in the last %d min; nobody reads the cache, or the metrics are late", diagnose.RecentMinutes)
	}
	text := fmt.Sprintf("hit ratio %s", runbook.Percent(ratio))
	if earlier, ok := diagnose.Ratio(before); ok {
		text += fmt.Sprintf(" now, %s before", runbook.Percent(earlier))
	}
	if diagnose.MissSpike(ev) {
		return runbook.StatusWarn, text + "; spike in misses"
	}
	return runbook.StatusOK, text + "; no spike in misses"
}

// cacheTraffic reads hits and misses; it waits for the names of the nodes,
// which only the cache's discovery knows.
type cacheTraffic struct{ t *Target }

func (cacheTraffic) Name() string { return runbook.StepCacheTraffic }

func (c cacheTraffic) Run(ctx context.Context, q Question) (Result, error) {
	nodes, err := c.t.Entries.Nodes(ctx)
	if err != nil {
		return Result{Status: runbook.StatusError, Summary: err.Error()}, err
	}
	if len(nodes) == 0 {
		return Result{Status: runbook.StatusSkipped, Summary: "the cache is not a replication group: CloudWatch has no metrics of it"}, nil
	}
	ev, err := c.t.Traffic.Traffic(ctx, nodes, q.Since, q.Until)
	if err != nil && len(ev.Points) == 0 {
		return Result{Status: runbook.StatusError, Summary: err.Error()}, err
	}
	status, summary := describeTraffic(ev)
	if err != nil {
		status, summary = runbook.StatusWarn, summary+"; reading stopped: "+err.Error()
	}
	return Result{Status: status, Summary: summary, Evidence: runbook.Evidence{Traffic: &ev}}, nil
}
