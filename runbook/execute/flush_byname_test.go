package execute_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/record"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

func TestFlushThroughCommandBridge(t *testing.T) {
	drop := func(o *runbooktest.World) func() { return func() { o.Cache.Drop("jwks:current") } }
	for name, c := range map[string]struct {
		set   func(*runbooktest.World, *runbooktest.Surroundings)
		state runbook.State
		words string
		next  record.NextKind
	}{
		"it flushes": {func(o *runbooktest.World, s *runbooktest.Surroundings) { s.OnBridge = drop(o) }, runbook.StateDone, "The old entries are gone", record.NextUndo},
		"it lies":    {func(*runbooktest.World, *runbooktest.Surroundings) {}, runbook.StateFailed, "CommandBridge reported success, 1 old entry remains. Flush directly.", record.NextFlushDirect},
		"it fails":   {func(_ *runbooktest.World, s *runbooktest.Surroundings) { s.BridgeErr = errors.New("HTTP 502") }, runbook.StateFailed, "CommandBridge was asked, 1 old entry remains", record.NextFlushDirect},
		"it fails after it flushed": {func(o *runbooktest.World, s *runbooktest.Surroundings) {
			s.BridgeErr, s.OnBridge = errors.New("timeout"), drop(o)
		}, runbook.StateDone, "The old entries are gone", record.NextUndo},
	} {
		o := runbooktest.NewWorld(t)
		s := o.Around()
		o.Target.Watch.For, o.Target.Bridge, o.Target.Route = 0, s, runbook.RouteBridge
		c.set(o, s)
		run := o.Until(t, o.Approve(t, runbooktest.Request("U0ANN")).ID, c.state)
		if len(s.Asked) != 1 || s.Asked[0] != run.Ticket || o.Cache.Asked != 0 || !strings.Contains(run.Outcome, c.words) {
			t.Errorf("%s: asked %v, %d own deletions, outcome %q", name, s.Asked, o.Cache.Asked, run.Outcome)
		}
		if got := record.NextSteps(run); len(got) == 0 || got[0].Kind != c.next {
			t.Errorf("%s: next %+v", name, got)
		}
		// What was not flushed need not cool down: the direct way is open at once.
		again := runbooktest.Request("U0ANN")
		again.Direct = true
		if _, _, err := o.Service.Open(t.Context(), again, check.Silent{}); (err == nil) != (c.next == record.NextFlushDirect) {
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
		o := runbooktest.NewWorld(t)
		s := o.Around()
		o.Target.Watch.For, o.Target.Bridge, o.Target.Route = 0, s, runbook.RouteBridge
		run := o.Until(t, o.Approve(t, runbooktest.Request("U0ANN")).ID, runbook.StateFlush)
		if c.flushed {
			s.OnBridge = func() { o.Cache.Drop("jwks:current") }
		}
		if _, err := o.Machine.Advance(t.Context(), run); err != nil { // and the crash
			t.Fatal(err)
		}
		run, _ = o.Advance(t, run.ID)
		if len(s.Asked) != c.asked || run.State != runbook.StateVerify {
			t.Errorf("%s: asked %d times, %s", name, len(s.Asked), run.State)
		}
	}
}

func TestDirectAlthoughTheTargetGoesThroughCommandBridge(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	o.Target.Bridge, o.Target.Route = s, runbook.RouteBridge
	o.Refill("keys b=2", 1)
	run := o.Until(t, o.Approve(t, runbooktest.Steps(func(r *approve.Request) { r.Direct = true })).ID, runbook.StateWatch)
	if len(s.Asked) != 0 || len(o.Cache.Deleted) != 1 || run.Plan.Route != runbook.RouteDirect {
		t.Errorf("asked %v, deleted %v, %s", s.Asked, o.Cache.Deleted, run.Plan.Route)
	}
}

func TestFlushByName(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(*runbooktest.World)
		change func(*approve.Request)
	}{
		"above the limits": {func(o *runbooktest.World) { o.Cache.Cut = true }, func(*approve.Request) {}},
		"the whole group":  {func(o *runbooktest.World) { o.Target.AllowAll = true }, func(r *approve.Request) { r.Scope = runbook.ScopeAll }},
	} {
		t.Run(name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			o.Cache.Others = 41210
			c.set(o)
			_, _, err := o.Service.Open(t.Context(), runbooktest.Steps(c.change), check.Silent{})
			standin.Refused(t, err, approve.RefusedOverride, "undone")
			run := o.Approve(t, runbooktest.Steps(func(r *approve.Request) { c.change(r); r.Override = "agreed in the incident call" }))
			if !run.Plan.NoUndo || run.Plan.Route != runbook.RouteDirect {
				t.Fatalf("plan %+v", run.Plan)
			}
			o.Cache.Cut = false
			o.Refill("keys b=2", 1)
			run = o.Until(t, run.ID, runbook.StateDone)
			if saved, _ := o.Snaps.Snapshot(t.Context(), run.ID); len(saved) != 0 || len(run.Receipts) != 2 {
				t.Errorf("copied %d entries, receipts %+v", len(saved), run.Receipts)
			}
			if !strings.Contains(run.Outcome, "Proven") || o.Cache.Asked != 1 {
				t.Errorf("asked %d times, %q", o.Cache.Asked, run.Outcome)
			}
			for _, n := range record.NextSteps(run) {
				if n.Kind == record.NextUndo {
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
		after func(*runbooktest.World)
		kept  string
		asked int
	}{
		"it was done":       {func(o *runbooktest.World) { o.Cache.Set("jwks:current", "keys b=2") }, "keys b=2", 1},
		"an entry was left": {func(o *runbooktest.World) { o.Cache.Set("jwks:current", "keys a=1") }, "", 2},
	} {
		o := runbooktest.NewWorld(t)
		o.Target.AllowAll = true
		run := o.Approve(t, runbooktest.Steps(func(r *approve.Request) { r.Scope, r.Override = runbook.ScopeAll, "x" }))
		run = o.Until(t, run.ID, runbook.StateFlush)
		if _, err := o.Machine.Advance(t.Context(), run); err != nil { // and the crash
			t.Fatal(err)
		}
		o.Cache.Others = 7 // somebody signed in meanwhile
		c.after(o)
		run, _ = o.Advance(t, run.ID)
		if o.Cache.Get("jwks:current") != c.kept || o.Cache.Others != 7 || o.Cache.Asked != c.asked || run.State != runbook.StateVerify {
			t.Errorf("%s: holds %q, %d others, asked %d times, %s", name, o.Cache.Get("jwks:current"), o.Cache.Others, o.Cache.Asked, run.State)
		}
	}
}

// What has come since the approval needs a new look after a crash, too: of a
// flush that was cut off nothing more is deleted then.
func TestACutOffFlushByNameLooksAgain(t *testing.T) {
	for name, c := range map[string]struct {
		since func(*runbooktest.World)
		left  int64 // of the old entries
		says  string
	}{
		"as approved":             {func(*runbooktest.World) {}, 0, "old entries that were left deleted by name"},
		"a foreign entry came":    {func(o *runbooktest.World) { o.Cache.Set("jwks:https://other.example/realm", "keys z=9") }, 3, "things changed since the approval"},
		"many more old ones came": {func(o *runbooktest.World) { o.Cache.Fill("jwks:more", "keys a=1", 150) }, 153, "things changed since the approval"},
	} {
		t.Run(name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			o.Target.AllowAll = true
			o.Cache.Fill("jwks:old", "keys a=1", 4)
			run := o.Approve(t, runbooktest.Steps(func(r *approve.Request) { r.Scope, r.Override = runbook.ScopeAll, "x" }))
			o.Until(t, run.ID, runbook.StateFlush)
			if _, err := o.Ledger.Change(t.Context(), run.ID, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
				r.Begun = map[runbook.Mitigation]time.Time{runbook.FlushCache: o.Clock.Now()} // and the crash
				return nil, nil
			}); err != nil {
				t.Fatal(err)
			}
			o.Cache.Drop("jwks:current")
			o.Cache.Drop("jwks:old:3")
			c.since(o)
			run, _ = o.Advance(t, run.ID)
			receipt := runbooktest.Receipt(t, run, string(runbook.FlushCache))
			if text := run.Outcome + receipt.Summary + strings.Join(receipt.Proof, " "); !strings.Contains(text, c.says) {
				t.Errorf("%s: %s", run.State, text)
			}
			if left := o.Cache.Holding("keys a=1"); left != c.left {
				t.Errorf("%d old entries are left, want %d", left, c.left)
			}
		})
	}
}

func TestFlushByNameWithForeignEntriesIsRefused(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Cache.Cut = true
	o.Cache.Set("jwks:https://other.example/realm", "keys z=9")
	_, _, err := o.Service.Open(t.Context(), runbooktest.Steps(func(r *approve.Request) { r.Override = "x" }), check.Silent{})
	standin.Refused(t, err, runbook.RefusedUnsafe, "another issuer")
}
