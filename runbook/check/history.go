package check

import (
	"context"
	"errors"
	"time"

	"jwksbot/runbook"
)

// history remembers the live keys of every check. Seen is called with the live
// set whenever the probes agree on one.
type history interface {
	Seen(ctx context.Context, target string, keys []runbook.Key, at time.Time) error
	Sightings(ctx context.Context, target string) ([]runbook.Sighting, error)
	// LastFlush is when a run last flushed the resource; zero if none did.
	LastFlush(ctx context.Context, resource string) (time.Time, error)
}

// recall reads what is remembered of a target before this check adds to it.
func (r *Runner) recall(ctx context.Context, t *Target, e *runbook.Evidence) {
	if r.history == nil {
		return
	}
	var errSeen, errFlushed error
	e.History, errSeen = r.history.Sightings(ctx, t.Name)
	e.Flushed, errFlushed = r.history.LastFlush(ctx, t.Resource)
	if err := errors.Join(errSeen, errFlushed); err != nil {
		e.Unread[runbook.StepHistory] = err.Error()
	}
}

// remember adds the live set of this check.
func (r *Runner) remember(ctx context.Context, target string, e *runbook.Evidence, at time.Time) {
	set, ok := e.Live.Set()
	if r.history == nil || !ok {
		return
	}
	if err := r.history.Seen(ctx, target, set.Keys, at); err != nil {
		e.Unread[runbook.StepHistory] = err.Error()
	}
}
