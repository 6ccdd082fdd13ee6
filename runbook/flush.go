package runbook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"time"
)

// snapshot copies what will be deleted: the planned entries that still say
// what was approved. What was rewritten since is left out, and so survives.
func (m *Machine) snapshot(ctx context.Context, t *Target, run Run) (Transition, error) {
	begin := m.clock.Now()
	names := make([]string, len(run.Plan.Entries))
	for i, e := range run.Plan.Entries {
		names[i] = string(e.Name)
	}
	c := &copying{machine: m, run: run, reader: t.reader(ctx), planned: run.Plan.Entries, digest: sha256.New()}
	err := t.Entries.Take(ctx, names, func(page []Saved) error { return c.keep(ctx, page) })
	switch {
	case IsDenied(err):
		return m.fail(run, nil, "Not flushed: nothing was deleted. %s", sentence(capital(err.Error()))), c.discard(ctx)
	case errors.Is(err, ErrTooLarge):
		// Trying again would not make them smaller, and hold the cache up for others.
		return m.fail(run, nil, "Not flushed: nothing was deleted. No copy can be kept (%v), so the flush could not be undone. Raise snapshot.max_bytes, or delete the large entry by hand; then request the flush again.", err), c.discard(ctx)
	case err != nil:
		return Transition{}, fmt.Errorf("snapshot of %s: %w", plural(len(names), "entry", "entries"), err)
	case c.kept == 0:
		return m.nothingLeft(t, run, begin), nil
	}
	summary := fmt.Sprintf("%s kept (%s bytes)", plural(c.kept, "entry", "entries"), Thousands(c.bytes))
	proof := []string{"digest of what was kept: " + hex.EncodeToString(c.digest.Sum(nil)[:8])}
	if n := len(names) - c.kept; n > 0 {
		proof = append(proof, fmt.Sprintf("%s gone or rewritten since the approval, left alone", plural(n, "entry", "entries")))
	}
	receipt := Receipt{Step: "snapshot", Status: StatusOK, Summary: summary, Proof: proof, StartedAt: begin, EndedAt: m.clock.Now()}
	return Transition{From: run.State, To: StateFlush, Receipt: &receipt}, nil
}

// copying is a snapshot that is written into the journal page by page.
type copying struct {
	machine *Machine
	run     Run
	reader  *reader
	planned []PlanEntry // those that the next page may be of: the order is the plan's
	kept    int
	bytes   int64
	digest  hash.Hash // of names and payloads
}

// keep writes what the plan means of a page.
func (c *copying) keep(ctx context.Context, page []Saved) error {
	meant := page[:0]
	for _, s := range page {
		if e := c.reader.read(s.RawEntry); e.Foreign == "" && c.reader.meaning(e) == c.meaning(s.Name) {
			meant = append(meant, s)
		}
	}
	if len(meant) == 0 {
		return nil
	}
	if err := c.write(ctx, meant); err != nil {
		return err
	}
	for _, s := range meant {
		if c.kept++; c.kept > 1 {
			c.digest.Write([]byte("\n"))
		}
		fmt.Fprintf(c.digest, "%s %x", s.Name, sha256.Sum256(s.Payload))
		c.bytes += int64(len(s.Payload))
	}
	return nil
}

// write puts a page behind the others; the first one takes the place of what an
// earlier attempt has written.
func (c *copying) write(ctx context.Context, page []Saved) error {
	if c.kept > 0 {
		return c.machine.snaps.AddSnapshot(ctx, c.run.ID, c.kept, page)
	}
	if err := c.machine.guard(ctx); err != nil {
		return err
	}
	return c.machine.snaps.SaveSnapshot(ctx, c.run.ID, page)
}

// meaning is what the plan says of an entry, "" if it is none of the plan's.
func (c *copying) meaning(name string) string {
	for i, e := range c.planned {
		if string(e.Name) == name {
			c.planned = c.planned[i+1:]
			return e.Meaning
		}
	}
	return ""
}

// discard forgets what was copied for a flush that will not be.
func (c *copying) discard(ctx context.Context) error {
	if c.kept == 0 {
		return nil
	}
	return c.machine.snaps.SaveSnapshot(ctx, c.run.ID, nil)
}

// nothingLeft ends the run, or goes on with the steps after the flush.
func (m *Machine) nothingLeft(t *Target, run Run, begin time.Time) Transition {
	if run.Plan.Restart == nil && run.Plan.Gateway == nil {
		return Transition{From: run.State, To: StateObsolete, Outcome: "Nothing is left to do: every planned entry is gone or was rewritten meanwhile."}
	}
	receipt := Receipt{Step: "snapshot", Status: StatusOK, Summary: "nothing is left to delete: the planned entries are gone or rewritten", Proof: []string{}, StartedAt: begin, EndedAt: m.clock.Now()}
	return Transition{From: run.State, To: t.next(run, StateVerify), Receipt: &receipt}
}

// flushAttempts is how often a flush that broke off is tried before the run
// stops with what was done. The pauses between them grow by a second each: with
// the waits of the cache's own, a failover that nobody planned has its half
// minute.
const flushAttempts = 6

// flush deletes the entries of the snapshot. It may be cut off anywhere: what
// was deleted is recorded batch by batch, and the rest is tried again.
func (m *Machine) flush(ctx context.Context, t *Target, run Run) (Transition, error) {
	switch {
	case run.Plan.Route == RouteBridge:
		return m.flushByBridge(ctx, t, run)
	case run.Plan.NoUndo:
		return m.flushByName(ctx, t, run)
	}
	begin := m.clock.Now()
	saved, err := m.snaps.Sums(ctx, run.ID)
	if err != nil {
		return Transition{}, err
	}
	for attempt := 1; ; attempt++ {
		lease, release, lerr := newLease(ctx, m.guard)
		if lerr != nil {
			return Transition{}, lerr
		}
		err = m.deleteAll(ctx, t, run, saved, lease)
		release()
		if err == nil || IsDenied(err) || attempt == flushAttempts || ctx.Err() != nil {
			break
		}
		if werr := m.clock.Wait(ctx, time.Duration(attempt)*time.Second); werr != nil {
			return Transition{}, werr
		}
	}
	m.changed(run.Target)
	if ctx.Err() != nil {
		return Transition{}, ctx.Err()
	}
	receipt, rerr := m.flushReceipt(ctx, run, saved, begin)
	if rerr != nil {
		return Transition{}, rerr
	}
	if IsDenied(err) {
		return m.flushRefused(run, m.standing(ctx, t, receipt, saved), err), nil
	}
	return m.flushed(run, receipt, err), nil
}

// flushed records what a flush did, and whether it broke off.
func (m *Machine) flushed(run Run, receipt Receipt, err error) Transition {
	t := Transition{From: run.State, To: StateVerify}
	if err != nil {
		receipt.Status, receipt.Finding = StatusFail, FoundBrokeOff
		t = run.Broken(fmt.Sprintf("The flush broke off: %v. %s.", err, capital(receipt.Summary)))
	}
	t.Receipt = &receipt
	t.Audit = append(t.Audit, run.audit(receipt.EndedAt, AuditSelf, "effect", "flush-cache: "+receipt.Summary))
	return t
}

// deleteAll deletes what is left of the snapshot and records each batch.
func (m *Machine) deleteAll(ctx context.Context, t *Target, run Run, saved []Saved, lease Lease) error {
	fates, err := m.snaps.Fates(ctx, run.ID)
	if err != nil {
		return err
	}
	settled := map[string]bool{}
	for _, f := range fates {
		settled[f.Name] = f.Fate != "" && f.Fate != FateLeft
	}
	var todo []Saved
	for _, s := range saved {
		if !settled[s.Name] {
			todo = append(todo, s)
		}
	}
	count := m.count(ctx, run, func(done int64) Progress { return Progress{Done: int(done), Total: len(saved)} })
	defer count.stop()
	count.done.Store(int64(len(saved) - len(todo)))
	return t.Entries.Delete(ctx, todo, lease, func(batch []EntryFate) error {
		count.done.Add(int64(len(batch)))
		// The outcome of a batch is kept even when the run is being stopped.
		return m.snaps.MarkFates(context.WithoutCancel(ctx), run.ID, batch)
	})
}

// flushReceipt counts what became of the entries, from the journal.
func (m *Machine) flushReceipt(ctx context.Context, run Run, saved []Saved, begin time.Time) (Receipt, error) {
	fates, err := m.snaps.Fates(ctx, run.ID)
	if err != nil {
		return Receipt{}, err
	}
	n := map[Fate]int{}
	shards := map[string]bool{}
	for _, f := range fates {
		n[f.Fate]++
		if f.Fate == FateDeleted {
			shards[f.Shard] = true
		}
	}
	r := Receipt{Step: string(FlushCache), Status: StatusOK, StartedAt: begin, EndedAt: m.clock.Now(), Proof: []string{}}
	r.Summary = fmt.Sprintf("%s deleted on %s", plural(n[FateDeleted], "old entry", "old entries"), plural(max(1, len(shards)), "shard", "shards"))
	if n[FateRewritten] > 0 {
		r.Proof = append(r.Proof, plural(n[FateRewritten], "entry was", "entries were")+" rewritten since the snapshot and left alone")
	}
	if n[FateGone] > 0 {
		r.Proof = append(r.Proof, plural(n[FateGone], "entry was", "entries were")+" gone already")
	}
	return r, nil
}
