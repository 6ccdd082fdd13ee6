package approve_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/runbooktest"
	"jwksbot/runbook/standin"
)

// A flush whose copies became too large ends, and does not hold the cache up by
// trying again.
func TestEntriesThatCannotBeCopiedEndTheRun(t *testing.T) {
	o := runbooktest.NewWorld(t)
	run := o.Approve(t, runbooktest.Request("U0ANN"))
	o.Until(t, run.ID, runbook.StateSnapshot)
	o.Cache.Fail(fmt.Errorf("cache %q: entries hold more than 1 byte: %w", "prod", runbook.ErrTooLarge))
	end, _ := o.Advance(t, run.ID)
	if end.State != runbook.StateFailed || !strings.Contains(end.Outcome, "nothing was deleted") || !strings.Contains(end.Outcome, "snapshot.max_bytes") || len(o.Cache.Deleted) != 0 {
		t.Errorf("%s, %q, deleted %v", end.State, end.Outcome, o.Cache.Deleted)
	}
}

// halfTaken is a cache that becomes too large for a copy after the first page.
type halfTaken struct{ *standin.Cache }

func (c halfTaken) Take(ctx context.Context, names []string, page func([]runbook.Saved) error) error {
	if err := c.Cache.Take(ctx, names[:1], page); err != nil {
		return err
	}
	return fmt.Errorf("cache %q: entries hold more than 1 byte: %w", "prod", runbook.ErrTooLarge)
}

// What was copied for a flush that will not be is not kept.
func TestHalfACopyIsNotKept(t *testing.T) {
	o := runbooktest.NewWorld(t)
	o.Cache.Set("jwks:other", "keys a=1")
	run := o.Approve(t, runbooktest.Request("U0ANN"))
	o.Until(t, run.ID, runbook.StateSnapshot)
	o.Target.Entries = halfTaken{o.Cache}
	end, _ := o.Advance(t, run.ID)
	if kept, err := o.Snaps.Snapshot(t.Context(), run.ID); end.State != runbook.StateFailed || len(kept) != 0 || err != nil {
		t.Errorf("%s, %d entries are kept, %v", end.State, len(kept), err)
	}
}

// A flush by name reaches what was shown, and about as much of it.
func TestCompareByName(t *testing.T) {
	shown := runbook.Plan{Scope: runbook.ScopeKeys, NoUndo: true, Truncated: true, Patterns: []string{"jwks:*"}, Matching: 2000, Live: []string{"tp-2"}}
	for name, c := range map[string]struct {
		change func(*runbook.Plan)
		want   approve.Drift
		says   string
	}{
		"as it was":           {func(*runbook.Plan) {}, approve.DriftNone, ""},
		"fewer":               {func(p *runbook.Plan) { p.Matching = 11 }, approve.DriftNone, ""},
		"a tenth more":        {func(p *runbook.Plan) { p.Matching = 2200 }, approve.DriftNone, ""},
		"more than a tenth":   {func(p *runbook.Plan) { p.Matching = 2201 }, approve.DriftChanged, "2,201 keys now, not 2,000"},
		"another issuer's":    {func(p *runbook.Plan) { p.Foreign = 1 }, approve.DriftChanged, "1 entry now belongs to another issuer"},
		"other patterns":      {func(p *runbook.Plan) { p.Patterns = []string{"*"} }, approve.DriftChanged, "cache.keys"},
		"the live keys moved": {func(p *runbook.Plan) { p.Live = []string{"tp-3"} }, approve.DriftChanged, "the live keys changed"},
	} {
		now := shown
		c.change(&now)
		if got, why := approve.Compare(shown, now); got != c.want || !strings.Contains(why, c.says) {
			t.Errorf("%s: %s (%q), want %s saying %q", name, got, why, c.want, c.says)
		}
	}
	few := runbook.Plan{Scope: runbook.ScopeAll, NoUndo: true, Matching: 3, Others: 40}
	more := few
	for others, want := range map[int64]approve.Drift{139: approve.DriftNone, 140: approve.DriftChanged} { // 99 and 100 more
		more.Others = others
		if got, _ := approve.Compare(few, more); got != want {
			t.Errorf("%d keys of others: %s, want %s", others, got, want)
		}
	}
}
