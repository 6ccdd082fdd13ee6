package approve_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

func TestKeeperRemindsOnceAndExpires(t *testing.T) {
	o := runbooktest.NewWorld(t)
	k := approve.NewExpiryScheduler(o.Ledger, o.Clock)
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	for _, s := range []struct {
		at       time.Duration
		state    runbook.State
		reminded bool
		trail    string
	}{
		{0, runbook.StatePending, false, "request"},
		{7*time.Minute + 29*time.Second, runbook.StatePending, false, "request"},
		{7*time.Minute + 30*time.Second, runbook.StatePending, true, "request reminder"},
		{10 * time.Minute, runbook.StatePending, true, "request reminder"},
		{14*time.Minute + 59*time.Second, runbook.StatePending, true, "request reminder"},
		{15 * time.Minute, runbook.StateExpired, true, "request reminder state"},
		{time.Hour, runbook.StateExpired, true, "request reminder state"},
	} {
		o.Clock.Advance(standin.T0.Add(s.at).Sub(o.Clock.Now()))
		if err := k.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := o.Run(t, run.ID)
		if got.State != s.state || got.RemindAt.IsZero() != s.reminded || o.Ledger.Trail() != s.trail {
			t.Errorf("after %s: %s, reminded %t, audit %q", s.at, got.State, got.RemindAt.IsZero(), o.Ledger.Trail())
		}
	}
	if got := o.Run(t, run.ID); !strings.Contains(got.Outcome, "Nobody decided within 15 min") || !got.EndedAt.Equal(standin.T0.Add(15*time.Minute)) {
		t.Errorf("outcome %q at %s", got.Outcome, got.EndedAt)
	}
}

// After a long outage both are due: the request expires, nobody is reminded.
func TestKeeperAfterAnOutage(t *testing.T) {
	o := runbooktest.NewWorld(t)
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	o.Clock.Advance(time.Hour)
	if err := approve.NewExpiryScheduler(o.Ledger, o.Clock).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := o.Run(t, run.ID); got.State != runbook.StateExpired || o.Ledger.Trail() != "request state" {
		t.Errorf("%s, audit %q", got.State, o.Ledger.Trail())
	}
}

func TestKeeperEndsWhatDidNotStart(t *testing.T) {
	o := runbooktest.NewWorld(t)
	k := approve.NewExpiryScheduler(o.Ledger, o.Clock)
	run := o.Approve(t, runbooktest.Request("U0ANN"))
	o.Clock.Advance(approve.StartWithin - time.Second)
	if err := k.Sweep(t.Context()); err != nil || o.Run(t, run.ID).State != runbook.StateApproved {
		t.Errorf("%s, error %v", o.Run(t, run.ID).State, err)
	}
	o.Clock.Advance(time.Second)
	if err := k.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := o.Run(t, run.ID); got.State != runbook.StateExpired || !strings.Contains(got.Outcome, "could not start within 10 min") {
		t.Errorf("%s: %q", got.State, got.Outcome)
	}
	if _, err := o.Machine.Advance(t.Context(), o.Run(t, run.ID)); err == nil {
		t.Error("an expired run was executed")
	}
}

// A run that is being executed has no due time.
func TestKeeperLeavesRunningRunsAlone(t *testing.T) {
	o := runbooktest.NewWorld(t)
	id := o.Approve(t, runbooktest.Request("U0ANN")).ID
	o.Until(t, id, runbook.StateFlush)
	o.Clock.Advance(24 * time.Hour)
	if err := approve.NewExpiryScheduler(o.Ledger, o.Clock).Sweep(t.Context()); err != nil || o.Run(t, id).State != runbook.StateFlush {
		t.Errorf("%s, error %v", o.Run(t, id).State, err)
	}
}

// The keeper goes on after an error, and ends with its context.
func TestKeepGoesOn(t *testing.T) {
	o := runbooktest.NewWorld(t)
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	flaky := &flakyLedger{Ledger: o.Ledger, fail: 3}
	k := approve.NewExpiryScheduler(flaky, o.Clock)
	var told []string
	o.Clock.OnWait = func(int) {
		if o.Run(t, run.ID).State == runbook.StateExpired {
			cancel()
		}
	}
	err := k.Keep(ctx, func(err error) { told = append(told, err.Error()) })
	if !errors.Is(err, context.Canceled) || len(told) != 3 || !slices.Contains(told, "due runs: database is locked") {
		t.Errorf("ended with %v, told of %v", err, told)
	}
	if at := o.Run(t, run.ID).EndedAt; !at.Equal(standin.T0.Add(15 * time.Minute)) {
		t.Errorf("expired at %s", at)
	}
}

// flakyLedger fails the first readings.
type flakyLedger struct {
	*standin.Ledger
	fail int
}

func (l *flakyLedger) Runs(ctx context.Context, f runbook.Filter) ([]runbook.Run, error) {
	if l.fail--; l.fail >= 0 {
		return nil, errors.New("database is locked")
	}
	return l.Ledger.Runs(ctx, f)
}
