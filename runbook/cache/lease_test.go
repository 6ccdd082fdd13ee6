package cache

import (
	"context"
	"sync/atomic"
	"testing"

	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
)

// leaseOf is a lease of this process until it is taken away; why is then the
// answer of the fence.
func leaseOf(t *testing.T, why error) (l *runbook.Lease, takeAway func()) {
	t.Helper()
	var taken atomic.Bool
	l, release, err := runbook.NewLease(t.Context(), func(context.Context) error {
		if taken.Load() {
			return why
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return l, func() {
		taken.Store(true)
		redistest.Await(t, "the lease to end", func() bool { return l.Check() != nil })
	}
}
