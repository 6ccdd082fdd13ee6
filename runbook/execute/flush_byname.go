package execute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/redact"
)

// flushByName deletes without a copy: everything that matches, or the whole
// group. It is written down before; after a crash the cache is read first, and
// the whole group is never flushed a second time.
func (m *Machine) flushByName(ctx context.Context, t *check.Target, run runbook.Run) (runbook.Transition, error) {
	begin := m.clock.Now()
	if err := m.guard(ctx); err != nil {
		return runbook.Transition{}, err
	}
	if stop, err := m.stillMeant(ctx, t, run); stop.To != "" || err != nil {
		return stop, err
	}
	already, err := m.begin(ctx, run, runbook.FlushCache)
	if err != nil {
		return runbook.Transition{}, err
	}
	var receipt runbook.Receipt
	switch {
	case already:
		receipt, err = m.flushRest(ctx, t, run)
	case run.Plan.Scope == runbook.ScopeAll:
		receipt.Summary = fmt.Sprintf("everything deleted on %s", runbook.Plural(run.Plan.Shards, "shard", "shards"))
		err = t.Entries.FlushAll(ctx)
	default:
		receipt.Summary, err = m.purge(ctx, t, run)
	}
	m.changed(run.Target)
	if err != nil && (ctx.Err() != nil || m.guard(ctx) != nil) {
		return runbook.Transition{}, err
	}
	receipt.Step, receipt.Status, receipt.StartedAt, receipt.EndedAt = string(runbook.FlushCache), runbook.StatusOK, begin, m.clock.Now()
	receipt.Proof = check.NonNil(receipt.Proof)
	if runbook.IsDenied(err) && !already {
		receipt.Summary = nothingDeleted
		return m.flushRefused(run, receipt, err), nil
	}
	if err != nil && receipt.Summary == "" || err != nil && run.Plan.Scope == runbook.ScopeAll {
		receipt.Summary = "how much was deleted is not known"
	}
	return m.flushed(run, receipt, err), nil
}

// lookedAt is how old the last look at the world may be when a flush by name
// begins: it cannot compare what it deletes with what was approved.
const lookedAt = 2 * time.Second

// stillMeant looks again before a flush by name that did not begin right after
// the start of its run: the process may have been down between. Nothing was
// touched yet; the transition that comes back, if any, ends the run.
func (m *Machine) stillMeant(ctx context.Context, t *check.Target, run runbook.Run) (runbook.Transition, error) {
	if !run.Begun[runbook.FlushCache].IsZero() || m.clock.Now().Sub(run.StartedAt) <= lookedAt {
		return runbook.Transition{}, nil
	}
	c, err := approve.Recheck(ctx, t, m.ledger, m.snaps, run, m.clock.Now())
	switch {
	case err != nil:
		return m.refused(run, err)
	case c.Drift == approve.DriftChanged:
		return m.fail(run, nil, "Not started: things changed since the approval (%s). Nothing was touched; request it again.", c.Why), nil
	case c.Drift == approve.DriftHealed:
		// What still matches is none of what was meant.
		return m.fail(run, nil, "Not started: nothing of the flush is left to do (%s). Nothing was touched.", c.Why), nil
	}
	return runbook.Transition{}, nil
}

// purge deletes what matches, by name, but for the names that say that they
// belong to another issuer. Repeating it at once only deletes what is left.
func (m *Machine) purge(ctx context.Context, t *check.Target, run runbook.Run) (summary string, err error) {
	var total int64
	count := m.count(ctx, run, func(done int64) runbook.Progress {
		return runbook.Progress{Text: runbook.Plural(int(done), "entry", "entries") + " deleted"}
	})
	defer count.stop()
	for attempt := 1; ; attempt++ {
		var n int64
		n, err = m.purgeOnce(ctx, t, func(deleted int64) { count.done.Store(total + deleted) })
		total += n
		if err == nil || runbook.IsDenied(err) || attempt == flushAttempts || ctx.Err() != nil {
			break
		}
		if werr := m.clock.Wait(ctx, time.Duration(attempt)*time.Second); werr != nil {
			err = errors.Join(err, werr)
			break
		}
	}
	return fmt.Sprintf("%s that matched deleted by name", runbook.Plural(int(total), "entry", "entries")), err
}

// purgeOnce is one attempt.
func (m *Machine) purgeOnce(ctx context.Context, t *check.Target, progress func(deleted int64)) (int64, error) {
	lease, release, err := newLease(ctx, m.guard)
	if err != nil {
		return 0, err
	}
	defer release()
	return t.Entries.Purge(ctx, lease, t.OwnName, progress)
}

// flushRest finishes a flush by name that was cut off: old entries that are
// still there are deleted, each only if it is as it was read just now.
func (m *Machine) flushRest(ctx context.Context, t *check.Target, run runbook.Run) (runbook.Receipt, error) {
	r := runbook.Receipt{Proof: []string{"the flush was cut off by a restart of jwksbot and may have happened before: the cache was read first"}}
	e := t.Reread(ctx)
	if e.Cached == nil {
		return r, errors.New(e.Unread[runbook.StepCachedKeys])
	}
	now := approve.PlanFlush(t, check.Report{Evidence: e}, run.Plan.Scope, approve.IntentOf(run).Meant)
	if drift, why := approve.CompareByName(run.Plan, now); drift == approve.DriftChanged {
		return r, fmt.Errorf("it was cut off by a restart, and things changed since the approval: %s; look at the cache and request it again", why)
	}
	if e.Cached.Truncated {
		var err error
		r.Summary, err = m.purge(ctx, t, run)
		return r, err
	}
	f, planned := diagnose.Gather(e), run.Plan.Meanings()
	var names []string
	for _, entry := range f.Own {
		if !f.Current(entry) && (run.Plan.Truncated || planned[runbook.EntryName(entry.Name)] == entry.Meaning()) {
			names = append(names, entry.Name)
		}
	}
	r.Summary = "no old entry was left"
	if len(names) == 0 {
		return r, nil
	}
	saved, err := t.Entries.Snapshot(ctx, names)
	if err != nil {
		return r, err
	}
	lease, release, err := newLease(ctx, m.guard)
	if err != nil {
		return r, err
	}
	defer release()
	deleted := 0
	err = t.Entries.Delete(ctx, saved, lease, func(batch []runbook.EntryFate) error {
		for _, f := range batch {
			if f.Fate == runbook.FateDeleted {
				deleted++
			}
		}
		return nil
	})
	r.Summary = runbook.Plural(deleted, "old entry that was left", "old entries that were left") + " deleted by name"
	if run.Plan.Scope == runbook.ScopeAll {
		r.Proof = append(r.Proof, "keys of other owners were not flushed a second time")
	}
	return r, err
}

// flushByBridge asks CommandBridge to flush. Its answer is a claim: the reading
// back afterwards is the same as for every flush. The request is written down
// before; after a crash the cache is read first.
func (m *Machine) flushByBridge(ctx context.Context, t *check.Target, run runbook.Run) (runbook.Transition, error) {
	begin := m.clock.Now()
	if t.Bridge == nil {
		return m.fail(run, nil, "CommandBridge is no longer configured for %s. Nothing was touched: request the flush again.", t.Name), nil
	}
	saved, err := m.snaps.Sums(ctx, run.ID)
	if err != nil {
		return runbook.Transition{}, err
	}
	if err := m.guard(ctx); err != nil {
		return runbook.Transition{}, err
	}
	already, err := m.begin(ctx, run, runbook.FlushCache)
	if err != nil {
		return runbook.Transition{}, err
	}
	receipt := runbook.Receipt{Step: string(runbook.FlushCache), Status: runbook.StatusOK, StartedAt: begin, Proof: []string{}}
	if already {
		left, err := remaining(ctx, t, saved)
		if err != nil {
			return runbook.Transition{}, fmt.Errorf("read the cache after a restart: %w", err)
		}
		receipt.Proof = append(receipt.Proof, "jwksbot was restarted while it waited for CommandBridge: the cache was read before it was asked again")
		if left == 0 {
			receipt.Status, receipt.Summary = runbook.StatusWarn, "CommandBridge was asked; its answer was lost in a restart, and no old entry is left"
			return m.bridgeDone(run, receipt), nil
		}
	}
	claim, err := t.Bridge.Flush(ctx, run.Ticket, run.Reason)
	m.changed(run.Target)
	switch {
	case err != nil && ctx.Err() != nil:
		return runbook.Transition{}, ctx.Err()
	case err != nil:
		// It may have flushed all the same: reading back tells.
		receipt.Status, receipt.Summary = runbook.StatusWarn, fmt.Sprintf("CommandBridge did not confirm the flush: %v", err)
	default:
		receipt.Summary = "CommandBridge says: " + runbook.Clip(redact.Text(claim), approve.MaxReason)
	}
	return m.bridgeDone(run, receipt), nil
}

func (m *Machine) bridgeDone(run runbook.Run, receipt runbook.Receipt) runbook.Transition {
	receipt.EndedAt = m.clock.Now()
	return m.flushed(run, receipt, nil)
}

// remaining counts saved entries that are still there as they were.
func remaining(ctx context.Context, t *check.Target, saved []runbook.Saved) (int, error) {
	fates, err := t.Entries.Compare(ctx, saved)
	n := 0
	for _, f := range fates {
		if f.Fate == runbook.FateLeft {
			n++
		}
	}
	return n, err
}

// claimed is what CommandBridge said of its flush, in half a sentence.
func claimed(r runbook.Run) string {
	for _, rec := range r.Receipts {
		if rec.Step == string(runbook.FlushCache) && rec.Status == runbook.StatusOK {
			return "CommandBridge reported success"
		}
	}
	return "CommandBridge was asked"
}
