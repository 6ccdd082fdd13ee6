package runbook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
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
func (o *office) remembers(t *testing.T) *sayingsStandIn {
	said := &sayingsStandIn{said: map[string]saying{}}
	word := &LastWord{Directory: o.people, Memory: said, Clock: o.clock, Within: time.Minute}
	o.deskSettings.People, o.machineSettings.People = word, word
	o.build(t)
	return said
}

// falls are the ways in which somebody loses what they may.
func falls(id string) map[string]func(*office) {
	return map[string]func(*office){
		"deactivated": func(o *office) { o.people.make(KindGone, id) },
		"a guest":     func(o *office) { o.people.make(KindGuest, id) },
		"a stranger":  func(o *office) { o.people.make(KindStranger, id) },
		"a bot":       func(o *office) { o.people.make(KindBot, id) },
		"unknown":     func(o *office) { o.people.make(KindUnknown, id) },
		"out of a group": func(o *office) {
			o.people.groups["S0ONCALL"], o.people.groups["S0LEADS"] = []string{"U0BEN"}, []string{"U0LEA", "U0MAX"}
		},
	}
}

// TestAnApproverFallsBeforeTheSecondApproval: what they approved does not count
// any more, and the run waits for somebody else.
func TestAnApproverFallsBeforeTheSecondApproval(t *testing.T) {
	for name, fall := range falls("U0LIZ") {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			o.target.Policy.Required, o.target.Policy.Requesters = 2, []string{"U0ANN"}
			o.people.make(KindMember, "U0MAX")
			o.people.groups["S0LEADS"] = []string{"U0LEA", "U0LIZ", "U0MAX"}
			run := o.ask(t, request("U0ANN"))
			if _, err := o.click(t, run, "U0LIZ", DecideApprove); err != nil {
				t.Fatal(err)
			}
			fall(o)
			a, err := o.click(t, run, "U0LEA", DecideApprove)
			if err != nil || a.Run.State != StatePending || !strings.Contains(a.Text, "1 of 2 approvals. An earlier one does not count any more: u0liz") {
				t.Fatalf("%s, %q, %v", a.Run.State, a.Text, err)
			}
			if !strings.HasSuffix(o.ledger.trail(), "reopen approve") {
				t.Errorf("audit %s", o.ledger.trail())
			}
			if a, err = o.click(t, run, "U0MAX", DecideApprove); err != nil || a.Run.State != StateApproved {
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
			o := newOffice(t)
			o.target.Policy.Required, o.target.Policy.Requesters = 2, []string{"U0ANN"}
			o.people.make(KindMember, "U0MAX")
			o.people.groups["S0LEADS"] = []string{"U0LEA", "U0LIZ", "U0MAX"}
			run := o.ask(t, request("U0ANN"))
			for _, by := range []string{"U0LIZ", "U0LEA"} {
				if _, err := o.click(t, run, by, DecideApprove); err != nil {
					t.Fatal(err)
				}
			}
			fall(o)
			run, _ = o.advance(t, run.ID)
			if run.State != StatePending || run.Generation != 2 || len(run.Approvals()) != 1 || run.Approvals()[0].By.ID != "U0LEA" || !strings.Contains(run.Changes, "u0liz, who approved it") {
				t.Fatalf("%s, plan %d, approvals %+v, %q", run.State, run.Generation, run.Approvals(), run.Changes)
			}
			if len(o.cache.deleted) != 0 || !run.ApprovedAt.IsZero() {
				t.Errorf("deleted %v", o.cache.deleted)
			}
			if a, err := o.click(t, run, "U0MAX", DecideApprove); err != nil || a.Run.State != StateApproved {
				t.Fatalf("%s, %v", a.Run.State, err)
			}
			o.refill("keys b=2", 1)
			o.until(t, run.ID, StateDone)
		})
	}
	o := newOffice(t)
	o.target.Policy.Approvers = []string{"U0LIZ", "U0ANN"}
	id := o.approve(t, request("U0ANN")).ID
	o.people.make(KindGone, "U0LIZ")
	if run, _ := o.advance(t, id); run.State != StateFailed || !strings.Contains(run.Outcome, "u0liz, who approved it, is no full member") {
		t.Errorf("nobody is left to ask: %s, %q", run.State, run.Outcome)
	}
}

// TestTheRequesterFalls: at the click and before the first effect nothing is
// done for somebody who may not ask for it any more.
func TestTheRequesterFalls(t *testing.T) {
	for name, fall := range falls("U0ANN") {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			run := o.ask(t, request("U0ANN"))
			fall(o)
			_, err := o.click(t, run, "U0LEA", DecideApprove)
			if r := asRefusal(err); r == nil || !strings.Contains(r.Text, "u0ann, who requested it,") {
				t.Errorf("at the click: %v", err)
			}
			if now := o.run(t, run.ID); now.State != StatePending || len(now.Decisions) != 0 {
				t.Errorf("at the click: %s, %+v", now.State, now.Decisions)
			}
			for _, before := range []State{StateApproved, StateFlush} {
				o := newOffice(t)
				run := o.until(t, o.approve(t, request("U0ANN")).ID, before)
				fall(o)
				run, _ = o.advance(t, run.ID)
				if run.State != StateFailed || !strings.Contains(run.Outcome, "Not started: u0ann, who requested it,") || !strings.Contains(run.Outcome, "Nothing was touched.") || len(o.cache.deleted) != 0 {
					t.Errorf("in %s: %s, %q, deleted %v", before, run.State, run.Outcome, o.cache.deleted)
				}
			}
		})
	}
}

// TestARunThatBeganGoesOn: after the first effect a run depends on nobody.
func TestARunThatBeganGoesOn(t *testing.T) {
	o := newOffice(t)
	run := o.until(t, o.approve(t, request("U0ANN")).ID, StateFlush)
	o.cache.onDelete = func(int) error { return context.Canceled } // the process ends
	ctx, end := context.WithCancel(t.Context())
	o.clock.onWait = func(int) { end() }
	if _, err := o.machine.Advance(ctx, run); err == nil {
		t.Fatal("it was not cut off")
	}
	o.cache.onDelete, o.clock.onWait = nil, nil
	o.people.make(KindGone, "U0ANN", "U0LIZ")
	o.refill("keys b=2", 3)
	if run := o.until(t, run.ID, StateDone); run.Cleared.IsZero() || len(o.cache.deleted) != 1 {
		t.Errorf("cleared %v, deleted %v", run.Cleared, o.cache.deleted)
	}
}

var outage = &Unanswered{Err: errors.New("users.info: slack server error: 500")}

// TestTheLastWordStands: while Slack cannot be asked, what it said last stands
// for 15 minutes, and every row of the trail says so; then nothing starts.
func TestTheLastWordStands(t *testing.T) {
	o := newOffice(t)
	said := o.remembers(t)
	o.refill("keys b=2", 1)
	run := o.ask(t, request("U0ANN"))
	o.people.err = nil
	if _, err := o.click(t, run, "U0EVE", DecideApprove); asRefusal(err) == nil { // Slack tells of the group
		t.Fatal(err)
	}
	if _, _, err := o.desk.Open(t.Context(), request("U0LIZ"), Silent{}); asRefusal(err) == nil { // and of her
		t.Fatal(err)
	}
	o.people.err = outage
	o.clock.advance(10 * time.Minute)
	if _, err := o.click(t, run, "U0LIZ", DecideApprove); err != nil {
		t.Fatal(err)
	}
	o.until(t, run.ID, StateDone)
	for _, want := range []string{"1 of 1; rights as Slack said them at 03:00 UTC, Slack could not be asked", `"kind":"rights"`} {
		if !strings.Contains(o.ledger.everything(), want) {
			t.Errorf("the trail does not say %q", want)
		}
	}
	o.clock.advance(5 * time.Minute)
	_, _, err := o.desk.Open(t.Context(), request("U0ANN"), Silent{})
	refused(t, err, RefusedUnheard, "at 03:00 UTC, is older than 15 min", "Try again when Slack answers")
	delete(said.said, "U0ANN")
	_, _, err = o.desk.Open(t.Context(), request("U0ANN"), Silent{})
	refused(t, err, RefusedUnheard, "it could not be asked. Try again")
}

// TestALimitIsNoSilence: Slack that wants patience is never replaced by what it
// said before.
func TestALimitIsNoSilence(t *testing.T) {
	o := newOffice(t)
	o.remembers(t)
	run := o.ask(t, request("U0ANN"))
	o.people.err = &Unanswered{Limited: true, After: 12 * time.Second, Err: errors.New("429")}
	_, err := o.click(t, run, "U0LIZ", DecideApprove)
	refused(t, err, RefusedLimited, "limiting the bot", "Try again in 12 s")
	o.people.err = nil
	if _, err := o.click(t, run, "U0LIZ", DecideApprove); err != nil {
		t.Fatal(err)
	}
	o.people.err = &Unanswered{Limited: true, After: 12 * time.Second, Err: errors.New("429")}
	o.clock.onWait = func(int) { o.people.err = nil }
	if run, _ := o.advance(t, run.ID); run.State != StateSnapshot {
		t.Errorf("the start did not wait: %s, %q", run.State, run.Outcome)
	}
}

// TestAStartThatNobodyCanAnswerFor waits as long as a run may start.
func TestAStartThatNobodyCanAnswerFor(t *testing.T) {
	for name, silence := range map[string]error{"silence": outage, "a revoked token": errors.New("users.info: token_revoked")} {
		o := newOffice(t)
		run := o.approve(t, request("U0ANN"))
		o.people.err = silence
		run, _ = o.advance(t, run.ID)
		if run.State != StateFailed || !strings.Contains(run.Outcome, "Not started: for 10 min nobody could say") || len(o.cache.deleted) != 0 {
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
		via  Via
		set  func(*office)
		want string // refusal, "" if it starts
	}{
		"listed by id":         {"U0LEA", ViaTerminal, nil, ""},
		"in Slack":             {"U0LEA", ViaSlack, nil, RefusedUnheard},
		"listed by a group":    {"U0BEN", ViaTerminal, nil, RefusedUnheard},
		"where it is not":      {"U0LEA", ViaTerminal, func(o *office) { o.target.Policy.BreakGlass = false }, RefusedUnheard},
		"a limit":              {"U0LEA", ViaTerminal, func(o *office) { o.people.err = &Unanswered{Limited: true, Err: outage} }, RefusedLimited},
		"gone when Slack left": {"U0LEA", ViaTerminal, func(o *office) { o.said("U0LEA", KindGone, time.Hour) }, RefusedUnheard},
		"gone minutes ago":     {"U0LEA", ViaTerminal, func(o *office) { o.said("U0LEA", KindGone, time.Minute) }, RefusedKind},
		"a member then":        {"U0LEA", ViaTerminal, func(o *office) { o.said("U0LEA", KindMember, time.Hour) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			o.clock.advance(2 * time.Hour)
			o.remembers(t)
			o.target.Policy.BreakGlass, o.people.err = true, outage
			if c.set != nil {
				c.set(o)
			}
			req := glass("Slack is down and nobody can sign in")
			req.By, req.Via = c.by, c.via
			run, _, err := o.desk.Open(t.Context(), req, Silent{})
			if c.want != "" {
				refused(t, err, c.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			o.refill("keys b=2", 1)
			o.until(t, run.ID, StateDone)
			if n := strings.Count(o.ledger.everything(), "rights by the configuration alone"); n != 3 { // request, break_glass, rights
				t.Errorf("%d rows say so: %s", n, o.ledger.everything())
			}
		})
	}
}

// said lets Slack have said something before it fell silent.
func (o *office) said(id string, kind Kind, ago time.Duration) {
	answer := fmt.Sprintf(`{"id":%q,"Kind":%q}`, id, kind)
	_ = o.deskSettings.People.(*LastWord).Memory.KeepSaid(context.Background(), id, []byte(answer), o.clock.Now().Add(-ago))
}

// TestWhereItWasVerified: what the machine of a terminal found out is recorded
// as such, and a target can forbid it.
func TestWhereItWasVerified(t *testing.T) {
	o := newOffice(t)
	o.deskSettings.Verified, o.machineSettings.Verified = "verified on the requester's machine", "verified by a terminal"
	o.build(t)
	run := o.approve(t, request("U0ANN"))
	if run.Verified == "" || run.Decisions[0].Verified == "" || strings.Count(o.ledger.everything(), "; verified on the requester's machine") != 2 {
		t.Errorf("%+v\n%s", run, o.ledger.everything())
	}
	o.target.Policy.ServeOnly = true
	_, _, err := o.desk.Open(t.Context(), request("U0BEN"), Silent{})
	refused(t, err, RefusedLocal, "approval.local: false", "Start it, or use Slack")
	_, err = o.click(t, run, "U0LEA", DecideDeny)
	refused(t, err, RefusedLocal)
	if run, _ := o.advance(t, run.ID); run.State != StateFailed || !strings.Contains(run.Outcome, "only `jwksbot serve` may look") {
		t.Errorf("%s, %q", run.State, run.Outcome)
	}
}

// TestRefusalsThatAreTheSame fold by who, what, where and why; names that
// somebody made up are all the same.
func TestRefusalsThatAreTheSame(t *testing.T) {
	o := newOffice(t)
	run := o.ask(t, request("U0ANN"))
	for _, target := range []string{"production", "nope", "nada"} {
		_, _ = o.desk.View(t.Context(), target, "U0GUE")
	}
	for _, id := range []string{run.ID, "0214-aaaaaaaa", "0214-bbbbbbbb"} {
		_, _ = o.click(t, Run{ID: id}, "U0GUE", DecideDeny)
	}
	distinct := map[string]bool{}
	for _, fold := range o.ledger.folds {
		distinct[fold] = true
	}
	if len(o.ledger.folds) != 6 || len(distinct) != 4 {
		t.Errorf("%d refusals, %d folds: %q", len(o.ledger.folds), len(distinct), o.ledger.folds)
	}
}
