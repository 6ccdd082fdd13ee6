package execute_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

func TestFlushRestartAndGateway(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	s.API.Authorisers[0].ResultTTL = 5 * time.Minute
	o.Target.Canary, o.Target.Successes = s, s
	s.Sign = runbook.CanaryResult{Accepted: true, Status: 200, Kid: "b"}
	o.Refill("keys b=2", 2)
	run := o.Approve(t, runbooktest.Steps(func(r *approve.Request) { r.Restart, r.Gateway = true, true }))
	if got := strings.Join(run.Locks, "; "); got != runbooktest.Resource+"; function authoriser; result cache of http API a1b2c3, stage prod" {
		t.Errorf("locks %q", got)
	}
	var path []string
	for run = o.Run(t, run.ID); run.State != runbook.StateWatch && !run.State.Ended(); run, _ = o.Advance(t, run.ID) {
		path = append(path, string(run.State))
	}
	if got := strings.Join(path, " "); got != "approved snapshot flush verify restart gateway confirm" || run.State != runbook.StateWatch {
		t.Fatalf("path %s, then %s: %s", got, run.State, run.Outcome)
	}
	if len(s.Restarted) != 1 || s.Restarted[0] != run.ID || s.Emptied != 1 || run.Restarted == nil || run.Restarted.Version != "13" {
		t.Errorf("restarted %v, emptied %d, %+v", s.Restarted, s.Emptied, run.Restarted)
	}
	for step, want := range map[string]string{
		"restart-authoriser": "authoriser:live (version 13 instead of 12) runs in new execution environments (2 new log streams)",
		"flush-gateway":      "the effect cannot be read back",
		"confirm":            "a test sign-in was accepted (HTTP 200); the authoriser log shows 3 accepted tokens since, signed with live key `b`",
	} {
		if r := runbooktest.Receipt(t, run, step); r.Status != runbook.StatusOK || !strings.Contains(r.Summary, want) || r.EndedAt.Before(r.StartedAt) {
			t.Errorf("%s: %s %q", step, r.Status, r.Summary)
		}
	}
	if n := strings.Count(o.Ledger.Trail(), "effect"); n != 3 {
		t.Errorf("audit %s", o.Ledger.Trail())
	}
}

func TestStepsAlone(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*approve.Request)
		path     string
		resource string
	}{
		"restart": {func(r *approve.Request) { r.NoFlush, r.Restart, r.Override = true, true, "memory is stale" }, "approved restart", "function authoriser"},
		"gateway": {func(r *approve.Request) { r.NoFlush, r.Gateway, r.Override = true, true, "denials repeat" }, "approved gateway", "result cache of http API a1b2c3, stage prod"},
		"both":    {func(r *approve.Request) { r.NoFlush, r.Restart, r.Gateway, r.Override = true, true, true, "x" }, "approved restart gateway", "function authoriser"},
	} {
		o := runbooktest.NewWorld(t)
		s := o.Around()
		s.API.Authorisers[0].ResultTTL = time.Minute
		o.Target.Watch.For = 0
		run := o.Approve(t, runbooktest.Steps(c.change))
		if run.Resource != c.resource || len(run.Plan.Entries) != 0 || run.Plan.Has(runbook.FlushCache) {
			t.Errorf("%s: resource %q, plan %+v", name, run.Resource, run.Plan)
		}
		var path []string
		for run = o.Run(t, run.ID); !run.State.Ended(); run, _ = o.Advance(t, run.ID) {
			path = append(path, string(run.State))
		}
		if got := strings.Join(path, " "); got != c.path || run.State != runbook.StateDone || len(o.Cache.Deleted) != 0 || run.Outcome == "" {
			t.Errorf("%s: path %q, then %s: %q", name, got, run.State, run.Outcome)
		}
	}
}

func TestStepsAreRefusedAtTheRequest(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(*runbooktest.World, *runbooktest.Surroundings)
		change func(*approve.Request)
		code   string
		words  string
	}{
		"nothing is asked for": {nil, func(r *approve.Request) { r.NoFlush = true }, approve.RefusedSteps, "Nothing is asked for"},
		"an undo stands alone": {nil, func(r *approve.Request) { r.RestoreOf, r.Restart = "x", true }, approve.RefusedSteps, "stands alone"},
		"force without undo":   {nil, func(r *approve.Request) { r.Force = true }, approve.RefusedSteps, "Only an undo"},
		"no function":          {func(o *runbooktest.World, _ *runbooktest.Surroundings) { o.Target.Function = nil }, func(r *approve.Request) { r.Restart = true }, approve.RefusedSteps, "authoriser.function"},
		"no gateway":           {func(o *runbooktest.World, _ *runbooktest.Surroundings) { o.Target.API = nil }, func(r *approve.Request) { r.Gateway = true }, approve.RefusedSteps, "gateway.rest_api"},
		"environment variables": {func(_ *runbooktest.World, s *runbooktest.Surroundings) {
			s.Function.Refusal = "its environment variables cannot be read (KMS access denied), and an update would lose them"
		}, func(r *approve.Request) { r.Restart = true }, runbook.RefusedRestart, "environment variables"},
		"gateway unreadable": {func(_ *runbooktest.World, s *runbooktest.Surroundings) {
			s.SetupErr = errors.New("allow apigateway:GET")
		}, func(r *approve.Request) { r.Gateway = true }, runbook.RefusedUnread, "apigateway:GET"},
		"managed, HTTP API": {func(_ *runbooktest.World, s *runbooktest.Surroundings) {
			s.API.Authorisers = []runbook.GatewayAuthoriser{{Name: "jwt", Kind: runbook.ManagedJWT}}
		}, func(r *approve.Request) { r.Gateway = true }, approve.RefusedManaged, "up to 2 h"},
		"managed, REST": {func(_ *runbooktest.World, s *runbooktest.Surroundings) {
			s.API.Kind, s.API.Authorisers = runbook.RestAPI, []runbook.GatewayAuthoriser{{Name: "pool", Kind: runbook.ManagedUserPool}}
		}, func(r *approve.Request) { r.Gateway = true }, approve.RefusedManaged, "up to 60 min"},
		"results are not cached": {nil, func(r *approve.Request) { r.Gateway = true }, runbook.RefusedNothing, "TTL 0"},
		"a restart the verdict does not call for": {func(o *runbooktest.World, _ *runbooktest.Surroundings) { o.Cache.Set("jwks:current", "keys b=2") },
			func(r *approve.Request) { r.NoFlush, r.Restart = true, true }, approve.RefusedOverride, "against a restart"},
		"a restart while the live keys are broken": {func(o *runbooktest.World, _ *runbooktest.Surroundings) {
			o.Live.Become(standin.Always(standin.Bad("HTTP 503")))
		},
			func(r *approve.Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" }, runbook.RefusedUnsafe, "broken"},
		"break-glass where it is not allowed": {nil, func(r *approve.Request) { r.BreakGlass = "nobody is awake" }, approve.RefusedBreakGlass, "approval.break_glass"},
	} {
		t.Run(name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			s := o.Around()
			if c.set != nil {
				c.set(o, s)
			}
			_, _, err := o.Service.Open(t.Context(), runbooktest.Steps(c.change), check.Silent{})
			standin.Refused(t, err, c.code, c.words)
			if runs, _ := o.Ledger.Runs(t.Context(), runbook.Filter{}); len(runs) != 0 {
				t.Error("a refused request left a run")
			}
			if o.Ledger.Trail() != "refused" {
				t.Errorf("audit %q", o.Ledger.Trail())
			}
		})
	}
}

// What was approved is what runs: another version, revision or code of the
// function is a new plan.
func TestChangedFunctionIsANewPlan(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*runbooktest.Surroundings)
		words  string
	}{
		"code":     {func(s *runbooktest.Surroundings) { s.Function.CodeSHA = "other" }, "redeployed"},
		"version":  {func(s *runbooktest.Surroundings) { s.Function.Version = "14" }, "version 14 now, not 12"},
		"revision": {func(s *runbooktest.Surroundings) { s.Function.Revision = "r2" }, "configuration of function authoriser was changed"},
		"alias": {func(s *runbooktest.Surroundings) {
			s.API.Authorisers[0].Qualifier, s.Function.Qualifier = "blue", "blue"
		}, "invokes authoriser:blue now"},
	} {
		o := runbooktest.NewWorld(t)
		s := o.Around()
		run := o.Ask(t, runbooktest.Steps(func(r *approve.Request) { r.Restart = true }))
		digest := run.Plan.Digest
		c.change(s)
		_, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove)
		standin.Refused(t, err, runbook.RefusedChanged, c.words)
		if now := o.Run(t, run.ID); now.Generation != 2 || now.Plan.Digest == digest || now.State != runbook.StatePending {
			t.Errorf("%s: generation %d, %s", name, now.Generation, now.State)
		}
		// And once more between the approval and the start.
		run = o.Ask(t, runbooktest.Steps(func(r *approve.Request) { r.Restart = true }))
		if _, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove); err != nil {
			t.Fatal(err)
		}
		s.Function.Revision += "x"
		if after, _ := o.Advance(t, run.ID); after.State != runbook.StatePending || after.Generation != 2 || len(s.Restarted) != 0 {
			t.Errorf("%s: at the start: %s, generation %d", name, after.State, after.Generation)
		}
	}
}

// A cache that healed does not stop the steps after its flush.
func TestHealedFlushGoesOnToTheRestart(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	run := o.Approve(t, runbooktest.Steps(func(r *approve.Request) { r.Restart = true }))
	o.Cache.Set("jwks:current", "keys b=2")
	run = o.Until(t, run.ID, runbook.StateWatch)
	if len(o.Cache.Deleted) != 0 || len(s.Restarted) != 1 {
		t.Errorf("deleted %v, restarted %v, outcome %q", o.Cache.Deleted, s.Restarted, run.Outcome)
	}
}

func TestRestartIsProvenByNewLogStreams(t *testing.T) {
	for name, c := range map[string]struct {
		set     func(*runbooktest.World, *runbooktest.Surroundings)
		status  runbook.Status
		words   string
		finding runbook.ReceiptFinding
	}{
		"new ones": {func(*runbooktest.World, *runbooktest.Surroundings) {}, runbook.StatusOK, "2 new log streams", runbook.FoundNothing},
		"none":     {func(_ *runbooktest.World, s *runbooktest.Surroundings) { s.NewStreams = runbook.LogStreams{} }, runbook.StatusWarn, "unproven: accepted, but no new execution environment has logged yet", runbook.FoundUnproven},
		"old ones": {func(_ *runbooktest.World, s *runbooktest.Surroundings) { s.NewStreams = runbook.LogStreams{Old: 3} }, runbook.StatusWarn, "old execution environments go on", runbook.FoundUnproven},
		"unreadable": {func(_ *runbooktest.World, s *runbooktest.Surroundings) {
			s.StreamsErr = errors.New("allow logs:DescribeLogStreams")
		}, runbook.StatusWarn, "logs:DescribeLogStreams", runbook.FoundUnproven},
		"no group": {func(o *runbooktest.World, _ *runbooktest.Surroundings) { o.Target.Streams = nil }, runbook.StatusWarn, "without a log group", runbook.FoundUnproven},
		"after a bit": {func(o *runbooktest.World, s *runbooktest.Surroundings) {
			s.NewStreams = runbook.LogStreams{}
			o.Clock.OnWait = func(int) { s.NewStreams.New = 1 }
		}, runbook.StatusOK, "1 new log stream)", runbook.FoundNothing},
	} {
		o := runbooktest.NewWorld(t)
		s := o.Around()
		o.Target.Watch.For = 0
		c.set(o, s)
		run := o.Until(t, o.Approve(t, runbooktest.Steps(func(r *approve.Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" })).ID, runbook.StateDone)
		r := runbooktest.Receipt(t, run, "restart-authoriser")
		if r.Status != c.status || !strings.Contains(r.Summary, c.words) || r.Finding != c.finding {
			t.Errorf("%s: %s %q %q", name, r.Status, r.Summary, r.Finding)
		}
		if c.finding == runbook.FoundUnproven && strings.Contains(run.Outcome, "Proven") {
			t.Errorf("%s: outcome %q", name, run.Outcome)
		}
	}
}

func TestRefusedRestartWritesNothing(t *testing.T) {
	no := func() (runbook.RestartResult, error) {
		return runbook.RestartResult{}, runbook.Refuse(runbook.RefusedRestart, "Somebody else is updating the function.")
	}
	o := runbooktest.NewWorld(t)
	s := o.Around()
	s.Restarting = no
	run := o.Until(t, o.Approve(t, runbooktest.Steps(func(r *approve.Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" })).ID, runbook.StateFailed)
	if !strings.Contains(run.Outcome, "Somebody else is updating") || !strings.Contains(run.Outcome, "Nothing was touched") || s.Pages != 0 {
		t.Errorf("%q, %d pages", run.Outcome, s.Pages)
	}
	// After a flush the run goes on, is watched, and ends as failed.
	o = runbooktest.NewWorld(t)
	s = o.Around()
	s.Restarting = no
	o.Refill("keys b=2", 1)
	run = o.Until(t, o.Approve(t, runbooktest.Steps(func(r *approve.Request) { r.Restart = true })).ID, runbook.StateWatch)
	run = o.Followed(t, run.ID, nil)
	if run.State != runbook.StateFailed || !strings.Contains(run.Outcome, "was not done") || !strings.Contains(run.Outcome, "Proven") {
		t.Errorf("%s: %q", run.State, run.Outcome)
	}
}

// A restart that dies in an error may have changed something: people are called.
func TestBrokenExecutionEscalates(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	run := o.Approve(t, runbooktest.Steps(func(r *approve.Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" }))
	run = o.Until(t, run.ID, runbook.StateRestart)
	s.Restarting = func() (runbook.RestartResult, error) { return runbook.RestartResult{}, errors.New("connection reset") }
	if _, err := o.Machine.Advance(t.Context(), run); err == nil {
		t.Fatal("an error that may pass ended the run")
	}
	run = o.Apply(t, run.ID, run.Broken(`The step "restart" failed: connection reset.`))
	run, _ = o.Advance(t, run.ID)
	if run.State != runbook.StateFailed || s.Pages != 1 || s.Published != 1 || run.Escalation.Kind != runbook.EscalateDied {
		t.Errorf("%s, %d pages, %+v", run.State, s.Pages, run.Escalation)
	}
	for _, state := range []runbook.State{runbook.StateApproved, runbook.StateSnapshot, runbook.StateEscalate} {
		if tr := (runbook.Run{ID: "x", State: state}).Broken("so"); tr.To != runbook.StateFailed || tr.Alarm != nil {
			t.Errorf("%s: to %s", state, tr.To)
		}
	}
}

func TestStaleRefillIsCuredByTheRestart(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	o.Refill("keys a=1", 1) // an authoriser writes its old copy
	s.Restarting = func() (runbook.RestartResult, error) {
		o.Cache.Set("jwks:current", "keys b=2")
		return runbook.RestartResult{Version: "13", Previous: "12", UpdatedAt: o.Clock.Now()}, nil
	}
	run := o.Approve(t, runbooktest.Steps(func(r *approve.Request) { r.Restart = true }))
	run = o.Until(t, run.ID, runbook.StateRestart)
	if r := runbooktest.Receipt(t, run, "verify"); r.Status != runbook.StatusFail || r.Finding != runbook.FoundStale {
		t.Errorf("%+v", r)
	}
	run = o.Followed(t, o.Until(t, run.ID, runbook.StateWatch).ID, nil)
	if run.State != runbook.StateDone || runbooktest.Receipt(t, run, "confirm").Status != runbook.StatusOK || !strings.Contains(run.Outcome, "refilled with live keys") {
		t.Errorf("%s: %q, %+v", run.State, run.Outcome, run.Receipts)
	}
}

func TestConfirm(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(*runbooktest.World, *runbooktest.Surroundings)
		status runbook.Status
		words  string
	}{
		"success": {func(o *runbooktest.World, s *runbooktest.Surroundings) { o.Target.Successes = s }, runbook.StatusOK, "signed with live key `b`"},
		"an old kid": {func(o *runbooktest.World, s *runbooktest.Surroundings) {
			o.Target.Successes = s
			s.Kids = []string{"a"}
		}, runbook.StatusWarn, "no line names a live kid"},
		"nobody came": {func(o *runbooktest.World, s *runbooktest.Surroundings) { o.Target.Successes = s; s.Accepted = 0 }, runbook.StatusWarn, "no accepted token within"},
		"sign-in accepted": {func(o *runbooktest.World, s *runbooktest.Surroundings) {
			o.Target.Canary = s
			s.Sign = runbook.CanaryResult{Accepted: true, Status: 200}
		}, runbook.StatusOK, "was accepted"},
		// An environment kept its old keys for some seconds after the flush.
		"sign-in accepted at the third time": {func(o *runbooktest.World, s *runbooktest.Surroundings) {
			o.Target.Canary, s.Rejects = s, 2
			s.Sign = runbook.CanaryResult{Accepted: true, Status: 200}
		}, runbook.StatusOK, "was accepted"},
		"sign-in rejected": {func(o *runbooktest.World, s *runbooktest.Surroundings) {
			o.Target.Canary = s
			s.Sign = runbook.CanaryResult{Status: 401}
		}, runbook.StatusFail, "a test sign-in was rejected (HTTP 401), also when tried again for 30 s"},
		"sign-in unclear": {func(o *runbooktest.World, s *runbooktest.Surroundings) {
			o.Target.Canary = s
			s.Sign = runbook.CanaryResult{Status: 502, Text: "the protected URL answers HTTP 502."}
		}, runbook.StatusWarn, "HTTP 502"},
	} {
		o := runbooktest.NewWorld(t)
		s := o.Around()
		c.set(o, s)
		o.Refill("keys b=2", 1)
		run := o.Until(t, o.Approve(t, runbooktest.Request("U0ANN")).ID, runbook.StateWatch)
		r := runbooktest.Receipt(t, run, "confirm")
		if r.Status != c.status || !strings.Contains(r.Summary, c.words) {
			t.Errorf("%s: %s %q", name, r.Status, r.Summary)
		}
		if run = o.Followed(t, run.ID, nil); (run.State == runbook.StateFailed) != (c.status == runbook.StatusFail) {
			t.Errorf("%s: ended %s", name, run.State)
		}
	}
}

// Every effect asks before whether this process still executes.
func TestGuardStopsTheOtherEffects(t *testing.T) {
	stop := errors.New("another process executes")
	for state, req := range map[runbook.State]approve.Request{
		runbook.StateRestart: runbooktest.Steps(func(r *approve.Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" }),
		runbook.StateGateway: runbooktest.Steps(func(r *approve.Request) { r.NoFlush, r.Gateway, r.Override = true, true, "x" }),
		runbook.StateFlush:   runbooktest.Steps(func(r *approve.Request) { r.Scope, r.Override = runbook.ScopeAll, "x" }),
	} {
		o := runbooktest.NewWorld(t)
		s := o.Around()
		s.API.Authorisers[0].ResultTTL = time.Minute
		o.Target.AllowAll = true
		run := o.Until(t, o.Approve(t, req).ID, state)
		o.Guarded(t, func(context.Context) error { return stop })
		if _, err := o.Machine.Advance(t.Context(), run); !errors.Is(err, stop) || len(s.Restarted)+s.Emptied+len(o.Cache.Deleted) != 0 {
			t.Errorf("%s: %v, %v, %d, %v", state, err, s.Restarted, s.Emptied, o.Cache.Deleted)
		}
	}
}

// Of the calls for people and of what is written back, too.
func TestGuardStopsCallsAndUndo(t *testing.T) {
	stop := errors.New("another process executes")
	guard := func(context.Context) error { return stop }
	o := runbooktest.NewWorld(t)
	s := o.Around()
	s.Usual.Logged = 500
	run := o.Followed(t, o.Watched(t).ID, func(r runbook.Run) bool { return r.State == runbook.StateEscalate })
	o.Guarded(t, guard)
	if _, err := o.Machine.Advance(t.Context(), run); !errors.Is(err, stop) || s.Pages+s.Published != 0 {
		t.Errorf("%v, %d pages", err, s.Pages)
	}
	o, of := flushedThree(t)
	run = o.Until(t, o.Approve(t, undo(of.ID)).ID, runbook.StateRestore)
	o.Guarded(t, guard)
	if _, err := o.Machine.Advance(t.Context(), run); !errors.Is(err, stop) || o.Cache.Get("jwks:current") != "" {
		t.Errorf("%v, written %q", err, o.Cache.Get("jwks:current"))
	}
	o = runbooktest.NewWorld(t)
	s = o.Around()
	o.Target.Bridge, o.Target.Route = s, runbook.RouteBridge
	run = o.Until(t, o.Approve(t, runbooktest.Request("U0ANN")).ID, runbook.StateFlush)
	o.Guarded(t, guard)
	if _, err := o.Machine.Advance(t.Context(), run); !errors.Is(err, stop) || len(s.Asked) != 0 {
		t.Errorf("%v, asked %v", err, s.Asked)
	}
}
