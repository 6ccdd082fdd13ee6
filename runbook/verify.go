package runbook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"time"
)

// Waiting for the refill: the authorisers fetch when the next token comes.
const (
	refillWait  = 30 * time.Second
	refillEvery = time.Second
)

// after is what the cache looks like after a flush.
type after struct {
	left    []EntryFate // never deleted, still as they were
	stale   []Entry     // written again, and not the live keys
	fresh   []Entry     // written again, and they hold the live keys
	unknown []Entry     // written again, and they cannot be compared with live keys
	shards  int
	live    KeySet
	liveOK  bool
	elapsed time.Duration
}

// verify reads the effect back: nothing old is left, and what came back are
// live keys. Only what was read here is reported.
func (m *Machine) verify(ctx context.Context, t *Target, run Run) (Transition, error) {
	begin := m.clock.Now()
	saved, err := m.snaps.Snapshot(ctx, run.ID)
	if err != nil {
		return Transition{}, err
	}
	flushed, _ := run.FlushedAt()
	var a after
	for {
		if a, err = m.look(ctx, t, run, saved); err != nil {
			return Transition{}, err
		}
		a.elapsed = m.clock.Now().Sub(flushed)
		if a.settled() || m.clock.Now().Sub(begin) >= refillWait {
			break
		}
		if err := m.clock.Wait(ctx, refillEvery); err != nil {
			return Transition{}, err
		}
	}
	receipt := a.receipt(len(saved))
	receipt.StartedAt, receipt.EndedAt = begin, m.clock.Now()
	audit := []AuditEntry{run.audit(receipt.EndedAt, AuditSelf, "verified", receipt.Summary)}
	to, outcome := a.outcome(run, receipt)
	return Transition{From: run.State, To: to, Receipt: &receipt, Outcome: outcome, Audit: audit}, nil
}

// settled says that waiting longer would show nothing new.
// An entry in a strange format beside the keys (a lock, say) settles nothing.
func (a after) settled() bool {
	return len(a.left)+len(a.stale)+len(a.fresh) > 0 || !a.liveOK && len(a.unknown) > 0
}

// look reads the cache once and sorts what it finds.
func (m *Machine) look(ctx context.Context, t *Target, run Run, saved []Saved) (after, error) {
	var a after
	fates, err := m.snaps.Fates(ctx, run.ID)
	if err != nil {
		return a, err
	}
	// A batch that was cut off before it was recorded finds its entries gone.
	deleted, old := map[string]bool{}, map[string]bool{}
	for _, f := range fates {
		deleted[f.Name] = f.Fate == FateDeleted || f.Fate == FateGone
	}
	for _, name := range run.Plan.Untouched {
		old[name] = true
	}
	now, err := t.Entries.Compare(ctx, saved)
	if err != nil {
		return a, fmt.Errorf("read back: %w", err)
	}
	for _, f := range now {
		if f.Fate == FateLeft && !deleted[f.Name] {
			a.left = append(a.left, f)
			old[f.Name] = true
		}
	}
	e := t.reread(ctx)
	if e.Cached == nil {
		return a, fmt.Errorf("read back: %s", e.Unread[StepCachedKeys])
	}
	a.shards = len(e.Cached.Shards)
	a.live, a.liveOK = e.Live.Set()
	f := gather(e)
	for _, entry := range f.own {
		if !old[entry.Name] {
			a.sort(f, run, entry)
		}
	}
	return a, nil
}

// sort judges one entry that was written since the plan was made, under
// whatever name.
func (a *after) sort(f *facts, run Run, entry Entry) {
	content := entry.Reading.Content
	switch {
	case content == ContentUnknown, !a.liveOK && len(run.Plan.Live) == 0:
		a.unknown = append(a.unknown, entry)
	case content == ContentNegative && a.liveOK && f.current(entry):
		// A marker for a kid that does not exist is in order and no refill.
	case a.isFresh(f, run, entry):
		a.fresh = append(a.fresh, entry)
	default:
		a.stale = append(a.stale, entry)
	}
}

// isFresh holds an entry against the live keys of this moment, or, if those
// cannot be read, against those of the plan.
func (a after) isFresh(f *facts, run Run, e Entry) bool {
	if a.liveOK {
		return f.current(e)
	}
	return e.Reading.Content == ContentKeys && strings.Join(e.Reading.Set.Thumbprints(), " ") == strings.Join(run.Plan.Live, " ")
}

// receipt puts into words what was read back.
func (a after) receipt(saved int) Receipt {
	r := Receipt{Step: "verify", Status: StatusOK, Proof: []string{}}
	gone := fmt.Sprintf("%d of %d old entries left on %s", len(a.left), saved, plural(a.shards, "shard", "shards"))
	switch {
	case len(a.left) > 0:
		r.Status, r.Summary = StatusFail, gone
	case len(a.stale) > 0:
		r.Status, r.Summary = StatusFail, gone+"; came back stale: "+quoteAll(entryNames(a.stale))
	case len(a.fresh) > 0:
		r.Summary = fmt.Sprintf("%s; refilled with live keys after %s", gone, Duration(a.elapsed))
	case len(a.unknown) > 0:
		r.Status, r.Summary = StatusWarn, gone+"; refilled, but what came back could not be compared with the live keys"
	default:
		r.Status, r.Summary = StatusWarn, fmt.Sprintf("%s; not refilled yet: nobody asked for keys within %s", gone, Duration(a.elapsed))
	}
	for _, f := range a.left {
		r.Proof = append(r.Proof, fmt.Sprintf("%s is still there as it was", quote(f.Name)))
	}
	for _, e := range append(append([]Entry(nil), a.stale...), a.fresh...) {
		r.Proof = append(r.Proof, fmt.Sprintf("%s now holds %s", quote(e.Name), quoteAll(kidsOf(e.Reading.Set.Keys))))
	}
	if n := len(r.Proof); n > maxProof {
		r.Proof = append(r.Proof[:maxProof], fmt.Sprintf("and %s like these", plural(n-maxProof, "entry", "entries")))
	}
	return r
}

// maxProof is how many entries a receipt names one by one; the counts above
// them are of all.
const maxProof = 20

// outcome says how the run ends.
func (a after) outcome(run Run, r Receipt) (State, string) {
	switch {
	case len(a.left) > 0:
		return StateFailed, "The flush did not reach everything: " + r.Summary + ". Request it again."
	case len(a.stale) > 0:
		return StateFailed, "The old keys came back: an authoriser wrote its old copy into the cache again. Restart the authoriser first, then flush again."
	case len(a.fresh) > 0:
		return StateDone, fmt.Sprintf("Proven: %s. Every cached key is a live key.", r.Summary)
	case len(a.unknown) > 0:
		return StateDone, "The old entries are gone and the cache was refilled. Whether with live keys could not be compared: check again."
	}
	return StateDone, "The old entries are gone. The cache is empty and fills with the live keys when the next token comes."
}

func entryNames(entries []Entry) []string {
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.Name
	}
	return out
}

// digestOf identifies a snapshot in receipts and audit rows.
func digestOf(saved []Saved) string {
	sums := make([]string, len(saved))
	for i, s := range saved {
		sum := sha256.Sum256(s.Payload)
		sums[i] = s.Name + " " + hex.EncodeToString(sum[:])
	}
	sort.Strings(sums)
	all := sha256.Sum256([]byte(strings.Join(sums, "\n")))
	return hex.EncodeToString(all[:8])
}
