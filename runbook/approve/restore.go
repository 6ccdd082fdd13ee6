package approve

import (
	"context"
	"strings"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
)

// planRestore resolves the undo of a run: which of the entries that it deleted
// are still missing and would be written back, and which were written anew
// since and stay unless force is given. Where the run moved an alias, the alias
// would be moved back.
func planRestore(ctx context.Context, t *check.Target, snaps Snapshots, of runbook.Run, force bool, now time.Time) (runbook.Plan, error) {
	switch {
	case of.Target != t.Name:
		return runbook.Plan{}, runbook.Refuse(RefusedSteps, "Run %s was for target %s, not %s.", of.ID, of.Target, t.Name)
	case of.State.Holds():
		return runbook.Plan{}, runbook.Refuse(runbook.RefusedBusy, "Run %s is still under way (%s): wait for its end.", of.ID, of.State)
	case of.Plan.Has(runbook.FlushCache) && of.Plan.NoUndo:
		return runbook.Plan{}, runbook.Refuse(RefusedGone, "Run %s kept no copy of what it deleted: its plan said that it cannot be undone.", of.ID)
	}
	p := runbook.Plan{Target: t.Name, Resource: t.Resource, Steps: []runbook.Mitigation{runbook.RestoreCache}, Entries: []runbook.PlanEntry{}, Live: []string{},
		Verdict: of.Plan.Verdict, Summary: of.Plan.Summary, Restore: &runbook.RestorePlan{Of: of.ID, Force: force, Entries: []runbook.RestoreEntry{}}}
	if of.Plan.Restart != nil && of.Plan.Restart.Mode == runbook.RestartAlias && of.Restarted != nil && t.Function != nil {
		p.Restore.MoveBack = of.Plan.Restart
	}
	saved, err := Undoable(ctx, t, snaps, of)
	if err != nil {
		return p, err
	}
	if len(saved) == 0 && p.Restore.MoveBack == nil {
		return p, nothingSaved(of)
	}
	if err := resolve(ctx, p.Restore, t, saved, now); err != nil {
		return p, err
	}
	if p.Restore.Writes() == 0 && p.Restore.MoveBack == nil {
		return p, runbook.Refuse(runbook.RefusedNothing, "Nothing to write back: %s.", standing(*p.Restore))
	}
	seal(&p)
	return p, nil
}

func nothingSaved(of runbook.Run) error {
	if _, flushed := of.FlushedAt(); !flushed {
		return runbook.Refuse(runbook.RefusedNothing, "Run %s deleted nothing, so there is nothing to undo.", of.ID)
	}
	return runbook.Refuse(RefusedGone, "The copy of what run %s deleted is gone: copies are kept for a day (snapshot.keep).", of.ID)
}

// Undoable are the entries that a run may have deleted. One that was rewritten
// before it could be deleted was never touched.
func Undoable(ctx context.Context, t *check.Target, snaps Snapshots, of runbook.Run) ([]runbook.Saved, error) {
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
		untouched[f.Name] = f.Fate == runbook.FateRewritten
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
func resolve(ctx context.Context, r *runbook.RestorePlan, t *check.Target, saved []runbook.Saved, now time.Time) error {
	if len(saved) == 0 {
		return nil
	}
	fates, err := t.Entries.Compare(ctx, saved)
	if err != nil {
		return unread("The cache cannot be read, so nobody can say what would be written back", err)
	}
	for i, s := range saved {
		e := runbook.RestoreEntry{Name: runbook.EntryName(s.Name), Shard: fates[i].Shard, Saved: s.Checksum(), Fate: fates[i].Fate}
		if e.Fate == runbook.FateGone && s.Expired(now) {
			e.Fate = runbook.FateExpired
		}
		r.Entries = append(r.Entries, e)
	}
	return nil
}

// standing counts the entries of an undo by how the cache stands to them.
func standing(r runbook.RestorePlan) string {
	n := map[runbook.Fate]int{}
	for _, e := range r.Entries {
		n[e.Fate]++
	}
	var parts []string
	for _, s := range []struct {
		fate      runbook.Fate
		one, many string
	}{
		{runbook.FateGone, "entry is missing", "entries are missing"},
		{runbook.FateLeft, "entry is there as it was", "entries are there as they were"},
		{runbook.FateRewritten, "entry was rewritten since and is left alone", "entries were rewritten since and are left alone"},
		{runbook.FateExpired, "entry has expired since", "entries have expired since"},
	} {
		if n[s.fate] > 0 {
			parts = append(parts, runbook.Plural(n[s.fate], s.one, s.many))
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
