package approve_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

func TestOpenLeavesAPendingRun(t *testing.T) {
	o := runbooktest.NewWorld(t)
	req := runbooktest.Request("U0ANN")
	req.Ticket = " inc-2026-0214-001 "
	run := o.Ask(t, req)
	got := o.Run(t, run.ID)
	if got.State != runbook.StatePending || got.Generation != 1 || got.Version != 1 || got.Required != 1 || got.Ticket != "INC-2026-0214-001" {
		t.Errorf("kept %+v", got)
	}
	if got.Requester != (runbook.PersonRef{ID: "U0ANN", Name: "u0ann"}) || got.Post.Channel != "C0INC" || got.Resource != runbooktest.Resource {
		t.Errorf("requester %v, channel %q, resource %q", got.Requester, got.Post.Channel, got.Resource)
	}
	if !got.ExpiresAt.Equal(standin.T0.Add(15*time.Minute)) || !got.RemindAt.Equal(standin.T0.Add(450*time.Second)) {
		t.Errorf("expires %s, reminds %s", got.ExpiresAt, got.RemindAt)
	}
	if got.Plan.Verdict != diagnose.StaleCache || standin.NamesOf(got.Plan) != "jwks:current" || got.Plan.Digest == "" {
		t.Errorf("plan %+v", got.Plan)
	}
	if o.Ledger.Trail() != "request" {
		t.Errorf("audit %q", o.Ledger.Trail())
	}
	req.Channel = "C0HERE"
	if run := o.Ask(t, req); run.Post.Channel != "C0HERE" {
		t.Errorf("the card goes to %q", run.Post.Channel)
	}
}

func TestOpenUsesAReportOfTheLastTwoMinutes(t *testing.T) {
	o := runbooktest.NewWorld(t)
	if _, err := o.Runner.Check(t.Context(), o.Target, check.Ask{}, check.Silent{}); err != nil {
		t.Fatal(err)
	}
	o.Clock.Advance(check.PlanFreshFor - time.Second)
	_, report, err := o.Service.Open(t.Context(), runbooktest.Request("U0ANN"), check.Silent{})
	if err != nil || !report.Shared {
		t.Errorf("shared %t, error %v", report.Shared, err)
	}
	o.Clock.Advance(time.Second)
	_, report, err = o.Service.Open(t.Context(), runbooktest.Request("U0ANN"), check.Silent{})
	if err != nil || report.Shared {
		t.Errorf("a report of two minutes ago was used, error %v", err)
	}
}

// Who may request: every row of spec section 5 about people and form.
func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(o *runbooktest.World, r *approve.Request)
		code  string
		says  string
	}{
		{"nobody on the list", func(o *runbooktest.World, r *approve.Request) { o.Target.Policy.Requesters = nil }, approve.RefusedRight, "Nobody may"},
		{"not on the list", func(o *runbooktest.World, r *approve.Request) { r.By = "U0EVE" }, approve.RefusedRight, "You may not request"},
		{"not in the group any more", func(o *runbooktest.World, r *approve.Request) { o.People.Groups["S0ONCALL"] = nil }, approve.RefusedRight, ""},
		{"a guest, listed by id", func(o *runbooktest.World, r *approve.Request) {
			r.By = "U0LEA"
			o.People.Make(approve.KindGuest, "U0LEA")
		}, runbook.RefusedKind, "Guests"},
		{"a stranger, listed by id", func(o *runbooktest.World, r *approve.Request) {
			r.By = "U0LEA"
			o.People.Make(approve.KindStranger, "U0LEA")
		}, runbook.RefusedKind, "other workspaces"},
		{"a bot, listed by id", func(o *runbooktest.World, r *approve.Request) {
			r.By = "U0LEA"
			o.People.Make(approve.KindBot, "U0LEA")
		}, runbook.RefusedKind, "Bots"},
		{"a former member, in the group", func(o *runbooktest.World, r *approve.Request) { o.People.Make(approve.KindGone, "U0ANN") }, runbook.RefusedKind, "deactivated"},
		{"nobody whom the directory knows, listed by id", func(o *runbooktest.World, r *approve.Request) {
			r.By = "U0XXX"
			o.Target.Policy.Requesters = []string{"U0XXX"}
		}, runbook.RefusedKind, "does not know"},
		{"no such target", func(o *runbooktest.World, r *approve.Request) { r.Target = "prod" }, approve.RefusedTarget, "production"},
		{"no ticket", func(o *runbooktest.World, r *approve.Request) { r.Ticket = "" }, approve.RefusedTicket, "INC-"},
		{"a ticket of another kind", func(o *runbooktest.World, r *approve.Request) { r.Ticket = "JIRA-12" }, approve.RefusedTicket, ""},
		{"a ticket with something behind it", func(o *runbooktest.World, r *approve.Request) { r.Ticket = "INC-1 <!channel>" }, approve.RefusedTicket, ""},
		{"a ticket without end", func(o *runbooktest.World, r *approve.Request) { r.Ticket = "INC-" + strings.Repeat("1", 80) }, approve.RefusedTicket, ""},
		{"no reason", func(o *runbooktest.World, r *approve.Request) { r.Reason = " \n" }, approve.RefusedReason, "why"},
		{"a scope that does not exist", func(o *runbooktest.World, r *approve.Request) { r.Scope = "some" }, approve.RefusedScope, ""},
		{"everything, where that is not allowed", func(o *runbooktest.World, r *approve.Request) { r.Scope = runbook.ScopeAll }, approve.RefusedScope, "allow_flush_all"},
		{"no approvers", func(o *runbooktest.World, r *approve.Request) { o.Target.Policy.Approvers = nil }, approve.RefusedUnsatisfied, "0 other people"},
		{"the only approver asks", func(o *runbooktest.World, r *approve.Request) { o.Target.Policy.Approvers = []string{"U0ANN"} }, approve.RefusedUnsatisfied, ""},
		{"too few approvers", func(o *runbooktest.World, r *approve.Request) { o.Target.Policy.Required = 3 }, approve.RefusedUnsatisfied, "3 approvals"},
		{"live keys are broken", func(o *runbooktest.World, r *approve.Request) {
			o.Live.Become(standin.Always(standin.Bad("it answers HTTP 503")))
		}, runbook.RefusedUnsafe, "Do not flush"},
		{"live keys are broken, with an override", func(o *runbooktest.World, r *approve.Request) {
			o.Live.Become(standin.Always(standin.Bad("it answers HTTP 503")))
			r.Override = "I know better"
		}, runbook.RefusedUnsafe, ""},
		{"edges disagree, with an override", func(o *runbooktest.World, r *approve.Request) {
			o.Live.Become(standin.Disagreeing)
			r.Override = "I know better"
		}, runbook.RefusedUnsafe, "disagree"},
		{"the cache cannot be read", func(o *runbooktest.World, r *approve.Request) { o.Cache.Fail(errors.New("connection refused")) }, runbook.RefusedUnread, "connection refused"},
		{"the cache cannot be read, with an override", func(o *runbooktest.World, r *approve.Request) {
			o.Cache.Fail(errors.New("connection refused"))
			r.Override = "I know better"
		}, runbook.RefusedUnread, ""},
		{"the verdict is against it", func(o *runbooktest.World, r *approve.Request) { o.Cache.Set("jwks:current", "keys a=1 b=2") }, approve.RefusedOverride, "retired key cached"},
		{"healthy", func(o *runbooktest.World, r *approve.Request) { o.Cache.Set("jwks:current", "keys b=2") }, approve.RefusedOverride, "healthy"},
		{"live keys are not reached", func(o *runbooktest.World, r *approve.Request) {
			o.Live.Become(standin.Always(standin.Unreachable("timeout")))
		}, approve.RefusedOverride, "inconclusive"},
		{"only missing from a per-kid cache", func(o *runbooktest.World, r *approve.Request) {
			o.Cache.Drop("jwks:current")
			o.Cache.Set("jwks:kid:c", "jwk c=3")
			o.Live.Become(standin.Always(standin.Good("b=2", "c=3")))
			o.Target.Logs = standin.LogsFunc(func(context.Context) (runbook.LogEvidence, error) {
				return *standin.LoggedEvidence("unknown_kid:40", "b=40"), nil
			})
		}, approve.RefusedOverride, "no entry of that key exists"},
		{"nothing there, with an override", func(o *runbooktest.World, r *approve.Request) {
			o.Cache.Drop("jwks:current")
			r.Override = "to be sure"
		}, runbook.RefusedNothing, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, req := runbooktest.NewWorld(t), runbooktest.Request("U0ANN")
			c.setup(o, &req)
			run, _, err := o.Service.Open(t.Context(), req, check.Silent{})
			standin.Refused(t, err, c.code, c.says)
			if run.ID != "" || len(o.Ledger.Order) != 0 {
				t.Errorf("a refused request left run %q", run.ID)
			}
		})
	}
}

func TestOverrideIsPartOfTheRun(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Cache.Set("jwks:current", "keys a=1 b=2")
	req := runbooktest.Request("U0ANN")
	req.Override = "key a is being revoked"
	run := o.Ask(t, req)
	if run.Override != "key a is being revoked" || run.Plan.Advice == "" || standin.NamesOf(run.Plan) != "jwks:current" {
		t.Errorf("got %+v", run)
	}
	if _, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove); err != nil {
		t.Errorf("the override does not hold at the click: %v", err)
	}
}

// The person who is refused learns who could help.
func TestRefusalNamesWhoMay(t *testing.T) {
	o := runbooktest.NewWorld(t)
	_, _, err := o.Service.Open(t.Context(), runbooktest.Request("U0EVE"), check.Silent{})
	if r := standin.Refused(t, err, approve.RefusedRight); strings.Join(r.People, " ") != "S0ONCALL U0LEA" {
		t.Errorf("people %v", r.People)
	}
	if o.Ledger.Trail() != "refused" {
		t.Errorf("audit %q", o.Ledger.Trail())
	}
}

func TestMembershipIsAskedFresh(t *testing.T) {
	o := runbooktest.NewWorld(t)
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	asked := o.People.Fresh
	if asked == 0 {
		t.Error("the request was decided from remembered groups")
	}
	if _, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove); err != nil || o.People.Fresh == asked {
		t.Errorf("the decision was made from remembered groups, error %v", err)
	}
}

// When the directory cannot answer, nobody is let in, and it is no refusal.
func TestDirectoryThatFailsLetsNobodyIn(t *testing.T) {
	o := runbooktest.NewWorld(t)
	run := o.Ask(t, runbooktest.Request("U0ANN"))
	o.People.Err = errors.New("users.info: missing_scope")
	var refusal *runbook.Refusal
	if _, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove); err == nil || errors.As(err, &refusal) {
		t.Errorf("error %v", err)
	}
	if o.Run(t, run.ID).State != runbook.StatePending {
		t.Error("the run went on")
	}
}

func TestViewers(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.People.Make(approve.KindGuest, "U0GUE")
	if _, err := o.Service.View(t.Context(), "", "U0EVE"); err != nil {
		t.Errorf("without a list every full member may see: %v", err)
	}
	_, err := o.Service.View(t.Context(), "", "U0GUE")
	standin.Refused(t, err, runbook.RefusedKind)
	o.Target.Policy.Viewers = []string{"U0GUE", "S0LEADS"}
	_, err = o.Service.View(t.Context(), "", "U0EVE")
	standin.Refused(t, err, approve.RefusedRight)
	_, err = o.Service.Check(t.Context(), "", "U0GUE", check.Ask{}, check.Silent{})
	standin.Refused(t, err, runbook.RefusedKind)
	if r, err := o.Service.Check(t.Context(), "production", "U0LIZ", check.Ask{}, check.Silent{}); err != nil || r.Diagnosis.Verdict.ID != diagnose.StaleCache {
		t.Errorf("verdict %s, error %v", r.Diagnosis.Verdict.ID, err)
	}
	if last, err := o.Service.Last(t.Context(), "", "U0LIZ"); err != nil || last == nil {
		t.Errorf("last %v, error %v", last, err)
	}
}

func TestTargets(t *testing.T) {
	a, b := &check.Target{Name: "a"}, &check.Target{Name: "b"}
	d, err := approve.New(approve.Settings{Targets: []*check.Target{a, b}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Target("")
	standin.Refused(t, err, approve.RefusedTarget, "Which target?")
	if got, err := d.Target("b"); err != nil || got != b {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := approve.New(approve.Settings{Targets: []*check.Target{a, a}}); err == nil {
		t.Error("two targets of one name")
	}
	if _, err := approve.New(approve.Settings{}); err == nil {
		t.Error("no targets")
	}
}

func TestPreviewKeepsNothing(t *testing.T) {
	o := runbooktest.NewWorld(t)
	plan, report, err := o.Service.Preview(t.Context(), runbooktest.Request("U0ANN"), check.Silent{})
	if err != nil || standin.NamesOf(plan) != "jwks:current" || report.Diagnosis.Verdict.ID != diagnose.StaleCache {
		t.Errorf("plan %+v, error %v", plan, err)
	}
	if len(o.Ledger.Order) != 0 || o.Ledger.Trail() != "" {
		t.Error("a preview left something in the ledger")
	}
	o.Live.Become(standin.Always(standin.Bad("it answers HTTP 503")))
	_, _, err = o.Service.Preview(t.Context(), runbooktest.Request("U0ANN"), check.Silent{})
	standin.Refused(t, err, runbook.RefusedUnsafe)
}

func TestCooldownAtTheRequest(t *testing.T) {
	for _, c := range []struct {
		name  string
		ago   time.Duration
		state runbook.State
		res   string
		step  string
		code  string
	}{
		{"a moment ago", time.Minute, runbook.StateDone, runbooktest.Resource, "flush-cache", approve.RefusedCooldown},
		{"a failed flush counts", 4 * time.Minute, runbook.StateFailed, runbooktest.Resource, "flush-cache", approve.RefusedCooldown},
		{"long enough ago", 5 * time.Minute, runbook.StateDone, runbooktest.Resource, "flush-cache", ""},
		{"another resource", time.Minute, runbook.StateDone, "replication group other", "flush-cache", ""},
		{"ended before the flush", time.Minute, runbook.StateFailed, runbooktest.Resource, "snapshot", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			o.Ledger.Put(runbook.Run{ID: "0213-earlier", Target: "production", Resource: c.res, State: c.state, Requester: runbook.PersonRef{ID: "U0BEN", Name: "ben"},
				Receipts: []runbook.Receipt{{Step: c.step, EndedAt: standin.T0.Add(-c.ago)}}})
			_, _, err := o.Service.Open(t.Context(), runbooktest.Request("U0ANN"), check.Silent{})
			if c.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			standin.Refused(t, err, c.code, "Replication group prod-cache", "0213-earlier", "ben")
		})
	}
}

// Tokens that people paste, and names that are none, reach no record.
func TestSecretsReachNoRecord(t *testing.T) {
	const token = "xoxb-1234567890-abcdefghijklmnop"
	const jwt = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlc2lnbmF0dXJl"
	o := runbooktest.NewWorld(t)
	req := runbooktest.Request("U0ANN")
	req.Reason, req.Override = "users see "+jwt, "because of "+token
	run := o.Ask(t, req)
	if !strings.Contains(run.Reason, "[redacted") {
		t.Errorf("reason %q", run.Reason)
	}
	for _, c := range []approve.Click{
		{Run: token, By: "U0LIZ", Kind: runbook.DecideApprove},
		{Run: run.ID, By: "U0LIZ", Kind: runbook.DecideDeny, Reason: "see " + jwt},
	} {
		if _, err := o.Service.Decide(t.Context(), c); err != nil && strings.Contains(err.Error(), "xoxb") {
			t.Errorf("the answer repeats the token: %v", err)
		}
	}
	req.Target = token
	if _, _, err := o.Service.Open(t.Context(), req, check.Silent{}); err == nil || strings.Contains(err.Error(), "xoxb") {
		t.Errorf("the answer repeats the token: %v", err)
	}
	if all := o.Ledger.Everything(); strings.Contains(all, "xoxb-12") || strings.Contains(all, "eyJhbGci") || strings.Contains(all, "c2lnbmF0") {
		t.Errorf("recorded: %s", all)
	}
}

func TestReasonsAreCutByRune(t *testing.T) {
	o := runbooktest.NewWorld(t)
	req := runbooktest.Request("U0ANN")
	req.Reason = strings.Repeat("é", 2*approve.MaxReason)
	if got := []rune(o.Ask(t, req).Reason); len(got) != approve.MaxReason || got[0] != 'é' || got[approve.MaxReason-1] != '…' {
		t.Errorf("%d runes, ending in %q", len(got), got[len(got)-1])
	}
}
