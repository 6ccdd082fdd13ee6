package journal

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jwksbot/runbook"
)

// paced is a clock that a test moves; whoever waits on it waits for that.
type paced struct {
	mu    sync.Mutex
	now   time.Time
	moved chan struct{}
}

func newPaced() *paced { return &paced{now: start, moved: make(chan struct{})} }

func (c *paced) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *paced) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	close(c.moved)
	c.moved = make(chan struct{})
}

func (c *paced) Wait(ctx context.Context, d time.Duration) error {
	until := c.Now().Add(d)
	for {
		c.mu.Lock()
		now, moved := c.now, c.moved
		c.mu.Unlock()
		if !now.Before(until) {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// A run that is watched is carried out once a minute, holds up no other run of
// its resource, and ends when people say so; the executor does not wait for it.
func TestRunIsCarriedOutWhenItIsDue(t *testing.T) {
	clock := newPaced()
	j := openWith(t, Settings{URL: sqliteURL(t), Clock: clock, Log: testLog(t)})
	var points atomic.Int32
	stop := execute(t, j, func(ctx context.Context, r runbook.Run) (runbook.Transition, error) {
		switch {
		case r.ID == "watched" && r.State == runbook.StateVerify:
			return runbook.Transition{From: r.State, To: runbook.StateWatch}, nil
		case r.State == runbook.StateWatch:
			points.Add(1)
			w := runbook.Watch{Since: start, NextAt: clock.Now().Add(time.Minute)}
			return runbook.Transition{From: r.State, To: runbook.StateWatch, Watch: &w}, nil
		}
		return forward(ctx, r)
	})
	create(t, j, pending("watched", "group"))
	if _, err := approve(j, "watched", "U2"); err != nil {
		t.Fatal(err)
	}
	waits := func(n int32) {
		t.Helper()
		eventually(t, "the next point is waited for", func() bool {
			r, err := j.Run(context.Background(), "watched")
			return err == nil && points.Load() == n && r.Watch != nil && r.Watch.NextAt.After(clock.Now())
		})
	}
	waits(1)
	create(t, j, pending("other", "group"))
	if _, err := approve(j, "other", "U2"); err != nil {
		t.Fatalf("a watch holds up another run: %v", err)
	}
	eventually(t, "the other run is done", func() bool { return state(t, j, "other") == runbook.StateDone })
	clock.move(time.Minute - time.Second)
	clock.move(time.Second)
	waits(2)
	changes := 0
	for r, err := range j.AuditRows(context.Background(), AuditFilter{Run: "watched"}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Kind == "state" {
			changes++
		}
	}
	if changes != 4 { // to snapshot, flush, verify and watch
		t.Errorf("%d changes of state on record, want 4", changes)
	}
	begun := time.Now()
	if err := stop(); err != nil || time.Since(begun) > drainLimit {
		t.Errorf("stopped after %s: %v", time.Since(begun), err)
	}
	if n := points.Load(); n != 2 || state(t, j, "watched") != runbook.StateWatch {
		t.Errorf("%d points, %s", n, state(t, j, "watched"))
	}
}

// A run that a broken glass approved at its creation is carried out.
func TestRunThatIsCreatedApproved(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		j := open(t, url)
		execute(t, j, forward)
		run := pending("glass", "group")
		run.State, run.ApprovedAt, run.BreakGlass = runbook.StateApproved, start, "nobody answers"
		create(t, j, run)
		eventually(t, "the run is done", func() bool { return state(t, j, "glass") == runbook.StateDone })
	})
}

func TestRunsOfAResourceThatWereActive(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		j := open(t, url)
		for id, ended := range map[string]time.Time{"open": {}, "recent": start, "old": start.Add(-time.Hour)} {
			r := pending(id, "group")
			if r.EndedAt = ended; !ended.IsZero() {
				r.State = runbook.StateDone
			}
			create(t, j, r)
		}
		create(t, j, pending("elsewhere", "other"))
		runs, err := j.Runs(context.Background(), runbook.Filter{Resource: "group", ActiveSince: start.Add(-time.Minute)})
		if err != nil || len(runs) != 2 {
			t.Fatalf("%d runs, %v", len(runs), err)
		}
		for _, r := range runs {
			if r.ID != "open" && r.ID != "recent" {
				t.Errorf("run %s", r.ID)
			}
		}
	})
}
