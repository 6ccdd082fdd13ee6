package runbook

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestOpenLeavesAPendingRun(t *testing.T) {
	o := newOffice(t)
	req := request("U0ANN")
	req.Ticket = " inc-2026-0214-001 "
	run := o.ask(t, req)
	got := o.run(t, run.ID)
	if got.State != StatePending || got.Generation != 1 || got.Version != 1 || got.Required != 1 || got.Ticket != "INC-2026-0214-001" {
		t.Errorf("kept %+v", got)
	}
	if got.Requester != (PersonRef{ID: "U0ANN", Name: "u0ann"}) || got.Post.Channel != "C0INC" || got.Resource != resource {
		t.Errorf("requester %v, channel %q, resource %q", got.Requester, got.Post.Channel, got.Resource)
	}
	if !got.ExpiresAt.Equal(t0.Add(15*time.Minute)) || !got.RemindAt.Equal(t0.Add(450*time.Second)) {
		t.Errorf("expires %s, reminds %s", got.ExpiresAt, got.RemindAt)
	}
	if got.Plan.Verdict != StaleCache || namesOf(got.Plan) != "jwks:current" || got.Plan.Digest == "" {
		t.Errorf("plan %+v", got.Plan)
	}
	if o.ledger.trail() != "request" {
		t.Errorf("audit %q", o.ledger.trail())
	}
	req.Channel = "C0HERE"
	if run := o.ask(t, req); run.Post.Channel != "C0HERE" {
		t.Errorf("the card goes to %q", run.Post.Channel)
	}
}

func TestOpenUsesAReportOfTheLastTwoMinutes(t *testing.T) {
	o := newOffice(t)
	if _, err := o.runner.Check(t.Context(), o.target, Ask{}, Silent{}); err != nil {
		t.Fatal(err)
	}
	o.clock.advance(planFreshFor - time.Second)
	_, report, err := o.desk.Open(t.Context(), request("U0ANN"), Silent{})
	if err != nil || !report.Shared {
		t.Errorf("shared %t, error %v", report.Shared, err)
	}
	o.clock.advance(time.Second)
	_, report, err = o.desk.Open(t.Context(), request("U0ANN"), Silent{})
	if err != nil || report.Shared {
		t.Errorf("a report of two minutes ago was used, error %v", err)
	}
}

// Who may request: every row of spec section 5 about people and form.
func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(o *office, r *Request)
		code  string
		says  string
	}{
		{"nobody on the list", func(o *office, r *Request) { o.target.Policy.Requesters = nil }, RefusedRight, "Nobody may"},
		{"not on the list", func(o *office, r *Request) { r.By = "U0EVE" }, RefusedRight, "You may not request"},
		{"not in the group any more", func(o *office, r *Request) { o.people.groups["S0ONCALL"] = nil }, RefusedRight, ""},
		{"a guest, listed by id", func(o *office, r *Request) { r.By = "U0LEA"; o.people.make(KindGuest, "U0LEA") }, RefusedKind, "Guests"},
		{"a stranger, listed by id", func(o *office, r *Request) { r.By = "U0LEA"; o.people.make(KindStranger, "U0LEA") }, RefusedKind, "other workspaces"},
		{"a bot, listed by id", func(o *office, r *Request) { r.By = "U0LEA"; o.people.make(KindBot, "U0LEA") }, RefusedKind, "Bots"},
		{"a former member, in the group", func(o *office, r *Request) { o.people.make(KindGone, "U0ANN") }, RefusedKind, "deactivated"},
		{"nobody whom the directory knows, listed by id", func(o *office, r *Request) {
			r.By = "U0XXX"
			o.target.Policy.Requesters = []string{"U0XXX"}
		}, RefusedKind, "does not know"},
		{"no such target", func(o *office, r *Request) { r.Target = "prod" }, RefusedTarget, "production"},
		{"no ticket", func(o *office, r *Request) { r.Ticket = "" }, RefusedTicket, "INC-"},
		{"a ticket of another kind", func(o *office, r *Request) { r.Ticket = "JIRA-12" }, RefusedTicket, ""},
		{"a ticket with something behind it", func(o *office, r *Request) { r.Ticket = "INC-1 <!channel>" }, RefusedTicket, ""},
		{"a ticket without end", func(o *office, r *Request) { r.Ticket = "INC-" + strings.Repeat("1", 80) }, RefusedTicket, ""},
		{"no reason", func(o *office, r *Request) { r.Reason = " \n" }, RefusedReason, "why"},
		{"a scope that does not exist", func(o *office, r *Request) { r.Scope = "some" }, RefusedScope, ""},
		{"everything, where that is not allowed", func(o *office, r *Request) { r.Scope = ScopeAll }, RefusedScope, "allow_flush_all"},
		{"no approvers", func(o *office, r *Request) { o.target.Policy.Approvers = nil }, RefusedUnsatisfied, "0 other people"},
		{"the only approver asks", func(o *office, r *Request) { o.target.Policy.Approvers = []string{"U0ANN"} }, RefusedUnsatisfied, ""},
		{"too few approvers", func(o *office, r *Request) { o.target.Policy.Required = 3 }, RefusedUnsatisfied, "3 approvals"},
		{"live keys are broken", func(o *office, r *Request) { o.live.become(always(bad("it answers HTTP 503"))) }, RefusedUnsafe, "Do not flush"},
		{"live keys are broken, with an override", func(o *office, r *Request) {
			o.live.become(always(bad("it answers HTTP 503")))
			r.Override = "I know better"
		}, RefusedUnsafe, ""},
		{"edges disagree, with an override", func(o *office, r *Request) { o.live.become(disagreeing); r.Override = "I know better" }, RefusedUnsafe, "disagree"},
		{"the cache cannot be read", func(o *office, r *Request) { o.cache.fail(errors.New("connection refused")) }, RefusedUnread, "connection refused"},
		{"the cache cannot be read, with an override", func(o *office, r *Request) {
			o.cache.fail(errors.New("connection refused"))
			r.Override = "I know better"
		}, RefusedUnread, ""},
		{"the verdict is against it", func(o *office, r *Request) { o.cache.set("jwks:current", "keys a=1 b=2") }, RefusedOverride, "retired key cached"},
		{"healthy", func(o *office, r *Request) { o.cache.set("jwks:current", "keys b=2") }, RefusedOverride, "healthy"},
		{"live keys are not reached", func(o *office, r *Request) { o.live.become(always(unreachable("timeout"))) }, RefusedOverride, "inconclusive"},
		{"only missing from a per-kid cache", func(o *office, r *Request) {
			o.cache.drop("jwks:current")
			o.cache.set("jwks:kid:c", "jwk c=3")
			o.live.become(always(good("b=2", "c=3")))
			o.target.Logs = logsFunc(func(context.Context) (LogEvidence, error) { return *logged("unknown_kid:40", "b=40"), nil })
		}, RefusedOverride, "no entry of that key exists"},
		{"nothing there, with an override", func(o *office, r *Request) { o.cache.drop("jwks:current"); r.Override = "to be sure" }, RefusedNothing, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, req := newOffice(t), request("U0ANN")
			c.setup(o, &req)
			run, _, err := o.desk.Open(t.Context(), req, Silent{})
			refused(t, err, c.code, c.says)
			if run.ID != "" || len(o.ledger.order) != 0 {
				t.Errorf("a refused request left run %q", run.ID)
			}
		})
	}
}

// disagreeing are two edges that serve different keys.
func disagreeing(n int) Probe {
	if n%2 == 0 {
		return good("a=1")
	}
	return good("b=2")
}

func TestOverrideIsPartOfTheRun(t *testing.T) {
	o := newOffice(t)
	o.cache.set("jwks:current", "keys a=1 b=2")
	req := request("U0ANN")
	req.Override = "key a is being revoked"
	run := o.ask(t, req)
	if run.Override != "key a is being revoked" || run.Plan.Advice == "" || namesOf(run.Plan) != "jwks:current" {
		t.Errorf("got %+v", run)
	}
	if _, err := o.click(t, run, "U0LIZ", DecideApprove); err != nil {
		t.Errorf("the override does not hold at the click: %v", err)
	}
}

// The person who is refused learns who could help.
func TestRefusalNamesWhoMay(t *testing.T) {
	o := newOffice(t)
	_, _, err := o.desk.Open(t.Context(), request("U0EVE"), Silent{})
	if r := refused(t, err, RefusedRight); strings.Join(r.People, " ") != "S0ONCALL U0LEA" {
		t.Errorf("people %v", r.People)
	}
	if o.ledger.trail() != "refused" {
		t.Errorf("audit %q", o.ledger.trail())
	}
}

func TestMembershipIsAskedFresh(t *testing.T) {
	o := newOffice(t)
	run := o.ask(t, request("U0ANN"))
	asked := o.people.fresh
	if asked == 0 {
		t.Error("the request was decided from remembered groups")
	}
	if _, err := o.click(t, run, "U0LIZ", DecideApprove); err != nil || o.people.fresh == asked {
		t.Errorf("the decision was made from remembered groups, error %v", err)
	}
}

// When the directory cannot answer, nobody is let in, and it is no refusal.
func TestDirectoryThatFailsLetsNobodyIn(t *testing.T) {
	o := newOffice(t)
	run := o.ask(t, request("U0ANN"))
	o.people.err = errors.New("users.info: missing_scope")
	var refusal *Refusal
	if _, err := o.click(t, run, "U0LIZ", DecideApprove); err == nil || errors.As(err, &refusal) {
		t.Errorf("error %v", err)
	}
	if o.run(t, run.ID).State != StatePending {
		t.Error("the run went on")
	}
}

func TestViewers(t *testing.T) {
	o := newOffice(t)
	o.people.make(KindGuest, "U0GUE")
	if _, err := o.desk.View(t.Context(), "", "U0EVE"); err != nil {
		t.Errorf("without a list every full member may see: %v", err)
	}
	_, err := o.desk.View(t.Context(), "", "U0GUE")
	refused(t, err, RefusedKind)
	o.target.Policy.Viewers = []string{"U0GUE", "S0LEADS"}
	_, err = o.desk.View(t.Context(), "", "U0EVE")
	refused(t, err, RefusedRight)
	_, err = o.desk.Check(t.Context(), "", "U0GUE", Ask{}, Silent{})
	refused(t, err, RefusedKind)
	if r, err := o.desk.Check(t.Context(), "production", "U0LIZ", Ask{}, Silent{}); err != nil || r.Diagnosis.Verdict.ID != StaleCache {
		t.Errorf("verdict %s, error %v", r.Diagnosis.Verdict.ID, err)
	}
	if last, err := o.desk.Last(t.Context(), "", "U0LIZ"); err != nil || last == nil {
		t.Errorf("last %v, error %v", last, err)
	}
}

func TestTargets(t *testing.T) {
	a, b := &Target{Name: "a"}, &Target{Name: "b"}
	d, err := NewDesk(DeskSettings{Targets: []*Target{a, b}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Target("")
	refused(t, err, RefusedTarget, "Which target?")
	if got, err := d.Target("b"); err != nil || got != b {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := NewDesk(DeskSettings{Targets: []*Target{a, a}}); err == nil {
		t.Error("two targets of one name")
	}
	if _, err := NewDesk(DeskSettings{}); err == nil {
		t.Error("no targets")
	}
}

func TestPreviewKeepsNothing(t *testing.T) {
	o := newOffice(t)
	plan, report, err := o.desk.Preview(t.Context(), request("U0ANN"), Silent{})
	if err != nil || namesOf(plan) != "jwks:current" || report.Diagnosis.Verdict.ID != StaleCache {
		t.Errorf("plan %+v, error %v", plan, err)
	}
	if len(o.ledger.order) != 0 || o.ledger.trail() != "" {
		t.Error("a preview left something in the ledger")
	}
	o.live.become(always(bad("it answers HTTP 503")))
	_, _, err = o.desk.Preview(t.Context(), request("U0ANN"), Silent{})
	refused(t, err, RefusedUnsafe)
}

func TestCooldownAtTheRequest(t *testing.T) {
	for _, c := range []struct {
		name  string
		ago   time.Duration
		state State
		res   string
		step  string
		code  string
	}{
		{"a moment ago", time.Minute, StateDone, resource, "flush-cache", RefusedCooldown},
		{"a failed flush counts", 4 * time.Minute, StateFailed, resource, "flush-cache", RefusedCooldown},
		{"long enough ago", 5 * time.Minute, StateDone, resource, "flush-cache", ""},
		{"another resource", time.Minute, StateDone, "replication group other", "flush-cache", ""},
		{"ended before the flush", time.Minute, StateFailed, resource, "snapshot", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			o.ledger.put(Run{ID: "0213-earlier", Target: "production", Resource: c.res, State: c.state, Requester: PersonRef{ID: "U0BEN", Name: "ben"},
				Receipts: []Receipt{{Step: c.step, EndedAt: t0.Add(-c.ago)}}})
			_, _, err := o.desk.Open(t.Context(), request("U0ANN"), Silent{})
			if c.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, err, c.code, "Replication group prod-cache", "0213-earlier", "ben")
		})
	}
}

// Tokens that people paste, and names that are none, reach no record.
func TestSecretsReachNoRecord(t *testing.T) {
	const token = "xoxb-1234567890-abcdefghijklmnop"
	const jwt = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlc2lnbmF0dXJl"
	o := newOffice(t)
	req := request("U0ANN")
	req.Reason, req.Override = "users see "+jwt, "because of "+token
	run := o.ask(t, req)
	if !strings.Contains(run.Reason, "[redacted") {
		t.Errorf("reason %q", run.Reason)
	}
	for _, c := range []Click{
		{Run: token, By: "U0LIZ", Kind: DecideApprove},
		{Run: run.ID, By: "U0LIZ", Kind: DecideDeny, Reason: "see " + jwt},
	} {
		if _, err := o.desk.Decide(t.Context(), c); err != nil && strings.Contains(err.Error(), "xoxb") {
			t.Errorf("the answer repeats the token: %v", err)
		}
	}
	req.Target = token
	if _, _, err := o.desk.Open(t.Context(), req, Silent{}); err == nil || strings.Contains(err.Error(), "xoxb") {
		t.Errorf("the answer repeats the token: %v", err)
	}
	if all := o.ledger.everything(); strings.Contains(all, "xoxb-12") || strings.Contains(all, "eyJhbGci") || strings.Contains(all, "c2lnbmF0") {
		t.Errorf("recorded: %s", all)
	}
}

func TestReasonsAreCutByRune(t *testing.T) {
	o := newOffice(t)
	req := request("U0ANN")
	req.Reason = strings.Repeat("é", 2*maxReason)
	if got := []rune(o.ask(t, req).Reason); len(got) != maxReason || got[0] != 'é' || got[maxReason-1] != '…' {
		t.Errorf("%d runes, ending in %q", len(got), got[len(got)-1])
	}
}
