package journal

import (
	"context"

	"jwksbot/runbook"
)

// fence is a condition of a transaction, checked inside of it; nil is none.
type fence func(*tx) error

// with puts the condition before what the transaction does.
func (f fence) with(fn func(*tx) error) func(*tx) error {
	if f == nil {
		return fn
	}
	return func(t *tx) error {
		if err := f(t); err != nil {
			return err
		}
		return fn(t)
	}
}

// FencedJournal is the journal as the steps of runs write to it: every write is
// refused with [runbook.ErrNotExecutor] unless this process still is the executor,
// which is checked in the transaction itself. A process that was stopped in the
// middle of a step and replaced meanwhile records nothing more when it wakes.
// People's decisions go to the Journal; any process may take those.
type FencedJournal struct{ j *Journal }

// Fenced returns the journal for the steps of runs.
func (j *Journal) Fenced() FencedJournal { return FencedJournal{j} }

// fence is the condition of all writes.
func (t FencedJournal) fence(in *tx) error {
	x := t.j.executor.Load()
	if x == nil {
		return runbook.ErrNotExecutor
	}
	return x.fence(in)
}

// Create is Journal.Create, fenced.
func (t FencedJournal) Create(ctx context.Context, run runbook.Run, audit ...runbook.AuditEntry) error {
	return t.j.create(ctx, run, t.fence, audit)
}

// Change is Journal.Change, fenced.
func (t FencedJournal) Change(ctx context.Context, id string, change func(*runbook.Run) ([]runbook.AuditEntry, error)) (runbook.Run, error) {
	return t.j.change(ctx, id, t.fence, change)
}

// Note is Journal.Note, fenced.
func (t FencedJournal) Note(ctx context.Context, entries ...runbook.AuditEntry) error {
	return t.j.note(ctx, t.fence, entries)
}

// NoteFolded is Journal.NoteFolded, fenced.
func (t FencedJournal) NoteFolded(ctx context.Context, fold string, entry runbook.AuditEntry) error {
	return t.j.noteFolded(ctx, t.fence, fold, entry)
}

// SaveSnapshot is Journal.SaveSnapshot, fenced.
func (t FencedJournal) SaveSnapshot(ctx context.Context, runID string, saved []runbook.Saved) error {
	return t.j.saveSnapshot(ctx, runID, t.fence, 0, saved)
}

// AddSnapshot is Journal.AddSnapshot, fenced.
func (t FencedJournal) AddSnapshot(ctx context.Context, runID string, first int, saved []runbook.Saved) error {
	return t.j.saveSnapshot(ctx, runID, t.fence, first, saved)
}

// MarkFates is Journal.MarkFates, fenced.
func (t FencedJournal) MarkFates(ctx context.Context, runID string, fates []runbook.EntryFate) error {
	return t.j.markFates(ctx, runID, t.fence, fates)
}

// Run is Journal.Run.
func (t FencedJournal) Run(ctx context.Context, id string) (runbook.Run, error) {
	return t.j.Run(ctx, id)
}

// Runs is Journal.Runs.
func (t FencedJournal) Runs(ctx context.Context, f runbook.Filter) ([]runbook.Run, error) {
	return t.j.Runs(ctx, f)
}

// Snapshot is Journal.Snapshot.
func (t FencedJournal) Snapshot(ctx context.Context, runID string) ([]runbook.Saved, error) {
	return t.j.Snapshot(ctx, runID)
}

// Sums is Journal.Sums.
func (t FencedJournal) Sums(ctx context.Context, runID string) ([]runbook.Saved, error) {
	return t.j.Sums(ctx, runID)
}

// Fates is Journal.Fates.
func (t FencedJournal) Fates(ctx context.Context, runID string) ([]runbook.EntryFate, error) {
	return t.j.Fates(ctx, runID)
}
