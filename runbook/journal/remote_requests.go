package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"jwksbot/runbook"
)

// requestKeep is how long a request from a terminal may wait, and how long the
// answered ones are kept.
const requestKeep = 24 * time.Hour

// AddRemoteRequest writes down what somebody at a terminal asks for. Only the
// executor may believe who asks, so that it alone carries it out, once (see
// [RequestTransaction]).
func (j *Journal) AddRemoteRequest(ctx context.Context, r runbook.RemoteRequest) error {
	return j.write(ctx, "write to", func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO petitions (id, body, proof, asked_at) VALUES (?,?,?,?)`, r.ID, string(r.Body), clean(r.Proof), t.j.stamp(t.j.now()))
		if violates(err) {
			return fmt.Errorf("request %q was handed in before", r.ID)
		}
		return err
	})
}

const selectRequest = `SELECT id, body, proof, asked_at, takes, coalesce(run, ''), answer FROM petitions `

func scanRequest(row *sql.Row) (runbook.RemoteRequest, error) {
	var r runbook.RemoteRequest
	var at instant
	var body, answer []byte
	if err := row.Scan(&r.ID, &body, &r.Proof, &at, &r.Takes, &r.Run, &answer); err != nil {
		return runbook.RemoteRequest{}, err
	}
	r.Body, r.At, r.Answer = body, at.Time, answer
	return r, nil
}

// waits selects what an executor of an epoch may take: requests that nobody
// took, and those that an executor before it has left without an answer. One
// that a program of schema 2 took has no epoch: whether it was carried out is
// not known, so it is left alone.
const waits = `WHERE answer IS NULL AND (taken_at IS NULL OR taken_epoch < ?) ORDER BY asked_at, id LIMIT 1`

// TakeRemoteRequest gives the oldest request that waits to this executor, which
// gets it once. With Run set an executor before it has carried it out, and only the
// answer is missing. ok is false when there is none.
func (t FencedJournal) TakeRemoteRequest(ctx context.Context) (r runbook.RemoteRequest, ok bool, err error) {
	x := t.j.executor.Load()
	if x == nil {
		return r, false, runbook.ErrNotExecutor
	}
	if err := t.j.db.QueryRowContext(ctx, t.j.rebind(`SELECT id FROM petitions `+waits), x.epoch).Scan(new(string)); err != nil {
		return r, false, t.j.unless(sql.ErrNoRows, err) // asked often: no transaction for nothing
	}
	err = t.j.write(ctx, "write to", fence(t.fence).with(func(in *tx) (err error) {
		if r, err = scanRequest(in.row(ctx, selectRequest+waits+in.j.forUpdate(), x.epoch)); err != nil {
			return err
		}
		r.Takes++
		_, err = in.exec(ctx, `UPDATE petitions SET taken_at = ?, taken_epoch = ?, takes = ? WHERE id = ?`, in.j.stamp(in.j.now()), x.epoch, r.Takes, r.ID)
		return err
	}))
	if err != nil {
		return runbook.RemoteRequest{}, false, t.j.unless(sql.ErrNoRows, err)
	}
	return r, true, nil
}

// unless returns err unless it is harmless.
func (j *Journal) unless(harmless, err error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return j.explain("read", err)
}

// AnswerRemoteRequest keeps the executor's answer and erases the proof. A
// request that was taken back meanwhile keeps what it has.
func (t FencedJournal) AnswerRemoteRequest(ctx context.Context, id string, answer json.RawMessage) error {
	err := t.j.write(ctx, "write to", fence(t.fence).with(func(in *tx) error {
		_, err := in.answer(ctx, id, answer, `taken_epoch = (SELECT epoch FROM holder WHERE id = 1)`)
		return err
	}))
	if err == nil {
		t.j.signal()
	}
	return err
}

// TakeBackRemoteRequest ends a request for who asked, with what they put in the
// place of an answer: it is never carried out any more. back is false when it
// is too late for that; then r tells what came of it.
func (j *Journal) TakeBackRemoteRequest(ctx context.Context, id string, instead json.RawMessage) (r runbook.RemoteRequest, back bool, err error) {
	err = j.write(ctx, "write to", func(t *tx) (err error) {
		if back, err = t.answer(ctx, id, instead, `run IS NULL`); err != nil {
			return err
		}
		r, err = scanRequest(t.row(ctx, selectRequest+`WHERE id = ?`, id))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("request %q: %w", id, runbook.ErrUnknownRequest)
	}
	if err != nil {
		return runbook.RemoteRequest{}, false, err
	}
	return r, back, nil
}

// answer answers a request that has no answer yet and fulfils a condition.
func (t *tx) answer(ctx context.Context, id string, answer json.RawMessage, where string) (bool, error) {
	res, err := t.exec(ctx, `UPDATE petitions SET answer = ?, answered_at = ?, proof = '' WHERE id = ? AND answer IS NULL AND `+where,
		string(answer), t.j.stamp(t.j.now()), id)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// RemoteRequest reads a request; the proof stays the executor's.
func (j *Journal) RemoteRequest(ctx context.Context, id string) (runbook.RemoteRequest, error) {
	r, err := scanRequest(j.db.QueryRowContext(ctx, j.rebind(selectRequest+`WHERE id = ?`), id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return runbook.RemoteRequest{}, fmt.Errorf("request %q: %w", id, runbook.ErrUnknownRequest)
	case err != nil:
		return runbook.RemoteRequest{}, j.explain("read", err)
	}
	r.Proof = ""
	return r, nil
}

// pruneRemoteRequests removes old ones, answered or not.
func (j *Journal) pruneRemoteRequests(ctx context.Context) error {
	return j.write(ctx, "write to", func(t *tx) error {
		_, err := t.exec(ctx, `DELETE FROM petitions WHERE asked_at < ?`, j.stamp(j.now().Add(-requestKeep)))
		return err
	})
}
