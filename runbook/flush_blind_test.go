package runbook

import (
	"errors"
	"strings"
	"testing"
)

func TestFlushThroughCommandBridge(t *testing.T) {
	drop := func(o *office) func() { return func() { o.cache.drop("jwks:current") } }
	for name, c := range map[string]struct {
		set   func(*office, *surroundings)
		state State
		words string
		next  NextKind
	}{
		"it flushes": {func(o *office, s *surroundings) { s.onBridge = drop(o) }, StateDone, "The old entries are gone", NextUndo},
		"it lies":    {func(*office, *surroundings) {}, StateFailed, "CommandBridge reported success, 1 old entry remains. Flush directly.", NextFlushDirect},
		"it fails":   {func(_ *office, s *surroundings) { s.bridgeErr = errors.New("HTTP 502") }, StateFailed, "CommandBridge was asked, 1 old entry remains", NextFlushDirect},
		"it fails after it flushed": {func(o *office, s *surroundings) {
			s.bridgeErr, s.onBridge = errors.New("timeout"), drop(o)
		}, StateDone, "The old entries are gone", NextUndo},
	} {
		o := newOffice(t)
		s := o.around()
		o.target.Watch.For, o.target.Bridge, o.target.Route = 0, s, RouteBridge
		c.set(o, s)
		run := o.until(t, o.approve(t, request("U0ANN")).ID, c.state)
		if len(s.asked) != 1 || s.asked[0] != run.Ticket || o.cache.asked != 0 || !strings.Contains(run.Outcome, c.words) {
			t.Errorf("%s: asked %v, %d own deletions, outcome %q", name, s.asked, o.cache.asked, run.Outcome)
		}
		if got := run.NextSteps(); len(got) == 0 || got[0].Kind != c.next {
			t.Errorf("%s: next %+v", name, got)
		}
		// What was not flushed need not cool down: the direct way is open at once.
		again := request("U0ANN")
		again.Direct = true
		if _, _, err := o.desk.Open(t.Context(), again, Silent{}); (err == nil) != (c.next == NextFlushDirect) {
			t.Errorf("%s: asked for the direct way: %v", name, err)
		}
	}
}

// The claim is never repeated blindly: after a crash the cache is read first.
func TestCommandBridgeIsNotAskedTwiceBlindly(t *testing.T) {
	for name, c := range map[string]struct {
		flushed bool
		asked   int
	}{"it had flushed": {true, 1}, "it had not": {false, 2}} {
		o := newOffice(t)
		s := o.around()
		o.target.Watch.For, o.target.Bridge, o.target.Route = 0, s, RouteBridge
		run := o.until(t, o.approve(t, request("U0ANN")).ID, StateFlush)
		if c.flushed {
			s.onBridge = func() { o.cache.drop("jwks:current") }
		}
		if _, err := o.machine.Advance(t.Context(), run); err != nil { // and the crash
			t.Fatal(err)
		}
		run, _ = o.advance(t, run.ID)
		if len(s.asked) != c.asked || run.State != StateVerify {
			t.Errorf("%s: asked %d times, %s", name, len(s.asked), run.State)
		}
	}
}

func TestDirectAlthoughTheTargetGoesThroughCommandBridge(t *testing.T) {
	o := newOffice(t)
	s := o.around()
	o.target.Bridge, o.target.Route = s, RouteBridge
	o.refill("keys b=2", 1)
	run := o.until(t, o.approve(t, steps(func(r *Request) { r.Direct = true })).ID, StateWatch)
	if len(s.asked) != 0 || len(o.cache.deleted) != 1 || run.Plan.Route != RouteDirect {
		t.Errorf("asked %v, deleted %v, %s", s.asked, o.cache.deleted, run.Plan.Route)
	}
}

func TestFlushByName(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(*office)
		change func(*Request)
	}{
		"above the limits": {func(o *office) { o.cache.cut = true }, func(*Request) {}},
		"the whole group":  {func(o *office) { o.target.AllowAll = true }, func(r *Request) { r.Scope = ScopeAll }},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			o.cache.others = 41210
			c.set(o)
			_, _, err := o.desk.Open(t.Context(), steps(c.change), Silent{})
			refused(t, err, RefusedOverride, "undone")
			run := o.approve(t, steps(func(r *Request) { c.change(r); r.Override = "agreed in the incident call" }))
			if !run.Plan.NoUndo || run.Plan.Route != RouteDirect {
				t.Fatalf("plan %+v", run.Plan)
			}
			o.cache.cut = false
			o.refill("keys b=2", 1)
			run = o.until(t, run.ID, StateDone)
			if saved, _ := o.snaps.Snapshot(t.Context(), run.ID); len(saved) != 0 || len(run.Receipts) != 2 {
				t.Errorf("copied %d entries, receipts %+v", len(saved), run.Receipts)
			}
			if !strings.Contains(run.Outcome, "Proven") || o.cache.asked != 1 {
				t.Errorf("asked %d times, %q", o.cache.asked, run.Outcome)
			}
			for _, n := range run.NextSteps() {
				if n.Kind == NextUndo {
					t.Error("an undo is offered for what cannot be undone")
				}
			}
		})
	}
}

// After a crash in the middle the world is read first: what was written since is
// not deleted, and other owners' keys are not flushed a second time.
func TestFlushByNameIsNotRepeatedBlindly(t *testing.T) {
	for name, c := range map[string]struct {
		after func(*office)
		kept  string
		asked int
	}{
		"it was done":       {func(o *office) { o.cache.set("jwks:current", "keys b=2") }, "keys b=2", 1},
		"an entry was left": {func(o *office) { o.cache.set("jwks:current", "keys a=1") }, "", 2},
	} {
		o := newOffice(t)
		o.target.AllowAll = true
		run := o.approve(t, steps(func(r *Request) { r.Scope, r.Override = ScopeAll, "x" }))
		run = o.until(t, run.ID, StateFlush)
		if _, err := o.machine.Advance(t.Context(), run); err != nil { // and the crash
			t.Fatal(err)
		}
		o.cache.others = 7 // somebody signed in meanwhile
		c.after(o)
		run, _ = o.advance(t, run.ID)
		if o.cache.get("jwks:current") != c.kept || o.cache.others != 7 || o.cache.asked != c.asked || run.State != StateVerify {
			t.Errorf("%s: holds %q, %d others, asked %d times, %s", name, o.cache.get("jwks:current"), o.cache.others, o.cache.asked, run.State)
		}
	}
}

func TestFlushByNameWithForeignEntriesIsRefused(t *testing.T) {
	o := newOffice(t)
	o.cache.cut = true
	o.cache.set("jwks:https://other.example/realm", "keys z=9")
	_, _, err := o.desk.Open(t.Context(), steps(func(r *Request) { r.Override = "x" }), Silent{})
	refused(t, err, RefusedUnsafe, "another issuer")
}
