package runbook

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestKeeperRemindsOnceAndExpires(t *testing.T) {
	o := newOffice(t)
	k := NewKeeper(o.ledger, o.clock)
	run := o.ask(t, request("U0ANN"))
	for _, s := range []struct {
		at       time.Duration
		state    State
		reminded bool
		trail    string
	}{
		{0, StatePending, false, "request"},
		{7*time.Minute + 29*time.Second, StatePending, false, "request"},
		{7*time.Minute + 30*time.Second, StatePending, true, "request reminder"},
		{10 * time.Minute, StatePending, true, "request reminder"},
		{14*time.Minute + 59*time.Second, StatePending, true, "request reminder"},
		{15 * time.Minute, StateExpired, true, "request reminder state"},
		{time.Hour, StateExpired, true, "request reminder state"},
	} {
		o.clock.advance(t0.Add(s.at).Sub(o.clock.Now()))
		if err := k.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := o.run(t, run.ID)
		if got.State != s.state || got.RemindAt.IsZero() != s.reminded || o.ledger.trail() != s.trail {
			t.Errorf("after %s: %s, reminded %t, audit %q", s.at, got.State, got.RemindAt.IsZero(), o.ledger.trail())
		}
	}
	if got := o.run(t, run.ID); !strings.Contains(got.Outcome, "Nobody decided within 15 min") || !got.EndedAt.Equal(t0.Add(15*time.Minute)) {
		t.Errorf("outcome %q at %s", got.Outcome, got.EndedAt)
	}
}

// After a long outage both are due: the request expires, nobody is reminded.
func TestKeeperAfterAnOutage(t *testing.T) {
	o := newOffice(t)
	run := o.ask(t, request("U0ANN"))
	o.clock.advance(time.Hour)
	if err := NewKeeper(o.ledger, o.clock).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := o.run(t, run.ID); got.State != StateExpired || o.ledger.trail() != "request state" {
		t.Errorf("%s, audit %q", got.State, o.ledger.trail())
	}
}

func TestKeeperEndsWhatDidNotStart(t *testing.T) {
	o := newOffice(t)
	k := NewKeeper(o.ledger, o.clock)
	run := o.approve(t, request("U0ANN"))
	o.clock.advance(startWithin - time.Second)
	if err := k.Sweep(t.Context()); err != nil || o.run(t, run.ID).State != StateApproved {
		t.Errorf("%s, error %v", o.run(t, run.ID).State, err)
	}
	o.clock.advance(time.Second)
	if err := k.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := o.run(t, run.ID); got.State != StateExpired || !strings.Contains(got.Outcome, "could not start within 10 min") {
		t.Errorf("%s: %q", got.State, got.Outcome)
	}
	if _, err := o.machine.Advance(t.Context(), o.run(t, run.ID)); err == nil {
		t.Error("an expired run was executed")
	}
}

// A run that is being executed has no due time.
func TestKeeperLeavesRunningRunsAlone(t *testing.T) {
	o := newOffice(t)
	id := o.approve(t, request("U0ANN")).ID
	o.until(t, id, StateFlush)
	o.clock.advance(24 * time.Hour)
	if err := NewKeeper(o.ledger, o.clock).Sweep(t.Context()); err != nil || o.run(t, id).State != StateFlush {
		t.Errorf("%s, error %v", o.run(t, id).State, err)
	}
}

// The keeper goes on after an error, and ends with its context.
func TestKeepGoesOn(t *testing.T) {
	o := newOffice(t)
	run := o.ask(t, request("U0ANN"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	flaky := &flakyLedger{ledgerStandIn: o.ledger, fail: 3}
	k := NewKeeper(flaky, o.clock)
	var told []string
	o.clock.onWait = func(int) {
		if o.run(t, run.ID).State == StateExpired {
			cancel()
		}
	}
	err := k.Keep(ctx, func(err error) { told = append(told, err.Error()) })
	if !errors.Is(err, context.Canceled) || len(told) != 3 || !slices.Contains(told, "due runs: database is locked") {
		t.Errorf("ended with %v, told of %v", err, told)
	}
	if at := o.run(t, run.ID).EndedAt; !at.Equal(t0.Add(15 * time.Minute)) {
		t.Errorf("expired at %s", at)
	}
}

// flakyLedger fails the first readings.
type flakyLedger struct {
	*ledgerStandIn
	fail int
}

func (l *flakyLedger) Runs(ctx context.Context, f Filter) ([]Run, error) {
	if l.fail--; l.fail >= 0 {
		return nil, errors.New("database is locked")
	}
	return l.ledgerStandIn.Runs(ctx, f)
}
