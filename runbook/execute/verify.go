package execute

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
)

// Waiting for the refill: the authorisers fetch when the next token comes, which
// on a busy gateway is at once. The pauses between two looks double.
const (
	refillWait  = 30 * time.Second
	refillFirst = 50 * time.Millisecond
	refillEvery = time.Second
)

// after is what the cache looks like after a flush.
type after struct {
	left    []runbook.EntryFate // never deleted, still as they were
	spared  []runbook.Entry     // not in the plan, and they hold old keys: nobody approved to delete them
	stale   []runbook.Entry     // written again, and not the live keys
	fresh   []runbook.Entry     // written again, and they hold the live keys
	unknown []runbook.Entry     // written again, and they cannot be compared with live keys
	shards  int
	others  int64
	live    runbook.KeySet
	liveOK  bool
	partly  bool // there are more entries than could be read
	elapsed time.Duration
}

// verify reads the effect back: nothing old is left, and what came back are
// live keys. Only what was read here is reported.
func (m *Machine) verify(ctx context.Context, t *check.Target, run runbook.Run) (runbook.Transition, error) {
	begin := m.clock.Now()
	saved, err := m.snaps.Sums(ctx, run.ID)
	if err != nil {
		return runbook.Transition{}, err
	}
	flushed, _ := run.FlushedAt()
	var a after
	for pause := refillFirst; ; pause = min(2*pause, refillEvery) {
		if a, err = m.look(ctx, t, run, saved); err != nil {
			return runbook.Transition{}, err
		}
		a.elapsed = m.clock.Now().Sub(flushed)
		if a.settled() || m.clock.Now().Sub(begin) >= refillWait {
			break
		}
		if err := m.clock.Wait(ctx, pause); err != nil {
			return runbook.Transition{}, err
		}
	}
	receipt := a.receipt(run, len(saved))
	receipt.StartedAt, receipt.EndedAt = begin, m.clock.Now()
	audit := []runbook.AuditEntry{approve.Audit(run, receipt.EndedAt, runbook.AuditSelf, "verified", receipt.Summary)}
	tr := m.onward(t, run, runbook.StateVerify, receipt, a.outcome(run, receipt))
	if receipt.Status == runbook.StatusFail && (len(a.left) > 0 || run.Plan.Restart == nil) {
		// A restart is the cure for old keys that came back; nothing else of the
		// plan helps now. People see the failures of the next minutes all the same.
		tr.To = next(t, run, runbook.StateConfirm)
		if tr.To == runbook.StateDone {
			tr.To = runbook.StateFailed
		}
	}
	tr.Audit = audit
	return tr, nil
}

// settled says that waiting longer would show nothing new.
// An entry in a strange format beside the keys (a lock, say) settles nothing.
func (a after) settled() bool {
	return len(a.left)+len(a.stale)+len(a.fresh) > 0 || !a.liveOK && len(a.unknown) > 0
}

// look reads the cache once and sorts what it finds.
func (m *Machine) look(ctx context.Context, t *check.Target, run runbook.Run, saved []runbook.Saved) (after, error) {
	var a after
	var err error
	if a.left, err = m.leftOf(ctx, t, run, saved); err != nil {
		return a, err
	}
	old, unlisted := map[string]bool{}, map[string]bool{}
	for _, f := range a.left {
		old[f.Name] = true
	}
	for _, name := range run.Plan.Untouched {
		old[string(name)] = true
	}
	for _, name := range run.Unlisted {
		unlisted[string(name)] = true
	}
	e := t.Reread(ctx)
	if e.Cached == nil {
		return a, fmt.Errorf("read back: %s", e.Unread[runbook.StepCachedKeys])
	}
	a.shards, a.others = len(e.Cached.Shards), e.Cached.Others
	a.live, a.liveOK = e.Live.Set()
	a.partly = e.Cached.Truncated
	f, planned := diagnose.Gather(e), run.Plan.Meanings()
	for _, entry := range f.Own {
		switch {
		case old[entry.Name]:
		case spares(run, entry.Name, unlisted, planned) && !a.isFresh(f, run, entry):
			a.spared = append(a.spared, entry)
		case run.Plan.NoUndo && !a.isFresh(f, run, entry) && (run.Plan.Truncated || planned[runbook.EntryName(entry.Name)] == entry.Meaning()):
			// Without a copy only the meaning tells what was there before.
			a.left = append(a.left, runbook.EntryFate{Name: entry.Name, Shard: entry.Shard, Fate: runbook.FateLeft})
		default:
			a.sort(f, run, entry)
		}
	}
	return a, nil
}

// leftOf are the entries of the snapshot that were never deleted and are as they
// were. An entry that is deleted and there again was written again.
func (m *Machine) leftOf(ctx context.Context, t *check.Target, run runbook.Run, saved []runbook.Saved) ([]runbook.EntryFate, error) {
	now, err := t.Entries.Compare(ctx, saved)
	if err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	left := slices.DeleteFunc(now, func(f runbook.EntryFate) bool { return f.Fate != runbook.FateLeft })
	if len(left) == 0 {
		return nil, nil
	}
	fates, err := m.snaps.Fates(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	// A batch that was cut off before it was recorded finds its entries gone.
	deleted := map[string]bool{}
	for _, f := range fates {
		deleted[f.Name] = f.Fate == runbook.FateDeleted || f.Fate == runbook.FateGone
	}
	return slices.DeleteFunc(left, func(f runbook.EntryFate) bool { return deleted[f.Name] }), nil
}

// spares says that the run left the entry alone from the start, since its plan
// does not list it. Where not every entry could be read then, none that the plan
// does not list can be said to have come back.
func spares(r runbook.Run, name string, unlisted map[string]bool, planned map[runbook.EntryName]string) bool {
	_, listed := planned[runbook.EntryName(name)]
	return unlisted[name] || r.UnlistedMore && !listed
}

// sort judges one entry that was written since the plan was made, under
// whatever name.
func (a *after) sort(f *diagnose.Facts, run runbook.Run, entry runbook.Entry) {
	content := entry.Reading.Content
	switch {
	case content == runbook.ContentUnknown, !a.liveOK && len(run.Plan.Live) == 0:
		a.unknown = append(a.unknown, entry)
	case content == runbook.ContentNegative && a.liveOK && f.Current(entry):
		// A marker for a kid that does not exist is in order and no refill.
	case a.isFresh(f, run, entry):
		a.fresh = append(a.fresh, entry)
	default:
		a.stale = append(a.stale, entry)
	}
}

// isFresh holds an entry against the live keys of this moment, or, if those
// cannot be read, against those of the plan.
func (a after) isFresh(f *diagnose.Facts, run runbook.Run, e runbook.Entry) bool {
	if a.liveOK {
		return f.Current(e)
	}
	return e.Reading.Content == runbook.ContentKeys && strings.Join(e.Reading.Set.Thumbprints(), " ") == strings.Join(run.Plan.Live, " ")
}

// receipt puts into words what was read back.
func (a after) receipt(run runbook.Run, saved int) runbook.Receipt {
	p := run.Plan
	r := runbook.Receipt{Step: runbook.StepVerify, Status: runbook.StatusOK, Proof: []string{}}
	gone := a.gone(p, saved)
	switch {
	case len(a.left) > 0:
		r.Status, r.Summary, r.Finding = runbook.StatusFail, gone, runbook.FoundLeft
		if p.Route == runbook.RouteBridge {
			r.Summary = fmt.Sprintf("%s, %s", claimed(run), runbook.Plural(len(a.left), "old entry remains", "old entries remain"))
		}
	case len(a.stale) > 0:
		r.Status, r.Finding, r.Summary = runbook.StatusFail, runbook.FoundStale, gone+"; came back stale: "+runbook.QuoteNames(diagnose.NamesOfEntries(a.stale))
	case len(a.fresh) > 0:
		r.Summary = fmt.Sprintf("%s; refilled with live keys after %s", gone, runbook.Duration(a.elapsed))
	case len(a.unknown) > 0:
		r.Status, r.Summary = runbook.StatusWarn, gone+"; refilled, but what came back could not be compared with the live keys"
	default:
		r.Status, r.Summary = runbook.StatusWarn, fmt.Sprintf("%s; not refilled yet: nobody asked for keys within %s", gone, runbook.Duration(a.elapsed))
	}
	if n := len(a.spared); n > 0 && r.Status != runbook.StatusFail {
		r.Status, r.Finding = runbook.StatusWarn, runbook.FoundUnlisted
		r.Summary += fmt.Sprintf("; left alone, since the plan does not list %s: %s with old keys, %s",
			runbook.Verb(n, "it", "them"), runbook.Plural(n, "entry", "entries"), runbook.QuoteNames(diagnose.NamesOfEntries(a.spared)))
	}
	for _, f := range a.left {
		r.Proof = append(r.Proof, fmt.Sprintf("%s is still there as it was", runbook.QuoteName(f.Name)))
	}
	for _, e := range slices.Concat(a.stale, a.spared, a.fresh) {
		r.Proof = append(r.Proof, fmt.Sprintf("%s now holds %s", runbook.QuoteName(e.Name), runbook.QuoteAll(diagnose.KidsOf(e.Reading.Set.Keys))))
	}
	if n := len(r.Proof); n > maxProof {
		r.Proof = append(r.Proof[:maxProof], fmt.Sprintf("and %s like these", runbook.Plural(n-maxProof, "entry", "entries")))
	}
	if p.Scope == runbook.ScopeAll {
		r.Proof = append(r.Proof, fmt.Sprintf("keys of other owners: %s before, %s now", runbook.Thousands(p.Others), runbook.Thousands(a.others)))
	}
	return r
}

// gone counts what is left of the old entries.
func (a after) gone(p runbook.Plan, saved int) string {
	shards := runbook.Plural(a.shards, "shard", "shards")
	switch {
	case p.Truncated:
		return fmt.Sprintf("%s left on %s", runbook.Plural(len(a.left), "old entry", "old entries"), shards)
	case p.NoUndo:
		saved = len(p.Entries)
	}
	return fmt.Sprintf("%s of %s old entries left on %s", runbook.Thousands(int64(len(a.left))), runbook.Thousands(int64(saved)), shards)
}

// maxProof is how many entries a receipt names one by one; the counts above
// them are of all.
const maxProof = 20

// outcome says what the reading means.
func (a after) outcome(run runbook.Run, r runbook.Receipt) string {
	switch {
	case len(a.left) > 0 && run.Plan.Route == runbook.RouteBridge:
		return r.Summary + ". Flush directly."
	case len(a.left) > 0:
		return "The flush did not reach everything: " + r.Summary + ". Request it again."
	case len(a.stale) > 0:
		return "The old keys came back: an authoriser wrote its old copy into the cache again. Restart the authoriser first, then flush again."
	case len(a.spared) > 0:
		return fmt.Sprintf("What was approved is gone: %s. Flush again for those.", r.Summary)
	case len(a.fresh) > 0 && a.partly:
		return fmt.Sprintf("Proven: %s. More entries match than could be read, so whether all of them hold live keys is not known.", r.Summary)
	case len(a.fresh) > 0:
		return fmt.Sprintf("Proven: %s. Every cached key is a live key.", r.Summary)
	case len(a.unknown) > 0:
		return "The old entries are gone and the cache was refilled. Whether with live keys could not be compared: check again."
	}
	return "The old entries are gone. The cache is empty and fills with the live keys when the next token comes."
}
