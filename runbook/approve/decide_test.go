package approve_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/record"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

func TestApproveHandsTheRunOver(t *testing.T) {
	o := runbooktest.NewWorld(t)
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	o.Clock.Advance(time.Minute)
	a, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove)
	if err != nil {
		t.Fatal(err)
	}
	got := o.Run(t, run.ID)
	at := standin.T0.Add(time.Minute)
	if got.State != runbook.StateApproved || !got.ApprovedAt.Equal(at) || !got.StartBy.Equal(at.Add(10*time.Minute)) || got.Version != 2 {
		t.Errorf("kept %+v", got)
	}
	want := runbook.Decision{By: runbook.PersonRef{ID: "U0LIZ", Name: "u0liz"}, Kind: runbook.DecideApprove, Generation: 1, At: at, Via: runbook.ViaSlack}
	if len(got.Decisions) != 1 || got.Decisions[0] != want {
		t.Errorf("decisions %+v", got.Decisions)
	}
	if !strings.Contains(a.Text, "Approved") || o.Ledger.Trail() != "request approve" {
		t.Errorf("answer %q, audit %q", a.Text, o.Ledger.Trail())
	}
}

// Every click that may not count gets a reason, and changes nothing.
func TestDecideRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(o *runbooktest.World, c *approve.Click)
		code  string
		says  string
	}{
		{"nobody on the list", func(o *runbooktest.World, c *approve.Click) { o.Target.Policy.Approvers = nil }, approve.RefusedRight, "Nobody may"},
		{"not on the list", func(o *runbooktest.World, c *approve.Click) { c.By = "U0EVE" }, approve.RefusedRight, "You may not approve"},
		{"a requester who is no approver", func(o *runbooktest.World, c *approve.Click) { c.By = "U0BEN" }, approve.RefusedRight, ""},
		{"the requester", func(o *runbooktest.World, c *approve.Click) { c.By = "U0ANN" }, approve.RefusedOwn, "somebody else"},
		{"left the group since", func(o *runbooktest.World, c *approve.Click) { o.People.Groups["S0LEADS"] = []string{"U0LEA"} }, approve.RefusedRight, ""},
		{"a guest in the group", func(o *runbooktest.World, c *approve.Click) { o.People.Make(approve.KindGuest, "U0LIZ") }, runbook.RefusedKind, "Guests"},
		{"a stranger in the group", func(o *runbooktest.World, c *approve.Click) { o.People.Make(approve.KindStranger, "U0LIZ") }, runbook.RefusedKind, ""},
		{"a bot in the group", func(o *runbooktest.World, c *approve.Click) { o.People.Make(approve.KindBot, "U0LIZ") }, runbook.RefusedKind, ""},
		{"somebody the directory does not know", func(o *runbooktest.World, c *approve.Click) { c.By = "U0XXX" }, runbook.RefusedKind, ""},
		{"a forged button", func(o *runbooktest.World, c *approve.Click) { c.Run = "0214-forged" }, approve.RefusedUnknownRun, "no run"},
		{"too late", func(o *runbooktest.World, c *approve.Click) { o.Clock.Advance(15 * time.Minute) }, approve.RefusedEnded, "expired"},
		{"too late to deny", func(o *runbooktest.World, c *approve.Click) {
			o.Clock.Advance(16 * time.Minute)
			c.Kind = runbook.DecideDeny
		}, approve.RefusedEnded, "expired 60 s ago"},
		{"an outsider denies", func(o *runbooktest.World, c *approve.Click) { c.By, c.Kind = "U0EVE", runbook.DecideDeny }, approve.RefusedRight, "You may not deny"},
		{"somebody else withdraws", func(o *runbooktest.World, c *approve.Click) { c.Kind = runbook.DecideWithdraw }, approve.RefusedRight, "Only the requester"},
		{"the live keys broke", func(o *runbooktest.World, c *approve.Click) {
			o.Live.Become(standin.Always(standin.Bad("it answers HTTP 503")))
		}, runbook.RefusedUnsafe, "Do not flush"},
		{"the edges disagree", func(o *runbooktest.World, c *approve.Click) { o.Live.Become(standin.Disagreeing) }, runbook.RefusedUnsafe, "disagree"},
		{"the live keys are not reached", func(o *runbooktest.World, c *approve.Click) {
			o.Live.Become(standin.Always(standin.Unreachable("timeout")))
		}, runbook.RefusedUnread, "Try again"},
		{"the cache cannot be read", func(o *runbooktest.World, c *approve.Click) { o.Cache.Fail(errors.New("connection refused")) }, runbook.RefusedUnread, "connection refused"},
		{"somebody flushed meanwhile", func(o *runbooktest.World, c *approve.Click) {
			o.Ledger.Put(runbook.Run{ID: "other", Resource: runbooktest.Resource, State: runbook.StateDone, Requester: runbook.PersonRef{ID: "U0BEN"}, Receipts: []runbook.Receipt{{Step: "flush-cache", EndedAt: standin.T0}}})
		}, approve.RefusedCooldown, "other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			run := o.Ask(t, runbooktest.Request("U0ANN"))
			click := approve.Click{Run: run.ID, Generation: 1, By: "U0LIZ", Kind: runbook.DecideApprove, Via: runbook.ViaSlack}
			c.setup(o, &click)
			_, err := o.Service.Decide(t.Context(), click)
			standin.Refused(t, err, c.code, c.says)
			if got := o.Run(t, run.ID); got.State != runbook.StatePending || len(got.Decisions) != 0 || got.Version != run.Version {
				t.Errorf("the run became %+v", got)
			}
			if !strings.HasSuffix(o.Ledger.Trail(), "refused") {
				t.Errorf("audit %q", o.Ledger.Trail())
			}
		})
	}
}

// Broken live keys forbid a flush whatever reason somebody gave.
func TestOverrideDoesNotHelpAgainstUnsafeLiveKeys(t *testing.T) {
	for name, answer := range map[string]func(int) runbook.Probe{"unhealthy": standin.Always(standin.Bad("it answers HTTP 503")), "disagreeing": standin.Disagreeing} {
		t.Run(name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			req := runbooktest.Request("U0ANN")
			req.Override = "I know better"
			run := o.Ask(t, req)
			o.Live.Become(answer)
			_, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove)
			standin.Refused(t, err, runbook.RefusedUnsafe)
		})
	}
}

func TestSelfApprovalOnlyWhereAllowed(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Target.Policy.SelfApproval = true
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	if a, err := o.Click(t, run, "U0ANN", runbook.DecideApprove); err != nil || a.Run.State != runbook.StateApproved {
		t.Errorf("state %s, error %v", a.Run.State, err)
	}
}

func TestQuorumOfDifferentPeople(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Target.Policy.Required = 2
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	a, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove)
	if err != nil || a.Run.State != runbook.StatePending || !strings.Contains(a.Text, "1 of 2") {
		t.Fatalf("state %s, answer %q, error %v", a.Run.State, a.Text, err)
	}
	_, err = o.Click(t, run, "U0LIZ", runbook.DecideApprove)
	standin.Refused(t, err, approve.RefusedTwice, "03:00:00 UTC", "2 approvals")
	if a, err = o.Click(t, run, "U0LEA", runbook.DecideApprove); err != nil || a.Run.State != runbook.StateApproved {
		t.Fatalf("state %s, error %v", a.Run.State, err)
	}
}

// One denial ends a request, whatever was approved before.
func TestDenyAndWithdraw(t *testing.T) {
	for _, c := range []struct {
		kind runbook.DecisionKind
		by   string
		want runbook.State
		says string
	}{
		{runbook.DecideDeny, "U0LIZ", runbook.StateDenied, "u0liz denied it: wait for the vendor"},
		{runbook.DecideWithdraw, "U0ANN", runbook.StateWithdrawn, "u0ann withdrew it: wait for the vendor"},
	} {
		o := runbooktest.NewWorld(t)
		o.Target.Policy.Required = 2
		run := o.Ask(t, runbooktest.Request("U0ANN"))
		if _, err := o.Click(t, run, "U0LEA", runbook.DecideApprove); err != nil {
			t.Fatal(err)
		}
		a, err := o.Service.Decide(t.Context(), approve.Click{Run: run.ID, Generation: 1, By: c.by, Kind: c.kind, Reason: "wait for the vendor"})
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
	for _, first := range []runbook.DecisionKind{runbook.DecideApprove, runbook.DecideDeny, runbook.DecideWithdraw} {
		o := runbooktest.NewWorld(t)
		run := o.Ask(t, runbooktest.Request("U0ANN"))
		by := map[runbook.DecisionKind]string{runbook.DecideApprove: "U0LIZ", runbook.DecideDeny: "U0LIZ", runbook.DecideWithdraw: "U0ANN"}[first]
		if _, err := o.Click(t, run, by, first); err != nil {
			t.Fatal(err)
		}
		o.Clock.Advance(time.Minute)
		for _, second := range []runbook.DecisionKind{runbook.DecideApprove, runbook.DecideDeny} {
			_, err := o.Click(t, run, "U0LEA", second)
			standin.Refused(t, err, approve.RefusedEnded, strings.ToLower(by)+" "+first.Did("it"), "03:00:00 UTC")
		}
		_, err := o.Click(t, run, "U0ANN", runbook.DecideWithdraw)
		standin.Refused(t, err, approve.RefusedEnded, first.Did("it"))
	}
}

// A world that moved puts a new plan before the approvers; what was approved
// before does not count for it.
func TestChangedWorldAtTheClick(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Target.Policy.Required = 2
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	if _, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove); err != nil {
		t.Fatal(err)
	}
	o.Live.Become(standin.Always(standin.Good("c=3")))
	_, err := o.Click(t, run, "U0LEA", runbook.DecideApprove)
	standin.Refused(t, err, runbook.RefusedChanged, "the live keys changed", "Plan 2")
	got := o.Run(t, run.ID)
	if got.State != runbook.StatePending || got.Generation != 2 || len(got.Approvals()) != 0 || len(got.Decisions) != 1 {
		t.Errorf("generation %d, state %s, approvals %v", got.Generation, got.State, got.Approvals())
	}
	if got.Plan.Digest == run.Plan.Digest || !slices.Equal(got.Plan.Live, []string{"tp-3"}) {
		t.Errorf("plan %+v", got.Plan)
	}
	for i, by := range []string{"U0LIZ", "U0LEA"} {
		a, err := o.Click(t, run, by, runbook.DecideApprove)
		if err != nil {
			t.Fatal(err)
		}
		if want := []runbook.State{runbook.StatePending, runbook.StateApproved}[i]; a.Run.State != want {
			t.Errorf("after approval %d: %s", i+1, a.Run.State)
		}
	}
	if !strings.Contains(o.Ledger.Trail(), "replan") {
		t.Errorf("audit %q", o.Ledger.Trail())
	}
}

// What came after the plan was made needs no new look, since it is not touched;
// it is named where the run says what came of it.
func TestLaterEntriesAreLeftAndNamed(t *testing.T) {
	o := runbooktest.NewWorld(t)
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	o.Cache.Set("jwks:second", "keys a=1")
	if _, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove); err != nil {
		t.Fatal(err)
	}
	o.Refill("keys b=2", 1)
	done := o.Until(t, run.ID, runbook.StateDone)
	if got := strings.Join(o.Cache.Deleted, " "); got != "jwks:current" || o.Cache.Get("jwks:second") == "" {
		t.Errorf("deleted %q", got)
	}
	if !slices.Equal(done.Unlisted, []runbook.EntryName{"jwks:second"}) || !strings.Contains(done.Outcome, "`jwks:second`") {
		t.Errorf("unlisted %v, outcome %q", done.Unlisted, done.Outcome)
	}
	if next := record.NextSteps(done); len(next) == 0 || next[0].Kind != record.NextFlush {
		t.Errorf("next %+v", next)
	}
}

// Whoever decides on a card that shows an older plan, or on one that names none,
// decides nothing about the present one.
func TestDecisionsNameThePlan(t *testing.T) {
	for _, c := range []struct {
		kind  runbook.DecisionKind
		shown int
		code  string // "": it counts
		says  string
	}{
		{runbook.DecideApprove, 1, approve.RefusedPlan, "you were shown plan 1, and this is plan 2 now (the live keys changed)"},
		{runbook.DecideApprove, 3, approve.RefusedPlan, "you were shown plan 3"},
		{runbook.DecideApprove, 0, approve.RefusedPlan, "does not say which plan"},
		{runbook.DecideDeny, 0, approve.RefusedPlan, "does not say which plan"},
		{runbook.DecideApprove, 2, "", ""},
		{runbook.DecideDeny, 1, "", ""}, // it touches nothing, whichever plan it was about
	} {
		o := runbooktest.NewWorld(t)
		run := o.Ask(t, runbooktest.Request("U0ANN"))
		o.Live.Become(standin.Always(standin.Good("c=3")))
		_, err := o.Click(t, run, "U0LEA", runbook.DecideApprove)
		standin.Refused(t, err, runbook.RefusedChanged)
		before := o.Run(t, run.ID)
		_, err = o.Service.Decide(t.Context(), approve.Click{Run: run.ID, Generation: c.shown, By: "U0LIZ", Kind: c.kind})
		if c.code == "" {
			if err != nil {
				t.Errorf("%s on plan %d: %v", c.kind, c.shown, err)
			}
			continue
		}
		standin.Refused(t, err, c.code, c.says)
		if after := o.Run(t, run.ID); after.Version != before.Version || len(after.Decisions) != 0 {
			t.Errorf("%s on plan %d: %s, decisions %+v", c.kind, c.shown, after.State, after.Decisions)
		}
	}
}

func TestHealedAtTheClick(t *testing.T) {
	for name, heal := range map[string]func(*standin.Cache){
		"refilled": func(c *standin.Cache) { c.Set("jwks:current", "keys b=2") },
		"gone":     func(c *standin.Cache) { c.Drop("jwks:current") },
	} {
		t.Run(name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			run := o.Ask(t, runbooktest.Request("U0ANN"))
			heal(o.Cache)
			a, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove)
			if err != nil || a.Run.State != runbook.StateObsolete || !strings.Contains(a.Text, "Nothing is left to do") {
				t.Errorf("state %s, answer %q, error %v", a.Run.State, a.Text, err)
			}
			_, err = o.Click(t, run, "U0LEA", runbook.DecideApprove)
			standin.Refused(t, err, approve.RefusedEnded, "obsolete")
		})
	}
}

// The verdict may turn against a plan that nobody overrode.
func TestVerdictTurnsAtTheClick(t *testing.T) {
	o := runbooktest.NewWorld(t)
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	o.Cache.Set("jwks:current", "keys a=1 b=2")
	_, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove)
	standin.Refused(t, err, approve.RefusedOverride, "retired key cached")
	if got := o.Run(t, run.ID); got.State != runbook.StatePending || len(got.Approvals()) != 0 {
		t.Errorf("state %s, approvals %v", got.State, got.Approvals())
	}
}

func TestBusyResource(t *testing.T) {
	o := runbooktest.NewWorld(t)
	first := o.Ask(t, runbooktest.Request("U0ANN"))
	second := o.Ask(t, runbooktest.Request("U0BEN"))
	if _, err := o.Click(t, first, "U0LIZ", runbook.DecideApprove); err != nil {
		t.Fatal(err)
	}
	_, err := o.Click(t, second, "U0LIZ", runbook.DecideApprove)
	standin.Refused(t, err, runbook.RefusedBusy, first.ID, "u0ann", "not counted")
	if got := o.Run(t, second.ID); got.State != runbook.StatePending || len(got.Approvals()) != 0 {
		t.Errorf("state %s, approvals %v", got.State, got.Approvals())
	}
	// A denial needs no resource.
	if a, err := o.Click(t, second, "U0LIZ", runbook.DecideDeny); err != nil || a.Run.State != runbook.StateDenied {
		t.Errorf("state %s, error %v", a.Run.State, err)
	}
}

// A hundred approvers press at once: one transition, and everybody is answered.
func TestHundredApprovalsAtOnce(t *testing.T) {
	for _, required := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d required", required), func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			o.Target.Policy.Required = required
			var crowd []string
			for i := range 100 {
				crowd = append(crowd, fmt.Sprintf("U1%03d", i))
			}
			o.People.Make(approve.KindMember, crowd...)
			o.People.Groups["S0LEADS"] = crowd
			run := o.Ask(t, runbooktest.Request("U0ANN"))
			var all sync.WaitGroup
			won, lost := make(chan runbook.State, 100), make(chan string, 100)
			for _, by := range crowd {
				all.Go(func() {
					a, err := o.Service.Decide(t.Context(), approve.Click{Run: run.ID, Generation: 1, By: by, Kind: runbook.DecideApprove})
					var r *runbook.Refusal
					switch {
					case err == nil:
						won <- a.Run.State
					case errors.As(err, &r) && r.Code == approve.RefusedEnded && strings.Contains(r.Text, "approved it at"):
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
				if s == runbook.StateApproved {
					approved++
				}
			}
			got := o.Run(t, run.ID)
			if approved != 1 || len(lost) != 100-required || len(got.Decisions) != required || got.Version != int64(1+required) {
				t.Errorf("%d became approved, %d lost, %d decisions, version %d", approved, len(lost), len(got.Decisions), got.Version)
			}
		})
	}
}

// The same person presses twenty times at once and counts once.
func TestOnePersonCountsOnce(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Target.Policy.Required = 2
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, _ = o.Service.Decide(t.Context(), approve.Click{Run: run.ID, Generation: 1, By: "U0LIZ", Kind: runbook.DecideApprove})
		})
	}
	all.Wait()
	if got := o.Run(t, run.ID); got.State != runbook.StatePending || len(got.Approvals()) != 1 {
		t.Errorf("state %s, %d approvals", got.State, len(got.Approvals()))
	}
}
