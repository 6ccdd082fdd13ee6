package runbook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// planRestore resolves the undo of a run: which of the entries that it deleted
// are still missing and would be written back, and which were written anew
// since and stay unless force is given. Where the run moved an alias, the alias
// would be moved back.
func (t *Target) planRestore(ctx context.Context, snaps snapshots, of Run, force bool, now time.Time) (Plan, error) {
	switch {
	case of.Target != t.Name:
		return Plan{}, refuse(RefusedSteps, "Run %s was of target %s, not of %s.", of.ID, of.Target, t.Name)
	case of.State.Holds():
		return Plan{}, refuse(RefusedBusy, "Run %s is still under way (%s): wait for its end.", of.ID, of.State)
	case of.Plan.Has(FlushCache) && of.Plan.NoUndo:
		return Plan{}, refuse(RefusedGone, "Run %s kept no copy of what it deleted: its plan said that it cannot be undone.", of.ID)
	}
	p := Plan{Target: t.Name, Resource: t.Resource, Steps: []Mitigation{RestoreCache}, Entries: []PlanEntry{}, Live: []string{},
		Verdict: of.Plan.Verdict, Summary: of.Plan.Summary, Restore: &RestorePlan{Of: of.ID, Force: force, Entries: []RestoreEntry{}}}
	if of.Plan.Restart != nil && of.Plan.Restart.Mode == RestartAlias && of.Restarted != nil && t.Function != nil {
		p.Restore.MoveBack = of.Plan.Restart
	}
	saved, err := t.undoable(ctx, snaps, of)
	if err != nil {
		return p, err
	}
	if len(saved) == 0 && p.Restore.MoveBack == nil {
		return p, nothingSaved(of)
	}
	if err := p.Restore.resolve(ctx, t, saved, now); err != nil {
		return p, err
	}
	if p.Restore.writes() == 0 && p.Restore.MoveBack == nil {
		return p, refuse(RefusedNothing, "Nothing to write back: %s.", p.Restore.standing())
	}
	p.seal()
	return p, nil
}

func nothingSaved(of Run) error {
	if _, flushed := of.FlushedAt(); !flushed {
		return refuse(RefusedNothing, "Run %s deleted nothing, so there is nothing to undo.", of.ID)
	}
	return refuse(RefusedGone, "The copy of what run %s deleted is gone: copies are kept for a day (snapshot.keep).", of.ID)
}

// undoable are the entries that a run may have deleted. One that was rewritten
// before it could be deleted was never touched.
func (t *Target) undoable(ctx context.Context, snaps snapshots, of Run) ([]Saved, error) {
	saved, err := snaps.Snapshot(ctx, of.ID)
	if err != nil {
		return nil, err
	}
	fates, err := snaps.Fates(ctx, of.ID)
	if err != nil {
		return nil, err
	}
	untouched := map[string]bool{}
	for _, f := range fates {
		untouched[f.Name] = f.Fate == FateRewritten
	}
	out := saved[:0]
	for _, s := range saved {
		if !untouched[s.Name] {
			out = append(out, s)
		}
	}
	return out, nil
}

// resolve says how the cache stands to each saved entry now.
func (r *RestorePlan) resolve(ctx context.Context, t *Target, saved []Saved, now time.Time) error {
	if len(saved) == 0 {
		return nil
	}
	fates, err := t.Entries.Compare(ctx, saved)
	if err != nil {
		return unread("The cache cannot be read, so nobody can say what would be written back", err)
	}
	for i, s := range saved {
		e := RestoreEntry{Name: EntryName(s.Name), Shard: fates[i].Shard, Saved: s.sum(), Fate: fates[i].Fate}
		if e.Fate == FateGone && s.expired(now) {
			e.Fate = FateExpired
		}
		r.Entries = append(r.Entries, e)
	}
	return nil
}

// Empty says that nothing was planned: why not is told by the refusal beside it.
func (p Plan) Empty() bool {
	if r := p.Restore; r != nil {
		return len(r.Entries) == 0 && r.MoveBack == nil
	}
	return len(p.Steps) == 0
}

// sum identifies the saved bytes.
func (s Saved) sum() string {
	sum := sha256.Sum256(s.Payload)
	return hex.EncodeToString(sum[:8])
}

// expired says that the entry would be gone by itself now.
func (s Saved) expired(now time.Time) bool { return s.TTL != NoExpiry && now.Sub(s.At) >= s.TTL }

// standing counts the entries of an undo by how the cache stands to them.
func (r RestorePlan) standing() string {
	n := map[Fate]int{}
	for _, e := range r.Entries {
		n[e.Fate]++
	}
	var parts []string
	for _, s := range []struct {
		fate      Fate
		one, many string
	}{
		{FateGone, "entry is missing", "entries are missing"},
		{FateLeft, "entry is there as it was", "entries are there as they were"},
		{FateRewritten, "entry was written anew since and is left alone", "entries were written anew since and are left alone"},
		{FateExpired, "entry has expired since", "entries have expired since"},
	} {
		if n[s.fate] > 0 {
			parts = append(parts, plural(n[s.fate], s.one, s.many))
		}
	}
	if len(parts) == 0 {
		return "no entry was deleted"
	}
	text := strings.Join(parts, ", ")
	if r.Force {
		return strings.NewReplacer("and is left alone", "and is overwritten", "and are left alone", "and are overwritten").Replace(text)
	}
	return text
}
