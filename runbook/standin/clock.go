package standin

import (
	"context"
	"sync"
	"time"
)

// T0 is when every test begins.
var T0 = time.Date(2026, 2, 14, 3, 0, 0, 0, time.UTC)

// Clock stands still until somebody advances it; whoever waits on it
// moves it by what they wait for.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	Waited int
	OnWait func(n int) // called before the n-th wait returns
}

// NewClock shows three in the morning.
func NewClock() *Clock { return &Clock{now: T0} }

// Now is the time that the test has set.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the time on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Wait moves the time on by itself.
func (c *Clock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.Waited++
	n, hook := c.Waited, c.OnWait
	c.mu.Unlock()
	if hook != nil {
		hook(n)
	}
	return ctx.Err()
}
