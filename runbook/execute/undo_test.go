package execute_test

import (
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

func undo(of string) approve.Request {
	req := runbooktest.Request("U0ANN")
	req.RestoreOf = of
	return req
}

// flushedThree is an office in which three old entries were deleted.
func flushedThree(t *testing.T) (*runbooktest.World, runbook.Run) {
	t.Helper()
	o := threeOld(t)
	o.Clock.OnWait = nil
	run := o.Approve(t, runbooktest.Request("U0ANN"))
	return o, o.Until(t, run.ID, runbook.StateDone)
}

func TestUndoWritesBackWhatIsMissing(t *testing.T) {
	o, of := flushedThree(t)
	names := strings.Fields(strings.Join(o.Cache.Deleted, " "))
	if len(names) != 3 {
		t.Fatalf("deleted %v", names)
	}
	o.Cache.Set(names[1], "keys b=2") // an authoriser fetched meanwhile
	before := len(o.Cache.Deleted)
	run := o.Ask(t, undo(of.ID))
	p := run.Plan
	if !p.Has(runbook.RestoreCache) || p.Has(runbook.FlushCache) || len(p.Restore.Entries) != 3 || p.Restore.Writes() != 2 || p.Digest == "" {
		t.Fatalf("plan %+v", p)
	}
	if _, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove); err != nil {
		t.Fatal(err)
	}
	run = o.Until(t, run.ID, runbook.StateDone)
	if o.Cache.Get(names[0]) == "" || o.Cache.Get(names[2]) == "" || o.Cache.Get(names[1]) != "keys b=2" || len(o.Cache.Deleted) != before {
		t.Errorf("the cache holds %v", o.Cache.Entries)
	}
	r := runbooktest.Receipt(t, run, "restore")
	if r.Summary != "2 of 3 entries back as they were" || !strings.Contains(strings.Join(r.Proof, "; "), "newer value and was left alone") || !strings.Contains(run.Outcome, "Undone") {
		t.Errorf("%+v, %q", r, run.Outcome)
	}
	if _, flushed := run.FlushedAt(); flushed || record.NextSteps(run) != nil {
		t.Errorf("an undo counts as a flush, or offers %+v", record.NextSteps(run))
	}
}

func TestForcedUndoOverwritesOnce(t *testing.T) {
	o, of := flushedThree(t)
	const name = "jwks:current"
	o.Cache.Set(name, "keys b=2")
	req := undo(of.ID)
	req.Force = true
	run := o.Until(t, o.Approve(t, req).ID, runbook.StateRestore)
	if _, err := o.Machine.Advance(t.Context(), run); err != nil { // and the crash
		t.Fatal(err)
	}
	if o.Cache.Get(name) != "keys a=1" {
		t.Errorf("not overwritten: %q", o.Cache.Get(name))
	}
	o.Cache.Set(name, "keys b=2 c=3") // written after the undo, before its repetition
	run, _ = o.Advance(t, run.ID)
	if o.Cache.Get(name) != "keys b=2 c=3" || run.State != runbook.StateDone {
		t.Errorf("%s holds %q, run is %s", name, o.Cache.Get(name), run.State)
	}
}

// The proof of an undo is what is read back, not what the cache answered.
func TestUndoThatHadNoEffectIsNotDone(t *testing.T) {
	o, of := flushedThree(t)
	o.Cache.Loses = "jwks:current"
	run := o.Until(t, o.Approve(t, undo(of.ID)).ID, runbook.StateFailed)
	r := runbooktest.Receipt(t, run, "restore")
	if r.Status != runbook.StatusFail || r.Summary != "2 of 3 entries back as they were" || strings.Join(r.Proof, "; ") != "1 entry is not there" {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(run.Outcome, "The undo is not complete: 2 of 3") {
		t.Errorf("%q", run.Outcome)
	}
}

func TestUndoIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		set   func(*runbooktest.World, *runbook.Run)
		code  string
		words string
	}{
		"the copy is gone":   {func(o *runbooktest.World, of *runbook.Run) { delete(o.Snaps.Saved, of.ID) }, approve.RefusedGone, "copies are kept for a day"},
		"nothing is missing": {func(o *runbooktest.World, of *runbook.Run) { rewriteAll(o, "keys b=2") }, runbook.RefusedNothing, "3 entries were rewritten since"},
		"all expired":        {func(o *runbooktest.World, _ *runbook.Run) { o.Clock.Advance(2 * time.Hour) }, runbook.RefusedNothing, "3 entries have expired"},
		"unknown run":        {func(_ *runbooktest.World, of *runbook.Run) { of.ID = "0101-nothing" }, approve.RefusedUnknownRun, ""},
		"it kept no copy": {func(o *runbooktest.World, of *runbook.Run) {
			o.Ledger.Change(t.Context(), of.ID, func(r *runbook.Run) ([]runbook.AuditEntry, error) { r.Plan.NoUndo = true; return nil, nil })
		}, approve.RefusedGone, "kept no copy"},
		"it is under way": {func(o *runbooktest.World, of *runbook.Run) {
			o.Ledger.Change(t.Context(), of.ID, func(r *runbook.Run) ([]runbook.AuditEntry, error) { r.State = runbook.StateVerify; return nil, nil })
		}, runbook.RefusedBusy, "still under way"},
		"it deleted nothing": {func(o *runbooktest.World, of *runbook.Run) {
			*of = o.Ask(t, runbooktest.Steps(func(r *approve.Request) { r.Override = "x" }))
		}, runbook.RefusedNothing, "deleted nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			o, of := flushedThree(t)
			if name == "it deleted nothing" {
				o.Clock.Advance(10 * time.Minute)
				o.Cache.Set("jwks:current", "keys a=1")
			}
			c.set(o, &of)
			_, _, err := o.Service.Open(t.Context(), undo(of.ID), check.Silent{})
			standin.Refused(t, err, c.code, c.words)
		})
	}
}

// rewriteAll writes every deleted entry anew.
func rewriteAll(o *runbooktest.World, value string) {
	for _, name := range o.Cache.Deleted {
		o.Cache.Set(name, value)
	}
}

func TestUndoThatHealedIsObsolete(t *testing.T) {
	o, of := flushedThree(t)
	run := o.Ask(t, undo(of.ID))
	rewriteAll(o, "keys b=2")
	a, err := o.Click(t, run, "U0LIZ", runbook.DecideApprove)
	if err != nil || a.Run.State != runbook.StateObsolete {
		t.Errorf("%v, %s", err, a.Run.State)
	}
}

func TestUndoMovesTheAliasBack(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	o.Target.Watch.For = 0
	of := o.Until(t, o.Approve(t, runbooktest.Steps(func(r *approve.Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" })).ID, runbook.StateDone)
	if got := record.NextSteps(of); len(got) != 1 || got[0].Kind != record.NextUndo {
		t.Errorf("next %+v", got)
	}
	req, ok := record.RequestFor(of, record.NextUndo, "U0ANN", runbook.ViaSlack)
	if !ok {
		t.Fatal("no request for an undo")
	}
	run := o.Until(t, o.Approve(t, req).ID, runbook.StateDone)
	if len(s.MovedBack) != 1 || s.MovedBack[0] != of.ID || !strings.Contains(run.Outcome, "authoriser:live is version 12 again") {
		t.Errorf("moved back %v, %q", s.MovedBack, run.Outcome)
	}
}
