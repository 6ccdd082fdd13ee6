package runbook

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
)

// advance executes the run's present state and applies what follows.
func (o *office) advance(t *testing.T, id string) (Run, Transition) {
	t.Helper()
	tr, err := o.machine.Advance(t.Context(), o.run(t, id))
	if err != nil {
		t.Fatalf("advance from %s: %v", o.run(t, id).State, err)
	}
	return o.apply(t, id, tr), tr
}

// apply records a transition as a journal does.
func (o *office) apply(t *testing.T, id string, tr Transition) Run {
	t.Helper()
	run, err := o.ledger.Change(t.Context(), id, func(r *Run) ([]AuditEntry, error) {
		return tr.Audit, r.Apply(tr, o.clock.Now())
	})
	if err != nil {
		t.Fatalf("apply %s to %s: %v", tr.From, tr.To, err)
	}
	return run
}

// until executes states until the run is in the state, or has ended.
func (o *office) until(t *testing.T, id string, s State) Run {
	t.Helper()
	run := o.run(t, id)
	for run.State != s && !run.State.Ended() && run.State != StatePending {
		run, _ = o.advance(t, id)
	}
	if run.State != s {
		t.Fatalf("the run is %s (%s), not %s", run.State, run.Outcome, s)
	}
	return run
}

// refill writes the live keys back as soon as somebody waits for them.
func (o *office) refill(value string, atWait int) {
	o.clock.onWait = func(n int) {
		if n == atWait {
			o.cache.set("jwks:current", value)
		}
	}
}

// receipt finds the receipt of a step.
func receipt(t *testing.T, run Run, step string) Receipt {
	t.Helper()
	for _, r := range run.Receipts {
		if r.Step == step {
			return r
		}
	}
	t.Fatalf("run %s has no receipt of %s: %+v", run.ID, step, run.Receipts)
	return Receipt{}
}

func TestRunFromApprovalToProof(t *testing.T) {
	o := newOffice(t)
	o.cache.set("jwks:other", "keys b=2")
	o.refill("keys b=2", 7)
	run := o.until(t, o.approve(t, request("U0ANN")).ID, StateDone)

	if got := strings.Join(o.cache.deleted, " "); got != "jwks:current" {
		t.Errorf("deleted %q", got)
	}
	for step, want := range map[string]string{
		"snapshot": "1 entry kept (8 bytes)", "flush-cache": "1 old entry deleted on 1 shard",
		"verify": "0 of 1 old entries left on 1 shard; refilled with live keys after 4 s",
	} {
		if r := receipt(t, run, step); r.Status != StatusOK || r.Summary != want || r.Proof == nil {
			t.Errorf("%s: %s %q, want %q", step, r.Status, r.Summary, want)
		}
	}
	if p := receipt(t, run, "verify").Proof; !slices.Contains(p, "`jwks:current` now holds `b`") {
		t.Errorf("proof %v", p)
	}
	if !strings.HasPrefix(run.Outcome, "Proven:") || run.EndedAt.IsZero() || run.StartedAt.IsZero() {
		t.Errorf("outcome %q, started %s, ended %s", run.Outcome, run.StartedAt, run.EndedAt)
	}
	if got := o.ledger.trail(); got != "request approve effect verified" {
		t.Errorf("audit %q", got)
	}
	if !slices.Equal(o.changed, []string{"production"}) {
		t.Errorf("told of changes to %v", o.changed)
	}
}

// On a busy gateway the next token comes at once: nobody waits a second for it.
func TestRefillIsSeenAtOnce(t *testing.T) {
	o := newOffice(t)
	o.refill("keys b=2", 1)
	run := o.until(t, o.approve(t, request("U0ANN")).ID, StateDone)
	if r := receipt(t, run, "verify"); !strings.Contains(r.Summary, "refilled with live keys after 50 ms") {
		t.Errorf("verify: %q", r.Summary)
	}
}

// Entries that hold the live keys all along prove nothing about a refill.
func TestUntouchedEntriesAreNoProof(t *testing.T) {
	o := newOffice(t)
	o.cache.set("jwks:other", "keys b=2")
	o.cache.set("jwks:lock", "?? 1")
	run := o.until(t, o.approve(t, request("U0ANN")).ID, StateDone)
	if r := receipt(t, run, "verify"); r.Status != StatusWarn || !strings.Contains(r.Summary, "not refilled yet") {
		t.Errorf("verify: %s %q", r.Status, r.Summary)
	}
	if !strings.Contains(run.Outcome, "The cache is empty") && strings.HasPrefix(run.Outcome, "Proven") {
		t.Errorf("outcome %q", run.Outcome)
	}
}

func TestRefilledUnderAnotherName(t *testing.T) {
	for value, want := range map[string]State{"keys b=2": StateDone, "keys a=1": StateFailed} {
		o := newOffice(t)
		id := o.approve(t, request("U0ANN")).ID
		o.clock.onWait = func(int) { o.cache.set("jwks:new-name", value) }
		if run := o.until(t, id, want); want == StateDone && !strings.Contains(run.Outcome, "refilled with live keys") {
			t.Errorf("%q: %s", value, run.Outcome)
		}
	}
}

// A marker or a lock that comes back beside the keys ends the wait for nobody.
func TestStrangeEntryDoesNotEndTheWait(t *testing.T) {
	o := newOffice(t)
	id := o.approve(t, request("U0ANN")).ID
	o.clock.onWait = func(n int) {
		o.cache.set("jwks:lock", "?? 1")
		o.cache.set("jwks:negative:z", "no z")
		if n == 8 {
			o.cache.set("jwks:current", "keys b=2")
		}
	}
	run := o.until(t, id, StateDone)
	if r := receipt(t, run, "verify"); !strings.Contains(r.Summary, "refilled with live keys after 5 s") {
		t.Errorf("verify: %q", r.Summary)
	}
}

// What becomes of a run when the world moves between two of its states.
func TestWorldMovesBetweenStates(t *testing.T) {
	for _, c := range []struct {
		name    string
		at      State // the state before whose execution the world moves
		move    func(o *office)
		want    State
		says    string // in the outcome
		deleted string
		left    string // what the entry holds at the end
	}{
		{"nothing comes back", "", func(*office) {}, StateDone, "fills with the live keys when the next token comes", "jwks:current", ""},
		{"gone before the snapshot", StateSnapshot, func(o *office) { o.cache.drop("jwks:current") }, StateObsolete, "Nothing is left to do", "", ""},
		{"refilled before the snapshot", StateSnapshot, func(o *office) { o.cache.set("jwks:current", "keys b=2") }, StateObsolete, "Nothing is left to do", "", "keys b=2"},
		{"rewritten with live keys after the snapshot", StateFlush, func(o *office) { o.cache.set("jwks:current", "keys b=2") }, StateDone, "refilled with live keys", "", "keys b=2"},
		{"gone after the snapshot", StateFlush, func(o *office) { o.cache.drop("jwks:current") }, StateDone, "The old entries are gone", "", ""},
		{"rewritten with other old keys after the snapshot", StateFlush, func(o *office) { o.cache.set("jwks:current", "keys z=9") }, StateFailed, "The old keys came back", "", "keys z=9"},
		{"came back as it was", StateVerify, func(o *office) { o.cache.set("jwks:current", "keys a=1") }, StateFailed, "Restart the authoriser first", "jwks:current", "keys a=1"},
		{"came back as rubbish", StateVerify, func(o *office) { o.cache.set("jwks:current", "<html>") }, StateFailed, "came back", "jwks:current", "<html>"},
		{"refilled at once", StateVerify, func(o *office) { o.cache.set("jwks:current", "keys b=2") }, StateDone, "Proven", "jwks:current", "keys b=2"},
		{"refilled, and rotated again meanwhile", StateVerify, func(o *office) {
			o.live.become(always(good("c=3")))
			o.cache.set("jwks:current", "keys c=3")
		}, StateDone, "Proven", "jwks:current", "keys c=3"},
		{"refilled while the live keys cannot be read", StateVerify, func(o *office) {
			o.live.become(always(unreachable("timeout")))
			o.cache.set("jwks:current", "keys b=2")
		}, StateDone, "Proven", "jwks:current", "keys b=2"},
		{"a foreign entry comes", StateVerify, func(o *office) {
			o.cache.set("jwks:https://other.example", "keys z=9")
			o.cache.set("jwks:current", "keys b=2")
		}, StateDone, "Proven", "jwks:current", "keys b=2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			id := o.approve(t, request("U0ANN")).ID
			if c.at != "" {
				o.until(t, id, c.at)
			}
			c.move(o)
			run := o.until(t, id, c.want)
			if !strings.Contains(run.Outcome, c.says) {
				t.Errorf("outcome %q does not say %q", run.Outcome, c.says)
			}
			if got := strings.Join(o.cache.deleted, " "); got != c.deleted {
				t.Errorf("deleted %q, want %q", got, c.deleted)
			}
			if got := o.cache.get("jwks:current"); got != c.left {
				t.Errorf("the entry holds %q, want %q", got, c.left)
			}
		})
	}
}

// Everything that was checked at the click is checked again before the start.
func TestStartHoldsTheRulesOnceMore(t *testing.T) {
	for _, c := range []struct {
		name string
		move func(o *office)
		want State
		says string
	}{
		{"not started within 10 minutes", func(o *office) { o.clock.advance(10*time.Minute + time.Second) }, StateExpired, "had not started"},
		{"healed", func(o *office) { o.cache.set("jwks:current", "keys b=2") }, StateObsolete, "Nothing is left to do"},
		{"live keys broken", func(o *office) { o.live.become(always(bad("it answers HTTP 503"))) }, StateFailed, "Do not flush"},
		{"edges disagree", func(o *office) { o.live.become(disagreeing) }, StateFailed, "disagree"},
		{"everything that is left was judged before", func(o *office) { o.clock.advance(time.Minute) }, StateSnapshot, ""},
		{"the verdict turned", func(o *office) { o.cache.set("jwks:current", "keys a=1 b=2") }, StateFailed, "retired key cached"},
		{"nobody may approve any more", func(o *office) { o.people.groups["S0LEADS"] = nil }, StateFailed, "may not approve mitigations of production any more"},
		{"flushed meanwhile", func(o *office) {
			o.ledger.put(Run{ID: "other", Resource: resource, State: StateDone, Receipts: []Receipt{{Step: "flush-cache", EndedAt: t0}}})
		}, StateFailed, "was flushed"},
		{"the target is configured no more", func(o *office) { o.machineSettings.Targets = nil; o.build(t) }, StateFailed, "no longer configured"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			id := o.approve(t, request("U0ANN")).ID
			c.move(o)
			run, _ := o.advance(t, id)
			if run.State != c.want || !strings.Contains(run.Outcome, c.says) {
				t.Errorf("%s: %q, want %s saying %q", run.State, run.Outcome, c.want, c.says)
			}
			if len(o.cache.deleted) != 0 || o.cache.asked != 0 {
				t.Errorf("deleted %v", o.cache.deleted)
			}
		})
	}
}

// No reason that somebody gave helps against broken live keys.
func TestOverrideDoesNotHelpAtTheStart(t *testing.T) {
	for name, answer := range map[string]func(int) Probe{"unhealthy": always(bad("it answers HTTP 503")), "disagreeing": disagreeing} {
		o := newOffice(t)
		req := request("U0ANN")
		req.Override = "I know better"
		id := o.approve(t, req).ID
		o.live.become(answer)
		if run, _ := o.advance(t, id); run.State != StateFailed || !strings.Contains(run.Outcome, "Not started: Refused") || len(o.cache.deleted) != 0 {
			t.Errorf("%s: %s, %q", name, run.State, run.Outcome)
		}
	}
}

// A verdict that rests on the logs stands while keys and entries are the same,
// although click and start do not read the logs again.
func TestVerdictFromTheLogsStands(t *testing.T) {
	o := newOffice(t)
	o.cache.drop("jwks:current")
	o.cache.set("jwks:kid:a", "jwk a=2") // the live key, under the kid of before
	o.target.Logs = logsFunc(func(context.Context) (LogEvidence, error) { return *logged("unknown_kid:40", "b=40"), nil })
	run := o.approve(t, request("U0ANN"))
	if run.Plan.Verdict != StaleCache || namesOf(run.Plan) != "jwks:kid:a" {
		t.Fatalf("plan %+v", run.Plan)
	}
	o.clock.onWait = func(int) { o.cache.set("jwks:kid:b", "jwk b=2") }
	if done := o.until(t, run.ID, StateDone); !strings.HasPrefix(done.Outcome, "Proven") {
		t.Errorf("outcome %q", done.Outcome)
	}
}

func TestStartOnTheLastMoment(t *testing.T) {
	o := newOffice(t)
	id := o.approve(t, request("U0ANN")).ID
	o.clock.advance(10 * time.Minute)
	if run, _ := o.advance(t, id); run.State != StateSnapshot {
		t.Errorf("%s: %s", run.State, run.Outcome)
	}
}

// Other work than what was approved goes back to the approvers.
func TestChangedWorldAtTheStart(t *testing.T) {
	o := newOffice(t)
	id := o.approve(t, request("U0ANN")).ID
	o.live.become(always(good("c=3")))
	run, _ := o.advance(t, id)
	if run.State != StatePending || run.Generation != 2 || len(run.Approvals()) != 0 || !run.StartBy.IsZero() || !run.ApprovedAt.IsZero() {
		t.Errorf("got %+v", run)
	}
	if len(o.cache.deleted) != 0 || !strings.HasSuffix(o.ledger.trail(), "replan") {
		t.Errorf("deleted %v, audit %q", o.cache.deleted, o.ledger.trail())
	}
	if a, err := o.click(t, run, "U0LIZ", DecideApprove); err != nil || a.Run.State != StateApproved {
		t.Errorf("the new plan cannot be approved: %v", err)
	}
}

// What cannot be read now is tried again while there is time, then given up.
func TestStartWaitsForWhatCannotBeRead(t *testing.T) {
	o := newOffice(t)
	id := o.approve(t, request("U0ANN")).ID
	o.cache.fail(errors.New("connection refused"))
	if _, err := o.machine.Advance(t.Context(), o.run(t, id)); err == nil {
		t.Error("the run went on without reading the cache")
	}
	o.clock.advance(10 * time.Minute)
	if run, _ := o.advance(t, id); run.State != StateFailed || !strings.Contains(run.Outcome, "connection refused") {
		t.Errorf("%s: %s", run.State, run.Outcome)
	}
}

// threeOld is an office with three old entries.
func threeOld(t *testing.T) *office {
	o := newOffice(t)
	o.cache.set("jwks:2", "keys a=1 z=9")
	o.cache.set("jwks:3", "<html>")
	return o
}

func TestEntriesRewrittenSinceTheSnapshotSurvive(t *testing.T) {
	o := threeOld(t)
	id := o.approve(t, request("U0ANN")).ID
	o.until(t, id, StateFlush)
	o.cache.set("jwks:2", "keys b=2")
	o.cache.drop("jwks:3")
	run := o.until(t, id, StateDone)
	if got := strings.Join(o.cache.deleted, " "); got != "jwks:current" || o.cache.get("jwks:2") != "keys b=2" {
		t.Errorf("deleted %q, the fresh entry holds %q", got, o.cache.get("jwks:2"))
	}
	r := receipt(t, run, "flush-cache")
	if r.Summary != "1 old entry deleted on 1 shard" || !slices.Equal(r.Proof, []string{"1 entry was rewritten since the snapshot and left alone", "1 entry was gone already"}) {
		t.Errorf("receipt %+v", r)
	}
}

// The deletion breaks off twice and is taken up where it was.
func TestFlushIsTriedAgain(t *testing.T) {
	o := threeOld(t)
	id := o.approve(t, request("U0ANN")).ID
	o.until(t, id, StateFlush)
	o.cache.onDelete = func(n int) error {
		if n == 2 {
			return errors.New("connection reset")
		}
		return nil
	}
	run, _ := o.advance(t, id)
	if run.State != StateVerify || o.cache.asked != 3 || len(o.cache.deleted) != 3 {
		t.Errorf("%s after %d attempts, deleted %v", run.State, o.cache.asked, o.cache.deleted)
	}
	if r := receipt(t, run, "flush-cache"); r.Summary != "3 old entries deleted on 1 shard" {
		t.Errorf("receipt %q", r.Summary)
	}
	if o.clock.waited != 2 {
		t.Errorf("waited %d times between attempts", o.clock.waited)
	}
}

func TestFlushThatNeverEndsStopsWithWhatWasDone(t *testing.T) {
	o := threeOld(t)
	id := o.approve(t, request("U0ANN")).ID
	o.until(t, id, StateFlush)
	begun := 0
	o.cache.onDelete = func(int) error {
		if begun++; begun == 1 {
			return nil
		}
		return errors.New("READONLY You can't write against a read only replica")
	}
	run, _ := o.advance(t, id)
	if run.State != StateEscalate || run.Escalation == nil || run.Escalation.Kind != EscalateDied {
		t.Fatalf("%s, escalation %+v", run.State, run.Escalation)
	}
	run, _ = o.advance(t, id)
	if run.State != StateFailed || !strings.Contains(run.Outcome, "READONLY") || !strings.Contains(run.Outcome, "1 old entry deleted") {
		t.Errorf("%s: %q", run.State, run.Outcome)
	}
	if r := receipt(t, run, "flush-cache"); r.Status != StatusFail {
		t.Errorf("receipt %+v", r)
	}
	if !strings.HasSuffix(o.ledger.trail(), "effect") {
		t.Errorf("audit %q", o.ledger.trail())
	}
}

// Progress is told once a second, whatever the number of batches.
func TestProgressIsShownWhileDeleting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := threeOld(t)
		id := o.approve(t, request("U0ANN")).ID
		o.until(t, id, StateFlush)
		var seen []Progress
		o.cache.onDelete = func(n int) error {
			if n == 3 {
				time.Sleep(progressEvery + time.Millisecond)
			}
			seen = append(seen, o.run(t, id).Progress)
			return nil
		}
		run, _ := o.advance(t, id)
		if fmt.Sprint(seen) != "[{0 0 } {0 0 } {2 3 }]" || run.Progress != (Progress{}) {
			t.Errorf("progress %v, then %v", seen, run.Progress)
		}
	})
}

// A process that was replaced has no effect any more.
func TestGuardStopsEveryEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := threeOld(t)
		id := o.approve(t, request("U0ANN")).ID
		o.until(t, id, StateSnapshot)
		errReplaced := errors.New("this process does not execute the journal")
		var replaced atomic.Bool // the fence is asked beside the work
		replaced.Store(true)
		o.guarded(t, func(context.Context) error {
			if replaced.Load() {
				return errReplaced
			}
			return nil
		})
		if _, err := o.machine.Advance(t.Context(), o.run(t, id)); !errors.Is(err, errReplaced) || len(o.snaps.saved) != 0 {
			t.Errorf("error %v, snapshots %v", err, o.snaps.saved)
		}
		replaced.Store(false)
		o.until(t, id, StateFlush)
		o.cache.onDelete = func(n int) error {
			if n == 2 { // the first batch is over
				replaced.Store(true)
				time.Sleep(LeaseFor)
			}
			return nil
		}
		if tr, err := o.machine.Advance(t.Context(), o.run(t, id)); !errors.Is(err, errReplaced) {
			t.Errorf("went on to %q, error %v", tr.To, err)
		}
		if len(o.cache.deleted) != 1 {
			t.Errorf("deleted %v", o.cache.deleted)
		}
	})
}

func TestCancelledFlushIsNoFailure(t *testing.T) {
	o := threeOld(t)
	id := o.approve(t, request("U0ANN")).ID
	o.until(t, id, StateFlush)
	ctx, cancel := context.WithCancel(t.Context())
	o.cache.onDelete = func(n int) error {
		if n == 2 {
			cancel()
			return ctx.Err()
		}
		return nil
	}
	if _, err := o.machine.Advance(ctx, o.run(t, id)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	o.cache.onDelete = nil
	run := o.until(t, id, StateDone)
	if r := receipt(t, run, "flush-cache"); r.Summary != "3 old entries deleted on 1 shard" || len(o.cache.deleted) != 3 {
		t.Errorf("receipt %q, deleted %v", r.Summary, o.cache.deleted)
	}
}

// A crash after the effect and before its record: every state is executed
// twice and comes to the same.
func TestEveryStateMayBeExecutedTwice(t *testing.T) {
	o := threeOld(t)
	id := o.approve(t, request("U0ANN")).ID
	for !o.run(t, id).State.Ended() {
		run := o.run(t, id)
		first, err := o.machine.Advance(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		second, err := o.machine.Advance(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		if first.To != second.To || first.Outcome != second.Outcome && run.State != StateVerify {
			t.Errorf("%s: first to %s (%s), then to %s (%s)", run.State, first.To, first.Outcome, second.To, second.Outcome)
		}
		if first.Receipt != nil && run.State != StateVerify && (first.Receipt.Summary != second.Receipt.Summary || !slices.Equal(first.Receipt.Proof, second.Receipt.Proof)) {
			t.Errorf("%s: receipts %+v and %+v", run.State, first.Receipt, second.Receipt)
		}
		o.apply(t, id, second)
	}
	if run := o.run(t, id); run.State != StateDone || len(o.cache.deleted) != 3 || len(run.Receipts) != 3 {
		t.Errorf("%s, deleted %v, %d receipts", run.State, o.cache.deleted, len(run.Receipts))
	}
}

// Executed again after its deletion, a flush leaves alone what came since.
func TestRepeatedFlushLeavesFreshEntriesAlone(t *testing.T) {
	o := newOffice(t)
	id := o.approve(t, request("U0ANN")).ID
	run := o.until(t, id, StateFlush)
	if _, err := o.machine.Advance(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	o.cache.set("jwks:current", "keys b=2")
	done := o.until(t, id, StateDone)
	if o.cache.get("jwks:current") != "keys b=2" || len(o.cache.deleted) != 1 {
		t.Errorf("the entry holds %q, deleted %v", o.cache.get("jwks:current"), o.cache.deleted)
	}
	if r := receipt(t, done, "flush-cache"); r.Summary != "1 old entry deleted on 1 shard" {
		t.Errorf("receipt %q", r.Summary)
	}
}

// The read-back must be read: an error is tried again and proves nothing.
func TestVerifyNeedsTheReadBack(t *testing.T) {
	o := newOffice(t)
	id := o.approve(t, request("U0ANN")).ID
	o.until(t, id, StateVerify)
	o.cache.fail(errors.New("connection refused"))
	if tr, err := o.machine.Advance(t.Context(), o.run(t, id)); err == nil {
		t.Errorf("verified to %s (%s) without reading", tr.To, tr.Outcome)
	}
}

// With an override entries in strange formats go as well; what comes back in
// one cannot be called live.
func TestOverrideOnAnUnknownFormat(t *testing.T) {
	o := newOffice(t)
	o.cache.set("jwks:current", "?? strange")
	req := request("U0ANN")
	req.Override = "the vendor says so"
	id := o.approve(t, req).ID
	o.until(t, id, StateVerify)
	o.cache.set("jwks:current", "?? strange again")
	run := o.until(t, id, StateDone)
	if r := receipt(t, run, "verify"); r.Status != StatusWarn || strings.Contains(run.Outcome, "Proven") || !strings.Contains(r.Summary, "could not be compared") {
		t.Errorf("%s %q, outcome %q", r.Status, r.Summary, run.Outcome)
	}
}

func TestAdvanceOnlyExecutes(t *testing.T) {
	o := newOffice(t)
	for _, s := range States() {
		if s.Executes() {
			continue
		}
		if _, err := o.machine.Advance(t.Context(), Run{ID: "x", Target: "production", State: s}); err == nil {
			t.Errorf("%s was executed", s)
		}
	}
}
