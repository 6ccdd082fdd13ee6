package execute_test

import (
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

// Two runs that watch the same target do not call people twice, and the older
// one leaves the minutes to the newer one.
func TestOneWatchPerTarget(t *testing.T) {
	two := func(t *testing.T, failures float64, wait time.Duration) (o *runbooktest.World, s *runbooktest.Surroundings, first, second runbook.Run) {
		o = runbooktest.NewWorld(t)
		s = o.Around()
		s.Usual.Logged = failures
		first = o.Watched(t)
		for o.Clock.Now().Before(standin.T0.Add(wait)) {
			first, _ = o.Advance(t, first.ID)
			o.Clock.Advance(max(0, first.Due().Sub(o.Clock.Now())))
		}
		second = o.Until(t, o.Approve(t, runbooktest.Steps(func(r *approve.Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" })).ID, runbook.StateWatch)
		return
	}
	o, _, first, second := two(t, 0, 6*time.Minute)
	first = o.Followed(t, first.ID, nil)
	if first.State != runbook.StateDone || first.Watch.Verdict != runbook.WatchSuperseded || !strings.Contains(first.Outcome, "run "+second.ID) {
		t.Errorf("%s, %s, %q", first.State, first.Watch.Verdict, first.Outcome)
	}
	o, s, first, second := two(t, 500, 16*time.Minute)
	if first.Escalation == nil || s.Pages != 1 {
		t.Fatalf("%+v", first.Escalation)
	}
	second = o.Followed(t, second.ID, func(r runbook.Run) bool { return r.Watch != nil && len(r.Watch.Points) > 13 })
	if s.Pages != 1 || second.Escalation != nil || !strings.Contains(second.Watch.Note, first.ID) {
		t.Errorf("%d pages, %+v, note %q", s.Pages, second.Escalation, second.Watch.Note)
	}
}

func TestStopWatching(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Around()
	id := o.Watched(t).ID
	o.Advance(t, id)
	if _, err := o.Service.StopWatch(t.Context(), id, "U0EVE", "enough", runbook.ViaSlack); err == nil {
		t.Error("anybody may stop a watch")
	}
	_, err := o.Service.StopWatch(t.Context(), id, "U0BEN", "  ", runbook.ViaSlack)
	standin.Refused(t, err, approve.RefusedReason)
	run, err := o.Service.StopWatch(t.Context(), id, "U0BEN", "the dashboards are calm", runbook.ViaSlack)
	if err != nil || run.State != runbook.StateDone || run.Watch.Stopped == nil || run.Watch.Stopped.By.ID != "U0BEN" || !strings.Contains(run.Outcome, "stopped the watch after") {
		t.Errorf("%v, %s, %q", err, run.State, run.Outcome)
	}
	_, err = o.Service.StopWatch(t.Context(), id, "U0BEN", "again", runbook.ViaSlack)
	standin.Refused(t, err, approve.RefusedEnded)
	if !strings.Contains(o.Ledger.Trail(), "stop_watch") {
		t.Errorf("audit %s", o.Ledger.Trail())
	}
}

func TestGotIt(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	s.Usual.Logged = 500
	id := o.Watched(t).ID
	_, err := o.Service.Acknowledge(t.Context(), id, "U0EVE")
	standin.Refused(t, err, approve.RefusedEnded, "Nobody was called")
	o.Followed(t, id, func(r runbook.Run) bool { return r.State == runbook.StateWatch && r.Escalation != nil })
	if _, err := o.Service.Record(t.Context(), id, approve.Posted{Ping: "171.1"}); err != nil {
		t.Fatal(err)
	}
	run, err := o.Service.Acknowledge(t.Context(), id, "U0EVE")
	if err != nil || run.Escalation.TakenBy.ID != "U0EVE" || !run.Escalation.Taken() {
		t.Fatalf("%v, %+v", err, run.Escalation)
	}
	_, err = o.Service.Acknowledge(t.Context(), id, "U0BEN")
	standin.Refused(t, err, approve.RefusedTwice, "u0eve")
	run = o.Followed(t, id, nil)
	if run.Escalation.TakenBy.ID != "U0EVE" || run.Escalation.Pinged != "171.1" {
		t.Errorf("the watch forgot who took it over: %+v", run.Escalation)
	}
}

func TestEscalateByHand(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	id := o.Watched(t).ID
	run, err := o.Service.Escalate(t.Context(), id, "U0ANN", "customers call")
	if err != nil || run.State != runbook.StateEscalate || run.Escalation.Kind != runbook.EscalateAsked || run.Escalation.By.ID != "U0ANN" {
		t.Fatalf("%v, %s, %+v", err, run.State, run.Escalation)
	}
	_, err = o.Service.Escalate(t.Context(), id, "U0BEN", "me too")
	standin.Refused(t, err, approve.RefusedEnded)
	run, _ = o.Advance(t, id)
	if run.State != runbook.StateWatch || s.Pages != 1 || s.Published != 1 {
		t.Errorf("%s, %d pages", run.State, s.Pages)
	}
	_, err = o.Service.Escalate(t.Context(), id, "U0BEN", "me too")
	standin.Refused(t, err, approve.RefusedTwice)
}
