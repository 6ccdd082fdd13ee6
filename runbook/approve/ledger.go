package approve

import (
	"context"

	"jwksbot/runbook"
)

// Ledger is where runs are kept. Change is atomic: the row is read, changed
// and written, and the audit rows are appended, in one transaction, and only
// if nobody changed the row in between.
type Ledger interface {
	Create(ctx context.Context, run runbook.Run, audit ...runbook.AuditEntry) error
	Run(ctx context.Context, id string) (runbook.Run, error)
	Runs(ctx context.Context, f runbook.Filter) ([]runbook.Run, error)
	Change(ctx context.Context, id string, change func(*runbook.Run) ([]runbook.AuditEntry, error)) (runbook.Run, error)
	Note(ctx context.Context, entries ...runbook.AuditEntry) error
	// NoteFolded is Note for what may come any number of times: of equal entries,
	// by their fold, the first is written, and later how many more there were.
	NoteFolded(ctx context.Context, fold string, entry runbook.AuditEntry) error
}

// Snapshots is where the values of entries that will be deleted are kept.
type Snapshots interface {
	// SaveSnapshot keeps the entries in the place of an earlier snapshot, and
	// AddSnapshot more of them after the first ones.
	SaveSnapshot(ctx context.Context, runID string, saved []runbook.Saved) error
	AddSnapshot(ctx context.Context, runID string, first int, saved []runbook.Saved) error
	Snapshot(ctx context.Context, runID string) ([]runbook.Saved, error)
	// Sums is Snapshot with the sums of the payloads: what a comparison needs.
	Sums(ctx context.Context, runID string) ([]runbook.Saved, error)
	MarkFates(ctx context.Context, runID string, fates []runbook.EntryFate) error
	Fates(ctx context.Context, runID string) ([]runbook.EntryFate, error)
}
