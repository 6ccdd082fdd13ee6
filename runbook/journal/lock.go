package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// lockKey is the advisory lock of the executor on Postgres; the next two
// numbers guard our tables and the engine's while they are brought up to date,
// and the one after them is presentKey.
const lockKey int64 = 0x6a776b73626f74 // "jwksbot"

// sessionTimeout is after how much silence Postgres ends the session of the
// lock: a stopped process keeps its connection, not the lock.
const sessionTimeout = 5 * time.Second

// executorLock is held by the one process that carries out runs.
type executorLock interface {
	check(ctx context.Context) error // an error: the lock is lost
	release()
}

// errLocked says that another process holds the lock.
var errLocked = errors.New("another process holds the lock")

func (j *Journal) tryLock(ctx context.Context, key int64) (executorLock, error) {
	if err := j.gate(); err != nil {
		return nil, err
	}
	if j.pool != nil {
		return j.lockSession(ctx, key, sessionTimeout)
	}
	return lockFile(j.lockPath(key))
}

// lockPath is the file that stands for a lock beside an SQLite journal.
func (j *Journal) lockPath(key int64) string {
	if key == presentKey {
		return j.path + ".posting"
	}
	return j.path + ".lock"
}

// heldFiles keeps locked files reachable: a file that nobody refers to closes
// itself, and its lock would be gone without a word.
var (
	heldMu    sync.Mutex
	heldFiles = map[*os.File]struct{}{}
)

type fileLock struct{ f *os.File }

// lockFile locks the file at path. The file stays when the lock is released:
// removing it would let two processes lock two files of the same name.
func lockFile(path string) (executorLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %q: %w; give jwksbot write access to the directory", path, errors.Unwrap(err))
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("lock %q: %w; the file system has to support locks", path, err)
	}
	l := &fileLock{f: f}
	if err := l.check(context.Background()); err != nil { // removed between open and lock
		f.Close()
		return nil, errLocked
	}
	heldMu.Lock()
	heldFiles[f] = struct{}{}
	heldMu.Unlock()
	return l, nil
}

// check notices that the file was removed or replaced: the lock no longer keeps
// others out.
func (l *fileLock) check(context.Context) error {
	mine, err := l.f.Stat()
	if err != nil {
		return err
	}
	there, err := os.Stat(l.f.Name())
	if err != nil {
		return err
	}
	if !os.SameFile(mine, there) {
		return fmt.Errorf("lock %q was replaced by another file", l.f.Name())
	}
	return nil
}

func (l *fileLock) release() {
	heldMu.Lock()
	delete(heldFiles, l.f)
	heldMu.Unlock()
	l.f.Close()
}

type sessionLock struct{ conn *pgx.Conn }

// lockSession takes an advisory lock on a connection of its own, which the
// server ends when it is silent for as long as limit (Postgres 14 and later).
func (j *Journal) lockSession(ctx context.Context, key int64, limit time.Duration) (executorLock, error) {
	config := j.pool.Config().ConnConfig.Copy()
	config.DialFunc = j.links.plain // it notices by itself when the server is silent
	config.RuntimeParams["application_name"] = "jwksbot lock"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, j.explain("lock", err)
	}
	if err := setTimeout(ctx, conn, "idle_session_timeout", limit); err != nil {
		closeConn(conn)
		return nil, j.explain("lock", err)
	}
	var got bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, key).Scan(&got); err != nil {
		closeConn(conn)
		return nil, j.explain("lock", err)
	}
	if !got {
		closeConn(conn)
		return nil, errLocked
	}
	return &sessionLock{conn: conn}, nil
}

func (l *sessionLock) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout/2)
	defer cancel()
	return l.conn.Ping(ctx)
}

func (l *sessionLock) release() { closeConn(l.conn) }

func closeConn(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c.Close(ctx)
}
