package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"jwksbot/runbook"
)

// ErrExecutorElsewhere says that another process executes the journal.
var ErrExecutorElsewhere = errors.New("another process executes this journal")

// errLost ends a tenure that was lost: this process may execute again when it
// is its turn.
var errLost = errors.New("it does not execute any more")

// Times of executing, in real time.
const (
	lockPoll   = 500 * time.Millisecond // how soon a free lock is noticed
	lockBeat   = time.Second            // how often the held lock is checked
	sweepEvery = time.Minute            // how often lost workflows are looked for
	sweepFirst = 5 * time.Second        // and in the first minute: an outage may have lost some
	drainLimit = 10 * time.Second       // for steps that run when Execute is ended
	stopLimit  = 5 * time.Second        // for steps that were told to stop, and for the engine
	lostLimit  = 30 * time.Second       // for steps that were told to stop while the journal is away
	engineKeep = 7 * 24 * time.Hour     // how long ended workflows are kept
)

// startAttempts is how often executing is begun before its failure is believed.
const startAttempts = 5

// returnWithin is how long a process that presents may be away, such as over an
// upgrade, before one that stands in takes its place.
const returnWithin = 15 * time.Second

// Advance carries out the state that the run is in and says what came of it.
// It may be called more than once for a state. An error is tried again a few
// times; the context's end is no failure of the run.
type Advance = func(context.Context, runbook.Run) (runbook.Transition, error)

// Execute makes this process the executor: it waits until no other process is,
// then carries out approved runs with advance, those first that were cut off.
// When the lock is lost, because the journal went away or this process was
// stopped for a while, its steps are told to stop, and once they have, it waits
// for its next turn. It returns nil after ctx has ended: steps that run may
// finish within 10 seconds, later ones are told to stop; every run goes on with
// the next executor. It returns an error when the journal can never be
// executed, or a step does not stop; the process should end then.
func (j *Journal) Execute(ctx context.Context, advance Advance) error {
	told := false
	return j.execute(ctx, advance, func() (executorLock, error) {
		lock, err := j.tryLock(ctx, lockKey)
		if err == nil {
			told = false
		} else if errors.Is(err, errLocked) && !told {
			told = true
			j.log.Info("another process executes runs, waiting", "journal", j.name, "executor", j.elsewhere(ctx).Error())
		}
		return lock, err
	}, nil)
}

// StandIn is Execute for a process that has something else to do: it executes
// only while no process presents (Present) and none has lately, and gives the
// lock back, between two effects, when one does.
func (j *Journal) StandIn(ctx context.Context, advance Advance) error {
	var seen time.Time
	presented := func() bool {
		there, err := j.Presented(ctx)
		if there || err != nil { // who cannot look does not take
			seen = time.Now()
		}
		return there || time.Since(seen) < returnWithin
	}
	return j.execute(ctx, advance, func() (executorLock, error) {
		if presented() {
			return nil, errLocked
		}
		return j.tryLock(ctx, lockKey)
	}, func() bool {
		there, err := j.Presented(ctx)
		if there {
			seen = time.Now()
		}
		return err == nil && there
	})
}

// Executing says whether this process carries out runs.
func (j *Journal) Executing() bool {
	x := j.executor.Load()
	return x != nil && !x.closes()
}

// Guard returns nil while this process is the executor by the journal's own
// account, and [runbook.ErrNotExecutor] otherwise, also when it gives the lock to
// another. Call it right before an effect: a process that was stopped for a
// while may have been replaced.
func (j *Journal) Guard(ctx context.Context) error {
	x := j.executor.Load()
	if x == nil || x.ctx.Err() != nil || x.yields.Load() {
		return runbook.ErrNotExecutor
	}
	epoch, _, err := j.epoch(ctx)
	if err != nil {
		return err
	}
	if epoch != x.epoch {
		return runbook.ErrNotExecutor
	}
	return nil
}

// execute has one tenure after the other. take takes the lock, or says why not;
// yield says that another process should have it, nil: none ever.
func (j *Journal) execute(ctx context.Context, advance Advance, take func() (executorLock, error), yield func() bool) error {
	for failures := 0; ctx.Err() == nil; {
		lock, err := take()
		if err == nil {
			err = j.tenure(ctx, lock, advance, yield)
		}
		switch {
		case errors.Is(err, errStuck):
			return err
		case err == nil, errors.Is(err, errLocked), ctx.Err() != nil:
			failures = 0
		case errors.Is(err, errLost):
			failures = 0
			j.log.Warn("this process does not execute runs any more, until it is its turn again", "journal", j.name, "error", err)
		case runbook.LedgerAway(err), j.standing.state() != nil: // the log knows
		default: // the engine does not tell whether the journal went away under it
			if !heals(err) {
				failures++
			}
			if failures == startAttempts {
				return err
			}
			j.log.Warn("executing could not be begun, trying again", "journal", j.name, "error", err)
		}
		if err := j.hopelessOrWait(ctx, lockPoll); err != nil {
			return err
		}
	}
	return nil
}

// tenure executes until ctx ends, or another process should have the lock, or
// the lock is lost, which is errLost.
func (j *Journal) tenure(ctx context.Context, lock executorLock, advance Advance, yield func() bool) error {
	epoch, err := j.takeOver(ctx)
	if err != nil {
		lock.release()
		return err
	}
	x := newExecutor(j, advance, epoch)
	j.executor.Store(x) // before the first step, which asks Guard
	defer j.executor.CompareAndSwap(x, nil)
	eng, err := j.launch(x.carry)
	if err != nil {
		x.cancel(err)
		lock.release()
		return err
	}
	j.log.Info("executing runs", "journal", j.name, "epoch", epoch)
	err = x.watch(ctx, lock, eng, yield)
	if stopped := x.stop(eng, err); stopped != nil {
		// A step that does not stop may still act: the lock is kept until this
		// process ends, so that no other one acts beside it.
		return errors.Join(err, stopped)
	}
	lock.release()
	return err
}

// elsewhere is ErrExecutorElsewhere with the holder's name.
func (j *Journal) elsewhere(ctx context.Context) error {
	if _, name, err := j.epoch(ctx); err == nil && name != "" {
		return fmt.Errorf("%w: %s", ErrExecutorElsewhere, name)
	}
	return ErrExecutorElsewhere
}

// epoch reads the number and the name of the present executor.
func (j *Journal) epoch(ctx context.Context) (int64, string, error) {
	var epoch int64
	var name string
	if err := j.db.QueryRowContext(ctx, `SELECT epoch, name FROM holder WHERE id = 1`).Scan(&epoch, &name); err != nil {
		return 0, "", j.explain("read", err)
	}
	return epoch, name, nil
}

// takeOver raises the epoch: what an earlier executor still tries to record is
// refused from here on.
func (j *Journal) takeOver(ctx context.Context) (int64, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	name := fmt.Sprintf("process %d on %s", os.Getpid(), host)
	var epoch int64
	err = j.write(ctx, "execute", func(t *tx) error {
		if err := t.row(ctx, `SELECT epoch FROM holder WHERE id = 1`+j.forUpdate()).Scan(&epoch); err != nil {
			return err
		}
		epoch++
		_, err := t.exec(ctx, `UPDATE holder SET epoch = ?, name = ?, since = ? WHERE id = 1`, epoch, clean(name), j.stamp(j.now()))
		return err
	})
	return epoch, err
}

// fence refuses a transaction of an executor that was replaced. The row stays
// locked until the commit, so that a take-over comes after it.
func (x *executor) fence(t *tx) error {
	lock := ""
	if x.j.pool != nil {
		lock = " FOR SHARE"
	}
	var epoch int64
	if err := t.row(context.WithoutCancel(x.ctx), `SELECT epoch FROM holder WHERE id = 1`+lock).Scan(&epoch); err != nil {
		return err
	}
	if epoch != x.epoch {
		return runbook.ErrNotExecutor
	}
	return nil
}
