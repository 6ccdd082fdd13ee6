package runbook

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// steps makes a request for more than a flush.
func steps(change func(*Request)) Request {
	req := request("U0ANN")
	change(&req)
	return req
}

func TestFlushRestartAndGateway(t *testing.T) {
	o := newOffice(t)
	s := o.around()
	s.setup.Authorisers[0].ResultTTL = 5 * time.Minute
	o.target.Canary, o.target.Successes = s, s
	s.sign = CanaryResult{Accepted: true, Status: 200, Kid: "b"}
	o.refill("keys b=2", 2)
	run := o.approve(t, steps(func(r *Request) { r.Restart, r.Gateway = true, true }))
	if got := strings.Join(run.Locks, "; "); got != resource+"; function authoriser; result cache of http API a1b2c3, stage prod" {
		t.Errorf("locks %q", got)
	}
	var path []string
	for run = o.run(t, run.ID); run.State != StateWatch && !run.State.Ended(); run, _ = o.advance(t, run.ID) {
		path = append(path, string(run.State))
	}
	if got := strings.Join(path, " "); got != "approved snapshot flush verify restart gateway confirm" || run.State != StateWatch {
		t.Fatalf("path %s, then %s: %s", got, run.State, run.Outcome)
	}
	if len(s.restarted) != 1 || s.restarted[0] != run.ID || s.emptied != 1 || run.Restarted == nil || run.Restarted.Version != "13" {
		t.Errorf("restarted %v, emptied %d, %+v", s.restarted, s.emptied, run.Restarted)
	}
	for step, want := range map[string]string{
		"restart-authoriser": "authoriser:live (version 13 instead of 12) runs in new execution environments (2 new log streams)",
		"flush-gateway":      "the effect cannot be read back",
		"confirm":            "a test sign-in was accepted (HTTP 200); the authoriser log shows 3 accepted tokens since, signed with live key `b`",
	} {
		if r := receipt(t, run, step); r.Status != StatusOK || !strings.Contains(r.Summary, want) || r.EndedAt.Before(r.StartedAt) {
			t.Errorf("%s: %s %q", step, r.Status, r.Summary)
		}
	}
	if n := strings.Count(o.ledger.trail(), "effect"); n != 3 {
		t.Errorf("audit %s", o.ledger.trail())
	}
}

func TestStepsAlone(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*Request)
		path     string
		resource string
	}{
		"restart": {func(r *Request) { r.NoFlush, r.Restart, r.Override = true, true, "memory is stale" }, "approved restart", "function authoriser"},
		"gateway": {func(r *Request) { r.NoFlush, r.Gateway, r.Override = true, true, "denials repeat" }, "approved gateway", "result cache of http API a1b2c3, stage prod"},
		"both":    {func(r *Request) { r.NoFlush, r.Restart, r.Gateway, r.Override = true, true, true, "x" }, "approved restart gateway", "function authoriser"},
	} {
		o := newOffice(t)
		s := o.around()
		s.setup.Authorisers[0].ResultTTL = time.Minute
		o.target.Watch.For = 0
		run := o.approve(t, steps(c.change))
		if run.Resource != c.resource || len(run.Plan.Entries) != 0 || run.Plan.Has(FlushCache) {
			t.Errorf("%s: resource %q, plan %+v", name, run.Resource, run.Plan)
		}
		var path []string
		for run = o.run(t, run.ID); !run.State.Ended(); run, _ = o.advance(t, run.ID) {
			path = append(path, string(run.State))
		}
		if got := strings.Join(path, " "); got != c.path || run.State != StateDone || len(o.cache.deleted) != 0 || run.Outcome == "" {
			t.Errorf("%s: path %q, then %s: %q", name, got, run.State, run.Outcome)
		}
	}
}

func TestStepsAreRefusedAtTheRequest(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(*office, *surroundings)
		change func(*Request)
		code   string
		words  string
	}{
		"nothing is asked for": {nil, func(r *Request) { r.NoFlush = true }, RefusedSteps, "Nothing is asked for"},
		"an undo stands alone": {nil, func(r *Request) { r.RestoreOf, r.Restart = "x", true }, RefusedSteps, "stands alone"},
		"force without undo":   {nil, func(r *Request) { r.Force = true }, RefusedSteps, "Only an undo"},
		"no function":          {func(o *office, _ *surroundings) { o.target.Function = nil }, func(r *Request) { r.Restart = true }, RefusedSteps, "authoriser.function"},
		"no gateway":           {func(o *office, _ *surroundings) { o.target.API = nil }, func(r *Request) { r.Gateway = true }, RefusedSteps, "gateway.rest_api"},
		"environment variables": {func(_ *office, s *surroundings) {
			s.function.Refusal = "its environment variables cannot be read (KMS access denied), and an update would lose them"
		}, func(r *Request) { r.Restart = true }, RefusedRestart, "environment variables"},
		"gateway unreadable": {func(_ *office, s *surroundings) { s.setupErr = errors.New("allow apigateway:GET") }, func(r *Request) { r.Gateway = true }, RefusedUnread, "apigateway:GET"},
		"managed, HTTP API": {func(_ *office, s *surroundings) {
			s.setup.Authorisers = []GatewayAuthoriser{{Name: "jwt", Kind: ManagedJWT}}
		}, func(r *Request) { r.Gateway = true }, RefusedManaged, "up to 2 h"},
		"managed, REST": {func(_ *office, s *surroundings) {
			s.setup.Kind, s.setup.Authorisers = RestAPI, []GatewayAuthoriser{{Name: "pool", Kind: ManagedUserPool}}
		}, func(r *Request) { r.Gateway = true }, RefusedManaged, "up to 60 min"},
		"results are not cached": {nil, func(r *Request) { r.Gateway = true }, RefusedNothing, "TTL 0"},
		"a restart the verdict does not call for": {func(o *office, _ *surroundings) { o.cache.set("jwks:current", "keys b=2") },
			func(r *Request) { r.NoFlush, r.Restart = true, true }, RefusedOverride, "against a restart"},
		"a restart while the live keys are broken": {func(o *office, _ *surroundings) { o.live.become(always(bad("HTTP 503"))) },
			func(r *Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" }, RefusedUnsafe, "broken"},
		"break-glass where it is not allowed": {nil, func(r *Request) { r.BreakGlass = "nobody is awake" }, RefusedBreakGlass, "approval.break_glass"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			s := o.around()
			if c.set != nil {
				c.set(o, s)
			}
			_, _, err := o.desk.Open(t.Context(), steps(c.change), Silent{})
			refused(t, err, c.code, c.words)
			if runs, _ := o.ledger.Runs(t.Context(), Filter{}); len(runs) != 0 {
				t.Error("a refused request left a run")
			}
			if o.ledger.trail() != "refused" {
				t.Errorf("audit %q", o.ledger.trail())
			}
		})
	}
}

// What was approved is what runs: another version, revision or code of the
// function is a new plan.
func TestChangedFunctionIsANewPlan(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*surroundings)
		words  string
	}{
		"code":     {func(s *surroundings) { s.function.CodeSHA = "other" }, "deployed anew"},
		"version":  {func(s *surroundings) { s.function.Version = "14" }, "version 14 now, not 12"},
		"revision": {func(s *surroundings) { s.function.Revision = "r2" }, "configuration of function authoriser was changed"},
		"alias": {func(s *surroundings) {
			s.setup.Authorisers[0].Qualifier, s.function.Qualifier = "blue", "blue"
		}, "invokes authoriser:blue now"},
	} {
		o := newOffice(t)
		s := o.around()
		run := o.ask(t, steps(func(r *Request) { r.Restart = true }))
		digest := run.Plan.Digest
		c.change(s)
		_, err := o.click(t, run, "U0LIZ", DecideApprove)
		refused(t, err, RefusedChanged, c.words)
		if now := o.run(t, run.ID); now.Generation != 2 || now.Plan.Digest == digest || now.State != StatePending {
			t.Errorf("%s: generation %d, %s", name, now.Generation, now.State)
		}
		// And once more between the approval and the start.
		run = o.ask(t, steps(func(r *Request) { r.Restart = true }))
		if _, err := o.click(t, run, "U0LIZ", DecideApprove); err != nil {
			t.Fatal(err)
		}
		s.function.Revision += "x"
		if after, _ := o.advance(t, run.ID); after.State != StatePending || after.Generation != 2 || len(s.restarted) != 0 {
			t.Errorf("%s: at the start: %s, generation %d", name, after.State, after.Generation)
		}
	}
}

// A cache that healed does not stop the steps after its flush.
func TestHealedFlushGoesOnToTheRestart(t *testing.T) {
	o := newOffice(t)
	s := o.around()
	run := o.approve(t, steps(func(r *Request) { r.Restart = true }))
	o.cache.set("jwks:current", "keys b=2")
	run = o.until(t, run.ID, StateWatch)
	if len(o.cache.deleted) != 0 || len(s.restarted) != 1 {
		t.Errorf("deleted %v, restarted %v, outcome %q", o.cache.deleted, s.restarted, run.Outcome)
	}
}

func TestRestartIsProvenByNewLogStreams(t *testing.T) {
	for name, c := range map[string]struct {
		set     func(*office, *surroundings)
		status  Status
		words   string
		finding ReceiptFinding
	}{
		"new ones":   {func(*office, *surroundings) {}, StatusOK, "2 new log streams", FoundNothing},
		"none":       {func(_ *office, s *surroundings) { s.streams = LogStreams{} }, StatusWarn, "unproven: accepted, but no new execution environment has logged yet", FoundUnproven},
		"old ones":   {func(_ *office, s *surroundings) { s.streams = LogStreams{Old: 3} }, StatusWarn, "old execution environments go on", FoundUnproven},
		"unreadable": {func(_ *office, s *surroundings) { s.streamsErr = errors.New("allow logs:DescribeLogStreams") }, StatusWarn, "logs:DescribeLogStreams", FoundUnproven},
		"no group":   {func(o *office, _ *surroundings) { o.target.Streams = nil }, StatusWarn, "without a log group", FoundUnproven},
		"after a bit": {func(o *office, s *surroundings) {
			s.streams = LogStreams{}
			o.clock.onWait = func(int) { s.streams.New = 1 }
		}, StatusOK, "1 new log stream)", FoundNothing},
	} {
		o := newOffice(t)
		s := o.around()
		o.target.Watch.For = 0
		c.set(o, s)
		run := o.until(t, o.approve(t, steps(func(r *Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" })).ID, StateDone)
		r := receipt(t, run, "restart-authoriser")
		if r.Status != c.status || !strings.Contains(r.Summary, c.words) || r.Finding != c.finding {
			t.Errorf("%s: %s %q %q", name, r.Status, r.Summary, r.Finding)
		}
		if c.finding == FoundUnproven && strings.Contains(run.Outcome, "Proven") {
			t.Errorf("%s: outcome %q", name, run.Outcome)
		}
	}
}

func TestRefusedRestartWritesNothing(t *testing.T) {
	no := func() (RestartResult, error) {
		return RestartResult{}, refuse(RefusedRestart, "Somebody else is updating the function.")
	}
	o := newOffice(t)
	s := o.around()
	s.restart = no
	run := o.until(t, o.approve(t, steps(func(r *Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" })).ID, StateFailed)
	if !strings.Contains(run.Outcome, "Somebody else is updating") || !strings.Contains(run.Outcome, "Nothing was touched") || s.pages != 0 {
		t.Errorf("%q, %d pages", run.Outcome, s.pages)
	}
	// After a flush the run goes on, is watched, and ends as failed.
	o = newOffice(t)
	s = o.around()
	s.restart = no
	o.refill("keys b=2", 1)
	run = o.until(t, o.approve(t, steps(func(r *Request) { r.Restart = true })).ID, StateWatch)
	run = o.followed(t, run.ID, nil)
	if run.State != StateFailed || !strings.Contains(run.Outcome, "was not done") || !strings.Contains(run.Outcome, "Proven") {
		t.Errorf("%s: %q", run.State, run.Outcome)
	}
}

// A restart that dies in an error may have changed something: people are called.
func TestBrokenExecutionEscalates(t *testing.T) {
	o := newOffice(t)
	s := o.around()
	run := o.approve(t, steps(func(r *Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" }))
	run = o.until(t, run.ID, StateRestart)
	s.restart = func() (RestartResult, error) { return RestartResult{}, errors.New("connection reset") }
	if _, err := o.machine.Advance(t.Context(), run); err == nil {
		t.Fatal("an error that may pass ended the run")
	}
	run = o.apply(t, run.ID, run.Broken(`The step "restart" failed: connection reset.`))
	run, _ = o.advance(t, run.ID)
	if run.State != StateFailed || s.pages != 1 || s.published != 1 || run.Escalation.Kind != EscalateDied {
		t.Errorf("%s, %d pages, %+v", run.State, s.pages, run.Escalation)
	}
	for _, state := range []State{StateApproved, StateSnapshot, StateEscalate} {
		if tr := (Run{ID: "x", State: state}).Broken("so"); tr.To != StateFailed || tr.Alarm != nil {
			t.Errorf("%s: to %s", state, tr.To)
		}
	}
}

func TestStaleRefillIsCuredByTheRestart(t *testing.T) {
	o := newOffice(t)
	s := o.around()
	o.refill("keys a=1", 1) // an authoriser writes its old copy
	s.restart = func() (RestartResult, error) {
		o.cache.set("jwks:current", "keys b=2")
		return RestartResult{Version: "13", Previous: "12", UpdatedAt: o.clock.Now()}, nil
	}
	run := o.approve(t, steps(func(r *Request) { r.Restart = true }))
	run = o.until(t, run.ID, StateRestart)
	if r := receipt(t, run, "verify"); r.Status != StatusFail || r.Finding != FoundStale {
		t.Errorf("%+v", r)
	}
	run = o.followed(t, o.until(t, run.ID, StateWatch).ID, nil)
	if run.State != StateDone || receipt(t, run, "confirm").Status != StatusOK || !strings.Contains(run.Outcome, "refilled with live keys") {
		t.Errorf("%s: %q, %+v", run.State, run.Outcome, run.Receipts)
	}
}

func TestConfirm(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(*office, *surroundings)
		status Status
		words  string
	}{
		"success":     {func(o *office, s *surroundings) { o.target.Successes = s }, StatusOK, "signed with live key `b`"},
		"an old kid":  {func(o *office, s *surroundings) { o.target.Successes = s; s.kids = []string{"a"} }, StatusWarn, "no line names a live kid"},
		"nobody came": {func(o *office, s *surroundings) { o.target.Successes = s; s.successes = 0 }, StatusWarn, "no accepted token within"},
		"sign-in accepted": {func(o *office, s *surroundings) {
			o.target.Canary = s
			s.sign = CanaryResult{Accepted: true, Status: 200}
		}, StatusOK, "was accepted"},
		// An environment kept its old keys for some seconds after the flush.
		"sign-in accepted at the third time": {func(o *office, s *surroundings) {
			o.target.Canary, s.rejects = s, 2
			s.sign = CanaryResult{Accepted: true, Status: 200}
		}, StatusOK, "was accepted"},
		"sign-in rejected": {func(o *office, s *surroundings) { o.target.Canary = s; s.sign = CanaryResult{Status: 401} }, StatusFail, "a test sign-in was rejected (HTTP 401), also when tried again for 30 s"},
		"sign-in unclear": {func(o *office, s *surroundings) {
			o.target.Canary = s
			s.sign = CanaryResult{Status: 502, Text: "the protected URL answers HTTP 502."}
		}, StatusWarn, "HTTP 502"},
	} {
		o := newOffice(t)
		s := o.around()
		c.set(o, s)
		o.refill("keys b=2", 1)
		run := o.until(t, o.approve(t, request("U0ANN")).ID, StateWatch)
		r := receipt(t, run, "confirm")
		if r.Status != c.status || !strings.Contains(r.Summary, c.words) {
			t.Errorf("%s: %s %q", name, r.Status, r.Summary)
		}
		if run = o.followed(t, run.ID, nil); (run.State == StateFailed) != (c.status == StatusFail) {
			t.Errorf("%s: ended %s", name, run.State)
		}
	}
}

// Every effect asks before whether this process still executes.
func TestGuardStopsTheOtherEffects(t *testing.T) {
	stop := errors.New("another process executes")
	for state, req := range map[State]Request{
		StateRestart: steps(func(r *Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" }),
		StateGateway: steps(func(r *Request) { r.NoFlush, r.Gateway, r.Override = true, true, "x" }),
		StateFlush:   steps(func(r *Request) { r.Scope, r.Override = ScopeAll, "x" }),
	} {
		o := newOffice(t)
		s := o.around()
		s.setup.Authorisers[0].ResultTTL = time.Minute
		o.target.AllowAll = true
		run := o.until(t, o.approve(t, req).ID, state)
		o.guarded(t, func(context.Context) error { return stop })
		if _, err := o.machine.Advance(t.Context(), run); !errors.Is(err, stop) || len(s.restarted)+s.emptied+len(o.cache.deleted) != 0 {
			t.Errorf("%s: %v, %v, %d, %v", state, err, s.restarted, s.emptied, o.cache.deleted)
		}
	}
}

// Of the calls for people and of what is written back, too.
func TestGuardStopsCallsAndUndo(t *testing.T) {
	stop := errors.New("another process executes")
	guard := func(context.Context) error { return stop }
	o := newOffice(t)
	s := o.around()
	s.usual.logged = 500
	run := o.followed(t, o.watched(t).ID, func(r Run) bool { return r.State == StateEscalate })
	o.guarded(t, guard)
	if _, err := o.machine.Advance(t.Context(), run); !errors.Is(err, stop) || s.pages+s.published != 0 {
		t.Errorf("%v, %d pages", err, s.pages)
	}
	o, of := flushedThree(t)
	run = o.until(t, o.approve(t, undo(of.ID)).ID, StateRestore)
	o.guarded(t, guard)
	if _, err := o.machine.Advance(t.Context(), run); !errors.Is(err, stop) || o.cache.get("jwks:current") != "" {
		t.Errorf("%v, written %q", err, o.cache.get("jwks:current"))
	}
	o = newOffice(t)
	s = o.around()
	o.target.Bridge, o.target.Route = s, RouteBridge
	run = o.until(t, o.approve(t, request("U0ANN")).ID, StateFlush)
	o.guarded(t, guard)
	if _, err := o.machine.Advance(t.Context(), run); !errors.Is(err, stop) || len(s.asked) != 0 {
		t.Errorf("%v, asked %v", err, s.asked)
	}
}
