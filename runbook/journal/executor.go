package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"jwksbot/runbook"
)

// executor is one tenure of this process as the executor.
type executor struct {
	j       *Journal
	advance Advance
	epoch   int64
	ctx     context.Context // of the steps
	cancel  context.CancelCauseFunc
	waits   context.Context // of pauses between attempts: ends when the draining begins
	hurry   context.CancelFunc

	yields atomic.Bool // another process should execute: no effect begins any more

	mu      sync.Mutex
	closing bool
	running map[string]bool // by run; one run is carried out by one step at a time
	idle    chan struct{}   // closed when closing and nothing is running

	sweeping sync.Mutex      // held by the one sweep at a time
	suspects map[string]bool // runs whose workflow seemed lost at the last sweep
}

func newExecutor(j *Journal, advance Advance, epoch int64) *executor {
	x := &executor{j: j, advance: advance, epoch: epoch, running: map[string]bool{}, idle: make(chan struct{}), suspects: map[string]bool{}}
	x.ctx, x.cancel = context.WithCancelCause(j.life)
	x.waits, x.hurry = context.WithCancel(x.ctx)
	return x
}

// begin registers a step of the run. taken: another step of it is running.
func (x *executor) begin(run string) (ok, taken bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closing || x.running[run] {
		return false, x.running[run] && !x.closing
	}
	x.running[run] = true
	return true, false
}

func (x *executor) finish(run string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.running, run)
	if x.closing && len(x.running) == 0 {
		close(x.idle)
	}
}

// close lets no new step begin; idle is closed when the last one has ended.
func (x *executor) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closing = true
	if len(x.running) == 0 {
		close(x.idle)
	}
}

func (x *executor) closes() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.closing
}

// watch returns nil when ctx ends or the lock is to be given up, and errLost
// when the lock, the epoch or the journal itself is lost. Between, it looks for
// lost workflows and tells the log of the trail.
func (x *executor) watch(ctx context.Context, lock executorLock, eng *engine, yield func() bool) error {
	beat := time.NewTicker(lockBeat)
	defer beat.Stop()
	begin, swept := time.Now(), time.Time{}
	publisher := &auditPublisher{x: x}
	defer func() { publisher.last(context.WithoutCancel(ctx)) }()
	for {
		x.complain(ctx, "telling the log of the audit trail", publisher.publish(ctx))
		if since := time.Since(swept); since >= sweepEvery || since >= sweepFirst && time.Since(begin) < sweepEvery {
			swept = time.Now()
			x.sweepBeside(eng)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-x.ctx.Done(): // a step found out
			return fmt.Errorf("%w: %w", errLost, context.Cause(x.ctx))
		case <-beat.C:
		}
		if err := x.holds(ctx, lock); err != nil && ctx.Err() == nil {
			return fmt.Errorf("%w: %w", errLost, err)
		}
		if yield != nil && yield() {
			x.j.log.Info("a bot is running: it executes runs from now on", "journal", x.j.name)
			x.yields.Store(true)
			return nil
		}
	}
}

// holds checks that the tenure goes on.
func (x *executor) holds(ctx context.Context, lock executorLock) error {
	if g := x.j.ground.Load(); g != nil {
		if err := g.check(); err != nil {
			return err
		}
	}
	if err := lock.check(ctx); err != nil {
		return fmt.Errorf("the lock is lost, and another process may execute now: %w", err)
	}
	// An epoch that cannot be read is no proof; the fence checks it again.
	if epoch, name, err := x.j.epoch(ctx); err == nil && epoch != x.epoch {
		return fmt.Errorf("%w: %s", ErrExecutorElsewhere, name)
	}
	return nil
}

// complain logs what went wrong in work that is soon done again, unless it is
// the end of the tenure, or an outage, which the log knows of.
func (x *executor) complain(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil && !errors.Is(err, runbook.ErrNotExecutor) && !runbook.LedgerAway(err) {
		x.j.log.Warn(what, "error", err)
	}
}

// stop ends the tenure: at once after lost, else with time for running steps.
func (x *executor) stop(eng *engine, lost error) error {
	x.close()
	x.hurry()
	limit := stopLimit
	if lost == nil {
		waitFor(x.idle, drainLimit)
	} else {
		limit = lostLimit // a step may be waiting for the journal
	}
	x.cancel(errors.Join(runbook.ErrNotExecutor, lost))
	idle := waitFor(x.idle, limit)
	err := eng.stop(stopLimit)
	if !idle {
		return fmt.Errorf("execute journal %q: %w; end the process", x.j.name, errStuck)
	}
	if err != nil && !runbook.LedgerAway(lost) {
		x.j.log.Warn("stopping the engine", "error", err)
	}
	x.sweeping.Lock() // the last sweep ends with the engine
	return nil
}

// errStuck says that this process may still be acting for a tenure that is over.
var errStuck = errors.New("a step does not stop")

func waitFor(c <-chan struct{}, limit time.Duration) bool {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-c:
		return true
	case <-t.C:
		return false
	}
}

// sweepBeside sweeps beside the caller, who has the lock to look after: while
// the journal is away, the engine goes on trying until it is stopped.
func (x *executor) sweepBeside(eng *engine) {
	if !x.sweeping.TryLock() {
		return
	}
	go func() {
		defer x.sweeping.Unlock()
		x.complain(x.ctx, "looking for lost runs", x.sweep(x.ctx, eng))
	}()
}

// sweep gives every open run that has lost its workflow a new one: its own
// ended in an error, was deleted, or is marked as running and does not run. The
// last is believed only when it is seen twice.
func (x *executor) sweep(ctx context.Context, eng *engine) error {
	open, err := x.j.Runs(ctx, runbook.Filter{States: executing(), Limit: 10000})
	if err != nil {
		return err
	}
	suspects := map[string]bool{}
	for _, run := range open {
		w := work{Run: run.ID, Generation: run.Generation, State: run.State}
		all, queued, running, err := eng.workflows(w)
		if err != nil {
			return err
		}
		if queued > 0 || x.runs(run.ID) {
			continue
		}
		if running > 0 && !x.suspects[run.ID] {
			suspects[run.ID] = true
			continue
		}
		now, err := x.j.Run(ctx, run.ID)
		if err != nil || now.Version != run.Version {
			continue // it moves, so it is not lost
		}
		x.j.log.Warn("an open run had lost its workflow, it goes on", "run", run.ID, "state", run.State)
		if err := eng.again(w, all); err != nil {
			return err
		}
	}
	x.suspects = suspects
	if err := errors.Join(x.j.pruneSnapshots(ctx), x.j.pruneRemoteRequests(ctx), x.j.pruneDirectory(ctx), x.j.sumRefusals(ctx)); err != nil {
		return err
	}
	return eng.prune(time.Now().Add(-engineKeep))
}

func (x *executor) runs(id string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.running[id]
}

// executing lists the states in which a run is carried out.
func executing() []runbook.State {
	var out []runbook.State
	for _, s := range runbook.States() {
		if s.Executes() {
			out = append(out, s)
		}
	}
	return out
}
