package socket

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// usefulLife is how long a connection lasts, or it has to deliver
	// something, to count as one that worked.
	usefulLife = 10 * time.Second
	// maxOpens is how often apps.connections.open is called per minute,
	// whatever happens. Sources give its rate as 1+ or 50+ a minute.
	maxOpens = 20
)

// backoff says how long to wait before the next connection. Slack's own client
// reopens without a pause after each disconnect, thousands of times a second.
type backoff struct {
	base, max time.Duration

	mu       sync.Mutex
	failures int // in a row
	until    time.Time
	opens    []time.Time // at most maxOpens, oldest first
}

func newBackoff(base, limit time.Duration) *backoff { return &backoff{base: base, max: limit} }

// next blocks until the next connection may be opened, and counts it.
func (b *backoff) next(ctx context.Context) error {
	if err := sleep(ctx, time.Until(b.due(time.Now()))); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.opens) == maxOpens {
		b.opens = b.opens[:copy(b.opens, b.opens[1:])]
	}
	b.opens = append(b.opens, time.Now())
	return nil
}

// sleep waits for d or for the end of ctx, whose error it returns then.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *backoff) due(now time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	due := b.until
	if len(b.opens) == maxOpens {
		if minute := b.opens[0].Add(time.Minute); minute.After(due) {
			due = minute
		}
	}
	if due.Before(now) {
		return now
	}
	return due
}

// refused notes a connection that could not be opened and returns the wait:
// exponential with jitter, or what Slack asked for when that is longer.
func (b *backoff) refused(asked time.Duration) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	return b.delay(b.failures, asked)
}

// ended notes the end of a connection and returns the wait: none after a
// useful one, none after the first short one (a refresh can come early), then
// as after a refusal.
func (b *backoff) ended(useful bool) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if useful {
		b.failures = 0
		b.until = time.Time{}
		return 0
	}
	b.failures++
	return b.delay(b.failures-1, 0)
}

// delay sets the next due time from n failures in a row. Half of the wait is
// random, so that replicas do not come back all at once.
func (b *backoff) delay(n int, asked time.Duration) time.Duration {
	if n <= 0 {
		b.until = time.Time{}
		return 0
	}
	d := b.max
	if n < 20 {
		d = min(b.base<<(n-1), b.max)
	}
	d = d/2 + rand.N(d/2+1)
	if asked > 0 {
		d = max(d, asked+rand.N(asked/10+1))
	}
	b.until = time.Now().Add(d)
	return d
}
