package runbook

import (
	"strings"
	"testing"
	"time"
)

func undo(of string) Request {
	req := request("U0ANN")
	req.RestoreOf = of
	return req
}

// flushedThree is an office in which three old entries were deleted.
func flushedThree(t *testing.T) (*office, Run) {
	t.Helper()
	o := threeOld(t)
	o.clock.onWait = nil
	run := o.approve(t, request("U0ANN"))
	return o, o.until(t, run.ID, StateDone)
}

func TestUndoWritesBackWhatIsMissing(t *testing.T) {
	o, of := flushedThree(t)
	names := strings.Fields(strings.Join(o.cache.deleted, " "))
	if len(names) != 3 {
		t.Fatalf("deleted %v", names)
	}
	o.cache.set(names[1], "keys b=2") // an authoriser fetched meanwhile
	before := len(o.cache.deleted)
	run := o.ask(t, undo(of.ID))
	p := run.Plan
	if !p.Has(RestoreCache) || p.Has(FlushCache) || len(p.Restore.Entries) != 3 || p.Restore.writes() != 2 || p.Digest == "" {
		t.Fatalf("plan %+v", p)
	}
	if _, err := o.click(t, run, "U0LIZ", DecideApprove); err != nil {
		t.Fatal(err)
	}
	run = o.until(t, run.ID, StateDone)
	if o.cache.get(names[0]) == "" || o.cache.get(names[2]) == "" || o.cache.get(names[1]) != "keys b=2" || len(o.cache.deleted) != before {
		t.Errorf("the cache holds %v", o.cache.entries)
	}
	r := receipt(t, run, "restore")
	if r.Summary != "2 of 3 entries back as they were" || !strings.Contains(strings.Join(r.Proof, "; "), "newer value and was left alone") || !strings.Contains(run.Outcome, "Undone") {
		t.Errorf("%+v, %q", r, run.Outcome)
	}
	if _, flushed := run.FlushedAt(); flushed || run.NextSteps() != nil {
		t.Errorf("an undo counts as a flush, or offers %+v", run.NextSteps())
	}
}

func TestForcedUndoOverwritesOnce(t *testing.T) {
	o, of := flushedThree(t)
	const name = "jwks:current"
	o.cache.set(name, "keys b=2")
	req := undo(of.ID)
	req.Force = true
	run := o.until(t, o.approve(t, req).ID, StateRestore)
	if _, err := o.machine.Advance(t.Context(), run); err != nil { // and the crash
		t.Fatal(err)
	}
	if o.cache.get(name) != "keys a=1" {
		t.Errorf("not overwritten: %q", o.cache.get(name))
	}
	o.cache.set(name, "keys b=2 c=3") // written after the undo, before its repetition
	run, _ = o.advance(t, run.ID)
	if o.cache.get(name) != "keys b=2 c=3" || run.State != StateDone {
		t.Errorf("%s holds %q, run is %s", name, o.cache.get(name), run.State)
	}
}

// The proof of an undo is what is read back, not what the cache answered.
func TestUndoThatHadNoEffectIsNotDone(t *testing.T) {
	o, of := flushedThree(t)
	o.cache.loses = "jwks:current"
	run := o.until(t, o.approve(t, undo(of.ID)).ID, StateFailed)
	r := receipt(t, run, "restore")
	if r.Status != StatusFail || r.Summary != "2 of 3 entries back as they were" || strings.Join(r.Proof, "; ") != "1 entry is not there" {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(run.Outcome, "The undo is not complete: 2 of 3") {
		t.Errorf("%q", run.Outcome)
	}
}

func TestUndoIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		set   func(*office, *Run)
		code  string
		words string
	}{
		"the copy is gone":   {func(o *office, of *Run) { delete(o.snaps.saved, of.ID) }, RefusedGone, "copies are kept for a day"},
		"nothing is missing": {func(o *office, of *Run) { o.rewriteAll("keys b=2") }, RefusedNothing, "3 entries were written anew since"},
		"all expired":        {func(o *office, _ *Run) { o.clock.advance(2 * time.Hour) }, RefusedNothing, "3 entries have expired"},
		"unknown run":        {func(_ *office, of *Run) { of.ID = "0101-nothing" }, RefusedUnknownRun, ""},
		"it kept no copy": {func(o *office, of *Run) {
			o.ledger.Change(t.Context(), of.ID, func(r *Run) ([]AuditEntry, error) { r.Plan.NoUndo = true; return nil, nil })
		}, RefusedGone, "kept no copy"},
		"it is under way": {func(o *office, of *Run) {
			o.ledger.Change(t.Context(), of.ID, func(r *Run) ([]AuditEntry, error) { r.State = StateVerify; return nil, nil })
		}, RefusedBusy, "still under way"},
		"it deleted nothing": {func(o *office, of *Run) {
			*of = o.ask(t, steps(func(r *Request) { r.Override = "x" }))
		}, RefusedNothing, "deleted nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			o, of := flushedThree(t)
			if name == "it deleted nothing" {
				o.clock.advance(10 * time.Minute)
				o.cache.set("jwks:current", "keys a=1")
			}
			c.set(o, &of)
			_, _, err := o.desk.Open(t.Context(), undo(of.ID), Silent{})
			refused(t, err, c.code, c.words)
		})
	}
}

// rewriteAll writes every deleted entry anew.
func (o *office) rewriteAll(value string) {
	for _, name := range o.cache.deleted {
		o.cache.set(name, value)
	}
}

func TestUndoThatHealedIsObsolete(t *testing.T) {
	o, of := flushedThree(t)
	run := o.ask(t, undo(of.ID))
	o.rewriteAll("keys b=2")
	a, err := o.click(t, run, "U0LIZ", DecideApprove)
	if err != nil || a.Run.State != StateObsolete {
		t.Errorf("%v, %s", err, a.Run.State)
	}
}

func TestUndoMovesTheAliasBack(t *testing.T) {
	o := newOffice(t)
	s := o.around()
	o.target.Watch.For = 0
	of := o.until(t, o.approve(t, steps(func(r *Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" })).ID, StateDone)
	if got := of.NextSteps(); len(got) != 1 || got[0].Kind != NextUndo {
		t.Errorf("next %+v", got)
	}
	req, ok := of.Request(NextUndo, "U0ANN", ViaSlack)
	if !ok {
		t.Fatal("no request for an undo")
	}
	run := o.until(t, o.approve(t, req).ID, StateDone)
	if len(s.movedBack) != 1 || s.movedBack[0] != of.ID || !strings.Contains(run.Outcome, "authoriser:live is version 12 again") {
		t.Errorf("moved back %v, %q", s.movedBack, run.Outcome)
	}
}
