package runbook

import (
	"context"
	"slices"
	"time"
)

// locks are the resources that the run has to itself while it holds.
func (r Run) locks() []string {
	if len(r.Locks) == 0 {
		return []string{r.Resource}
	}
	return r.Locks
}

// rival finds another run that holds one of the run's resources. The ledger
// itself lets one run hold a Resource; this is for the others, such as the
// function that a flush with a restart changes as well. It is asked at the
// approval, for a quick answer, and again when the run starts, where it
// decides: of two runs that start together at least one sees the other.
func rival(ctx context.Context, l ledger, run Run) (*BusyError, error) {
	var holding []State
	for _, s := range States() {
		if s.Holds() {
			holding = append(holding, s)
		}
	}
	open, err := l.Runs(ctx, Filter{States: holding, Limit: manyRuns})
	if err != nil {
		return nil, err
	}
	for _, other := range open {
		if other.ID == run.ID {
			continue
		}
		for _, lock := range other.locks() {
			if slices.Contains(run.locks(), lock) {
				return &BusyError{Resource: lock, Holder: other}, nil
			}
		}
	}
	return nil, nil
}

// manyRuns is more than there ever are at a time.
const manyRuns = 10000

// cooledDown refuses a flush too soon after the last one of the same resource,
// and says who did it and when. The run itself does not count.
func (d *Desk) cooledDown(ctx context.Context, t *Target, self string) error {
	return cooledDown(ctx, d.ledger, t, d.clock.Now(), self)
}

// cooledDown refuses a flush so soon after the last one of the resource.
func cooledDown(ctx context.Context, l ledger, t *Target, now time.Time, self string) error {
	if t.Policy.Cooldown <= 0 {
		return nil
	}
	runs, err := l.Runs(ctx, Filter{Resource: t.Resource, ActiveSince: now.Add(-t.Policy.Cooldown), Limit: manyRuns})
	if err != nil {
		return err
	}
	for _, r := range runs {
		at, flushed := r.FlushedAt()
		if r.ID == self || !flushed || r.inVain() || now.Sub(at) >= t.Policy.Cooldown {
			continue
		}
		return refuse(RefusedCooldown, "%s was flushed %s ago (run %s, requested by %s). Give it %s to refill before the next flush.",
			capital(t.Resource), Duration(now.Sub(at)), r.ID, r.Requester.Label(), Duration(t.Policy.Cooldown-now.Sub(at)))
	}
	return nil
}

// inVain says that CommandBridge was asked and the old entries stayed: nothing
// has to refill, and the direct way is open at once.
func (r Run) inVain() bool {
	return r.Plan.Route == RouteBridge && slices.Contains(r.findings(), FoundLeft)
}

// FlushedAt is when the run's flush ended, if it deleted anything.
func (r Run) FlushedAt() (time.Time, bool) {
	for _, rec := range r.Receipts {
		if rec.Step == string(FlushCache) && rec.Finding != FoundRefused {
			return rec.EndedAt, true
		}
	}
	return time.Time{}, false
}
