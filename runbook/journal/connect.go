package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"jwksbot/runbook/redact"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
)

// busyTimeout is how long a statement waits for another writer: another
// process, or the engine that brings its tables up to date in one transaction,
// which takes seconds on a machine that has other things to do.
const busyTimeout = 15 * time.Second

// connect opens the database handle that url names.
func (j *Journal) connect(ctx context.Context, url string) error {
	if isPostgres(url) {
		return j.connectPostgres(ctx, url)
	}
	if err := CheckURL(url); err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	path, err := sqlitePath(url)
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	j.path, j.name, j.writer = path, path, make(chan struct{}, 1)
	j.standing.name = path
	switch missing, err := checkFile(path); {
	case err != nil:
		return fmt.Errorf("open journal %q: %w", path, err)
	case missing && j.lookOnly:
		return fmt.Errorf("journal %q: %w", path, ErrNotYet)
	case missing:
		if err := createFile(path); err != nil {
			return fmt.Errorf("open journal %q: %w", path, err)
		}
	}
	j.db, err = openSQLite(path, 4, busyTimeout, j.gate)
	return err
}

func isPostgres(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}

// sqlitePath takes the path out of "sqlite:path", "sqlite:///path" or "path".
func sqlitePath(url string) (string, error) {
	path := url
	if rest, ok := strings.CutPrefix(url, "sqlite:"); ok {
		path = strings.TrimPrefix(rest, "//")
	} else if i := strings.Index(url, "://"); i > 0 {
		return "", fmt.Errorf("%q is not a kind of journal; give a file path or postgres://…", url[:i])
	}
	if path == "" || path == ":memory:" {
		return "", errors.New("a journal has to outlive the program; give the path of a file")
	}
	return path, nil
}

// checkFile says whether the file is missing, or empty, and can be made. An existing
// file is not opened here: closing it again would drop SQLite's locks on it.
func checkFile(path string) (missing bool, err error) {
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return false, errors.New("it is a directory; give the path of a file")
	case err == nil:
		return info.Size() == 0, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("%w; give jwksbot access to the directory", errors.Unwrap(err))
	}
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("directory %q does not exist; create it, or name another path", dir)
	}
	if err := mayCreate(dir); err != nil {
		return false, noAccess(err)
	}
	return true, nil
}

func noAccess(err error) error {
	return fmt.Errorf("cannot create it (%w); give jwksbot write access to the directory", err)
}

// createFile creates the file, readable by its owner alone.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return noAccess(errors.Unwrap(err))
	}
	return f.Close()
}

// openSQLite returns a handle whose transactions take the write lock at their
// begin (so that no transaction fails halfway for it) and whose commits are on
// the disk when they return. A statement waits for another writer as long as
// busy. gate is asked before everything; nil: it is open.
func openSQLite(path string, conns int, busy time.Duration, gate func() error) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open journal %q: %w", path, err)
	}
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds()),
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)", "cache_size(-1000)",
	}}
	dsn := url.URL{Scheme: "file", Path: abs, RawQuery: q.Encode()}
	connector, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open journal %q: %w", path, err)
	}
	if gate != nil {
		connector = fileConnector{connector, gate}
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(2)
	return db, nil
}

func (j *Journal) connectPostgres(ctx context.Context, raw string) error {
	pool, err := j.openPool(ctx, raw)
	if err != nil {
		return fmt.Errorf("open journal: %w", err) // pgx hides the password
	}
	j.pool, j.name = pool, postgresName(pool.Config().ConnConfig)
	j.standing.name = j.name
	j.db, j.writer = sql.OpenDB(gatedConnector{stdlib.GetPoolConnector(pool), j.gate}), make(chan struct{}, poolSize/2)
	j.db.SetMaxIdleConns(0) // the pool keeps them
	return nil
}

// connectWithin is how long a server may take to begin a session.
const connectWithin = 5 * time.Second

// poolSize is the number of connections that a process opens at most, and the
// executor once more for the engine.
const poolSize = 10

// openPool makes a pool of few connections; it connects when it is used. The
// standing sees every attempt to connect, also of those who copy the pool's
// settings.
//
// What a session needs is set when it is there: a pooler in between refuses
// parameters at the start that it does not know.
func (j *Journal) openPool(ctx context.Context, raw string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(raw)
	if err != nil {
		return nil, err
	}
	config.MaxConns = poolSize
	config.ConnConfig.ConnectTimeout = connectWithin
	config.ConnConfig.Tracer = j.standing
	config.ConnConfig.RuntimeParams["application_name"] = "jwksbot"
	j.links = &links{plain: config.ConnConfig.DialFunc, open: map[*link]struct{}{}}
	config.ConnConfig.DialFunc = j.links.dial
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		// A process that is stopped inside of a transaction must not keep the row of
		// the holder from the one that takes over.
		return setTimeout(ctx, conn, "idle_in_transaction_session_timeout", sessionTimeout)
	}
	return pgxpool.NewWithConfig(ctx, config)
}

// setTimeout sets a limit of Postgres for one session.
func setTimeout(ctx context.Context, conn *pgx.Conn, name string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	_, err := conn.Exec(ctx, fmt.Sprintf("SET %s = %d", name, limit.Milliseconds()))
	return err
}

// postgresName is the place without the credentials.
func postgresName(c *pgx.ConnConfig) string {
	return fmt.Sprintf("postgres://%s:%d/%s", c.Host, c.Port, c.Database)
}

func (j *Journal) disconnect() error {
	err := j.db.Close()
	if g := j.ground.Load(); g != nil {
		err = errors.Join(err, g.leave())
	}
	if j.pool != nil {
		j.pool.Close()
	}
	if err != nil {
		return fmt.Errorf("close journal %q: %w", j.name, err)
	}
	return nil
}

var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]{0,20}$`)

// CheckURL says what is wrong with the place of a journal; nil for a file,
// "sqlite:" and a file, and postgres://. The text is never repeated: before it is
// recognised, nobody knows where a password stands in it.
func CheckURL(place string) error {
	kind, _, isURL := strings.Cut(place, "://")
	_, access, hasAt := strings.Cut(place, ":")
	switch {
	case isPostgres(place):
		return nil
	case isURL && kind != "sqlite" && scheme.MatchString(kind):
		return fmt.Errorf("%q is not a kind of journal; give a file path or postgres://…", kind)
	case redact.URLs(place) != place, hasAt && strings.Contains(access, "@"):
		return errors.New("this looks like a connection string with a password; give a file path, or a URL that begins with postgres://")
	}
	_, err := sqlitePath(place)
	return err
}
