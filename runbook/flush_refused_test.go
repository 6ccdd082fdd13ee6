package runbook

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A deletion that is refused for certain is asked for once, pages nobody, cools
// nothing down, and says that nothing was deleted.
func TestARefusedFlushDeletedNothing(t *testing.T) {
	o := newOffice(t)
	s := o.around()
	o.cache.onDelete = func(int) error { return &Denied{Err: errors.New(`redis "h": the user may not do this`)} }
	run := o.until(t, o.approve(t, request("U0ANN")).ID, StateFailed)
	if want := `Not flushed: nothing was deleted. Redis "h": the user may not do this.`; run.Outcome != want {
		t.Errorf("outcome %q, want %q", run.Outcome, want)
	}
	if o.cache.asked != 1 || s.pages+s.published != 0 || run.Escalation != nil {
		t.Errorf("asked %d times, %d pages, %d announcements", o.cache.asked, s.pages, s.published)
	}
	if last := run.Receipts[len(run.Receipts)-1]; last.Status != StatusFail || !slices.Contains(last.Proof, "1 of 1 entry is as before, read back") {
		t.Errorf("receipt %+v", last)
	}
	if next := run.NextSteps(); len(next) != 1 || next[0].Kind != NextRetry {
		t.Errorf("next %+v", next)
	}
	o.cache.onDelete = nil
	if _, _, err := o.desk.Open(t.Context(), request("U0ANN"), Silent{}); err != nil {
		t.Errorf("what was not flushed need not cool down: %v", err)
	}
}

// What cannot even be copied is refused before anything is deleted.
func TestARefusedCopyDeletedNothing(t *testing.T) {
	o := newOffice(t)
	run := o.until(t, o.approve(t, request("U0ANN")).ID, StateSnapshot)
	o.cache.listErr = &Denied{Err: errors.New("no EVAL")}
	run, _ = o.advance(t, run.ID)
	if run.State != StateFailed || !strings.HasPrefix(run.Outcome, "Not flushed: nothing was deleted. No EVAL.") {
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
		"refused":       {&Denied{Err: errors.New("invalid key")}, "the paging service refused the call"},
		"out of reach":  {errors.New("timeout"), "the paging service could not be reached"},
		"busy, refused": {errors.Join(errors.New("x"), &Denied{Err: errors.New("no")}), "refused the call"},
	} {
		o := newOffice(t)
		sent := 0
		failed, err := o.machine.paged(t.Context(), func() error { sent++; return c.err })
		if err != nil || sent != 1 || !errors.Is(failed, c.err) {
			t.Errorf("%s: sent %d times, want 1: %v, %v", name, sent, failed, err)
		}
		if got := "the paging service " + unheard(failed); !strings.Contains(got, c.says) {
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
		"at once": {refuse(RefusedRestart, "Updating is not permitted."), "Not done: Updating is not permitted. Nothing was touched."},
		"later":   {&Denied{Err: errors.New("alias live still points to version 12: publishing is not permitted")}, "Not done: alias live still points to version 12: publishing is not permitted."},
	} {
		o := newOffice(t)
		s := o.around()
		run := o.approve(t, steps(func(r *Request) { r.NoFlush, r.Restart, r.Override = true, true, "x" }))
		run = o.until(t, run.ID, StateRestart)
		s.restart = func() (RestartResult, error) { return RestartResult{}, c.err }
		run, _ = o.advance(t, run.ID)
		if run.State != StateFailed || run.Outcome != c.want || s.pages != 0 {
			t.Errorf("%s: %s, %q, %d pages", name, run.State, run.Outcome, s.pages)
		}
	}
}
