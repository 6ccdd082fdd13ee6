package approve_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

func TestBreakGlassActsAloneAndLoudly(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Target.Policy.BreakGlass = true
	o.Target.Policy.Approvers = nil // nobody there to ask
	o.Refill("keys b=2", 1)
	run := o.Ask(t, runbooktest.BreakGlass("nobody answers, all users are locked out"))
	if run.State != runbook.StateApproved || run.BreakGlass == "" || len(run.Approvals()) != 0 || run.StartBy.IsZero() {
		t.Fatalf("%+v", run)
	}
	if d, ok := run.Decided(); !ok || d.Kind != runbook.DecideBreakGlass || d.By.ID != "U0ANN" {
		t.Errorf("decision %+v", d)
	}
	if !strings.Contains(o.Ledger.Everything(), "BREAK-GLASS, approved by nobody") || !strings.HasSuffix(o.Ledger.Trail(), "request break_glass") {
		t.Errorf("audit %s", o.Ledger.Trail())
	}
	run = o.Until(t, run.ID, runbook.StateDone)
	if len(o.Cache.Deleted) != 1 {
		t.Errorf("deleted %v", o.Cache.Deleted)
	}
}

// The last resort also works against a broken identity provider, where nothing
// else does.
func TestBreakGlassAgainstUnhealthyLiveKeys(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Target.Policy.BreakGlass = true
	o.Live.Become(standin.Always(standin.Bad("HTTP 503")))
	_, _, err := o.Service.Open(t.Context(), runbooktest.Steps(func(r *approve.Request) { r.Override = "x" }), check.Silent{})
	standin.Refused(t, err, runbook.RefusedUnsafe)
	run := o.Until(t, o.Ask(t, runbooktest.BreakGlass("the cached keys are stolen")).ID, runbook.StateDone)
	if len(o.Cache.Deleted) != 1 || strings.Contains(run.Outcome, "Proven") {
		t.Errorf("deleted %v, %q", o.Cache.Deleted, run.Outcome)
	}
}

func TestBreakGlassIsHeldToItsRules(t *testing.T) {
	for name, c := range map[string]struct {
		by    string
		set   func(*runbooktest.World)
		code  string
		words string
	}{
		"who may not request":    {"U0EVE", nil, approve.RefusedRight, ""},
		"a guest":                {"U0GUEST", func(o *runbooktest.World) { o.People.Make(approve.KindGuest, "U0GUEST") }, runbook.RefusedKind, ""},
		"where it is forbidden":  {"U0ANN", func(o *runbooktest.World) { o.Target.Policy.BreakGlass = false }, approve.RefusedBreakGlass, ""},
		"while somebody else is": {"U0ANN", func(o *runbooktest.World) { o.Approve(t, runbooktest.Request("U0BEN")) }, runbook.RefusedBusy, "Not now"},
	} {
		o := runbooktest.NewWorld(t)
		o.Target.Policy.BreakGlass = true
		if c.set != nil {
			c.set(o)
		}
		req := runbooktest.BreakGlass("alone")
		req.By = c.by
		_, _, err := o.Service.Open(t.Context(), req, check.Silent{})
		if standin.Refused(t, err, c.code, c.words); t.Failed() {
			t.Fatal(name)
		}
	}
}

func TestBreakGlassAtTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*runbooktest.World)
		words  string
	}{
		"the right was taken":  {func(o *runbooktest.World) { o.Target.Policy.Requesters = []string{"U0BEN"} }, "may no longer request"},
		"it is forbidden now":  {func(o *runbooktest.World) { o.Target.Policy.BreakGlass = false }, "no longer allows"},
		"the person has left":  {func(o *runbooktest.World) { o.People.Make(approve.KindGone, "U0ANN") }, "no longer a full member"},
		"the live keys change": {func(o *runbooktest.World) { o.Live.Become(standin.Always(standin.Good("c=3"))) }, "things changed since it was requested"},
	} {
		o := runbooktest.NewWorld(t)
		o.Target.Policy.BreakGlass = true
		run := o.Ask(t, runbooktest.BreakGlass("alone"))
		c.change(o)
		run, _ = o.Advance(t, run.ID)
		if run.State != runbook.StateFailed || !strings.Contains(run.Outcome, c.words) || len(o.Cache.Deleted) != 0 {
			t.Errorf("%s: %s, %q", name, run.State, run.Outcome)
		}
	}
}

// A flush with a restart has the function to itself as well: another run of the
// function waits, whichever came first.
func TestOneMitigationPerFunction(t *testing.T) {
	restart := runbooktest.Steps(func(r *approve.Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" })
	both := runbooktest.Steps(func(r *approve.Request) { r.Restart = true })
	for name, order := range map[string][2]approve.Request{"flush first": {both, restart}, "restart first": {restart, both}} {
		o := runbooktest.NewWorld(t)
		o.Around()
		waiting := o.Ask(t, order[1])
		first := o.Approve(t, order[0])
		_, err := o.Click(t, waiting, "U0LIZ", runbook.DecideApprove)
		standin.Refused(t, err, runbook.RefusedBusy, "function authoriser is being changed by run "+first.ID, "approve again afterwards")
		// Approved all the same, by another replica in the same moment: the start decides.
		o.Ledger.Change(t.Context(), waiting.ID, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
			r.State, r.ApprovedAt, r.StartBy = runbook.StateApproved, standin.T0, standin.T0.Add(approve.StartWithin)
			return nil, nil
		})
		run, _ := o.Advance(t, waiting.ID)
		if run.State != runbook.StateFailed || !strings.Contains(run.Outcome, "Not started: function authoriser is being changed") {
			t.Errorf("%s: %s, %q", name, run.State, run.Outcome)
		}
	}
	o := runbooktest.NewWorld(t)
	o.Around()
	waiting := o.Ask(t, restart)
	o.Approve(t, runbooktest.Request("U0ANN")) // of the cache alone
	if _, err := o.Click(t, waiting, "U0LIZ", runbook.DecideApprove); err != nil {
		t.Errorf("a flush of the cache holds up a restart: %v", err)
	}
}

// The generation of a plan is checked in the same transaction as the approval:
// a plan that is replaced while somebody decides is not what they approved.
func TestApprovalOfAReplacedPlanDoesNotCount(t *testing.T) {
	o := runbooktest.NewWorld(t)
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	d, err := o.Service.Target("production")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Ledger.Change(t.Context(), run.ID, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		r.Propose(r.Plan, "", o.Clock.Now()) // another click replaced it meanwhile
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	_, _, err = o.Service.Approve(t.Context(), d, run, approve.Click{Run: run.ID, Generation: 1, By: "U0LIZ", Kind: runbook.DecideApprove})
	standin.Refused(t, err, approve.RefusedPlan, "you were shown plan 1, and this is plan 2 now")
	if now := o.Run(t, run.ID); now.State != runbook.StatePending || len(now.Decisions) != 0 {
		t.Errorf("%s, decisions %+v", now.State, now.Decisions)
	}
}

// Many other runs since do not hide the last flush from the cooldown.
func TestCooldownLooksFarEnough(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Refill("keys b=2", 1)
	o.Until(t, o.Approve(t, runbooktest.Request("U0ANN")).ID, runbook.StateDone)
	for i := range 200 {
		o.Ledger.Put(runbook.Run{ID: fmt.Sprintf("other-%d", i), Target: "staging", Resource: "replication group other", State: runbook.StateDone, EndedAt: o.Clock.Now()})
		o.Ledger.Put(runbook.Run{ID: fmt.Sprintf("old-%d", i), Target: "production", Resource: runbooktest.Resource, State: runbook.StateDenied, EndedAt: o.Clock.Now()})
	}
	o.Cache.Set("jwks:current", "keys a=1")
	o.Runner.Forget("production")
	_, _, err := o.Service.Open(t.Context(), runbooktest.Request("U0BEN"), check.Silent{})
	standin.Refused(t, err, approve.RefusedCooldown, "u0ann")
	o.Clock.Advance(approve.DefaultCooldown)
	if _, _, err := o.Service.Open(t.Context(), runbooktest.Request("U0BEN"), check.Silent{}); err != nil {
		t.Errorf("after the cooldown: %v", err)
	}
}

// A user group that empties disables the mitigations of its target, in words,
// and nothing else.
func TestGroupThatEmpties(t *testing.T) {
	o := runbooktest.NewWorld(t)
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	o.People.Groups["S0LEADS"] = nil
	o.Target.Policy.Approvers = []string{"S0LEADS"}
	_, _, err := o.Service.Open(t.Context(), runbooktest.Request("U0BEN"), check.Silent{})
	standin.Refused(t, err, approve.RefusedUnsatisfied, "Nobody could approve this")
	_, err = o.Click(t, run, "U0LIZ", runbook.DecideApprove)
	standin.Refused(t, err, approve.RefusedRight, "user group S0LEADS is empty")
	o.People.Groups["S0ONCALL"] = nil
	o.Target.Policy.Requesters = []string{"S0ONCALL"}
	_, _, err = o.Service.Open(t.Context(), runbooktest.Request("U0ANN"), check.Silent{})
	standin.Refused(t, err, approve.RefusedRight, "user group S0ONCALL is empty")
	if _, err := o.Service.Check(t.Context(), "production", "U0ANN", check.Ask{}, check.Silent{}); err != nil {
		t.Errorf("the checks are disabled too: %v", err)
	}
}

// Every refusal is on record, also of somebody who only wanted to look.
func TestRefusalsAreOnRecord(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Target.Policy.Viewers = []string{"U0ANN"}
	for what, do := range map[string]func(context.Context) error{
		"view": func(ctx context.Context) error {
			_, err := o.Service.Check(ctx, "production", "U0EVE", check.Ask{}, check.Silent{})
			return err
		},
		"ticket": func(ctx context.Context) error {
			req := runbooktest.Request("U0ANN")
			req.Ticket = "x"
			_, _, err := o.Service.Open(ctx, req, check.Silent{})
			return err
		},
		"got it": func(ctx context.Context) error { _, err := o.Service.Acknowledge(ctx, "nothing", "U0ANN"); return err },
	} {
		before := strings.Count(o.Ledger.Trail(), "refused")
		if err := do(t.Context()); approve.AsRefusal(err) == nil {
			t.Errorf("%s: %v", what, err)
		}
		if n := strings.Count(o.Ledger.Trail(), "refused"); n != before+1 {
			t.Errorf("%s: %d rows", what, n-before)
		}
	}
}
