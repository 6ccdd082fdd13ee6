package execute_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/execute"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

func TestRunFromApprovalToProof(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Cache.Set("jwks:other", "keys b=2")
	o.Refill("keys b=2", 7)
	run := o.Until(t, o.Approve(t, runbooktest.Request("U0ANN")).ID, runbook.StateDone)

	if got := strings.Join(o.Cache.Deleted, " "); got != "jwks:current" {
		t.Errorf("deleted %q", got)
	}
	for step, want := range map[string]string{
		"snapshot": "1 entry kept (8 bytes)", "flush-cache": "1 old entry deleted on 1 shard",
		"verify": "0 of 1 old entries left on 1 shard; refilled with live keys after 4 s",
	} {
		if r := runbooktest.Receipt(t, run, step); r.Status != runbook.StatusOK || r.Summary != want || r.Proof == nil {
			t.Errorf("%s: %s %q, want %q", step, r.Status, r.Summary, want)
		}
	}
	if p := runbooktest.Receipt(t, run, "verify").Proof; !slices.Contains(p, "`jwks:current` now holds `b`") {
		t.Errorf("proof %v", p)
	}
	if !strings.HasPrefix(run.Outcome, "Proven:") || run.EndedAt.IsZero() || run.StartedAt.IsZero() {
		t.Errorf("outcome %q, started %s, ended %s", run.Outcome, run.StartedAt, run.EndedAt)
	}
	if got := o.Ledger.Trail(); got != "request approve effect verified" {
		t.Errorf("audit %q", got)
	}
	if !slices.Equal(o.Changed, []string{"production"}) {
		t.Errorf("told of changes to %v", o.Changed)
	}
}

// On a busy gateway the next token comes at once: nobody waits a second for it.
func TestRefillIsSeenAtOnce(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Refill("keys b=2", 1)
	run := o.Until(t, o.Approve(t, runbooktest.Request("U0ANN")).ID, runbook.StateDone)
	if r := runbooktest.Receipt(t, run, "verify"); !strings.Contains(r.Summary, "refilled with live keys after 50 ms") {
		t.Errorf("verify: %q", r.Summary)
	}
}

// Entries that hold the live keys all along prove nothing about a refill.
func TestUntouchedEntriesAreNoProof(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Cache.Set("jwks:other", "keys b=2")
	o.Cache.Set("jwks:lock", "?? 1")
	run := o.Until(t, o.Approve(t, runbooktest.Request("U0ANN")).ID, runbook.StateDone)
	if r := runbooktest.Receipt(t, run, "verify"); r.Status != runbook.StatusWarn || !strings.Contains(r.Summary, "not refilled yet") {
		t.Errorf("verify: %s %q", r.Status, r.Summary)
	}
	if !strings.Contains(run.Outcome, "The cache is empty") && strings.HasPrefix(run.Outcome, "Proven") {
		t.Errorf("outcome %q", run.Outcome)
	}
}

func TestRefilledUnderAnotherName(t *testing.T) {
	for value, want := range map[string]runbook.State{"keys b=2": runbook.StateDone, "keys a=1": runbook.StateFailed} {
		o := runbooktest.NewWorld(t)
		id := o.Approve(t, runbooktest.Request("U0ANN")).ID
		o.Clock.OnWait = func(int) { o.Cache.Set("jwks:new-name", value) }
		if run := o.Until(t, id, want); want == runbook.StateDone && !strings.Contains(run.Outcome, "refilled with live keys") {
			t.Errorf("%q: %s", value, run.Outcome)
		}
	}
}

// A marker or a lock that comes back beside the keys ends the wait for nobody.
func TestStrangeEntryDoesNotEndTheWait(t *testing.T) {
	o := runbooktest.NewWorld(t)
	id := o.Approve(t, runbooktest.Request("U0ANN")).ID
	o.Clock.OnWait = func(n int) {
		o.Cache.Set("jwks:lock", "?? 1")
		o.Cache.Set("jwks:negative:z", "no z")
		if n == 8 {
			o.Cache.Set("jwks:current", "keys b=2")
		}
	}
	run := o.Until(t, id, runbook.StateDone)
	if r := runbooktest.Receipt(t, run, "verify"); !strings.Contains(r.Summary, "refilled with live keys after 5 s") {
		t.Errorf("verify: %q", r.Summary)
	}
}

// What becomes of a run when the world moves between two of its states.
func TestWorldMovesBetweenStates(t *testing.T) {
	for _, c := range []struct {
		name    string
		at      runbook.State // the state before whose execution the world moves
		move    func(o *runbooktest.World)
		want    runbook.State
		says    string // in the outcome
		deleted string
		left    string // what the entry holds at the end
	}{
		{"nothing comes back", "", func(*runbooktest.World) {}, runbook.StateDone, "fills with the live keys when the next token comes", "jwks:current", ""},
		{"gone before the snapshot", runbook.StateSnapshot, func(o *runbooktest.World) { o.Cache.Drop("jwks:current") }, runbook.StateObsolete, "Nothing is left to do", "", ""},
		{"refilled before the snapshot", runbook.StateSnapshot, func(o *runbooktest.World) { o.Cache.Set("jwks:current", "keys b=2") }, runbook.StateObsolete, "Nothing is left to do", "", "keys b=2"},
		{"rewritten with live keys after the snapshot", runbook.StateFlush, func(o *runbooktest.World) { o.Cache.Set("jwks:current", "keys b=2") }, runbook.StateDone, "refilled with live keys", "", "keys b=2"},
		{"gone after the snapshot", runbook.StateFlush, func(o *runbooktest.World) { o.Cache.Drop("jwks:current") }, runbook.StateDone, "The old entries are gone", "", ""},
		{"rewritten with other old keys after the snapshot", runbook.StateFlush, func(o *runbooktest.World) { o.Cache.Set("jwks:current", "keys z=9") }, runbook.StateFailed, "The old keys came back", "", "keys z=9"},
		{"came back as it was", runbook.StateVerify, func(o *runbooktest.World) { o.Cache.Set("jwks:current", "keys a=1") }, runbook.StateFailed, "Restart the authoriser first", "jwks:current", "keys a=1"},
		{"came back as rubbish", runbook.StateVerify, func(o *runbooktest.World) { o.Cache.Set("jwks:current", "<html>") }, runbook.StateFailed, "came back", "jwks:current", "<html>"},
		{"refilled at once", runbook.StateVerify, func(o *runbooktest.World) { o.Cache.Set("jwks:current", "keys b=2") }, runbook.StateDone, "Proven", "jwks:current", "keys b=2"},
		{"refilled, and rotated again meanwhile", runbook.StateVerify, func(o *runbooktest.World) {
			o.Live.Become(standin.Always(standin.Good("c=3")))
			o.Cache.Set("jwks:current", "keys c=3")
		}, runbook.StateDone, "Proven", "jwks:current", "keys c=3"},
		{"refilled while the live keys cannot be read", runbook.StateVerify, func(o *runbooktest.World) {
			o.Live.Become(standin.Always(standin.Unreachable("timeout")))
			o.Cache.Set("jwks:current", "keys b=2")
		}, runbook.StateDone, "Proven", "jwks:current", "keys b=2"},
		{"a foreign entry comes", runbook.StateVerify, func(o *runbooktest.World) {
			o.Cache.Set("jwks:https://other.example", "keys z=9")
			o.Cache.Set("jwks:current", "keys b=2")
		}, runbook.StateDone, "Proven", "jwks:current", "keys b=2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			id := o.Approve(t, runbooktest.Request("U0ANN")).ID
			if c.at != "" {
				o.Until(t, id, c.at)
			}
			c.move(o)
			run := o.Until(t, id, c.want)
			if !strings.Contains(run.Outcome, c.says) {
				t.Errorf("outcome %q does not say %q", run.Outcome, c.says)
			}
			if got := strings.Join(o.Cache.Deleted, " "); got != c.deleted {
				t.Errorf("deleted %q, want %q", got, c.deleted)
			}
			if got := o.Cache.Get("jwks:current"); got != c.left {
				t.Errorf("the entry holds %q, want %q", got, c.left)
			}
		})
	}
}

func TestEntriesRewrittenSinceTheSnapshotSurvive(t *testing.T) {
	o := threeOld(t)
	id := o.Approve(t, runbooktest.Request("U0ANN")).ID
	o.Until(t, id, runbook.StateFlush)
	o.Cache.Set("jwks:2", "keys b=2")
	o.Cache.Drop("jwks:3")
	run := o.Until(t, id, runbook.StateDone)
	if got := strings.Join(o.Cache.Deleted, " "); got != "jwks:current" || o.Cache.Get("jwks:2") != "keys b=2" {
		t.Errorf("deleted %q, the fresh entry holds %q", got, o.Cache.Get("jwks:2"))
	}
	r := runbooktest.Receipt(t, run, "flush-cache")
	if r.Summary != "1 old entry deleted on 1 shard" || !slices.Equal(r.Proof, []string{"1 entry was rewritten since the snapshot and left alone", "1 entry was gone already"}) {
		t.Errorf("receipt %+v", r)
	}
}

// The deletion breaks off twice and is taken up where it was.
func TestFlushIsTriedAgain(t *testing.T) {
	o := threeOld(t)
	id := o.Approve(t, runbooktest.Request("U0ANN")).ID
	o.Until(t, id, runbook.StateFlush)
	o.Cache.OnDelete = func(n int) error {
		if n == 2 {
			return errors.New("connection reset")
		}
		return nil
	}
	run, _ := o.Advance(t, id)
	if run.State != runbook.StateVerify || o.Cache.Asked != 3 || len(o.Cache.Deleted) != 3 {
		t.Errorf("%s after %d attempts, deleted %v", run.State, o.Cache.Asked, o.Cache.Deleted)
	}
	if r := runbooktest.Receipt(t, run, "flush-cache"); r.Summary != "3 old entries deleted on 1 shard" {
		t.Errorf("receipt %q", r.Summary)
	}
	if o.Clock.Waited != 2 {
		t.Errorf("waited %d times between attempts", o.Clock.Waited)
	}
}

func TestFlushThatNeverEndsStopsWithWhatWasDone(t *testing.T) {
	o := threeOld(t)
	id := o.Approve(t, runbooktest.Request("U0ANN")).ID
	o.Until(t, id, runbook.StateFlush)
	begun := 0
	o.Cache.OnDelete = func(int) error {
		if begun++; begun == 1 {
			return nil
		}
		return errors.New("READONLY You can't write against a read only replica")
	}
	run, _ := o.Advance(t, id)
	if run.State != runbook.StateEscalate || run.Escalation == nil || run.Escalation.Kind != runbook.EscalateDied {
		t.Fatalf("%s, escalation %+v", run.State, run.Escalation)
	}
	run, _ = o.Advance(t, id)
	if run.State != runbook.StateFailed || !strings.Contains(run.Outcome, "READONLY") || !strings.Contains(run.Outcome, "1 old entry deleted") {
		t.Errorf("%s: %q", run.State, run.Outcome)
	}
	if r := runbooktest.Receipt(t, run, "flush-cache"); r.Status != runbook.StatusFail {
		t.Errorf("receipt %+v", r)
	}
	if !strings.HasSuffix(o.Ledger.Trail(), "effect") {
		t.Errorf("audit %q", o.Ledger.Trail())
	}
}

// Progress is told once a second, whatever the number of batches.
func TestProgressIsShownWhileDeleting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := threeOld(t)
		id := o.Approve(t, runbooktest.Request("U0ANN")).ID
		o.Until(t, id, runbook.StateFlush)
		var seen []runbook.Progress
		o.Cache.OnDelete = func(n int) error {
			if n == 3 {
				time.Sleep(execute.ProgressEvery + time.Millisecond)
			}
			seen = append(seen, o.Run(t, id).Progress)
			return nil
		}
		run, _ := o.Advance(t, id)
		if fmt.Sprint(seen) != "[{0 0 } {0 0 } {2 3 }]" || run.Progress != (runbook.Progress{}) {
			t.Errorf("progress %v, then %v", seen, run.Progress)
		}
	})
}

// A process that was replaced has no effect any more.
func TestGuardStopsEveryEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := threeOld(t)
		id := o.Approve(t, runbooktest.Request("U0ANN")).ID
		o.Until(t, id, runbook.StateSnapshot)
		errReplaced := errors.New("this process does not execute the journal")
		var replaced atomic.Bool // the fence is asked beside the work
		replaced.Store(true)
		o.Guarded(t, func(context.Context) error {
			if replaced.Load() {
				return errReplaced
			}
			return nil
		})
		if _, err := o.Machine.Advance(t.Context(), o.Run(t, id)); !errors.Is(err, errReplaced) || len(o.Snaps.Saved) != 0 {
			t.Errorf("error %v, snapshots %v", err, o.Snaps.Saved)
		}
		replaced.Store(false)
		o.Until(t, id, runbook.StateFlush)
		o.Cache.OnDelete = func(n int) error {
			if n == 2 { // the first batch is over
				replaced.Store(true)
				time.Sleep(runbook.LeaseFor)
			}
			return nil
		}
		if tr, err := o.Machine.Advance(t.Context(), o.Run(t, id)); !errors.Is(err, errReplaced) {
			t.Errorf("went on to %q, error %v", tr.To, err)
		}
		if len(o.Cache.Deleted) != 1 {
			t.Errorf("deleted %v", o.Cache.Deleted)
		}
	})
}

func TestCancelledFlushIsNoFailure(t *testing.T) {
	o := threeOld(t)
	id := o.Approve(t, runbooktest.Request("U0ANN")).ID
	o.Until(t, id, runbook.StateFlush)
	ctx, cancel := context.WithCancel(t.Context())
	o.Cache.OnDelete = func(n int) error {
		if n == 2 {
			cancel()
			return ctx.Err()
		}
		return nil
	}
	if _, err := o.Machine.Advance(ctx, o.Run(t, id)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	o.Cache.OnDelete = nil
	run := o.Until(t, id, runbook.StateDone)
	if r := runbooktest.Receipt(t, run, "flush-cache"); r.Summary != "3 old entries deleted on 1 shard" || len(o.Cache.Deleted) != 3 {
		t.Errorf("receipt %q, deleted %v", r.Summary, o.Cache.Deleted)
	}
}

// A crash after the effect and before its record: every state is executed
// twice and comes to the same.
func TestEveryStateMayBeExecutedTwice(t *testing.T) {
	o := threeOld(t)
	id := o.Approve(t, runbooktest.Request("U0ANN")).ID
	for !o.Run(t, id).State.Ended() {
		run := o.Run(t, id)
		first, err := o.Machine.Advance(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		second, err := o.Machine.Advance(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		if first.To != second.To || first.Outcome != second.Outcome && run.State != runbook.StateVerify {
			t.Errorf("%s: first to %s (%s), then to %s (%s)", run.State, first.To, first.Outcome, second.To, second.Outcome)
		}
		if first.Receipt != nil && run.State != runbook.StateVerify && (first.Receipt.Summary != second.Receipt.Summary || !slices.Equal(first.Receipt.Proof, second.Receipt.Proof)) {
			t.Errorf("%s: receipts %+v and %+v", run.State, first.Receipt, second.Receipt)
		}
		o.Apply(t, id, second)
	}
	if run := o.Run(t, id); run.State != runbook.StateDone || len(o.Cache.Deleted) != 3 || len(run.Receipts) != 3 {
		t.Errorf("%s, deleted %v, %d receipts", run.State, o.Cache.Deleted, len(run.Receipts))
	}
}

// Executed again after its deletion, a flush leaves alone what came since.
func TestRepeatedFlushLeavesFreshEntriesAlone(t *testing.T) {
	o := runbooktest.NewWorld(t)
	id := o.Approve(t, runbooktest.Request("U0ANN")).ID
	run := o.Until(t, id, runbook.StateFlush)
	if _, err := o.Machine.Advance(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	o.Cache.Set("jwks:current", "keys b=2")
	done := o.Until(t, id, runbook.StateDone)
	if o.Cache.Get("jwks:current") != "keys b=2" || len(o.Cache.Deleted) != 1 {
		t.Errorf("the entry holds %q, deleted %v", o.Cache.Get("jwks:current"), o.Cache.Deleted)
	}
	if r := runbooktest.Receipt(t, done, "flush-cache"); r.Summary != "1 old entry deleted on 1 shard" {
		t.Errorf("receipt %q", r.Summary)
	}
}

// The read-back must be read: an error is tried again and proves nothing.
func TestVerifyNeedsTheReadBack(t *testing.T) {
	o := runbooktest.NewWorld(t)
	id := o.Approve(t, runbooktest.Request("U0ANN")).ID
	o.Until(t, id, runbook.StateVerify)
	o.Cache.Fail(errors.New("connection refused"))
	if tr, err := o.Machine.Advance(t.Context(), o.Run(t, id)); err == nil {
		t.Errorf("verified to %s (%s) without reading", tr.To, tr.Outcome)
	}
}

// With an override entries in strange formats go as well; what comes back in
// one cannot be called live.
func TestOverrideOnAnUnknownFormat(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Cache.Set("jwks:current", "?? strange")
	req := runbooktest.Request("U0ANN")
	req.Override = "the vendor says so"
	id := o.Approve(t, req).ID
	o.Until(t, id, runbook.StateVerify)
	o.Cache.Set("jwks:current", "?? strange again")
	run := o.Until(t, id, runbook.StateDone)
	if r := runbooktest.Receipt(t, run, "verify"); r.Status != runbook.StatusWarn || strings.Contains(run.Outcome, "Proven") || !strings.Contains(r.Summary, "could not be compared") {
		t.Errorf("%s %q, outcome %q", r.Status, r.Summary, run.Outcome)
	}
}

func TestAdvanceOnlyExecutes(t *testing.T) {
	o := runbooktest.NewWorld(t)
	for _, s := range runbook.States() {
		if s.Executes() {
			continue
		}
		if _, err := o.Machine.Advance(t.Context(), runbook.Run{ID: "x", Target: "production", State: s}); err == nil {
			t.Errorf("%s was executed", s)
		}
	}
}
