package journal

import (
	"context"

	"jwksbot/runbook"
)

// Errand is the journal as the carrying out of one petition writes to it. A run
// is created or changed only while this process is the executor, has the
// petition, and who asked has not taken it back; and that it was done is
// recorded with the petition in the same transaction. An executor that takes a
// petition over therefore knows whether there is anything left to do.
//
// Notes alone are refused like changes, but leave the petition open: a refusal
// changes nothing, and the next executor may come to refuse it again.
type Errand struct {
	Tenure
	petition string
}

// Errand returns the journal for the carrying out of a petition that was taken.
func (t Tenure) Errand(petition string) Errand { return Errand{t, petition} }

// Create is Journal.Create, for the petition.
func (e Errand) Create(ctx context.Context, run runbook.Run, audit ...runbook.AuditEntry) error {
	return e.j.create(ctx, run, e.fence(ctx, run.ID), audit)
}

// Change is Journal.Change, for the petition.
func (e Errand) Change(ctx context.Context, id string, change func(*runbook.Run) ([]runbook.AuditEntry, error)) (runbook.Run, error) {
	return e.j.change(ctx, id, e.fence(ctx, id), change)
}

// Note is Journal.Note, for the petition.
func (e Errand) Note(ctx context.Context, entries ...runbook.AuditEntry) error {
	return e.j.note(ctx, e.fence(ctx, ""), entries)
}

// NoteFolded is Journal.NoteFolded, for the petition.
func (e Errand) NoteFolded(ctx context.Context, fold string, entry runbook.AuditEntry) error {
	return e.j.noteFolded(ctx, e.fence(ctx, ""), fold, entry)
}

// fence is the condition of all writes; run is what they create or change.
func (e Errand) fence(ctx context.Context, run string) fence {
	return func(t *tx) error {
		if err := e.Tenure.fence(t); err != nil {
			return err
		}
		res, err := t.exec(ctx, `UPDATE petitions SET run = coalesce(nullif(?, ''), run)
			WHERE id = ? AND answer IS NULL AND taken_epoch = (SELECT epoch FROM holder WHERE id = 1)`, run, e.petition)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return ErrPetitionOver
	}
}
