package runbook

import (
	"context"
	"time"
)

// Clock is the one source of time for everything that waits or is due: the
// real one in production, a faster one in the demo, a manual one in tests.
// Deadlines of single network calls use contexts and real time instead.
type Clock interface {
	Now() time.Time
	// Wait returns nil after d, or the context's error if that ends first.
	Wait(ctx context.Context, d time.Duration) error
}

// SystemClock is real time.
type SystemClock struct{}

// Now returns the current time in UTC.
func (SystemClock) Now() time.Time { return time.Now().UTC() }

// Wait blocks for d or until ctx ends.
func (SystemClock) Wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
