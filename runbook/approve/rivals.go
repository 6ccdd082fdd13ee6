package approve

import (
	"context"
	"slices"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
)

// locks are the resources that the run has to itself while it holds.
func locks(r runbook.Run) []string {
	if len(r.Locks) == 0 {
		return []string{r.Resource}
	}
	return r.Locks
}

// ConflictingRun finds another run that holds one of the run's resources. The ledger
// itself lets one run hold a Resource; this is for the others, such as the
// function that a flush with a restart changes as well. It is asked at the
// approval, for a quick answer, and again when the run starts, where it
// decides: of two runs that start together at least one sees the other.
func ConflictingRun(ctx context.Context, l Ledger, run runbook.Run) (*runbook.BusyError, error) {
	var holding []runbook.State
	for _, s := range runbook.States() {
		if s.Holds() {
			holding = append(holding, s)
		}
	}
	open, err := l.Runs(ctx, runbook.Filter{States: holding, Limit: ManyRuns})
	if err != nil {
		return nil, err
	}
	for _, other := range open {
		if other.ID == run.ID {
			continue
		}
		for _, lock := range locks(other) {
			if slices.Contains(locks(run), lock) {
				return &runbook.BusyError{Resource: lock, Holder: other}, nil
			}
		}
	}
	return nil, nil
}

// ManyRuns is more than there ever are at a time.
const ManyRuns = 10000

// cooledDown refuses a flush too soon after the last one of the same resource,
// and says who did it and when. The run itself does not count.
func (s *Service) cooledDown(ctx context.Context, t *check.Target, self string) error {
	return CooledDown(ctx, s.ledger, t, s.clock.Now(), self)
}

// CooledDown refuses a flush so soon after the last one of the resource.
func CooledDown(ctx context.Context, l Ledger, t *check.Target, now time.Time, self string) error {
	if t.Policy.Cooldown <= 0 {
		return nil
	}
	runs, err := l.Runs(ctx, runbook.Filter{Resource: t.Resource, ActiveSince: now.Add(-t.Policy.Cooldown), Limit: ManyRuns})
	if err != nil {
		return err
	}
	for _, r := range runs {
		at, flushed := r.FlushedAt()
		if r.ID == self || !flushed || inVain(r) || now.Sub(at) >= t.Policy.Cooldown {
			continue
		}
		return runbook.Refuse(RefusedCooldown, "%s was flushed %s ago (run %s, requested by %s). Give it %s to refill before the next flush.",
			runbook.Capital(t.Resource), runbook.Duration(now.Sub(at)), r.ID, r.Requester.Label(), runbook.Duration(t.Policy.Cooldown-now.Sub(at)))
	}
	return nil
}

// inVain says that CommandBridge was asked and the old entries stayed: nothing
// has to refill, and the direct way is open at once.
func inVain(r runbook.Run) bool {
	return r.Plan.Route == runbook.RouteBridge && slices.Contains(r.Findings(), runbook.FoundLeft)
}
