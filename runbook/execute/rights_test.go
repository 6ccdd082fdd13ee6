package execute_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

// sayingsStandIn remembers in the process.
type sayingsStandIn struct {
	mu   sync.Mutex
	said map[string]saying
}

type saying struct {
	answer string
	at     time.Time
}

func (s *sayingsStandIn) KeepSaid(_ context.Context, subject string, answer []byte, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said[subject] = saying{string(answer), at}
	return nil
}

func (s *sayingsStandIn) LastSaid(_ context.Context, subject string) ([]byte, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one, ok := s.said[subject]; ok {
		return []byte(one.answer), one.at, nil
	}
	return nil, time.Time{}, nil
}

// remembers puts the office on the last word of its directory.
func remembers(o *runbooktest.World, t *testing.T) *sayingsStandIn {
	said := &sayingsStandIn{said: map[string]saying{}}
	word := &approve.RememberingDirectory{Directory: o.People, Memory: said, Clock: o.Clock, Within: time.Minute}
	o.ServiceSettings.People, o.MachineSettings.People = word, word
	o.Build(t)
	return said
}

// falls are the ways in which somebody loses what they may.
func falls(id string) map[string]func(*runbooktest.World) {
	return map[string]func(*runbooktest.World){
		"deactivated": func(o *runbooktest.World) { o.People.Make(approve.KindGone, id) },
		"a guest":     func(o *runbooktest.World) { o.People.Make(approve.KindGuest, id) },
		"a stranger":  func(o *runbooktest.World) { o.People.Make(approve.KindStranger, id) },
		"a bot":       func(o *runbooktest.World) { o.People.Make(approve.KindBot, id) },
		"unknown":     func(o *runbooktest.World) { o.People.Make(approve.KindUnknown, id) },
		"out of a group": func(o *runbooktest.World) {
			o.People.Groups["S0ONCALL"], o.People.Groups["S0LEADS"] = []string{"U0BEN"}, []string{"U0LEA", "U0MAX"}
		},
	}
}

// TestAnApproverFallsBeforeTheSecondApproval: what they approved does not count
// any more, and the run waits for somebody else.
func TestAnApproverFallsBeforeTheSecondApproval(t *testing.T) {
	for name, fall := range falls("U0LIZ") {
		t.Run(name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			o.Target.Policy.Required, o.Target.Policy.Requesters = 2, []string{"U0ANN"}
			o.People.Make(approve.KindMember, "U0MAX")
			o.People.Groups["S0LEADS"] = []string{"U0LEA", "U0LIZ", "U0MAX"}
			run := o.Ask(t, runbooktest.Request("U0ANN"))
			if _, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove); err != nil {
				t.Fatal(err)
			}
			fall(o)
			a, err := o.Click(t, run, "U0LEA", runbook.DecideApprove)
			if err != nil || a.Run.State != runbook.StatePending || !strings.Contains(a.Text, "1 of 2 approvals. An earlier one no longer counts: u0liz") {
				t.Fatalf("%s, %q, %v", a.Run.State, a.Text, err)
			}
			if !strings.HasSuffix(o.Ledger.Trail(), "reopen approve") {
				t.Errorf("audit %s", o.Ledger.Trail())
			}
			if a, err = o.Click(t, run, "U0MAX", runbook.DecideApprove); err != nil || a.Run.State != runbook.StateApproved {
				t.Errorf("%s, %v", a.Run.State, err)
			}
		})
	}
}

// TestAnApproverFallsBeforeTheStart: the run waits for approvals again; those
// of others stand, and where nobody else could give one it ends.
func TestAnApproverFallsBeforeTheStart(t *testing.T) {
	for name, fall := range falls("U0LIZ") {
		t.Run(name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			o.Target.Policy.Required, o.Target.Policy.Requesters = 2, []string{"U0ANN"}
			o.People.Make(approve.KindMember, "U0MAX")
			o.People.Groups["S0LEADS"] = []string{"U0LEA", "U0LIZ", "U0MAX"}
			run := o.Ask(t, runbooktest.Request("U0ANN"))
			for _, by := range []string{"U0LIZ", "U0LEA"} {
				if _, err := o.Click(t, run, by, runbook.DecideApprove); err != nil {
					t.Fatal(err)
				}
			}
			fall(o)
			run, _ = o.Advance(t, run.ID)
			if run.State != runbook.StatePending || run.Generation != 2 || len(run.Approvals()) != 1 || run.Approvals()[0].By.ID != "U0LEA" || !strings.Contains(run.Changes, "u0liz, who approved it") {
				t.Fatalf("%s, plan %d, approvals %+v, %q", run.State, run.Generation, run.Approvals(), run.Changes)
			}
			if len(o.Cache.Deleted) != 0 || !run.ApprovedAt.IsZero() {
				t.Errorf("deleted %v", o.Cache.Deleted)
			}
			if a, err := o.Click(t, run, "U0MAX", runbook.DecideApprove); err != nil || a.Run.State != runbook.StateApproved {
				t.Fatalf("%s, %v", a.Run.State, err)
			}
			o.Refill("keys b=2", 1)
			o.Until(t, run.ID, runbook.StateDone)
		})
	}
	o := runbooktest.NewWorld(t)
	o.Target.Policy.Approvers = []string{"U0LIZ", "U0ANN"}
	id := o.Approve(t, runbooktest.Request("U0ANN")).ID
	o.People.Make(approve.KindGone, "U0LIZ")
	if run, _ := o.Advance(t, id); run.State != runbook.StateFailed || !strings.Contains(run.Outcome, "u0liz, who approved it, is no longer a full member") {
		t.Errorf("nobody is left to ask: %s, %q", run.State, run.Outcome)
	}
}

// TestTheRequesterFalls: at the click and before the first effect nothing is
// done for somebody who may not ask for it any more.
func TestTheRequesterFalls(t *testing.T) {
	for name, fall := range falls("U0ANN") {
		t.Run(name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			run := o.Ask(t, runbooktest.Request("U0ANN"))
			fall(o)
			_, err := o.Click(t, run, "U0LEA", runbook.DecideApprove)
			if r := approve.AsRefusal(err); r == nil || !strings.Contains(r.Text, "u0ann, who requested it,") {
				t.Errorf("at the click: %v", err)
			}
			if now := o.Run(t, run.ID); now.State != runbook.StatePending || len(now.Decisions) != 0 {
				t.Errorf("at the click: %s, %+v", now.State, now.Decisions)
			}
			for _, before := range []runbook.State{runbook.StateApproved, runbook.StateFlush} {
				o := runbooktest.NewWorld(t)
				run := o.Until(t, o.Approve(t, runbooktest.Request("U0ANN")).ID, before)
				fall(o)
				run, _ = o.Advance(t, run.ID)
				if run.State != runbook.StateFailed || !strings.Contains(run.Outcome, "Not started: u0ann, who requested it,") || !strings.Contains(run.Outcome, "Nothing was touched.") || len(o.Cache.Deleted) != 0 {
					t.Errorf("in %s: %s, %q, deleted %v", before, run.State, run.Outcome, o.Cache.Deleted)
				}
			}
		})
	}
}

// TestARunThatBeganGoesOn: after the first effect a run depends on nobody.
func TestARunThatBeganGoesOn(t *testing.T) {
	o := runbooktest.NewWorld(t)
	run := o.Until(t, o.Approve(t, runbooktest.Request("U0ANN")).ID, runbook.StateFlush)
	o.Cache.OnDelete = func(int) error { return context.Canceled } // the process ends
	ctx, end := context.WithCancel(t.Context())
	o.Clock.OnWait = func(int) { end() }
	if _, err := o.Machine.Advance(ctx, run); err == nil {
		t.Fatal("it was not cut off")
	}
	o.Cache.OnDelete, o.Clock.OnWait = nil, nil
	o.People.Make(approve.KindGone, "U0ANN", "U0LIZ")
	o.Refill("keys b=2", 3)
	if run := o.Until(t, run.ID, runbook.StateDone); run.Cleared.IsZero() || len(o.Cache.Deleted) != 1 {
		t.Errorf("cleared %v, deleted %v", run.Cleared, o.Cache.Deleted)
	}
}

var outage = &approve.Unanswered{Err: errors.New("users.info: slack server error: 500")}

// TestTheLastWordStands: while Slack cannot be asked, what it said last stands
// for 15 minutes, and every row of the trail says so; then nothing starts.
func TestTheLastWordStands(t *testing.T) {
	o := runbooktest.NewWorld(t)
	said := remembers(o, t)
	o.Refill("keys b=2", 1)
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	o.People.Err = nil
	if _, err := o.Click(t, run, "U0EVE", runbook.DecideApprove); approve.AsRefusal(err) == nil { // Slack tells of the group
		t.Fatal(err)
	}
	if _, _, err := o.Service.Open(t.Context(), runbooktest.Request("U0LIZ"), check.Silent{}); approve.AsRefusal(err) == nil { // and of her
		t.Fatal(err)
	}
	o.People.Err = outage
	o.Clock.Advance(10 * time.Minute)
	if _, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove); err != nil {
		t.Fatal(err)
	}
	o.Until(t, run.ID, runbook.StateDone)
	for _, want := range []string{"1 of 1; rights as Slack said them at 03:00 UTC, Slack could not be asked", `"kind":"rights"`} {
		if !strings.Contains(o.Ledger.Everything(), want) {
			t.Errorf("the trail does not say %q", want)
		}
	}
	o.Clock.Advance(5 * time.Minute)
	_, _, err := o.Service.Open(t.Context(), runbooktest.Request("U0ANN"), check.Silent{})
	standin.Refused(t, err, approve.RefusedUnheard, "at 03:00 UTC, is older than 15 min", "Try again when Slack answers")
	delete(said.said, "U0ANN")
	_, _, err = o.Service.Open(t.Context(), runbooktest.Request("U0ANN"), check.Silent{})
	standin.Refused(t, err, approve.RefusedUnheard, "it could not be asked. Try again")
}

// TestALimitIsNoSilence: Slack that wants patience is never replaced by what it
// said before.
func TestALimitIsNoSilence(t *testing.T) {
	o := runbooktest.NewWorld(t)
	remembers(o, t)
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	o.People.Err = &approve.Unanswered{Limited: true, After: 12 * time.Second, Err: errors.New("429")}
	_, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove)
	standin.Refused(t, err, approve.RefusedLimited, "limiting the bot", "Try again in 12 s")
	o.People.Err = nil
	if _, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove); err != nil {
		t.Fatal(err)
	}
	o.People.Err = &approve.Unanswered{Limited: true, After: 12 * time.Second, Err: errors.New("429")}
	o.Clock.OnWait = func(int) { o.People.Err = nil }
	if run, _ := o.Advance(t, run.ID); run.State != runbook.StateSnapshot {
		t.Errorf("the start did not wait: %s, %q", run.State, run.Outcome)
	}
}

// TestAStartThatNobodyCanAnswerFor waits as long as a run may start.
func TestAStartThatNobodyCanAnswerFor(t *testing.T) {
	for name, silence := range map[string]error{"silence": outage, "a revoked token": errors.New("users.info: token_revoked")} {
		o := runbooktest.NewWorld(t)
		run := o.Approve(t, runbooktest.Request("U0ANN"))
		o.People.Err = silence
		run, _ = o.Advance(t, run.ID)
		if run.State != runbook.StateFailed || !strings.Contains(run.Outcome, "Not started: for 10 min nobody could say") || len(o.Cache.Deleted) != 0 {
			t.Errorf("%s: %s, %q", name, run.State, run.Outcome)
		}
	}
}

// TestBreakGlassWithoutSlack: from a terminal, by somebody whom the policy
// lists by their own id, where it allows that; nobody of whom Slack said last
// that they are no full member.
func TestBreakGlassWithoutSlack(t *testing.T) {
	for name, c := range map[string]struct {
		by   string
		via  runbook.Via
		set  func(*runbooktest.World)
		want string // refusal, "" if it starts
	}{
		"listed by id":         {"U0LEA", runbook.ViaTerminal, nil, ""},
		"in Slack":             {"U0LEA", runbook.ViaSlack, nil, approve.RefusedUnheard},
		"listed by a group":    {"U0BEN", runbook.ViaTerminal, nil, approve.RefusedUnheard},
		"where it is not":      {"U0LEA", runbook.ViaTerminal, func(o *runbooktest.World) { o.Target.Policy.BreakGlass = false }, approve.RefusedUnheard},
		"a limit":              {"U0LEA", runbook.ViaTerminal, func(o *runbooktest.World) { o.People.Err = &approve.Unanswered{Limited: true, Err: outage} }, approve.RefusedLimited},
		"gone when Slack left": {"U0LEA", runbook.ViaTerminal, func(o *runbooktest.World) { said(o, "U0LEA", approve.KindGone, time.Hour) }, approve.RefusedUnheard},
		"gone minutes ago":     {"U0LEA", runbook.ViaTerminal, func(o *runbooktest.World) { said(o, "U0LEA", approve.KindGone, time.Minute) }, runbook.RefusedKind},
		"a member then":        {"U0LEA", runbook.ViaTerminal, func(o *runbooktest.World) { said(o, "U0LEA", approve.KindMember, time.Hour) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			o.Clock.Advance(2 * time.Hour)
			remembers(o, t)
			o.Target.Policy.BreakGlass, o.People.Err = true, outage
			if c.set != nil {
				c.set(o)
			}
			req := runbooktest.BreakGlass("Slack is down and nobody can sign in")
			req.By, req.Via = c.by, c.via
			run, _, err := o.Service.Open(t.Context(), req, check.Silent{})
			if c.want != "" {
				standin.Refused(t, err, c.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			o.Refill("keys b=2", 1)
			o.Until(t, run.ID, runbook.StateDone)
			if n := strings.Count(o.Ledger.Everything(), "rights by the configuration alone"); n != 3 { // request, break_glass, rights
				t.Errorf("%d rows say so: %s", n, o.Ledger.Everything())
			}
		})
	}
}

// said lets Slack have said something before it fell silent.
func said(o *runbooktest.World, id string, kind approve.Kind, ago time.Duration) {
	answer := fmt.Sprintf(`{"id":%q,"Kind":%q}`, id, kind)
	_ = o.ServiceSettings.People.(*approve.RememberingDirectory).Memory.KeepSaid(context.Background(), id, []byte(answer), o.Clock.Now().Add(-ago))
}

// TestWhereItWasVerified: what the machine of a terminal found out is recorded
// as such, and a target can forbid it.
func TestWhereItWasVerified(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.ServiceSettings.Verified, o.MachineSettings.Verified = "verified on the requester's machine", "verified by a terminal"
	o.Build(t)
	run := o.Approve(t, runbooktest.Request("U0ANN"))
	if run.Verified == "" || run.Decisions[0].Verified == "" || strings.Count(o.Ledger.Everything(), "; verified on the requester's machine") != 2 {
		t.Errorf("%+v\n%s", run, o.Ledger.Everything())
	}
	o.Target.Policy.ServeOnly = true
	_, _, err := o.Service.Open(t.Context(), runbooktest.Request("U0BEN"), check.Silent{})
	standin.Refused(t, err, approve.RefusedLocal, "approval.local: false", "Start it, or use Slack")
	_, err = o.Click(t, run, "U0LEA", runbook.DecideDeny)
	standin.Refused(t, err, approve.RefusedLocal)
	if run, _ := o.Advance(t, run.ID); run.State != runbook.StateFailed || !strings.Contains(run.Outcome, "only `jwksbot serve` may look") {
		t.Errorf("%s, %q", run.State, run.Outcome)
	}
}

// TestRefusalsThatAreTheSame fold by who, what, where and why; names that
// somebody made up are all the same.
func TestRefusalsThatAreTheSame(t *testing.T) {
	o := runbooktest.NewWorld(t)
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	for _, target := range []string{"production", "nope", "nada"} {
		_, _ = o.Service.View(t.Context(), target, "U0GUE")
	}
	for _, id := range []string{run.ID, "0214-aaaaaaaa", "0214-bbbbbbbb"} {
		_, _ = o.Click(t, runbook.Run{ID: id}, "U0GUE", runbook.DecideDeny)
	}
	distinct := map[string]bool{}
	for _, fold := range o.Ledger.Folds {
		distinct[fold] = true
	}
	if len(o.Ledger.Folds) != 6 || len(distinct) != 4 {
		t.Errorf("%d refusals, %d folds: %q", len(o.Ledger.Folds), len(distinct), o.Ledger.Folds)
	}
}
