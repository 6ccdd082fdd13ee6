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
// it, lets one executor take it once, and keeps the answer.
type Petition struct {
	ID    string
	Body  json.RawMessage
	Proof string // of who asks; erased when it was answered
	At    time.Time
	Taken bool // by an executor, once and for all

	Answer json.RawMessage // nil: none yet
}

// ErrUnknownPetition says that no petition has the id.
var ErrUnknownPetition = errors.New("no such petition")

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

// TakePetition gives the oldest petition that nobody has taken to the executor.
// It is given once: when the executor dies over it, it is not tried again,
// since it may have had its effect. ok is false when there is none.
func (t Tenure) TakePetition(ctx context.Context) (p Petition, ok bool, err error) {
	const open = `SELECT id, body, proof, asked_at FROM petitions WHERE taken_at IS NULL ORDER BY asked_at, id LIMIT 1`
	if err := t.j.db.QueryRowContext(ctx, open).Scan(new(string), new([]byte), new(string), new(instant)); err != nil {
		return p, false, t.j.unless(sql.ErrNoRows, err) // asked often: no transaction for nothing
	}
	err = t.j.write(ctx, "write to", fence(t.fence).with(func(in *tx) error {
		var at instant
		var body []byte
		if err := in.row(ctx, open+in.j.forUpdate()).Scan(&p.ID, &body, &p.Proof, &at); err != nil {
			return err
		}
		p.Body, p.At, p.Taken = body, at.Time, true
		_, err := in.exec(ctx, `UPDATE petitions SET taken_at = ? WHERE id = ?`, in.j.stamp(in.j.now()), p.ID)
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

// AnswerPetition keeps the answer and erases the proof.
func (j *Journal) AnswerPetition(ctx context.Context, id string, answer json.RawMessage) error {
	err := j.write(ctx, "write to", func(t *tx) error {
		_, err := t.exec(ctx, `UPDATE petitions SET answer = ?, answered_at = ?, proof = '' WHERE id = ? AND answer IS NULL`, string(answer), t.j.stamp(t.j.now()), id)
		return err
	})
	if err == nil {
		j.signal()
	}
	return err
}

// ReadPetition reads a petition, without its proof.
func (j *Journal) ReadPetition(ctx context.Context, id string) (Petition, error) {
	p := Petition{ID: id}
	var at, taken instant
	var body, answer []byte
	err := j.db.QueryRowContext(ctx, j.rebind(`SELECT body, asked_at, taken_at, answer FROM petitions WHERE id = ?`), id).Scan(&body, &at, &taken, &answer)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Petition{}, fmt.Errorf("petition %q: %w", id, ErrUnknownPetition)
	case err != nil:
		return Petition{}, j.explain("read", err)
	}
	p.Body, p.At, p.Taken, p.Answer = body, at.Time, !taken.IsZero(), answer
	return p, nil
}

// prunePetitions removes old ones, answered or not.
func (j *Journal) prunePetitions(ctx context.Context) error {
	return j.write(ctx, "write to", func(t *tx) error {
		_, err := t.exec(ctx, `DELETE FROM petitions WHERE asked_at < ?`, j.stamp(j.now().Add(-petitionKeep)))
		return err
	})
}
