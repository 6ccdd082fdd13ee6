package execute

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"jwksbot/runbook"
)

func TestLease(t *testing.T) {
	errReplaced := errors.New("another process executes")
	answer := func(err error) func(context.Context) error { return func(context.Context) error { return err } }
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	slow := func(ctx context.Context) error { time.Sleep(leaseFresh); return nil }
	for name, c := range map[string]struct {
		later       func(context.Context) error // the answers after the first
		after       time.Duration
		check, hold error // nil: may be sent
	}{
		"just confirmed":                    {hang, leaseFresh, nil, nil},
		"confirmed beside the work":         {answer(nil), time.Hour, nil, nil},
		"slow, and not too slow":            {slow, time.Hour, nil, nil},
		"replaced":                          {answer(errReplaced), leaseEvery + 1, errReplaced, errReplaced},
		"no answer for a while":             {hang, runbook.LeaseFor, nil, errLeaseOver},
		"no answer for longer than is good": {hang, runbook.LeaseFor + 1, errLeaseOver, errLeaseOver},
	} {
		synctest.Test(t, func(t *testing.T) {
			first := true
			l, release, err := newLease(t.Context(), func(ctx context.Context) error {
				if first {
					first = false
					return nil
				}
				return c.later(ctx)
			})
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			time.Sleep(c.after)
			synctest.Wait()
			if err := l.Check(); !errors.Is(err, c.check) {
				t.Errorf("%s: check %v, want %v", name, err, c.check)
			}
			if err := l.Hold(t.Context()); !errors.Is(err, c.hold) {
				t.Errorf("%s: hold %v, want %v", name, err, c.hold)
			}
		})
	}
}

// A machine that was suspended has a monotonic clock that stood still.
func TestLeaseOfASuspendedMachine(t *testing.T) {
	asked := time.Now()
	l := &lease{asked: asked, now: func() time.Time { return asked.Round(0).Add(time.Hour) }}
	if err := l.Check(); !errors.Is(err, errLeaseOver) {
		t.Errorf("an hour later by the wall clock: %v", err)
	}
}

// What was refused at once is no lease.
func TestLeaseIsAskedForFirst(t *testing.T) {
	errReplaced := errors.New("another process executes")
	if _, _, err := newLease(t.Context(), func(context.Context) error { return errReplaced }); !errors.Is(err, errReplaced) {
		t.Errorf("error %v", err)
	}
}
