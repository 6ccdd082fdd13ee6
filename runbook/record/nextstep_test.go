package record_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/execute"
	"jwksbot/runbook/record"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

func kinds(steps []record.NextStep) string {
	var out []string
	for _, s := range steps {
		out = append(out, string(s.Kind))
	}
	return strings.Join(out, " ")
}

func TestNextSteps(t *testing.T) {
	flushed := runbook.Receipt{Step: "flush-cache", Status: runbook.StatusOK, EndedAt: standin.T0}
	verified := func(f runbook.ReceiptFinding) runbook.Receipt {
		r := runbook.Receipt{Step: "verify", Status: runbook.StatusOK, Finding: f}
		if f != runbook.FoundNothing {
			r.Status = runbook.StatusFail
		}
		return r
	}
	failing := &runbook.Watch{Since: standin.T0, Until: standin.T0.Add(15 * time.Minute), Points: standin.PointsOf(standin.Times(6, 50, 1000)...)}
	calm := &runbook.Watch{Since: standin.T0, Until: standin.T0.Add(15 * time.Minute), Points: standin.PointsOf(standin.Times(6, 1, 1000)...)}
	restarted := &runbook.RestartResult{Version: "13"}
	for name, c := range map[string]struct {
		run  runbook.Run
		want string
	}{
		"pending":              {runbook.Run{State: runbook.StatePending}, ""},
		"under way":            {runbook.Run{State: runbook.StateFlush}, ""},
		"obsolete":             {runbook.Run{State: runbook.StateObsolete}, ""},
		"denied":               {runbook.Run{State: runbook.StateDenied}, "retry"},
		"expired":              {runbook.Run{State: runbook.StateExpired}, "retry"},
		"nothing was touched":  {runbook.Run{State: runbook.StateFailed}, "retry"},
		"proven":               {runbook.Run{State: runbook.StateDone, Receipts: []runbook.Receipt{flushed, verified(runbook.FoundNothing)}}, "undo"},
		"proven, watching":     {runbook.Run{State: runbook.StateWatch, Watch: calm, Receipts: []runbook.Receipt{flushed, verified(runbook.FoundNothing)}}, "escalate undo"},
		"entries left":         {runbook.Run{State: runbook.StateFailed, Receipts: []runbook.Receipt{flushed, verified(runbook.FoundLeft)}}, "flush undo"},
		"left by the bridge":   {runbook.Run{State: runbook.StateWatch, Plan: runbook.Plan{Route: runbook.RouteBridge}, Receipts: []runbook.Receipt{flushed, verified(runbook.FoundLeft)}}, "flush_direct escalate undo"},
		"came back stale":      {runbook.Run{State: runbook.StateFailed, Receipts: []runbook.Receipt{flushed, verified(runbook.FoundStale)}}, "restart flush undo"},
		"stale, restarted":     {runbook.Run{State: runbook.StateFailed, Restarted: restarted, Receipts: []runbook.Receipt{flushed, verified(runbook.FoundStale)}}, "flush undo"},
		"cannot be undone":     {runbook.Run{State: runbook.StateDone, Plan: runbook.Plan{NoUndo: true}, Receipts: []runbook.Receipt{flushed, verified(runbook.FoundNothing)}}, ""},
		"failures go on":       {runbook.Run{State: runbook.StateDone, Watch: failing, Receipts: []runbook.Receipt{flushed, verified(runbook.FoundNothing)}}, "restart gateway undo"},
		"nothing to restart":   {runbook.Run{State: runbook.StateDone, Watch: failing, Plan: runbook.Plan{Void: []runbook.Mitigation{runbook.RestartAuthoriser}}, Receipts: []runbook.Receipt{flushed, verified(runbook.FoundNothing)}}, "gateway undo"},
		"nothing to empty":     {runbook.Run{State: runbook.StateDone, Watch: failing, Plan: runbook.Plan{Void: []runbook.Mitigation{runbook.FlushGateway}}, Receipts: []runbook.Receipt{flushed, verified(runbook.FoundNothing)}}, "restart undo"},
		"even after a restart": {runbook.Run{State: runbook.StateDone, Watch: failing, Restarted: restarted, Receipts: []runbook.Receipt{flushed, verified(runbook.FoundNothing)}}, "gateway undo"},
		"it is escalated":      {runbook.Run{State: runbook.StateWatch, Watch: failing, Escalation: &runbook.Escalation{}, Receipts: []runbook.Receipt{flushed, verified(runbook.FoundNothing)}}, "restart gateway undo"},
		"calm":                 {runbook.Run{State: runbook.StateDone, Watch: calm, Receipts: []runbook.Receipt{flushed, verified(runbook.FoundNothing)}}, "undo"},
		"unproven restart": {runbook.Run{State: runbook.StateDone, Restarted: restarted, Plan: runbook.Plan{Steps: []runbook.Mitigation{runbook.RestartAuthoriser}, Restart: &runbook.RestartPlan{Mode: runbook.RestartLatest}},
			Receipts: []runbook.Receipt{{Step: "restart-authoriser", Status: runbook.StatusWarn, Finding: runbook.FoundUnproven, EndedAt: standin.T0}}}, "restart"},
		"a sign-in was rejected": {runbook.Run{State: runbook.StateWatch, Receipts: []runbook.Receipt{flushed, verified(runbook.FoundNothing), {Step: "confirm", Status: runbook.StatusFail, Finding: runbook.FoundRejected}}}, "restart gateway escalate undo"},
		"the second look was clean": {runbook.Run{State: runbook.StateDone, Restarted: restarted, Plan: runbook.Plan{Steps: []runbook.Mitigation{runbook.FlushCache, runbook.RestartAuthoriser}, Restart: &runbook.RestartPlan{}},
			Receipts: []runbook.Receipt{flushed, verified(runbook.FoundStale), {Step: "confirm", Status: runbook.StatusOK}}}, "undo"},
	} {
		got := record.NextSteps(c.run)
		if kinds(got) != c.want {
			t.Errorf("%s: %q, want %q", name, kinds(got), c.want)
		}
		for _, s := range got {
			if s.Option != (s.Kind == record.NextUndo || s.Kind == record.NextEscalate) {
				t.Errorf("%s: %s is an option: %t", name, s.Kind, s.Option)
			}
			if s.Label == "" || s.Why == "" {
				t.Errorf("%s: %+v lacks words", name, s)
			}
			if _, ok := record.RequestFor(c.run, s.Kind, "U0ANN", runbook.ViaSlack); ok == (s.Kind == record.NextEscalate) {
				t.Errorf("%s: %s makes a request: %t", name, s.Kind, ok)
			}
		}
	}
}

// A button asks for exactly what it says; an override or a broken glass is
// never taken over.
func TestRequestOfANextStep(t *testing.T) {
	run := runbook.Run{ID: "0214-x", Target: "production", Ticket: "INC-1", Reason: "rotated", Override: "o", BreakGlass: "b", Post: runbook.Post{Channel: "C1"},
		Plan: runbook.Plan{Steps: []runbook.Mitigation{runbook.FlushCache, runbook.RestartAuthoriser}, Scope: runbook.ScopeKeys, Route: runbook.RouteDirect}}
	base := approve.Request{Target: "production", Ticket: "INC-1", By: "U0BEN", Via: runbook.ViaSlack, Channel: "C1"}
	for kind, change := range map[record.NextKind]func(*approve.Request){
		record.NextRestart:     func(r *approve.Request) { r.NoFlush, r.Restart = true, true },
		record.NextGateway:     func(r *approve.Request) { r.NoFlush, r.Gateway = true, true },
		record.NextFlush:       func(r *approve.Request) {},
		record.NextFlushDirect: func(r *approve.Request) { r.Direct = true },
		record.NextUndo:        func(r *approve.Request) { r.NoFlush, r.RestoreOf = true, "0214-x" },
		record.NextRetry:       func(r *approve.Request) { r.Restart, r.Direct, r.Scope = true, true, runbook.ScopeKeys },
	} {
		want := base
		change(&want)
		got, ok := record.RequestFor(run, kind, "U0BEN", runbook.ViaSlack)
		if !ok || got.Reason == "" {
			t.Errorf("%s: %t, reason %q", kind, ok, got.Reason)
		}
		if got.Reason = ""; got != want {
			t.Errorf("%s: %+v, want %+v", kind, got, want)
		}
	}
}

// Buttons only call Open: what a next step asks for is accepted as a request.
func TestNextStepsCanBeRequested(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	s.API.Authorisers[0].ResultTTL = time.Minute
	s.Usual = runbooktest.Minute{Requests: 1000, Logged: 50, Denied: 50}
	run := o.Followed(t, o.Watched(t).ID, nil)
	if got := kinds(record.NextSteps(run)); got != "restart gateway undo" {
		t.Fatalf("next %q", got)
	}
	for _, step := range record.NextSteps(run) {
		if step.Kind == record.NextUndo {
			o.Cache.Drop("jwks:current")
		}
		req, _ := record.RequestFor(run, step.Kind, "U0ANN", runbook.ViaSlack)
		req.Override = "failures go on" // the checks of this test see no failures
		if _, _, err := o.Service.Open(t.Context(), req, check.Silent{}); err != nil {
			t.Errorf("%s: %v", step.Kind, err)
		}
	}
}

// Nobody is to be sent to ask for what has nothing to act on; what could not be
// read may have.
func TestPlanSaysWhatHasNothingToActOn(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*check.Target, *runbooktest.Surroundings)
		want   []runbook.Mitigation
	}{
		"the gateway keeps answers":  {func(_ *check.Target, s *runbooktest.Surroundings) { s.API.Authorisers[0].ResultTTL = time.Minute }, nil},
		"the gateway keeps none":     {func(_ *check.Target, s *runbooktest.Surroundings) {}, []runbook.Mitigation{runbook.FlushGateway}},
		"the gateway cannot be read": {func(_ *check.Target, s *runbooktest.Surroundings) { s.SetupErr = errors.New("refused") }, nil},
		"no gateway is configured":   {func(target *check.Target, _ *runbooktest.Surroundings) { target.API = nil }, []runbook.Mitigation{runbook.FlushGateway}},
		"no function is configured":  {func(target *check.Target, _ *runbooktest.Surroundings) { target.Function = nil }, []runbook.Mitigation{runbook.RestartAuthoriser, runbook.FlushGateway}},
	} {
		t.Run(name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			c.change(o.Target, o.Around())
			if got := o.Watched(t).Plan.Void; !slices.Equal(got, c.want) {
				t.Errorf("nothing to act on for %v, want %v", got, c.want)
			}
		})
	}
}

func TestSeriesOfARun(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	s.From(-15, 16, runbooktest.Minute{Requests: 1000, Logged: 340})
	s.From(1, 12, runbooktest.Minute{Requests: 1000, Logged: 340})
	s.From(5, 1, runbooktest.Minute{Requests: -1})
	run := o.Followed(t, o.Watched(t).ID, nil)
	series := record.Series(run)
	if len(series.Failures) != 15+len(run.Watch.Points) || series.Threshold != execute.DefaultRatio || series.Failures[0].Failures != 340 {
		t.Errorf("%d points, threshold %v", len(series.Failures), series.Threshold)
	}
	for _, p := range series.Failures {
		if p.At.Equal(standin.T0.Add(5 * time.Minute)) {
			t.Error("a minute that is missing has a point")
		}
	}
	var labels []string
	for _, m := range series.Marks {
		labels = append(labels, m.Label)
	}
	if got := strings.Join(labels, " "); got != "flush escalation" {
		t.Errorf("marks %q", got)
	}
	if empty := record.Series((runbook.Run{})); len(empty.Failures)+len(empty.Marks) != 0 {
		t.Errorf("%+v", empty)
	}
}

// A plan of an earlier version names no steps: it was a flush.
func TestPlanOfAnEarlierVersion(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Refill("keys b=2", 1)
	run := o.Approve(t, runbooktest.Request("U0ANN"))
	o.Ledger.Change(t.Context(), run.ID, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		r.Plan.Steps, r.Plan.Route, r.Locks = nil, "", nil
		return nil, nil
	})
	if run = o.Until(t, run.ID, runbook.StateDone); len(o.Cache.Deleted) != 1 {
		t.Errorf("deleted %v, %q", o.Cache.Deleted, run.Outcome)
	}
}
