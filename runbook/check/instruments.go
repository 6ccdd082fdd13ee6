package check

import (
	"context"
	"time"

	"jwksbot/runbook"
)

// pager opens and closes an incident at a paging service. It repeats a call that
// failed while that can help and within bounds of its own, so that nobody else
// does; a state that is carried out again may call again.
type pager interface {
	Trigger(ctx context.Context, a runbook.Alarm) error
	Resolve(ctx context.Context, a runbook.Alarm) error
}

// publisher announces an alarm to subscribers. It cannot be taken back, and
// repeated it is announced again.
type publisher interface {
	Publish(ctx context.Context, a runbook.Alarm) (id string, err error)
}

// canary gets a token from the identity provider and calls a protected URL.
type canary interface {
	Try(ctx context.Context) (runbook.CanaryResult, error)
}

// bridge asks CommandBridge to flush the cache. Its answer is a claim, never a
// proof.
type bridge interface {
	Flush(ctx context.Context, ticket, reason string) (claim string, err error)
}

// restarter is the authoriser's function.
type restarter interface {
	// Inspect reads the function that the gateway invokes: qualifier is "" for
	// $LATEST.
	Inspect(ctx context.Context, qualifier string) (runbook.FunctionEvidence, error)
	// Restart carries out the plan for a run and waits until the update is
	// finished. It may be repeated for the same run after a crash: what the run
	// has done already is recognised by the run's id in the descriptions that it
	// wrote, and not done again. A plan that no longer fits is a *Refusal, and
	// nothing was written. progress, which may be nil, is told in words what is
	// waited for.
	Restart(ctx context.Context, plan runbook.RestartPlan, run string, progress func(string)) (runbook.RestartResult, error)
	// MoveBack puts the alias of the plan back to the version from before.
	MoveBack(ctx context.Context, plan runbook.RestartPlan, run string) (runbook.RestartResult, error)
}

// streamSource tells new execution environments from old ones.
type streamSource interface {
	Streams(ctx context.Context, after time.Time) (runbook.LogStreams, error)
}

// successSource counts the tokens that the authoriser accepted.
type successSource interface {
	Successes(ctx context.Context, since, until time.Time) (count int, kids []string, atLeast bool, err error)
}

// gatewayAPI reads how an API is configured and empties its result cache.
type gatewayAPI interface {
	Setup(ctx context.Context) (runbook.GatewaySetup, error)
	// FlushResults empties the result cache of the stage. That the API accepted
	// it is all that can be known.
	FlushResults(ctx context.Context) error
}

// gatewayMeter reads the traffic of an API, one point a minute.
type gatewayMeter interface {
	Gateway(ctx context.Context, api runbook.GatewaySetup, since, until time.Time) ([]runbook.GatewayPoint, error)
}

// accessLog counts the requests that were denied with 401 or 403.
type accessLog interface {
	Denied(ctx context.Context, since, until time.Time) (count int, atLeast bool, err error)
}

// liveSource asks the JWKS URL once, on a fresh connection.
type liveSource interface {
	Probe(ctx context.Context) runbook.Probe
}

// entryStore is the cache that the authoriser reads.
type entryStore interface {
	// List hands every entry that matches to read, one at a time, and forgets its
	// value.
	List(ctx context.Context, read func(runbook.RawEntry) runbook.Entry) (runbook.Listing, error)
	Nodes(ctx context.Context) ([]string, error)
	Snapshot(ctx context.Context, names []string) ([]runbook.Saved, error)
	// Take is Snapshot in pages.
	Take(ctx context.Context, names []string, page func([]runbook.Saved) error) error
	// Delete deletes the entries that are as they were saved, and sends nothing
	// without the lease.
	Delete(ctx context.Context, saved []runbook.Saved, lease runbook.Lease, done func([]runbook.EntryFate) error) error
	Compare(ctx context.Context, saved []runbook.Saved) ([]runbook.EntryFate, error)
	// Purge deletes by name alone what matches the target's patterns and meant
	// agrees to. It sends nothing without the lease.
	Purge(ctx context.Context, lease runbook.Lease, meant func(name string) bool, progress func(deleted int64)) (int64, error)
	// FlushAll empties every primary, keys of other owners included.
	FlushAll(ctx context.Context) error
	// Restore writes saved entries back with what is left of their TTL; over a
	// value that exists only with force.
	Restore(ctx context.Context, saved []runbook.Saved, force bool, now time.Time) ([]runbook.EntryFate, error)
}

// logSource reads the authoriser's failures in a window; kid narrows it.
type logSource interface {
	Failures(ctx context.Context, since, until time.Time, kid string) (runbook.LogEvidence, error)
}

// trafficSource reads the hits and misses of cache nodes.
type trafficSource interface {
	Traffic(ctx context.Context, nodes []string, since, until time.Time) (runbook.TrafficEvidence, error)
}
