package execute_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

const inBreach = 101 // of 1,000 requests: 10.1 %

func TestWatchThatStaysCalm(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	s.From(-15, 16, runbooktest.Minute{Requests: 1000, Logged: 340})
	run := o.Watched(t)
	if run.State.Holds() || !run.State.Executes() {
		t.Error("a watch holds its resource or is not executed")
	}
	var lines []string
	run = o.Followed(t, run.ID, func(r runbook.Run) bool {
		if r.Watch != nil {
			lines = append(lines, r.Watch.Text)
		}
		return false
	})
	if run.State != runbook.StateDone || run.Watch.Verdict != runbook.WatchCalm || run.Escalation != nil {
		t.Fatalf("%s, %+v", run.State, run.Watch)
	}
	if !strings.Contains(run.Outcome, "Proven") || !strings.Contains(run.Outcome, "Failures fell from 34 % to 0 %; watched 15 min.") {
		t.Errorf("outcome %q", run.Outcome)
	}
	if got := strings.Join(lines, "\n"); !strings.Contains(got, "minute 4 of 15: 0 % of 1,000 requests failed (before: 34 %)") {
		t.Errorf("lines\n%s", got)
	}
	if n := len(run.Watch.Points); n != 15 {
		t.Errorf("%d points", n)
	}
	for i, p := range run.Watch.Points {
		if want := standin.T0.Add(time.Duration(i+1) * time.Minute); !p.At.Equal(want) || p.Requests != 1000 {
			t.Errorf("point %d: %+v, want a whole minute at %s", i, p, want)
		}
	}
	// The newest minutes of CloudWatch are not complete, so it takes two more.
	if took := run.EndedAt.Sub(standin.T0); took < 17*time.Minute || took > 19*time.Minute {
		t.Errorf("it took %s", took)
	}
	if n := strings.Count(o.Ledger.Trail(), "escalate"); n != 0 || s.Pages+s.Published != 0 {
		t.Errorf("called %d times, %d pages", n, s.Pages)
	}
}

// The escalation is exact: the eleventh consecutive minute at 10.1 % escalates
// once, 10.0 % never, and a gap neither resets nor counts.
func TestEscalationIsExact(t *testing.T) {
	for name, c := range map[string]struct {
		set   func(*runbooktest.Surroundings)
		after int // minutes watched when people are called; 0: never
	}{
		"10.1 % from the first minute": {func(s *runbooktest.Surroundings) { s.Usual.Logged = inBreach }, 11},
		"10.0 % for ever":              {func(s *runbooktest.Surroundings) { s.Usual.Logged = 100 }, 0},
		"ten minutes at 10.1 %":        {func(s *runbooktest.Surroundings) { s.From(1, 10, runbooktest.Minute{Requests: 1000, Logged: inBreach}) }, 0},
		"eleven, later":                {func(s *runbooktest.Surroundings) { s.From(4, 11, runbooktest.Minute{Requests: 1000, Logged: inBreach}) }, 14},
		"a gap does not reset": {func(s *runbooktest.Surroundings) {
			s.From(1, 13, runbooktest.Minute{Requests: 1000, Logged: inBreach})
			s.From(6, 2, runbooktest.Minute{Requests: -1})
		}, 13},
		"a gap does not count": {func(s *runbooktest.Surroundings) {
			s.From(1, 12, runbooktest.Minute{Requests: 1000, Logged: inBreach})
			s.From(6, 2, runbooktest.Minute{Requests: -1})
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			s := o.Around()
			c.set(s)
			run := o.Watched(t)
			run = o.Followed(t, run.ID, func(r runbook.Run) bool { return r.Escalation != nil })
			if c.after == 0 {
				if run.Escalation != nil || run.State != runbook.StateDone || s.Pages+s.Published != 0 {
					t.Fatalf("%s, escalation %+v, %d pages", run.State, run.Escalation, s.Pages)
				}
				return
			}
			if run.Escalation == nil {
				t.Fatalf("nobody was called: %s, %q", run.State, run.Outcome)
			}
			if n := int(run.Watch.Points[len(run.Watch.Points)-1].At.Sub(standin.T0) / time.Minute); n != c.after {
				t.Errorf("called after minute %d, want %d", n, c.after)
			}
			if e := run.Escalation; e.Kind != runbook.EscalateBreach || e.Group != "S0IDENTITY" || e.Minutes != 11 || !strings.Contains(e.Why, "10.1 %") {
				t.Errorf("escalation %+v", e)
			}
			run = o.Followed(t, run.ID, nil)
			if s.Pages != 1 || s.Published != 1 || run.Escalation.N != 1 || run.Escalation.Paged.IsZero() || run.Escalation.Message != "m-1" {
				t.Errorf("%d pages, %d announcements, %+v", s.Pages, s.Published, run.Escalation)
			}
			if n := strings.Count(o.Ledger.Trail(), "escalate"); n != 1 {
				t.Errorf("escalated %d times: %s", n, o.Ledger.Trail())
			}
		})
	}
}

// A crash at any minute, before or after a point was recorded, changes neither
// the points nor the moment of the escalation.
func TestCrashChangesNothing(t *testing.T) {
	play := func(t *testing.T, crash int, away time.Duration) (runbook.Run, *runbooktest.Surroundings) {
		o := runbooktest.NewWorld(t)
		s := o.Around()
		s.Usual.Logged = inBreach
		id := o.Watched(t).ID
		for n := 0; ; n++ {
			run := o.Run(t, id)
			if run.State.Ended() || n > 200 {
				return run, s
			}
			if wait := run.Due().Sub(o.Clock.Now()); wait > 0 {
				o.Clock.Advance(wait)
			}
			if len(pointsOf(run)) == crash {
				// Executed, and lost before it was recorded.
				if _, err := o.Machine.Advance(t.Context(), run); err != nil {
					t.Fatal(err)
				}
				o.Clock.Advance(away)
				away = 0
			}
			o.Advance(t, id)
		}
	}
	want, s := play(t, -1, 0)
	if s.Pages != 1 {
		t.Fatalf("%d pages", s.Pages)
	}
	for _, crash := range []int{0, 1, 8, 9, 10, 11} {
		for _, away := range []time.Duration{0, 20 * time.Second, 3 * time.Minute} {
			got, s := play(t, crash, away)
			if fmt.Sprint(got.Watch.Points[:15]) != fmt.Sprint(want.Watch.Points[:15]) {
				t.Errorf("crash at point %d, away %s: points %v", crash, away, got.Watch.Points)
			}
			if s.Pages != 1 || s.Published != 1 || got.Escalation.N != 1 || got.Escalation.Minutes < 11 || away == 0 && !got.Escalation.At.Equal(want.Escalation.At) {
				t.Errorf("crash at point %d, away %s: %d pages, %d announcements, %+v", crash, away, s.Pages, s.Published, got.Escalation)
			}
		}
	}
}

func pointsOf(r runbook.Run) []runbook.RatioPoint {
	if r.Watch == nil {
		return nil
	}
	return r.Watch.Points
}

// Fifteen failures of fifteen requests in fifteen minutes are handed to people:
// nobody can tell, and no pager goes off.
func TestTooLittleTrafficIsNeverCalm(t *testing.T) {
	for name, usual := range map[string]runbooktest.Minute{"all fail": {Requests: 1, Logged: 1}, "none fails": {Requests: 1}, "nobody comes": {Requests: -1}} {
		t.Run(name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			s := o.Around()
			s.Usual = usual
			run := o.Followed(t, o.Watched(t).ID, nil)
			if run.State != runbook.StateDone || run.Watch.Verdict != runbook.WatchBlind {
				t.Fatalf("%s, %+v", run.State, run.Watch)
			}
			e := run.Escalation
			if e == nil || e.Kind != runbook.EscalateBlind || e.Group != "S0IDENTITY" || s.Pages+s.Published != 0 {
				t.Fatalf("escalation %+v, %d pages", e, s.Pages)
			}
			if !strings.Contains(run.Outcome, "Could not tell") || strings.Contains(run.Outcome, "fell") {
				t.Errorf("outcome %q", run.Outcome)
			}
			if name == "all fail" && !strings.Contains(e.Why, "15 failures of 15 requests in 15 minutes are too few") {
				t.Errorf("why %q", e.Why)
			}
		})
	}
}

func TestBreachThatEnds(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	s.From(1, 20, runbooktest.Minute{Requests: 1000, Logged: 500})
	run := o.Followed(t, o.Watched(t).ID, nil)
	if run.State != runbook.StateDone || run.Watch.Verdict != runbook.WatchCalm || s.Pages != 1 || s.Resolves != 1 {
		t.Fatalf("%s, %q, %d pages, %d resolved, outcome %q", run.State, run.Watch.Verdict, s.Pages, s.Resolves, run.Outcome)
	}
	// Three calm points close the incident; the watch went on for them.
	if got := run.Escalation.Resolved.Sub(standin.T0); got < 25*time.Minute || got > 27*time.Minute {
		t.Errorf("resolved after %s", got)
	}
	if a := s.Alarms[0]; a.Key != "jwksbot/"+run.ID || a.Ticket != run.Ticket || len(a.Evidence) < 4 {
		t.Errorf("alarm %+v", a)
	}
}

// A bot that comes back after a while, in a breach that is followed beyond the
// usual end of the watch, sees at once that it is over.
func TestBreachThatEndsUnwatched(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	s.From(1, 20, runbooktest.Minute{Requests: 1000, Logged: 500})
	run := o.Followed(t, o.Watched(t).ID, func(r runbook.Run) bool { return len(pointsOf(r)) >= 16 })
	o.Clock.Advance(20 * time.Minute)
	run, _ = o.Advance(t, run.ID)
	if s.Resolves != 1 || run.Escalation.Resolved.IsZero() {
		t.Errorf("%d resolved, %d points, %s", s.Resolves, len(run.Watch.Points), run.Watch.Text)
	}
	run = o.Followed(t, run.ID, nil)
	if run.State != runbook.StateDone || len(run.Watch.Points) > 60 {
		t.Errorf("%s with %d points, %q", run.State, len(run.Watch.Points), run.Outcome)
	}
	for i, p := range run.Watch.Points {
		if want := standin.T0.Add(time.Duration(i+1) * time.Minute); !p.At.Equal(want) {
			t.Fatalf("point %d is of %s, want %s", i, p.At, want)
		}
	}
}

func TestBreachThatLasts(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	s.Usual.Logged = 500
	run := o.Followed(t, o.Watched(t).ID, nil)
	if run.State != runbook.StateFailed || run.Watch.Verdict != runbook.WatchBreach || s.Resolves != 0 || s.Pages != 1 {
		t.Fatalf("%s, %+v", run.State, run.Watch)
	}
	if !strings.Contains(run.Outcome, "Failures are still at 50 % after 60 min") {
		t.Errorf("outcome %q", run.Outcome)
	}
	if got := run.EndedAt.Sub(standin.T0); got < time.Hour || got > 65*time.Minute {
		t.Errorf("followed for %s", got)
	}
}

// A second breach after a calm is a second call.
func TestOncePerBreach(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Target.Watch.For = time.Hour
	s := o.Around()
	o.Target.Watch.For = time.Hour
	s.From(1, 12, runbooktest.Minute{Requests: 1000, Logged: 500})
	s.From(20, 12, runbooktest.Minute{Requests: 1000, Logged: 500})
	run := o.Followed(t, o.Watched(t).ID, nil)
	if run.State != runbook.StateDone || s.Pages != 2 || s.Resolves != 2 || run.Escalation.N != 2 {
		t.Errorf("%s, %d pages, %d resolved, %+v", run.State, s.Pages, s.Resolves, run.Escalation)
	}
}

func TestPagerThatFailsDoesNotStopTheRun(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	s.Usual.Logged = 500
	s.PageErr, s.PublishErr = errors.New("PagerDuty answers HTTP 503"), errors.New("no permission")
	run := o.Followed(t, o.Watched(t).ID, func(r runbook.Run) bool { return r.State == runbook.StateWatch && r.Escalation != nil })
	if e := run.Escalation; run.State != runbook.StateWatch || len(e.Notes) != 2 || !e.Paged.IsZero() || !strings.Contains(e.Notes[0], "HTTP 503") || s.Published != 1 {
		t.Errorf("%s, %+v, published %d", run.State, e, s.Published)
	}
}

// Between writing down that it is announced and the announcement itself a crash
// may fall: it is not announced twice.
func TestAnnouncedAtMostOnce(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	s.Usual.Logged = 500
	run := o.Followed(t, o.Watched(t).ID, func(r runbook.Run) bool { return r.State == runbook.StateEscalate })
	if _, err := o.Machine.Advance(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Ledger.Change(t.Context(), run.ID, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		r.Escalation.Published, r.Escalation.Message = time.Time{}, "" // the crash
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	run, _ = o.Advance(t, run.ID)
	if s.Published != 1 || s.Pages != 1 || len(run.Escalation.Notes) != 1 {
		t.Errorf("announced %d times, paged %d times, %+v", s.Published, s.Pages, run.Escalation)
	}
}
