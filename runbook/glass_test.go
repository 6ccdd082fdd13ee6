package runbook

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// glass asks to act alone.
func glass(why string) Request {
	return steps(func(r *Request) { r.BreakGlass = why })
}

func TestBreakGlassActsAloneAndLoudly(t *testing.T) {
	o := newOffice(t)
	o.target.Policy.BreakGlass = true
	o.target.Policy.Approvers = nil // nobody there to ask
	o.refill("keys b=2", 1)
	run := o.ask(t, glass("nobody answers, all users are locked out"))
	if run.State != StateApproved || run.BreakGlass == "" || len(run.Approvals()) != 0 || run.StartBy.IsZero() {
		t.Fatalf("%+v", run)
	}
	if d, ok := run.Decided(); !ok || d.Kind != DecideBreakGlass || d.By.ID != "U0ANN" {
		t.Errorf("decision %+v", d)
	}
	if !strings.Contains(o.ledger.everything(), "BREAK-GLASS, approved by nobody") || !strings.HasSuffix(o.ledger.trail(), "request break_glass") {
		t.Errorf("audit %s", o.ledger.trail())
	}
	run = o.until(t, run.ID, StateDone)
	if len(o.cache.deleted) != 1 {
		t.Errorf("deleted %v", o.cache.deleted)
	}
}

// The last resort also works against a broken identity provider, where nothing
// else does.
func TestBreakGlassAgainstUnhealthyLiveKeys(t *testing.T) {
	o := newOffice(t)
	o.target.Policy.BreakGlass = true
	o.live.become(always(bad("HTTP 503")))
	_, _, err := o.desk.Open(t.Context(), steps(func(r *Request) { r.Override = "x" }), Silent{})
	refused(t, err, RefusedUnsafe)
	run := o.until(t, o.ask(t, glass("the cached keys are stolen")).ID, StateDone)
	if len(o.cache.deleted) != 1 || strings.Contains(run.Outcome, "Proven") {
		t.Errorf("deleted %v, %q", o.cache.deleted, run.Outcome)
	}
}

func TestBreakGlassIsHeldToItsRules(t *testing.T) {
	for name, c := range map[string]struct {
		by    string
		set   func(*office)
		code  string
		words string
	}{
		"who may not request":    {"U0EVE", nil, RefusedRight, ""},
		"a guest":                {"U0GUEST", func(o *office) { o.people.make(KindGuest, "U0GUEST") }, RefusedKind, ""},
		"where it is forbidden":  {"U0ANN", func(o *office) { o.target.Policy.BreakGlass = false }, RefusedBreakGlass, ""},
		"while somebody else is": {"U0ANN", func(o *office) { o.approve(t, request("U0BEN")) }, RefusedBusy, "Not now"},
	} {
		o := newOffice(t)
		o.target.Policy.BreakGlass = true
		if c.set != nil {
			c.set(o)
		}
		req := glass("alone")
		req.By = c.by
		_, _, err := o.desk.Open(t.Context(), req, Silent{})
		if refused(t, err, c.code, c.words); t.Failed() {
			t.Fatal(name)
		}
	}
}

func TestBreakGlassAtTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*office)
		words  string
	}{
		"the right was taken":  {func(o *office) { o.target.Policy.Requesters = []string{"U0BEN"} }, "may not request"},
		"it is forbidden now":  {func(o *office) { o.target.Policy.BreakGlass = false }, "any more"},
		"the person has left":  {func(o *office) { o.people.make(KindGone, "U0ANN") }, "no full member"},
		"the live keys change": {func(o *office) { o.live.become(always(good("c=3"))) }, "things changed since it was requested"},
	} {
		o := newOffice(t)
		o.target.Policy.BreakGlass = true
		run := o.ask(t, glass("alone"))
		c.change(o)
		run, _ = o.advance(t, run.ID)
		if run.State != StateFailed || !strings.Contains(run.Outcome, c.words) || len(o.cache.deleted) != 0 {
			t.Errorf("%s: %s, %q", name, run.State, run.Outcome)
		}
	}
}

// A flush with a restart has the function to itself as well: another run of the
// function waits, whichever came first.
func TestOneMitigationPerFunction(t *testing.T) {
	restart := steps(func(r *Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" })
	both := steps(func(r *Request) { r.Restart = true })
	for name, order := range map[string][2]Request{"flush first": {both, restart}, "restart first": {restart, both}} {
		o := newOffice(t)
		o.around()
		waiting := o.ask(t, order[1])
		first := o.approve(t, order[0])
		_, err := o.click(t, waiting, "U0LIZ", DecideApprove)
		refused(t, err, RefusedBusy, "function authoriser is being changed by run "+first.ID, "press again afterwards")
		// Approved all the same, by another replica in the same moment: the start decides.
		o.ledger.Change(t.Context(), waiting.ID, func(r *Run) ([]AuditEntry, error) {
			r.State, r.ApprovedAt, r.StartBy = StateApproved, t0, t0.Add(startWithin)
			return nil, nil
		})
		run, _ := o.advance(t, waiting.ID)
		if run.State != StateFailed || !strings.Contains(run.Outcome, "Not started: function authoriser is being changed") {
			t.Errorf("%s: %s, %q", name, run.State, run.Outcome)
		}
	}
	o := newOffice(t)
	o.around()
	waiting := o.ask(t, restart)
	o.approve(t, request("U0ANN")) // of the cache alone
	if _, err := o.click(t, waiting, "U0LIZ", DecideApprove); err != nil {
		t.Errorf("a flush of the cache holds up a restart: %v", err)
	}
}

// The generation of a plan is checked in the same transaction as the approval:
// a plan that is replaced while somebody decides is not what they approved.
func TestApprovalOfAReplacedPlanDoesNotCount(t *testing.T) {
	o := newOffice(t)
	run := o.ask(t, request("U0ANN"))
	d, err := o.desk.Target("production")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.ledger.Change(t.Context(), run.ID, func(r *Run) ([]AuditEntry, error) {
		r.propose(r.Plan, "", o.clock.Now()) // another click replaced it meanwhile
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	_, _, err = o.desk.approve(t.Context(), d, run, Click{Run: run.ID, Generation: 1, By: "U0LIZ", Kind: DecideApprove})
	refused(t, err, RefusedPlan, "you were shown plan 1, and this is plan 2 now")
	if now := o.run(t, run.ID); now.State != StatePending || len(now.Decisions) != 0 {
		t.Errorf("%s, decisions %+v", now.State, now.Decisions)
	}
}

// Many other runs since do not hide the last flush from the cooldown.
func TestCooldownLooksFarEnough(t *testing.T) {
	o := newOffice(t)
	o.refill("keys b=2", 1)
	o.until(t, o.approve(t, request("U0ANN")).ID, StateDone)
	for i := range 200 {
		o.ledger.put(Run{ID: fmt.Sprintf("other-%d", i), Target: "staging", Resource: "replication group other", State: StateDone, EndedAt: o.clock.Now()})
		o.ledger.put(Run{ID: fmt.Sprintf("old-%d", i), Target: "production", Resource: resource, State: StateDenied, EndedAt: o.clock.Now()})
	}
	o.cache.set("jwks:current", "keys a=1")
	o.runner.Forget("production")
	_, _, err := o.desk.Open(t.Context(), request("U0BEN"), Silent{})
	refused(t, err, RefusedCooldown, "u0ann")
	o.clock.advance(DefaultCooldown)
	if _, _, err := o.desk.Open(t.Context(), request("U0BEN"), Silent{}); err != nil {
		t.Errorf("after the cooldown: %v", err)
	}
}

// A user group that empties disables the mitigations of its target, in words,
// and nothing else.
func TestGroupThatEmpties(t *testing.T) {
	o := newOffice(t)
	run := o.ask(t, request("U0ANN"))
	o.people.groups["S0LEADS"] = nil
	o.target.Policy.Approvers = []string{"S0LEADS"}
	_, _, err := o.desk.Open(t.Context(), request("U0BEN"), Silent{})
	refused(t, err, RefusedUnsatisfied, "Nobody could approve this")
	_, err = o.click(t, run, "U0LIZ", DecideApprove)
	refused(t, err, RefusedRight, "user group S0LEADS is empty")
	o.people.groups["S0ONCALL"] = nil
	o.target.Policy.Requesters = []string{"S0ONCALL"}
	_, _, err = o.desk.Open(t.Context(), request("U0ANN"), Silent{})
	refused(t, err, RefusedRight, "user group S0ONCALL is empty")
	if _, err := o.desk.Check(t.Context(), "production", "U0ANN", Ask{}, Silent{}); err != nil {
		t.Errorf("the checks are disabled too: %v", err)
	}
}

// Every refusal is on record, also of somebody who only wanted to look.
func TestRefusalsAreOnRecord(t *testing.T) {
	o := newOffice(t)
	o.target.Policy.Viewers = []string{"U0ANN"}
	for what, do := range map[string]func(context.Context) error{
		"view": func(ctx context.Context) error {
			_, err := o.desk.Check(ctx, "production", "U0EVE", Ask{}, Silent{})
			return err
		},
		"ticket": func(ctx context.Context) error {
			req := request("U0ANN")
			req.Ticket = "x"
			_, _, err := o.desk.Open(ctx, req, Silent{})
			return err
		},
		"got it": func(ctx context.Context) error { _, err := o.desk.Acknowledge(ctx, "nothing", "U0ANN"); return err },
	} {
		before := strings.Count(o.ledger.trail(), "refused")
		if err := do(t.Context()); asRefusal(err) == nil {
			t.Errorf("%s: %v", what, err)
		}
		if n := strings.Count(o.ledger.trail(), "refused"); n != before+1 {
			t.Errorf("%s: %d rows", what, n-before)
		}
	}
}
