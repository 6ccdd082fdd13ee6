package runbook

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func kinds(steps []NextStep) string {
	var out []string
	for _, s := range steps {
		out = append(out, string(s.Kind))
	}
	return strings.Join(out, " ")
}

func TestNextSteps(t *testing.T) {
	flushed := Receipt{Step: "flush-cache", Status: StatusOK, EndedAt: t0}
	verified := func(f ReceiptFinding) Receipt {
		r := Receipt{Step: "verify", Status: StatusOK, Finding: f}
		if f != FoundNothing {
			r.Status = StatusFail
		}
		return r
	}
	failing := &Watch{Since: t0, Until: t0.Add(15 * time.Minute), Points: pointsOf(times(6, 50, 1000)...)}
	calm := &Watch{Since: t0, Until: t0.Add(15 * time.Minute), Points: pointsOf(times(6, 1, 1000)...)}
	restarted := &RestartResult{Version: "13"}
	for name, c := range map[string]struct {
		run  Run
		want string
	}{
		"pending":              {Run{State: StatePending}, ""},
		"under way":            {Run{State: StateFlush}, ""},
		"obsolete":             {Run{State: StateObsolete}, ""},
		"denied":               {Run{State: StateDenied}, "retry"},
		"expired":              {Run{State: StateExpired}, "retry"},
		"nothing was touched":  {Run{State: StateFailed}, "retry"},
		"proven":               {Run{State: StateDone, Receipts: []Receipt{flushed, verified(FoundNothing)}}, "undo"},
		"proven, watching":     {Run{State: StateWatch, Watch: calm, Receipts: []Receipt{flushed, verified(FoundNothing)}}, "escalate undo"},
		"entries left":         {Run{State: StateFailed, Receipts: []Receipt{flushed, verified(FoundLeft)}}, "flush undo"},
		"left by the bridge":   {Run{State: StateWatch, Plan: Plan{Route: RouteBridge}, Receipts: []Receipt{flushed, verified(FoundLeft)}}, "flush_direct escalate undo"},
		"came back stale":      {Run{State: StateFailed, Receipts: []Receipt{flushed, verified(FoundStale)}}, "restart flush undo"},
		"stale, restarted":     {Run{State: StateFailed, Restarted: restarted, Receipts: []Receipt{flushed, verified(FoundStale)}}, "flush undo"},
		"cannot be undone":     {Run{State: StateDone, Plan: Plan{NoUndo: true}, Receipts: []Receipt{flushed, verified(FoundNothing)}}, ""},
		"failures go on":       {Run{State: StateDone, Watch: failing, Receipts: []Receipt{flushed, verified(FoundNothing)}}, "restart gateway undo"},
		"nothing to restart":   {Run{State: StateDone, Watch: failing, Plan: Plan{Void: []Mitigation{RestartAuthoriser}}, Receipts: []Receipt{flushed, verified(FoundNothing)}}, "gateway undo"},
		"nothing to empty":     {Run{State: StateDone, Watch: failing, Plan: Plan{Void: []Mitigation{FlushGateway}}, Receipts: []Receipt{flushed, verified(FoundNothing)}}, "restart undo"},
		"even after a restart": {Run{State: StateDone, Watch: failing, Restarted: restarted, Receipts: []Receipt{flushed, verified(FoundNothing)}}, "gateway undo"},
		"it is escalated":      {Run{State: StateWatch, Watch: failing, Escalation: &Escalation{}, Receipts: []Receipt{flushed, verified(FoundNothing)}}, "restart gateway undo"},
		"calm":                 {Run{State: StateDone, Watch: calm, Receipts: []Receipt{flushed, verified(FoundNothing)}}, "undo"},
		"unproven restart": {Run{State: StateDone, Restarted: restarted, Plan: Plan{Steps: []Mitigation{RestartAuthoriser}, Restart: &RestartPlan{Mode: RestartLatest}},
			Receipts: []Receipt{{Step: "restart-authoriser", Status: StatusWarn, Finding: FoundUnproven, EndedAt: t0}}}, "restart"},
		"a sign-in was rejected": {Run{State: StateWatch, Receipts: []Receipt{flushed, verified(FoundNothing), {Step: "confirm", Status: StatusFail, Finding: FoundRejected}}}, "restart gateway escalate undo"},
		"the second look was clean": {Run{State: StateDone, Restarted: restarted, Plan: Plan{Steps: []Mitigation{FlushCache, RestartAuthoriser}, Restart: &RestartPlan{}},
			Receipts: []Receipt{flushed, verified(FoundStale), {Step: "confirm", Status: StatusOK}}}, "undo"},
	} {
		got := c.run.NextSteps()
		if kinds(got) != c.want {
			t.Errorf("%s: %q, want %q", name, kinds(got), c.want)
		}
		for _, s := range got {
			if s.Option != (s.Kind == NextUndo || s.Kind == NextEscalate) {
				t.Errorf("%s: %s is an option: %t", name, s.Kind, s.Option)
			}
			if s.Label == "" || s.Why == "" {
				t.Errorf("%s: %+v lacks words", name, s)
			}
			if _, ok := c.run.Request(s.Kind, "U0ANN", ViaSlack); ok == (s.Kind == NextEscalate) {
				t.Errorf("%s: %s makes a request: %t", name, s.Kind, ok)
			}
		}
	}
}

// A button asks for exactly what it says; an override or a broken glass is
// never taken over.
func TestRequestOfANextStep(t *testing.T) {
	run := Run{ID: "0214-x", Target: "production", Ticket: "INC-1", Reason: "rotated", Override: "o", BreakGlass: "b", Post: Post{Channel: "C1"},
		Plan: Plan{Steps: []Mitigation{FlushCache, RestartAuthoriser}, Scope: ScopeKeys, Route: RouteDirect}}
	base := Request{Target: "production", Ticket: "INC-1", By: "U0BEN", Via: ViaSlack, Channel: "C1"}
	for kind, change := range map[NextKind]func(*Request){
		NextRestart:     func(r *Request) { r.NoFlush, r.Restart = true, true },
		NextGateway:     func(r *Request) { r.NoFlush, r.Gateway = true, true },
		NextFlush:       func(r *Request) {},
		NextFlushDirect: func(r *Request) { r.Direct = true },
		NextUndo:        func(r *Request) { r.NoFlush, r.RestoreOf = true, "0214-x" },
		NextRetry:       func(r *Request) { r.Restart, r.Direct, r.Scope = true, true, ScopeKeys },
	} {
		want := base
		change(&want)
		got, ok := run.Request(kind, "U0BEN", ViaSlack)
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
	o := newOffice(t)
	s := o.around()
	s.setup.Authorisers[0].ResultTTL = time.Minute
	s.usual = minute{requests: 1000, logged: 50, denied: 50}
	run := o.followed(t, o.watched(t).ID, nil)
	if got := kinds(run.NextSteps()); got != "restart gateway undo" {
		t.Fatalf("next %q", got)
	}
	for _, step := range run.NextSteps() {
		if step.Kind == NextUndo {
			o.cache.drop("jwks:current")
		}
		req, _ := run.Request(step.Kind, "U0ANN", ViaSlack)
		req.Override = "failures go on" // the checks of this test see no failures
		if _, _, err := o.desk.Open(t.Context(), req, Silent{}); err != nil {
			t.Errorf("%s: %v", step.Kind, err)
		}
	}
}

// Nobody is to be sent to ask for what has nothing to act on; what could not be
// read may have.
func TestPlanSaysWhatHasNothingToActOn(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Target, *surroundings)
		want   []Mitigation
	}{
		"the gateway keeps answers":  {func(_ *Target, s *surroundings) { s.setup.Authorisers[0].ResultTTL = time.Minute }, nil},
		"the gateway keeps none":     {func(_ *Target, s *surroundings) {}, []Mitigation{FlushGateway}},
		"the gateway cannot be read": {func(_ *Target, s *surroundings) { s.setupErr = errors.New("refused") }, nil},
		"no gateway is configured":   {func(target *Target, _ *surroundings) { target.API = nil }, []Mitigation{FlushGateway}},
		"no function is configured":  {func(target *Target, _ *surroundings) { target.Function = nil }, []Mitigation{RestartAuthoriser, FlushGateway}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			c.change(o.target, o.around())
			if got := o.watched(t).Plan.Void; !slices.Equal(got, c.want) {
				t.Errorf("nothing to act on for %v, want %v", got, c.want)
			}
		})
	}
}

func TestSeriesOfARun(t *testing.T) {
	o := newOffice(t)
	s := o.around()
	s.from(-15, 16, minute{requests: 1000, logged: 340})
	s.from(1, 12, minute{requests: 1000, logged: 340})
	s.from(5, 1, minute{requests: -1})
	run := o.followed(t, o.watched(t).ID, nil)
	series := run.Series()
	if len(series.Failures) != 15+len(run.Watch.Points) || series.Threshold != DefaultRatio || series.Failures[0].Failures != 340 {
		t.Errorf("%d points, threshold %v", len(series.Failures), series.Threshold)
	}
	for _, p := range series.Failures {
		if p.At.Equal(t0.Add(5 * time.Minute)) {
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
	if empty := (Run{}).Series(); len(empty.Failures)+len(empty.Marks) != 0 {
		t.Errorf("%+v", empty)
	}
}

// A plan of an earlier version names no steps: it was a flush.
func TestPlanOfAnEarlierVersion(t *testing.T) {
	o := newOffice(t)
	o.refill("keys b=2", 1)
	run := o.approve(t, request("U0ANN"))
	o.ledger.Change(t.Context(), run.ID, func(r *Run) ([]AuditEntry, error) {
		r.Plan.Steps, r.Plan.Route, r.Locks = nil, "", nil
		return nil, nil
	})
	if run = o.until(t, run.ID, StateDone); len(o.cache.deleted) != 1 {
		t.Errorf("deleted %v, %q", o.cache.deleted, run.Outcome)
	}
}
