package drill

import (
	"context"
	"fmt"
	"time"
)

// pastLength is how much traffic there was before the world started.
const pastLength = time.Hour

// playHistory sends the past hour's requests, one by one, through the gateway
// and authoriser of the present, and lets the scenario's events happen between
// them.
func (w *World) playHistory(ctx context.Context) error {
	now := w.clock.Now()
	start := now.Add(-pastLength)
	events := w.scenario.events
	happen := func(at time.Time) error {
		for len(events) > 0 && !now.Add(-events[0].ago).After(at) {
			e := events[0]
			events = events[1:]
			if err := e.do(ctx, w, now.Add(-e.ago)); err != nil {
				return fmt.Errorf("event %v ago: %w", e.ago, err)
			}
			w.idp.note(now.Add(-e.ago))
		}
		return nil
	}
	w.idp.note(start.Add(-pastLength))
	if err := happen(start); err != nil {
		return err
	}
	// The set in the cache when the hour begins ends when the scenario says
	// that the present one was fetched.
	firstTTL := pastLength - w.settings.cachedAgo
	if err := w.authoriser.fill(ctx, start, firstTTL); err != nil {
		return err
	}
	if err := w.gateway.welcome(start); err != nil {
		return err
	}
	for at := start; at.Before(now); at = at.Add(w.gateway.interval) {
		if err := happen(at); err != nil {
			return err
		}
		if err := w.authoriser.expire(ctx, at); err != nil {
			return err
		}
		w.gateway.request(ctx, at)
	}
	w.gateway.past, w.authoriser.past = false, false
	w.gateway.next = now
	return ctx.Err()
}
