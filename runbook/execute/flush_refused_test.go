package execute_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/execute"
	"jwksbot/runbook/record"
	"jwksbot/runbook/runbooktest"
)

// A deletion that is refused for certain is asked for once, pages nobody, cools
// nothing down, and says that nothing was deleted.
func TestARefusedFlushDeletedNothing(t *testing.T) {
	o := runbooktest.NewWorld(t)
	s := o.Around()
	o.Cache.OnDelete = func(int) error { return &runbook.Denied{Err: errors.New(`redis "h": the user may not do this`)} }
	run := o.Until(t, o.Approve(t, runbooktest.Request("U0ANN")).ID, runbook.StateFailed)
	if want := `Not flushed: nothing was deleted. Redis "h": the user may not do this.`; run.Outcome != want {
		t.Errorf("outcome %q, want %q", run.Outcome, want)
	}
	if o.Cache.Asked != 1 || s.Pages+s.Published != 0 || run.Escalation != nil {
		t.Errorf("asked %d times, %d pages, %d announcements", o.Cache.Asked, s.Pages, s.Published)
	}
	if last := run.Receipts[len(run.Receipts)-1]; last.Status != runbook.StatusFail || !slices.Contains(last.Proof, "1 of 1 entry is as before, read back") {
		t.Errorf("receipt %+v", last)
	}
	if next := record.NextSteps(run); len(next) != 1 || next[0].Kind != record.NextRetry {
		t.Errorf("next %+v", next)
	}
	o.Cache.OnDelete = nil
	if _, _, err := o.Service.Open(t.Context(), runbooktest.Request("U0ANN"), check.Silent{}); err != nil {
		t.Errorf("what was not flushed need not cool down: %v", err)
	}
}

// What cannot even be copied is refused before anything is deleted.
func TestARefusedCopyDeletedNothing(t *testing.T) {
	o := runbooktest.NewWorld(t)
	run := o.Until(t, o.Approve(t, runbooktest.Request("U0ANN")).ID, runbook.StateSnapshot)
	o.Cache.ListErr = &runbook.Denied{Err: errors.New("no EVAL")}
	run, _ = o.Advance(t, run.ID)
	if run.State != runbook.StateFailed || !strings.HasPrefix(run.Outcome, "Not flushed: nothing was deleted. No EVAL.") {
		t.Errorf("%s: %s", run.State, run.Outcome)
	}
}

// A page that failed is not asked for again, the pager has repeated what could
// be repeated, and the people in the thread are told to call.
func TestAPageThatFailsIsAskedForOnce(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		says string
	}{
		"refused":       {&runbook.Denied{Err: errors.New("invalid key")}, "the paging service refused the call"},
		"out of reach":  {errors.New("timeout"), "the paging service could not be reached"},
		"busy, refused": {errors.Join(errors.New("x"), &runbook.Denied{Err: errors.New("no")}), "refused the call"},
	} {
		o := runbooktest.NewWorld(t)
		sent := 0
		failed, err := o.Machine.Paged(t.Context(), func() error { sent++; return c.err })
		if err != nil || sent != 1 || !errors.Is(failed, c.err) {
			t.Errorf("%s: sent %d times, want 1: %v, %v", name, sent, failed, err)
		}
		if got := "the paging service " + execute.Unheard(failed); !strings.Contains(got, c.says) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A step that is refused at its first write touched nothing; one that is refused
// later says how far it came. Neither is repeated, neither pages.
func TestARefusedRestart(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"at once": {runbook.Refuse(runbook.RefusedRestart, "Updating is not permitted."), "Not done: Updating is not permitted. Nothing was touched."},
		"later":   {&runbook.Denied{Err: errors.New("alias live still points to version 12: publishing is not permitted")}, "Not done: alias live still points to version 12: publishing is not permitted."},
	} {
		o := runbooktest.NewWorld(t)
		s := o.Around()
		run := o.Approve(t, runbooktest.Steps(func(r *approve.Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" }))
		run = o.Until(t, run.ID, runbook.StateRestart)
		s.Restarting = func() (runbook.RestartResult, error) { return runbook.RestartResult{}, c.err }
		run, _ = o.Advance(t, run.ID)
		if run.State != runbook.StateFailed || run.Outcome != c.want || s.Pages != 0 {
			t.Errorf("%s: %s, %q, %d pages", name, run.State, run.Outcome, s.Pages)
		}
	}
}
