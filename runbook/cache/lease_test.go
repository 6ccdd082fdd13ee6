package cache

import (
	"context"
	"sync/atomic"

	"jwksbot/runbook"
)

// testLease is the lease of this process until it is taken away; why is then the
// answer to every question.
type testLease struct {
	taken atomic.Bool
	why   error
}

func (l *testLease) Hold(context.Context) error { return l.Check() }

func (l *testLease) Check() error {
	if l.taken.Load() {
		return l.why
	}
	return nil
}

func leaseOf(why error) (l runbook.Lease, takeAway func()) {
	held := &testLease{why: why}
	return held, func() { held.taken.Store(true) }
}
