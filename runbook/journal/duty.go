package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"jwksbot/runbook"
)

// presentKey is the advisory lock of the one process that presents.
const presentKey = lockKey + 3

// presentFor is how long a process presents after the lock was last confirmed.
// It is less than the silence after which Postgres gives the lock to another
// one. Where the server ended all sessions at once, the next one waits as long.
const presentFor = 3 * time.Second

// presenter is when the lock of presenting was last confirmed; 0: it is not held.
type presenter struct{ confirmed atomic.Int64 }

// epoch of this process's monotonic clock.
var began = time.Now()

func (p *presenter) confirm(at time.Time) { p.confirmed.Store(int64(at.Sub(began)) + 1) }
func (p *presenter) lose()                { p.confirmed.Store(0) }

func (p *presenter) holds() bool {
	at := p.confirmed.Load()
	return at != 0 && time.Since(began)-time.Duration(at) < presentFor
}

// Present makes this process the one that presents runs to people, as soon as no
// other process does, until ctx ends. It has nothing to do with who executes.
// To present also tells processes that only stand in (StandIn) that they are not
// needed.
func (j *Journal) Present(ctx context.Context) error {
	from := time.Now()
	for ctx.Err() == nil {
		lock, err := j.tryLock(ctx, presentKey)
		if err == nil {
			j.present(ctx, lock, from)
		}
		if j.pool != nil { // somebody else had it, or may have had it
			from = time.Now().Add(presentFor)
		}
		if err != nil && !errors.Is(err, errLocked) && !runbook.LedgerAway(err) && ctx.Err() == nil {
			j.log.Warn("the lock of posting cannot be asked for, trying on", "journal", j.name, "error", err)
		}
		if err := j.hopelessOrWait(ctx, lockPoll); err != nil {
			return err
		}
	}
	return nil
}

// present holds the lock until it is lost or ctx ends, and presents from a
// moment on: before it, another process may not know yet that it lost the lock.
func (j *Journal) present(ctx context.Context, lock executorLock, from time.Time) {
	defer lock.release()
	defer j.presenter.lose()
	begun := false
	for {
		at := time.Now()
		if err := lock.check(ctx); err != nil {
			if ctx.Err() == nil && j.standing.state() == nil {
				j.log.Warn("the lock of posting is lost, asking for it again", "journal", j.name, "error", err)
			}
			return
		}
		if !at.Before(from) {
			j.presenter.confirm(at)
		}
		if !begun && !at.Before(from) {
			begun = true
			j.log.Info("posting runs", "journal", j.name)
			j.signal() // there may be something to show
		}
		if err := (runbook.SystemClock{}).Wait(ctx, lockBeat); err != nil {
			return
		}
	}
}

// hopelessOrWait waits unless the journal can never be opened; that is the
// error. The end of ctx is none.
func (j *Journal) hopelessOrWait(ctx context.Context, d time.Duration) error {
	select {
	case <-j.standing.failed:
		return j.standing.hopeless()
	case <-ctx.Done():
	case <-time.After(d):
	}
	return nil
}

// Presenting says whether this process presents.
func (j *Journal) Presenting() bool { return j.presenter.holds() }

// Presented says whether any process presents.
func (j *Journal) Presented(ctx context.Context) (bool, error) {
	if j.Presenting() {
		return true, nil
	}
	return j.locked(ctx, presentKey)
}

// Executor names the process that executes, "" if there is none.
func (j *Journal) Executor(ctx context.Context) (string, error) {
	if !j.Executing() {
		if held, err := j.locked(ctx, lockKey); err != nil || !held {
			return "", err
		}
	}
	_, name, err := j.epoch(ctx)
	return name, err
}

// locked says whether a process holds the lock.
func (j *Journal) locked(ctx context.Context, key int64) (bool, error) {
	if err := j.gate(); err != nil {
		return false, err
	}
	if j.pool == nil {
		return fileLocked(j.lockPath(key))
	}
	var n int
	err := j.db.QueryRowContext(ctx, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid::bigint = $1 AND objid::bigint = $2`,
		key>>32, key&0xffffffff).Scan(&n)
	if err != nil {
		return false, j.explain("read", err)
	}
	return n > 0, nil
}

// fileLocked looks whether somebody holds the lock of a file. The look shares
// it for a moment, so that two who look are not taken for a holder.
func fileLocked(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock %q: %w", path, errors.Unwrap(err))
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
