package runbook

import (
	"strings"
	"testing"
	"time"
)

// Two runs that watch the same target do not call people twice, and the older
// one leaves the minutes to the newer one.
func TestOneWatchPerTarget(t *testing.T) {
	two := func(t *testing.T, failures float64, wait time.Duration) (o *office, s *surroundings, first, second Run) {
		o = newOffice(t)
		s = o.around()
		s.usual.logged = failures
		first = o.watched(t)
		for o.clock.Now().Before(t0.Add(wait)) {
			first, _ = o.advance(t, first.ID)
			o.clock.advance(max(0, first.Due().Sub(o.clock.Now())))
		}
		second = o.until(t, o.approve(t, steps(func(r *Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" })).ID, StateWatch)
		return
	}
	o, _, first, second := two(t, 0, 6*time.Minute)
	first = o.followed(t, first.ID, nil)
	if first.State != StateDone || first.Watch.Verdict != WatchSuperseded || !strings.Contains(first.Outcome, "run "+second.ID) {
		t.Errorf("%s, %s, %q", first.State, first.Watch.Verdict, first.Outcome)
	}
	o, s, first, second := two(t, 500, 16*time.Minute)
	if first.Escalation == nil || s.pages != 1 {
		t.Fatalf("%+v", first.Escalation)
	}
	second = o.followed(t, second.ID, func(r Run) bool { return r.Watch != nil && len(r.Watch.Points) > 13 })
	if s.pages != 1 || second.Escalation != nil || !strings.Contains(second.Watch.Note, first.ID) {
		t.Errorf("%d pages, %+v, note %q", s.pages, second.Escalation, second.Watch.Note)
	}
}

func TestStopWatching(t *testing.T) {
	o := newOffice(t)
	o.around()
	id := o.watched(t).ID
	o.advance(t, id)
	if _, err := o.desk.StopWatch(t.Context(), id, "U0EVE", "enough", ViaSlack); err == nil {
		t.Error("anybody may stop a watch")
	}
	_, err := o.desk.StopWatch(t.Context(), id, "U0BEN", "  ", ViaSlack)
	refused(t, err, RefusedReason)
	run, err := o.desk.StopWatch(t.Context(), id, "U0BEN", "the dashboards are calm", ViaSlack)
	if err != nil || run.State != StateDone || run.Watch.Stopped == nil || run.Watch.Stopped.By.ID != "U0BEN" || !strings.Contains(run.Outcome, "stopped the watch after") {
		t.Errorf("%v, %s, %q", err, run.State, run.Outcome)
	}
	_, err = o.desk.StopWatch(t.Context(), id, "U0BEN", "again", ViaSlack)
	refused(t, err, RefusedEnded)
	if !strings.Contains(o.ledger.trail(), "stop_watch") {
		t.Errorf("audit %s", o.ledger.trail())
	}
}

func TestGotIt(t *testing.T) {
	o := newOffice(t)
	s := o.around()
	s.usual.logged = 500
	id := o.watched(t).ID
	_, err := o.desk.Acknowledge(t.Context(), id, "U0EVE")
	refused(t, err, RefusedEnded, "Nobody was called")
	o.followed(t, id, func(r Run) bool { return r.State == StateWatch && r.Escalation != nil })
	if _, err := o.desk.Record(t.Context(), id, Posted{Ping: "171.1"}); err != nil {
		t.Fatal(err)
	}
	run, err := o.desk.Acknowledge(t.Context(), id, "U0EVE")
	if err != nil || run.Escalation.TakenBy.ID != "U0EVE" || !run.Escalation.Taken() {
		t.Fatalf("%v, %+v", err, run.Escalation)
	}
	_, err = o.desk.Acknowledge(t.Context(), id, "U0BEN")
	refused(t, err, RefusedTwice, "u0eve")
	run = o.followed(t, id, nil)
	if run.Escalation.TakenBy.ID != "U0EVE" || run.Escalation.Pinged != "171.1" {
		t.Errorf("the watch forgot who took it over: %+v", run.Escalation)
	}
}

func TestEscalateByHand(t *testing.T) {
	o := newOffice(t)
	s := o.around()
	id := o.watched(t).ID
	run, err := o.desk.Escalate(t.Context(), id, "U0ANN", "customers call")
	if err != nil || run.State != StateEscalate || run.Escalation.Kind != EscalateAsked || run.Escalation.By.ID != "U0ANN" {
		t.Fatalf("%v, %s, %+v", err, run.State, run.Escalation)
	}
	_, err = o.desk.Escalate(t.Context(), id, "U0BEN", "me too")
	refused(t, err, RefusedEnded)
	run, _ = o.advance(t, id)
	if run.State != StateWatch || s.pages != 1 || s.published != 1 {
		t.Errorf("%s, %d pages", run.State, s.pages)
	}
	_, err = o.desk.Escalate(t.Context(), id, "U0BEN", "me too")
	refused(t, err, RefusedTwice)
}
