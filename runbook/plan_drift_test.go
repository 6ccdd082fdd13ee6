package runbook

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// A flush whose copies became too large ends, and does not hold the cache up by
// trying again.
func TestEntriesThatCannotBeCopiedEndTheRun(t *testing.T) {
	o := newOffice(t)
	run := o.approve(t, request("U0ANN"))
	o.until(t, run.ID, StateSnapshot)
	o.cache.fail(fmt.Errorf("cache %q: entries hold more than 1 byte: %w", "prod", ErrTooLarge))
	end, _ := o.advance(t, run.ID)
	if end.State != StateFailed || !strings.Contains(end.Outcome, "nothing was deleted") || !strings.Contains(end.Outcome, "snapshot.max_bytes") || len(o.cache.deleted) != 0 {
		t.Errorf("%s, %q, deleted %v", end.State, end.Outcome, o.cache.deleted)
	}
}

// halfTaken is a cache that becomes too large for a copy after the first page.
type halfTaken struct{ *cacheStandIn }

func (c halfTaken) Take(ctx context.Context, names []string, page func([]Saved) error) error {
	if err := c.cacheStandIn.Take(ctx, names[:1], page); err != nil {
		return err
	}
	return fmt.Errorf("cache %q: entries hold more than 1 byte: %w", "prod", ErrTooLarge)
}

// What was copied for a flush that will not be is not kept.
func TestHalfACopyIsNotKept(t *testing.T) {
	o := newOffice(t)
	o.cache.set("jwks:other", "keys a=1")
	run := o.approve(t, request("U0ANN"))
	o.until(t, run.ID, StateSnapshot)
	o.target.Entries = halfTaken{o.cache}
	end, _ := o.advance(t, run.ID)
	if kept, err := o.snaps.Snapshot(t.Context(), run.ID); end.State != StateFailed || len(kept) != 0 || err != nil {
		t.Errorf("%s, %d entries are kept, %v", end.State, len(kept), err)
	}
}

// A flush by name reaches what was shown, and about as much of it.
func TestCompareByName(t *testing.T) {
	shown := Plan{Scope: ScopeKeys, NoUndo: true, Truncated: true, Patterns: []string{"jwks:*"}, Matching: 2000, Live: []string{"tp-2"}}
	for name, c := range map[string]struct {
		change func(*Plan)
		want   Drift
		says   string
	}{
		"as it was":           {func(*Plan) {}, DriftNone, ""},
		"fewer":               {func(p *Plan) { p.Matching = 11 }, DriftNone, ""},
		"a tenth more":        {func(p *Plan) { p.Matching = 2200 }, DriftNone, ""},
		"more than a tenth":   {func(p *Plan) { p.Matching = 2201 }, DriftChanged, "2,201 keys now, not 2,000"},
		"another issuer's":    {func(p *Plan) { p.Foreign = 1 }, DriftChanged, "1 entry now belongs to another issuer"},
		"other patterns":      {func(p *Plan) { p.Patterns = []string{"*"} }, DriftChanged, "cache.keys"},
		"the live keys moved": {func(p *Plan) { p.Live = []string{"tp-3"} }, DriftChanged, "the live keys changed"},
	} {
		now := shown
		c.change(&now)
		if got, why := shown.Compare(now); got != c.want || !strings.Contains(why, c.says) {
			t.Errorf("%s: %s (%q), want %s saying %q", name, got, why, c.want, c.says)
		}
	}
	few := Plan{Scope: ScopeAll, NoUndo: true, Matching: 3, Others: 40}
	more := few
	for others, want := range map[int64]Drift{139: DriftNone, 140: DriftChanged} { // 99 and 100 more
		more.Others = others
		if got, _ := few.Compare(more); got != want {
			t.Errorf("%d keys of others: %s, want %s", others, got, want)
		}
	}
}
