package runbook

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestApproveHandsTheRunOver(t *testing.T) {
	o := newOffice(t)
	run := o.ask(t, request("U0ANN"))
	o.clock.advance(time.Minute)
	a, err := o.click(t, run, "U0LIZ", DecideApprove)
	if err != nil {
		t.Fatal(err)
	}
	got := o.run(t, run.ID)
	at := t0.Add(time.Minute)
	if got.State != StateApproved || !got.ApprovedAt.Equal(at) || !got.StartBy.Equal(at.Add(10*time.Minute)) || got.Version != 2 {
		t.Errorf("kept %+v", got)
	}
	want := Decision{By: PersonRef{ID: "U0LIZ", Name: "u0liz"}, Kind: DecideApprove, Generation: 1, At: at, Via: ViaSlack}
	if len(got.Decisions) != 1 || got.Decisions[0] != want {
		t.Errorf("decisions %+v", got.Decisions)
	}
	if !strings.Contains(a.Text, "Approved") || o.ledger.trail() != "request approve" {
		t.Errorf("answer %q, audit %q", a.Text, o.ledger.trail())
	}
}

// Every click that may not count gets a reason, and changes nothing.
func TestDecideRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(o *office, c *Click)
		code  string
		says  string
	}{
		{"nobody on the list", func(o *office, c *Click) { o.target.Policy.Approvers = nil }, RefusedRight, "Nobody may"},
		{"not on the list", func(o *office, c *Click) { c.By = "U0EVE" }, RefusedRight, "You may not approve"},
		{"a requester who is no approver", func(o *office, c *Click) { c.By = "U0BEN" }, RefusedRight, ""},
		{"the requester", func(o *office, c *Click) { c.By = "U0ANN" }, RefusedOwn, "somebody else"},
		{"left the group since", func(o *office, c *Click) { o.people.groups["S0LEADS"] = []string{"U0LEA"} }, RefusedRight, ""},
		{"a guest in the group", func(o *office, c *Click) { o.people.make(KindGuest, "U0LIZ") }, RefusedKind, "Guests"},
		{"a stranger in the group", func(o *office, c *Click) { o.people.make(KindStranger, "U0LIZ") }, RefusedKind, ""},
		{"a bot in the group", func(o *office, c *Click) { o.people.make(KindBot, "U0LIZ") }, RefusedKind, ""},
		{"somebody the directory does not know", func(o *office, c *Click) { c.By = "U0XXX" }, RefusedKind, ""},
		{"a forged button", func(o *office, c *Click) { c.Run = "0214-forged" }, RefusedUnknownRun, "no run"},
		{"too late", func(o *office, c *Click) { o.clock.advance(15 * time.Minute) }, RefusedEnded, "expired"},
		{"too late to deny", func(o *office, c *Click) { o.clock.advance(16 * time.Minute); c.Kind = DecideDeny }, RefusedEnded, "expired 60 s ago"},
		{"an outsider denies", func(o *office, c *Click) { c.By, c.Kind = "U0EVE", DecideDeny }, RefusedRight, "You may not deny"},
		{"somebody else withdraws", func(o *office, c *Click) { c.Kind = DecideWithdraw }, RefusedRight, "Only the requester"},
		{"the live keys broke", func(o *office, c *Click) { o.live.become(always(bad("it answers HTTP 503"))) }, RefusedUnsafe, "Do not flush"},
		{"the edges disagree", func(o *office, c *Click) { o.live.become(disagreeing) }, RefusedUnsafe, "disagree"},
		{"the live keys are not reached", func(o *office, c *Click) { o.live.become(always(unreachable("timeout"))) }, RefusedUnread, "Try again"},
		{"the cache cannot be read", func(o *office, c *Click) { o.cache.fail(errors.New("connection refused")) }, RefusedUnread, "connection refused"},
		{"somebody flushed meanwhile", func(o *office, c *Click) {
			o.ledger.put(Run{ID: "other", Resource: resource, State: StateDone, Requester: PersonRef{ID: "U0BEN"}, Receipts: []Receipt{{Step: "flush-cache", EndedAt: t0}}})
		}, RefusedCooldown, "other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			run := o.ask(t, request("U0ANN"))
			click := Click{Run: run.ID, Generation: 1, By: "U0LIZ", Kind: DecideApprove, Via: ViaSlack}
			c.setup(o, &click)
			_, err := o.desk.Decide(t.Context(), click)
			refused(t, err, c.code, c.says)
			if got := o.run(t, run.ID); got.State != StatePending || len(got.Decisions) != 0 || got.Version != run.Version {
				t.Errorf("the run became %+v", got)
			}
			if !strings.HasSuffix(o.ledger.trail(), "refused") {
				t.Errorf("audit %q", o.ledger.trail())
			}
		})
	}
}

// Broken live keys forbid a flush whatever reason somebody gave.
func TestOverrideDoesNotHelpAgainstUnsafeLiveKeys(t *testing.T) {
	for name, answer := range map[string]func(int) Probe{"unhealthy": always(bad("it answers HTTP 503")), "disagreeing": disagreeing} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			req := request("U0ANN")
			req.Override = "I know better"
			run := o.ask(t, req)
			o.live.become(answer)
			_, err := o.click(t, run, "U0LIZ", DecideApprove)
			refused(t, err, RefusedUnsafe)
		})
	}
}

func TestSelfApprovalOnlyWhereAllowed(t *testing.T) {
	o := newOffice(t)
	o.target.Policy.SelfApproval = true
	run := o.ask(t, request("U0ANN"))
	if a, err := o.click(t, run, "U0ANN", DecideApprove); err != nil || a.Run.State != StateApproved {
		t.Errorf("state %s, error %v", a.Run.State, err)
	}
}

func TestQuorumOfDifferentPeople(t *testing.T) {
	o := newOffice(t)
	o.target.Policy.Required = 2
	run := o.ask(t, request("U0ANN"))
	a, err := o.click(t, run, "U0LIZ", DecideApprove)
	if err != nil || a.Run.State != StatePending || !strings.Contains(a.Text, "1 of 2") {
		t.Fatalf("state %s, answer %q, error %v", a.Run.State, a.Text, err)
	}
	_, err = o.click(t, run, "U0LIZ", DecideApprove)
	refused(t, err, RefusedTwice, "03:00:00 UTC", "2 approvals")
	if a, err = o.click(t, run, "U0LEA", DecideApprove); err != nil || a.Run.State != StateApproved {
		t.Fatalf("state %s, error %v", a.Run.State, err)
	}
}

// One denial ends a request, whatever was approved before.
func TestDenyAndWithdraw(t *testing.T) {
	for _, c := range []struct {
		kind DecisionKind
		by   string
		want State
		says string
	}{
		{DecideDeny, "U0LIZ", StateDenied, "u0liz denied it: wait for the vendor"},
		{DecideWithdraw, "U0ANN", StateWithdrawn, "u0ann withdrew it: wait for the vendor"},
	} {
		o := newOffice(t)
		o.target.Policy.Required = 2
		run := o.ask(t, request("U0ANN"))
		if _, err := o.click(t, run, "U0LEA", DecideApprove); err != nil {
			t.Fatal(err)
		}
		a, err := o.desk.Decide(t.Context(), Click{Run: run.ID, Generation: 1, By: c.by, Kind: c.kind, Reason: "wait for the vendor"})
		if err != nil || a.Run.State != c.want || a.Run.Outcome != c.says || a.Run.EndedAt.IsZero() {
			t.Errorf("%s: %s, %q, error %v", c.kind, a.Run.State, a.Run.Outcome, err)
		}
		if !strings.Contains(a.Text, "Nothing was touched") {
			t.Errorf("answer %q", a.Text)
		}
	}
}

// Whoever comes second learns who decided, what and when.
func TestDecidedTwiceSaysWhoAndWhen(t *testing.T) {
	for _, first := range []DecisionKind{DecideApprove, DecideDeny, DecideWithdraw} {
		o := newOffice(t)
		run := o.ask(t, request("U0ANN"))
		by := map[DecisionKind]string{DecideApprove: "U0LIZ", DecideDeny: "U0LIZ", DecideWithdraw: "U0ANN"}[first]
		if _, err := o.click(t, run, by, first); err != nil {
			t.Fatal(err)
		}
		o.clock.advance(time.Minute)
		for _, second := range []DecisionKind{DecideApprove, DecideDeny} {
			_, err := o.click(t, run, "U0LEA", second)
			refused(t, err, RefusedEnded, strings.ToLower(by)+" "+past[first], "03:00:00 UTC")
		}
		_, err := o.click(t, run, "U0ANN", DecideWithdraw)
		refused(t, err, RefusedEnded, past[first])
	}
}

// A world that moved puts a new plan before the approvers; what was approved
// before does not count for it.
func TestChangedWorldAtTheClick(t *testing.T) {
	o := newOffice(t)
	o.target.Policy.Required = 2
	run := o.ask(t, request("U0ANN"))
	if _, err := o.click(t, run, "U0LIZ", DecideApprove); err != nil {
		t.Fatal(err)
	}
	o.live.become(always(good("c=3")))
	_, err := o.click(t, run, "U0LEA", DecideApprove)
	refused(t, err, RefusedChanged, "the live keys changed", "Plan 2")
	got := o.run(t, run.ID)
	if got.State != StatePending || got.Generation != 2 || len(got.Approvals()) != 0 || len(got.Decisions) != 1 {
		t.Errorf("generation %d, state %s, approvals %v", got.Generation, got.State, got.Approvals())
	}
	if got.Plan.Digest == run.Plan.Digest || !slices.Equal(got.Plan.Live, []string{"tp-3"}) {
		t.Errorf("plan %+v", got.Plan)
	}
	for i, by := range []string{"U0LIZ", "U0LEA"} {
		a, err := o.click(t, run, by, DecideApprove)
		if err != nil {
			t.Fatal(err)
		}
		if want := []State{StatePending, StateApproved}[i]; a.Run.State != want {
			t.Errorf("after approval %d: %s", i+1, a.Run.State)
		}
	}
	if !strings.Contains(o.ledger.trail(), "replan") {
		t.Errorf("audit %q", o.ledger.trail())
	}
}

// What came after the plan was made needs no new look, since it is not touched;
// it is named where the run says what came of it.
func TestLaterEntriesAreLeftAndNamed(t *testing.T) {
	o := newOffice(t)
	run := o.ask(t, request("U0ANN"))
	o.cache.set("jwks:second", "keys a=1")
	if _, err := o.click(t, run, "U0LIZ", DecideApprove); err != nil {
		t.Fatal(err)
	}
	o.refill("keys b=2", 1)
	done := o.until(t, run.ID, StateDone)
	if got := strings.Join(o.cache.deleted, " "); got != "jwks:current" || o.cache.get("jwks:second") == "" {
		t.Errorf("deleted %q", got)
	}
	if !slices.Equal(done.Unlisted, []EntryName{"jwks:second"}) || !strings.Contains(done.Outcome, "`jwks:second`") {
		t.Errorf("unlisted %v, outcome %q", done.Unlisted, done.Outcome)
	}
	if next := done.NextSteps(); len(next) == 0 || next[0].Kind != NextFlush {
		t.Errorf("next %+v", next)
	}
}

// Whoever decides on a card that shows an older plan, or on one that names none,
// decides nothing about the present one.
func TestDecisionsNameThePlan(t *testing.T) {
	for _, c := range []struct {
		kind  DecisionKind
		shown int
		code  string // "": it counts
		says  string
	}{
		{DecideApprove, 1, RefusedPlan, "you were shown plan 1, and this is plan 2 now (the live keys changed)"},
		{DecideApprove, 3, RefusedPlan, "you were shown plan 3"},
		{DecideApprove, 0, RefusedPlan, "does not say which plan"},
		{DecideDeny, 0, RefusedPlan, "does not say which plan"},
		{DecideApprove, 2, "", ""},
		{DecideDeny, 1, "", ""}, // it touches nothing, whichever plan it was about
	} {
		o := newOffice(t)
		run := o.ask(t, request("U0ANN"))
		o.live.become(always(good("c=3")))
		_, err := o.click(t, run, "U0LEA", DecideApprove)
		refused(t, err, RefusedChanged)
		before := o.run(t, run.ID)
		_, err = o.desk.Decide(t.Context(), Click{Run: run.ID, Generation: c.shown, By: "U0LIZ", Kind: c.kind})
		if c.code == "" {
			if err != nil {
				t.Errorf("%s on plan %d: %v", c.kind, c.shown, err)
			}
			continue
		}
		refused(t, err, c.code, c.says)
		if after := o.run(t, run.ID); after.Version != before.Version || len(after.Decisions) != 0 {
			t.Errorf("%s on plan %d: %s, decisions %+v", c.kind, c.shown, after.State, after.Decisions)
		}
	}
}

func TestHealedAtTheClick(t *testing.T) {
	for name, heal := range map[string]func(*cacheStandIn){
		"refilled": func(c *cacheStandIn) { c.set("jwks:current", "keys b=2") },
		"gone":     func(c *cacheStandIn) { c.drop("jwks:current") },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			run := o.ask(t, request("U0ANN"))
			heal(o.cache)
			a, err := o.click(t, run, "U0LIZ", DecideApprove)
			if err != nil || a.Run.State != StateObsolete || !strings.Contains(a.Text, "Nothing is left to do") {
				t.Errorf("state %s, answer %q, error %v", a.Run.State, a.Text, err)
			}
			_, err = o.click(t, run, "U0LEA", DecideApprove)
			refused(t, err, RefusedEnded, "obsolete")
		})
	}
}

// The verdict may turn against a plan that nobody overrode.
func TestVerdictTurnsAtTheClick(t *testing.T) {
	o := newOffice(t)
	run := o.ask(t, request("U0ANN"))
	o.cache.set("jwks:current", "keys a=1 b=2")
	_, err := o.click(t, run, "U0LIZ", DecideApprove)
	refused(t, err, RefusedOverride, "retired key cached")
	if got := o.run(t, run.ID); got.State != StatePending || len(got.Approvals()) != 0 {
		t.Errorf("state %s, approvals %v", got.State, got.Approvals())
	}
}

func TestBusyResource(t *testing.T) {
	o := newOffice(t)
	first := o.ask(t, request("U0ANN"))
	second := o.ask(t, request("U0BEN"))
	if _, err := o.click(t, first, "U0LIZ", DecideApprove); err != nil {
		t.Fatal(err)
	}
	_, err := o.click(t, second, "U0LIZ", DecideApprove)
	refused(t, err, RefusedBusy, first.ID, "u0ann", "not counted")
	if got := o.run(t, second.ID); got.State != StatePending || len(got.Approvals()) != 0 {
		t.Errorf("state %s, approvals %v", got.State, got.Approvals())
	}
	// A denial needs no resource.
	if a, err := o.click(t, second, "U0LIZ", DecideDeny); err != nil || a.Run.State != StateDenied {
		t.Errorf("state %s, error %v", a.Run.State, err)
	}
}

// A hundred approvers press at once: one transition, and everybody is answered.
func TestHundredApprovalsAtOnce(t *testing.T) {
	for _, required := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d required", required), func(t *testing.T) {
			o := newOffice(t)
			o.target.Policy.Required = required
			var crowd []string
			for i := range 100 {
				crowd = append(crowd, fmt.Sprintf("U1%03d", i))
			}
			o.people.make(KindMember, crowd...)
			o.people.groups["S0LEADS"] = crowd
			run := o.ask(t, request("U0ANN"))
			var all sync.WaitGroup
			won, lost := make(chan State, 100), make(chan string, 100)
			for _, by := range crowd {
				all.Go(func() {
					a, err := o.desk.Decide(t.Context(), Click{Run: run.ID, Generation: 1, By: by, Kind: DecideApprove})
					var r *Refusal
					switch {
					case err == nil:
						won <- a.Run.State
					case errors.As(err, &r) && r.Code == RefusedEnded && strings.Contains(r.Text, "approved it at"):
						lost <- r.Text
					default:
						t.Errorf("%s was answered %v", by, err)
					}
				})
			}
			all.Wait()
			close(won)
			approved := 0
			for s := range won {
				if s == StateApproved {
					approved++
				}
			}
			got := o.run(t, run.ID)
			if approved != 1 || len(lost) != 100-required || len(got.Decisions) != required || got.Version != int64(1+required) {
				t.Errorf("%d became approved, %d lost, %d decisions, version %d", approved, len(lost), len(got.Decisions), got.Version)
			}
		})
	}
}

// The same person presses twenty times at once and counts once.
func TestOnePersonCountsOnce(t *testing.T) {
	o := newOffice(t)
	o.target.Policy.Required = 2
	run := o.ask(t, request("U0ANN"))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, _ = o.desk.Decide(t.Context(), Click{Run: run.ID, Generation: 1, By: "U0LIZ", Kind: DecideApprove})
		})
	}
	all.Wait()
	if got := o.run(t, run.ID); got.State != StatePending || len(got.Approvals()) != 1 {
		t.Errorf("state %s, %d approvals", got.State, len(got.Approvals()))
	}
}
