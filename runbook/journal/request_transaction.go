package journal

import (
	"context"

	"jwksbot/runbook"
)

// RequestTransaction is the journal as the carrying out of one remote request
// writes to it. A run is created or changed only while this process is the
// executor, has the request, and who asked has not taken it back; and that it
// was done is recorded with the request in the same transaction. An executor
// that takes a request over therefore knows whether there is anything left to
// do.
//
// Notes alone are refused like changes, but leave the request open: a refusal
// changes nothing, and the next executor may come to refuse it again.
type RequestTransaction struct {
	FencedJournal
	request string
}

// RequestTransaction returns the journal for the carrying out of a request that
// was taken.
func (t FencedJournal) RequestTransaction(id string) RequestTransaction {
	return RequestTransaction{t, id}
}

// Create is Journal.Create, for the request.
func (r RequestTransaction) Create(ctx context.Context, run runbook.Run, audit ...runbook.AuditEntry) error {
	return r.j.create(ctx, run, r.fence(ctx, run.ID), audit)
}

// Change is Journal.Change, for the request.
func (r RequestTransaction) Change(ctx context.Context, id string, change func(*runbook.Run) ([]runbook.AuditEntry, error)) (runbook.Run, error) {
	return r.j.change(ctx, id, r.fence(ctx, id), change)
}

// Note is Journal.Note, for the request.
func (r RequestTransaction) Note(ctx context.Context, entries ...runbook.AuditEntry) error {
	return r.j.note(ctx, r.fence(ctx, ""), entries)
}

// NoteFolded is Journal.NoteFolded, for the request.
func (r RequestTransaction) NoteFolded(ctx context.Context, fold string, entry runbook.AuditEntry) error {
	return r.j.noteFolded(ctx, r.fence(ctx, ""), fold, entry)
}

// fence is the condition of all writes; run is what they create or change.
func (r RequestTransaction) fence(ctx context.Context, run string) fence {
	return func(t *tx) error {
		if err := r.FencedJournal.fence(t); err != nil {
			return err
		}
		res, err := t.exec(ctx, `UPDATE petitions SET run = coalesce(nullif(?, ''), run)
			WHERE id = ? AND answer IS NULL AND taken_epoch = (SELECT epoch FROM holder WHERE id = 1)`, run, r.request)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return runbook.ErrRequestOver
	}
}
