package execute_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

// Everything that was checked at the click is checked again before the start.
func TestStartHoldsTheRulesOnceMore(t *testing.T) {
	for _, c := range []struct {
		name string
		move func(o *runbooktest.World)
		want runbook.State
		says string
	}{
		{"not started within 10 minutes", func(o *runbooktest.World) { o.Clock.Advance(10*time.Minute + time.Second) }, runbook.StateExpired, "had not started"},
		{"healed", func(o *runbooktest.World) { o.Cache.Set("jwks:current", "keys b=2") }, runbook.StateObsolete, "Nothing is left to do"},
		{"live keys broken", func(o *runbooktest.World) { o.Live.Become(standin.Always(standin.Bad("it answers HTTP 503"))) }, runbook.StateFailed, "Do not flush"},
		{"edges disagree", func(o *runbooktest.World) { o.Live.Become(standin.Disagreeing) }, runbook.StateFailed, "disagree"},
		{"everything that is left was judged before", func(o *runbooktest.World) { o.Clock.Advance(time.Minute) }, runbook.StateSnapshot, ""},
		{"the verdict turned", func(o *runbooktest.World) { o.Cache.Set("jwks:current", "keys a=1 b=2") }, runbook.StateFailed, "retired key cached"},
		{"nobody may approve any more", func(o *runbooktest.World) { o.People.Groups["S0LEADS"] = nil }, runbook.StateFailed, "may no longer approve mitigations of production"},
		{"flushed meanwhile", func(o *runbooktest.World) {
			o.Ledger.Put(runbook.Run{ID: "other", Resource: runbooktest.Resource, State: runbook.StateDone, Receipts: []runbook.Receipt{{Step: "flush-cache", EndedAt: standin.T0}}})
		}, runbook.StateFailed, "was flushed"},
		{"the target is configured no more", func(o *runbooktest.World) { o.MachineSettings.Targets = nil; o.Build(t) }, runbook.StateFailed, "no longer configured"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			id := o.Approve(t, runbooktest.Request("U0ANN")).ID
			c.move(o)
			run, _ := o.Advance(t, id)
			if run.State != c.want || !strings.Contains(run.Outcome, c.says) {
				t.Errorf("%s: %q, want %s saying %q", run.State, run.Outcome, c.want, c.says)
			}
			if len(o.Cache.Deleted) != 0 || o.Cache.Asked != 0 {
				t.Errorf("deleted %v", o.Cache.Deleted)
			}
		})
	}
}

// No reason that somebody gave helps against broken live keys.
func TestOverrideDoesNotHelpAtTheStart(t *testing.T) {
	for name, answer := range map[string]func(int) runbook.Probe{"unhealthy": standin.Always(standin.Bad("it answers HTTP 503")), "disagreeing": standin.Disagreeing} {
		o := runbooktest.NewWorld(t)
		req := runbooktest.Request("U0ANN")
		req.Override = "I know better"
		id := o.Approve(t, req).ID
		o.Live.Become(answer)
		if run, _ := o.Advance(t, id); run.State != runbook.StateFailed || !strings.Contains(run.Outcome, "Not started: Refused") || len(o.Cache.Deleted) != 0 {
			t.Errorf("%s: %s, %q", name, run.State, run.Outcome)
		}
	}
}

// A verdict that rests on the logs stands while keys and entries are the same,
// although click and start do not read the logs again.
func TestVerdictFromTheLogsStands(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Cache.Drop("jwks:current")
	o.Cache.Set("jwks:kid:a", "jwk a=2") // the live key, under the kid of before
	o.Target.Logs = standin.LogsFunc(func(context.Context) (runbook.LogEvidence, error) {
		return *standin.LoggedEvidence("unknown_kid:40", "b=40"), nil
	})
	run := o.Approve(t, runbooktest.Request("U0ANN"))
	if run.Plan.Verdict != diagnose.StaleCache || standin.NamesOf(run.Plan) != "jwks:kid:a" {
		t.Fatalf("plan %+v", run.Plan)
	}
	o.Clock.OnWait = func(int) { o.Cache.Set("jwks:kid:b", "jwk b=2") }
	if done := o.Until(t, run.ID, runbook.StateDone); !strings.HasPrefix(done.Outcome, "Proven") {
		t.Errorf("outcome %q", done.Outcome)
	}
}

func TestStartOnTheLastMoment(t *testing.T) {
	o := runbooktest.NewWorld(t)
	id := o.Approve(t, runbooktest.Request("U0ANN")).ID
	o.Clock.Advance(10 * time.Minute)
	if run, _ := o.Advance(t, id); run.State != runbook.StateSnapshot {
		t.Errorf("%s: %s", run.State, run.Outcome)
	}
}

// Other work than what was approved goes back to the approvers.
func TestChangedWorldAtTheStart(t *testing.T) {
	o := runbooktest.NewWorld(t)
	id := o.Approve(t, runbooktest.Request("U0ANN")).ID
	o.Live.Become(standin.Always(standin.Good("c=3")))
	run, _ := o.Advance(t, id)
	if run.State != runbook.StatePending || run.Generation != 2 || len(run.Approvals()) != 0 || !run.StartBy.IsZero() || !run.ApprovedAt.IsZero() {
		t.Errorf("got %+v", run)
	}
	if len(o.Cache.Deleted) != 0 || !strings.HasSuffix(o.Ledger.Trail(), "replan") {
		t.Errorf("deleted %v, audit %q", o.Cache.Deleted, o.Ledger.Trail())
	}
	if a, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove); err != nil || a.Run.State != runbook.StateApproved {
		t.Errorf("the new plan cannot be approved: %v", err)
	}
}

// What cannot be read now is tried again while there is time, then given up.
func TestStartWaitsForWhatCannotBeRead(t *testing.T) {
	o := runbooktest.NewWorld(t)
	id := o.Approve(t, runbooktest.Request("U0ANN")).ID
	o.Cache.Fail(errors.New("connection refused"))
	if _, err := o.Machine.Advance(t.Context(), o.Run(t, id)); err == nil {
		t.Error("the run went on without reading the cache")
	}
	o.Clock.Advance(10 * time.Minute)
	if run, _ := o.Advance(t, id); run.State != runbook.StateFailed || !strings.Contains(run.Outcome, "connection refused") {
		t.Errorf("%s: %s", run.State, run.Outcome)
	}
}

// threeOld is an office with three old entries.
func threeOld(t *testing.T) *runbooktest.World {
	o := runbooktest.NewWorld(t)
	o.Cache.Set("jwks:2", "keys a=1 z=9")
	o.Cache.Set("jwks:3", "<html>")
	return o
}
