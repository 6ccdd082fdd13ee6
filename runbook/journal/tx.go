package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"jwksbot/runbook"
)

// errUnchanged rolls a transaction back that had nothing to write.
var errUnchanged = errors.New("nothing to write")

// tx is a writing transaction.
type tx struct {
	*sql.Tx
	j *Journal
}

// reachWithin is how long a write goes on asking for a server that takes no
// connection: a restart of Postgres is no reason to lose somebody's click, who
// has to have an answer after three seconds.
const reachWithin = 2 * time.Second

// write runs fn in a transaction that is committed if fn returns nil. On
// Postgres a transaction that lost against another one is run again, and so is
// one that never began.
func (j *Journal) write(ctx context.Context, op string, fn func(*tx) error) error {
	return j.writeTo(ctx, j.db, op, fn)
}

func (j *Journal) writeTo(ctx context.Context, db *sql.DB, op string, fn func(*tx) error) error {
	begun := time.Now()
	for attempt := 1; ; attempt++ {
		err := j.writeOnce(ctx, db, fn)
		switch {
		case err == nil:
			return nil
		case lostRace(err) && attempt < 5:
			continue
		case op == "open" || !unreached(err) || time.Since(begun) > reachWithin:
			return j.explain(op, err)
		}
		if werr := (runbook.SystemClock{}).Wait(ctx, reachWithin/20); werr != nil {
			return j.explain(op, err)
		}
	}
}

// unreached says that nothing was begun, since the server could not be reached.
func unreached(err error) bool { return errors.As(err, new(*unbegun)) }

// unbegun is an error that came before a transaction.
type unbegun struct{ error }

func (u *unbegun) Unwrap() error { return u.error }

func (j *Journal) writeOnce(ctx context.Context, db *sql.DB, fn func(*tx) error) error {
	select {
	case j.writer <- struct{}{}:
		defer func() { <-j.writer }()
	case <-ctx.Done():
		return ctx.Err()
	}
	t, err := db.BeginTx(ctx, nil)
	switch {
	case err != nil && j.pool != nil && ctx.Err() == nil && (runbook.LedgerAway(err) || heals(err)):
		return &unbegun{err}
	case err != nil:
		return err
	}
	defer t.Rollback() // nothing after a commit
	if err := fn(&tx{Tx: t, j: j}); err != nil {
		return err
	}
	return t.Commit()
}

func (t *tx) exec(ctx context.Context, q string, args ...any) (sql.Result, error) {
	return t.ExecContext(ctx, t.j.rebind(q), args...)
}

func (t *tx) row(ctx context.Context, q string, args ...any) *sql.Row {
	return t.QueryRowContext(ctx, t.j.rebind(q), args...)
}

// forUpdate is what a SELECT needs to keep others from the row. A writing
// transaction on SQLite keeps them out altogether.
func (j *Journal) forUpdate() string {
	if j.pool == nil {
		return ""
	}
	return " FOR UPDATE"
}

// rebind turns ? into $1, $2, … for Postgres.
func (j *Journal) rebind(q string) string {
	if j.pool == nil {
		return q
	}
	var b strings.Builder
	n := 0
	for i := range len(q) {
		if q[i] != '?' {
			b.WriteByte(q[i])
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

// stampLayout has a fixed width, so that times sort as text.
const stampLayout = "2006-01-02T15:04:05.000000Z"

// stamp is a time as a column takes it; the zero time is NULL.
func (j *Journal) stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	if j.pool != nil {
		return t.UTC()
	}
	return t.UTC().Format(stampLayout)
}

// instant scans a column that stamp wrote.
type instant struct{ time.Time }

// Scan implements sql.Scanner.
func (i *instant) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		i.Time = time.Time{}
	case time.Time:
		i.Time = v.UTC()
	case string:
		t, err := time.Parse(stampLayout, v)
		if err != nil {
			return fmt.Errorf("time %q: %w", v, err)
		}
		i.Time = t
	default:
		return fmt.Errorf("a time is stored as %T", v)
	}
	return nil
}

// clean drops what Postgres cannot keep in text.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// violates says whether a constraint that must be unique, or a reference, was
// hurt.
func violates(err error) bool {
	var s *sqlite.Error
	if errors.As(err, &s) {
		switch s.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
			return true
		}
	}
	var p *pgconn.PgError
	return errors.As(err, &p) && (p.Code == "23505" || p.Code == "23503")
}

// lostRace says that the same transaction may succeed when it is run again.
func lostRace(err error) bool {
	var p *pgconn.PgError
	switch {
	case !errors.As(err, &p):
		return false
	case p.Code == "25P03": // the server ended it while this process was not given time to go on
		return true
	}
	return p.Code == "40001" || p.Code == "40P01"
}

// explain adds what happened and what to do for errors of the database; other
// errors pass as they are.
func (j *Journal) explain(op string, err error) error {
	var s *sqlite.Error
	var p *pgconn.PgError
	var c *pgconn.ConnectError
	advice, away := "", false
	switch {
	case errors.As(err, new(*runbook.LedgerError)):
		return err
	case errors.As(err, &s):
		advice = sqliteAdvice[s.Code()&0xff]
	case errors.As(err, &p):
		advice, away = postgresAdvice[p.Code], errors.As(err, &c) || strings.HasPrefix(p.Code, "57P")
		if p.Code[:2] == "08" { // of a pooler that does not reach the server
			advice, away = unreachable, true
		}
	case errors.As(err, &c), j.pool != nil && lostLine(err):
		advice, away = unreachable, true
	case op != "open":
		return err
	case errors.Is(err, errUnchanged):
		return err
	}
	if advice == "" {
		return fmt.Errorf("%s journal %q: %w", op, j.name, err)
	}
	return &runbook.LedgerError{Advice: advice, Away: away, Err: fmt.Errorf("%s journal %q: %s: %w", op, j.name, advice, err)}
}

// lostLine says that a connection broke while it was used.
func lostLine(err error) bool {
	return broken(err) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

// unreachable is the advice where no connection came about.
const unreachable = "the server cannot be reached; check the address, the network and the server"

var sqliteAdvice = map[int]string{
	sqlite3.SQLITE_BUSY:     "another program has it locked; close that program (a database shell, a backup) and try again",
	sqlite3.SQLITE_READONLY: "it cannot be written; give jwksbot write access to the file and its directory",
	sqlite3.SQLITE_CANTOPEN: "it cannot be opened; give jwksbot access to the file and its directory",
	sqlite3.SQLITE_FULL:     "the disk is full; free some space, nothing of this change was written",
	sqlite3.SQLITE_IOERR:    "the disk reported an error; check it, nothing of this change was written",
	sqlite3.SQLITE_CORRUPT:  "the file is damaged; restore it from a copy, or move it away to start a new one",
	sqlite3.SQLITE_NOTADB:   "the file is no journal; name another path",
}

var postgresAdvice = map[string]string{
	"28P01": "the password is wrong",
	"28000": "this user may not connect",
	"3D000": "there is no such database; create it",
	"42501": "this user may not do that; grant it the schema",
	"25006": "the server is read-only (a standby?); name the primary",
	"53100": "the server's disk is full; free some space, nothing of this change was written",
	"53300": "the server has no connection left",
	"57P01": "the server is being shut down",
	"57P03": "the server is starting or stopping; wait a moment",
}
