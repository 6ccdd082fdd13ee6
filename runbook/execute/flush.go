package execute

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

// snapshot copies what will be deleted: the planned entries that still say
// what was approved. What was rewritten since is left out, and so survives.
func (m *Machine) snapshot(ctx context.Context, t *check.Target, run runbook.Run) (runbook.Transition, error) {
	begin := m.clock.Now()
	names := make([]string, len(run.Plan.Entries))
	for i, e := range run.Plan.Entries {
		names[i] = string(e.Name)
	}
	c := &copying{machine: m, run: run, reader: t.Reader(ctx), planned: run.Plan.Entries, digest: sha256.New()}
	err := t.Entries.Take(ctx, names, func(page []runbook.Saved) error { return c.keep(ctx, page) })
	switch {
	case runbook.IsDenied(err):
		return m.fail(run, nil, "Not flushed: nothing was deleted. %s", sentence(runbook.Capital(err.Error()))), c.discard(ctx)
	case errors.Is(err, runbook.ErrTooLarge):
		// Trying again would not make them smaller, and hold the cache up for others.
		return m.fail(run, nil, "Not flushed: nothing was deleted. No copy can be kept (%v), so the flush could not be undone. Raise snapshot.max_bytes, or delete the large entry by hand; then request the flush again.", err), c.discard(ctx)
	case err != nil:
		return runbook.Transition{}, fmt.Errorf("snapshot of %s: %w", runbook.Plural(len(names), "entry", "entries"), err)
	case c.kept == 0:
		return m.nothingLeft(t, run, begin), nil
	}
	summary := fmt.Sprintf("%s kept (%s bytes)", runbook.Plural(c.kept, "entry", "entries"), runbook.Thousands(c.bytes))
	proof := []string{"digest of what was kept: " + hex.EncodeToString(c.digest.Sum(nil)[:8])}
	if n := len(names) - c.kept; n > 0 {
		proof = append(proof, fmt.Sprintf("%s gone or rewritten since the approval, left alone", runbook.Plural(n, "entry", "entries")))
	}
	receipt := runbook.Receipt{Step: "snapshot", Status: runbook.StatusOK, Summary: summary, Proof: proof, StartedAt: begin, EndedAt: m.clock.Now()}
	return runbook.Transition{From: run.State, To: runbook.StateFlush, Receipt: &receipt}, nil
}

// copying is a snapshot that is written into the journal page by page.
type copying struct {
	machine *Machine
	run     runbook.Run
	reader  *check.Reader
	planned []runbook.PlanEntry // those that the next page may be of: the order is the plan's
	kept    int
	bytes   int64
	digest  hash.Hash // of names and payloads
}

// keep writes what the plan means of a page.
func (c *copying) keep(ctx context.Context, page []runbook.Saved) error {
	meant := page[:0]
	for _, s := range page {
		if e := c.reader.Read(s.RawEntry); e.Foreign == "" && c.reader.Meaning(e) == c.meaning(s.Name) {
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
func (c *copying) write(ctx context.Context, page []runbook.Saved) error {
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
func (m *Machine) nothingLeft(t *check.Target, run runbook.Run, begin time.Time) runbook.Transition {
	if run.Plan.Restart == nil && run.Plan.Gateway == nil {
		return runbook.Transition{From: run.State, To: runbook.StateObsolete, Outcome: "Nothing is left to do: every planned entry is gone or was rewritten in the meantime."}
	}
	receipt := runbook.Receipt{Step: "snapshot", Status: runbook.StatusOK, Summary: "nothing is left to delete: the planned entries are gone or rewritten", Proof: []string{}, StartedAt: begin, EndedAt: m.clock.Now()}
	return runbook.Transition{From: run.State, To: next(t, run, runbook.StateVerify), Receipt: &receipt}
}

// flushAttempts is how often a flush that broke off is tried before the run
// stops with what was done. The pauses between them grow by a second each: with
// the waits of the cache's own, a failover that nobody planned has its half
// minute.
const flushAttempts = 6

// flush deletes the entries of the snapshot. It may be cut off anywhere: what
// was deleted is recorded batch by batch, and the rest is tried again.
func (m *Machine) flush(ctx context.Context, t *check.Target, run runbook.Run) (runbook.Transition, error) {
	switch {
	case run.Plan.Route == runbook.RouteBridge:
		return m.flushByBridge(ctx, t, run)
	case run.Plan.NoUndo:
		return m.flushByName(ctx, t, run)
	}
	begin := m.clock.Now()
	saved, err := m.snaps.Sums(ctx, run.ID)
	if err != nil {
		return runbook.Transition{}, err
	}
	for attempt := 1; ; attempt++ {
		lease, release, lerr := newLease(ctx, m.guard)
		if lerr != nil {
			return runbook.Transition{}, lerr
		}
		err = m.deleteAll(ctx, t, run, saved, lease)
		release()
		if err == nil || runbook.IsDenied(err) || attempt == flushAttempts || ctx.Err() != nil {
			break
		}
		if werr := m.clock.Wait(ctx, time.Duration(attempt)*time.Second); werr != nil {
			return runbook.Transition{}, werr
		}
	}
	m.changed(run.Target)
	if ctx.Err() != nil {
		return runbook.Transition{}, ctx.Err()
	}
	receipt, rerr := m.flushReceipt(ctx, run, saved, begin)
	if rerr != nil {
		return runbook.Transition{}, rerr
	}
	if runbook.IsDenied(err) {
		return m.flushRefused(run, m.standing(ctx, t, receipt, saved), err), nil
	}
	return m.flushed(run, receipt, err), nil
}

// flushed records what a flush did, and whether it broke off.
func (m *Machine) flushed(run runbook.Run, receipt runbook.Receipt, err error) runbook.Transition {
	t := runbook.Transition{From: run.State, To: runbook.StateVerify}
	if err != nil {
		receipt.Status, receipt.Finding = runbook.StatusFail, runbook.FoundBrokeOff
		t = run.Broken(fmt.Sprintf("The flush broke off: %v. %s.", err, runbook.Capital(receipt.Summary)))
	}
	t.Receipt = &receipt
	t.Audit = append(t.Audit, approve.Audit(run, receipt.EndedAt, runbook.AuditSelf, "effect", "flush-cache: "+receipt.Summary))
	return t
}

// deleteAll deletes what is left of the snapshot and records each batch.
func (m *Machine) deleteAll(ctx context.Context, t *check.Target, run runbook.Run, saved []runbook.Saved, lease runbook.Lease) error {
	fates, err := m.snaps.Fates(ctx, run.ID)
	if err != nil {
		return err
	}
	settled := map[string]bool{}
	for _, f := range fates {
		settled[f.Name] = f.Fate != "" && f.Fate != runbook.FateLeft
	}
	var todo []runbook.Saved
	for _, s := range saved {
		if !settled[s.Name] {
			todo = append(todo, s)
		}
	}
	count := m.count(ctx, run, func(done int64) runbook.Progress { return runbook.Progress{Done: int(done), Total: len(saved)} })
	defer count.stop()
	count.done.Store(int64(len(saved) - len(todo)))
	return t.Entries.Delete(ctx, todo, lease, func(batch []runbook.EntryFate) error {
		count.done.Add(int64(len(batch)))
		// The outcome of a batch is kept even when the run is being stopped.
		return m.snaps.MarkFates(context.WithoutCancel(ctx), run.ID, batch)
	})
}

// flushReceipt counts what became of the entries, from the journal.
func (m *Machine) flushReceipt(ctx context.Context, run runbook.Run, saved []runbook.Saved, begin time.Time) (runbook.Receipt, error) {
	fates, err := m.snaps.Fates(ctx, run.ID)
	if err != nil {
		return runbook.Receipt{}, err
	}
	n := map[runbook.Fate]int{}
	shards := map[string]bool{}
	for _, f := range fates {
		n[f.Fate]++
		if f.Fate == runbook.FateDeleted {
			shards[f.Shard] = true
		}
	}
	r := runbook.Receipt{Step: string(runbook.FlushCache), Status: runbook.StatusOK, StartedAt: begin, EndedAt: m.clock.Now(), Proof: []string{}}
	r.Summary = fmt.Sprintf("%s deleted on %s", runbook.Plural(n[runbook.FateDeleted], "old entry", "old entries"), runbook.Plural(max(1, len(shards)), "shard", "shards"))
	if n[runbook.FateRewritten] > 0 {
		r.Proof = append(r.Proof, runbook.Plural(n[runbook.FateRewritten], "entry was", "entries were")+" rewritten since the snapshot and left alone")
	}
	if n[runbook.FateGone] > 0 {
		r.Proof = append(r.Proof, runbook.Plural(n[runbook.FateGone], "entry was", "entries were")+" gone already")
	}
	return r, nil
}
