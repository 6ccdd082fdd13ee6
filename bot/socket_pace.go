package bot

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

// pace says how long to wait before the next connection. Slack's own client
// reopens without a pause after each disconnect, thousands of times a second.
type pace struct {
	base, max time.Duration

	mu       sync.Mutex
	failures int // in a row
	until    time.Time
	opens    []time.Time // at most maxOpens, oldest first
}

func newPace(base, limit time.Duration) *pace { return &pace{base: base, max: limit} }

// wait blocks until the next connection may be opened, and counts it.
func (p *pace) wait(ctx context.Context) error {
	if err := sleep(ctx, time.Until(p.due(time.Now()))); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.opens) == maxOpens {
		p.opens = p.opens[:copy(p.opens, p.opens[1:])]
	}
	p.opens = append(p.opens, time.Now())
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

func (p *pace) due(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	due := p.until
	if len(p.opens) == maxOpens {
		if minute := p.opens[0].Add(time.Minute); minute.After(due) {
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
func (p *pace) refused(asked time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures++
	return p.delay(p.failures, asked)
}

// ended notes the end of a connection and returns the wait: none after a
// useful one, none after the first short one (a refresh can come early), then
// as after a refusal.
func (p *pace) ended(useful bool) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if useful {
		p.failures = 0
		p.until = time.Time{}
		return 0
	}
	p.failures++
	return p.delay(p.failures-1, 0)
}

// delay sets the next due time from n failures in a row. Half of the wait is
// random, so that replicas do not come back all at once.
func (p *pace) delay(n int, asked time.Duration) time.Duration {
	if n <= 0 {
		p.until = time.Time{}
		return 0
	}
	d := p.max
	if n < 20 {
		d = min(p.base<<(n-1), p.max)
	}
	d = d/2 + rand.N(d/2+1)
	if asked > 0 {
		d = max(d, asked+rand.N(asked/10+1))
	}
	p.until = time.Now().Add(d)
	return d
}
