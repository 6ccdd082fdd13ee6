package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Petition is what somebody at a terminal asks of the executor, which alone
// may believe who asks. What it holds is the caller's affair: the journal keeps
// it, gives it to one executor after the other until it is answered, and sees
// to it that it is carried out once (see [Errand]).
type Petition struct {
	ID    string
	Body  json.RawMessage
	Proof string // of who asks; erased when it was answered
	At    time.Time
	Takes int // how many executors have taken it, one after the other

	Run    string          // the run that was created or changed for it, "" while none was
	Answer json.RawMessage // nil: none yet
}

var (
	// ErrUnknownPetition says that no petition has the id.
	ErrUnknownPetition = errors.New("no such petition")
	// ErrPetitionOver says that nothing more may be done for a petition: who asked
	// has taken it back, or another executor has it.
	ErrPetitionOver = errors.New("the petition was taken back or taken over")
)

// petitionKeep is how long a petition may wait, and how long the answered ones
// are kept.
const petitionKeep = 24 * time.Hour

// Petition writes down what somebody asks for.
func (j *Journal) Petition(ctx context.Context, p Petition) error {
	return j.write(ctx, "write to", func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO petitions (id, body, proof, asked_at) VALUES (?,?,?,?)`, p.ID, string(p.Body), clean(p.Proof), t.j.stamp(t.j.now()))
		if violates(err) {
			return fmt.Errorf("petition %q was asked before", p.ID)
		}
		return err
	})
}

const selectPetition = `SELECT id, body, proof, asked_at, takes, coalesce(run, ''), answer FROM petitions `

func scanPetition(row *sql.Row) (Petition, error) {
	var p Petition
	var at instant
	var body, answer []byte
	if err := row.Scan(&p.ID, &body, &p.Proof, &at, &p.Takes, &p.Run, &answer); err != nil {
		return Petition{}, err
	}
	p.Body, p.At, p.Answer = body, at.Time, answer
	return p, nil
}

// waits selects what an executor of an epoch may take: petitions that nobody
// took, and those that an executor before it has left without an answer. One
// that a program of schema 2 took has no epoch: whether it was carried out is
// not known, so it is left alone.
const waits = `WHERE answer IS NULL AND (taken_at IS NULL OR taken_epoch < ?) ORDER BY asked_at, id LIMIT 1`

// TakePetition gives the oldest petition that waits to this executor, which gets
// it once. With Run set an executor before it has carried it out, and only the
// answer is missing. ok is false when there is none.
func (t Tenure) TakePetition(ctx context.Context) (p Petition, ok bool, err error) {
	x := t.j.executor.Load()
	if x == nil {
		return p, false, ErrNotExecutor
	}
	if err := t.j.db.QueryRowContext(ctx, t.j.rebind(`SELECT id FROM petitions `+waits), x.epoch).Scan(new(string)); err != nil {
		return p, false, t.j.unless(sql.ErrNoRows, err) // asked often: no transaction for nothing
	}
	err = t.j.write(ctx, "write to", fence(t.fence).with(func(in *tx) (err error) {
		if p, err = scanPetition(in.row(ctx, selectPetition+waits+in.j.forUpdate(), x.epoch)); err != nil {
			return err
		}
		p.Takes++
		_, err = in.exec(ctx, `UPDATE petitions SET taken_at = ?, taken_epoch = ?, takes = ? WHERE id = ?`, in.j.stamp(in.j.now()), x.epoch, p.Takes, p.ID)
		return err
	}))
	if err != nil {
		return Petition{}, false, t.j.unless(sql.ErrNoRows, err)
	}
	return p, true, nil
}

// unless returns err unless it is harmless.
func (j *Journal) unless(harmless, err error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return j.explain("read", err)
}

// AnswerPetition keeps the executor's answer and erases the proof. A petition
// that was taken back meanwhile keeps what it has.
func (t Tenure) AnswerPetition(ctx context.Context, id string, answer json.RawMessage) error {
	err := t.j.write(ctx, "write to", fence(t.fence).with(func(in *tx) error {
		_, err := in.answer(ctx, id, answer, `taken_epoch = (SELECT epoch FROM holder WHERE id = 1)`)
		return err
	}))
	if err == nil {
		t.j.signal()
	}
	return err
}

// TakeBackPetition ends a petition for who asked, with what they put in the
// place of an answer: it is never carried out any more. back is false when it
// is too late for that; then p tells what came of it.
func (j *Journal) TakeBackPetition(ctx context.Context, id string, instead json.RawMessage) (p Petition, back bool, err error) {
	err = j.write(ctx, "write to", func(t *tx) (err error) {
		if back, err = t.answer(ctx, id, instead, `run IS NULL`); err != nil {
			return err
		}
		p, err = scanPetition(t.row(ctx, selectPetition+`WHERE id = ?`, id))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("petition %q: %w", id, ErrUnknownPetition)
	}
	if err != nil {
		return Petition{}, false, err
	}
	return p, back, nil
}

// answer answers a petition that has no answer yet and fulfils a condition.
func (t *tx) answer(ctx context.Context, id string, answer json.RawMessage, where string) (bool, error) {
	res, err := t.exec(ctx, `UPDATE petitions SET answer = ?, answered_at = ?, proof = '' WHERE id = ? AND answer IS NULL AND `+where,
		string(answer), t.j.stamp(t.j.now()), id)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// ReadPetition reads a petition.
func (j *Journal) ReadPetition(ctx context.Context, id string) (Petition, error) {
	p, err := scanPetition(j.db.QueryRowContext(ctx, j.rebind(selectPetition+`WHERE id = ?`), id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Petition{}, fmt.Errorf("petition %q: %w", id, ErrUnknownPetition)
	case err != nil:
		return Petition{}, j.explain("read", err)
	}
	p.Proof = "" // the asker's own, and the executor's
	return p, nil
}

// prunePetitions removes old ones, answered or not.
func (j *Journal) prunePetitions(ctx context.Context) error {
	return j.write(ctx, "write to", func(t *tx) error {
		_, err := t.exec(ctx, `DELETE FROM petitions WHERE asked_at < ?`, j.stamp(j.now().Add(-petitionKeep)))
		return err
	})
}
