package journal

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

const (
	// saidEvery is how old the time of an answer may be here while the answer
	// stays the same: not every look at a person writes.
	saidEvery = 20 * time.Second
	// saidKept is how long an answer is kept. After minutes it grants nothing any
	// more, but that an account was closed is worth knowing for longer.
	saidKept = 30 * 24 * time.Hour
)

// KeepSaid keeps what the workspace said of a person or a user group at a
// moment; an older answer never replaces a newer one.
func (j *Journal) KeepSaid(ctx context.Context, subject string, answer []byte, at time.Time) error {
	known, said, err := j.LastSaid(ctx, subject)
	if err == nil && string(known) == string(answer) && at.Sub(said) < saidEvery {
		return nil
	}
	return j.write(ctx, "write to", func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO directory (subject, answer, said_at) VALUES (?,?,?)
			ON CONFLICT (subject) DO UPDATE SET answer = excluded.answer, said_at = excluded.said_at WHERE excluded.said_at >= directory.said_at`,
			clean(subject), clean(string(answer)), j.stamp(at))
		return err
	})
}

// LastSaid returns the last answer about a person or a user group and when it
// was given; nil when there is none.
func (j *Journal) LastSaid(ctx context.Context, subject string) ([]byte, time.Time, error) {
	var answer []byte
	var at instant
	err := j.db.QueryRowContext(ctx, j.rebind(`SELECT answer, said_at FROM directory WHERE subject = ?`), clean(subject)).Scan(&answer, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, j.explain("read", err)
	}
	return answer, at.Time, nil
}

func (j *Journal) pruneDirectory(ctx context.Context) error {
	return j.write(ctx, "write to", func(t *tx) error {
		_, err := t.exec(ctx, `DELETE FROM directory WHERE said_at < ?`, j.stamp(j.now().Add(-saidKept)))
		return err
	})
}
