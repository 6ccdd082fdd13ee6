package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // its errors of SQLite, not registered otherwise
	"github.com/jackc/pgx/v5/pgxpool"

	"jwksbot/runbook"
)

// Names under which the engine keeps our workflows. They and engineVersion are
// constants for ever: an open run belongs to the names it was enqueued with.
const (
	engineApp      = "jwksbot"
	engineExecutor = "jwksbot" // of every process: the lock says which one executes
	engineVersion  = "1"       // by default a hash of the binary, and an upgrade would strand open runs
	engineQueue    = "runs"
	engineWorkflow = "run"
)

// How often the queue is asked for runs that were approved. Postgres answers a
// poll in well below a millisecond; SQLite's poll takes the write lock.
const (
	pollSQLite   = 100 * time.Millisecond
	pollPostgres = 25 * time.Millisecond
)

// errEngineClosed says that the engine has to be opened before an enqueue. It
// cannot be opened inside of the transaction: it has tables to bring up to date.
var errEngineClosed = errors.New("the engine is not open")

// work is the input of a workflow: one generation of a run, from a state on.
type work struct {
	Run        string        `json:"run"`
	Generation int           `json:"generation"`
	State      runbook.State `json:"state"`
}

func (w work) id() string { return fmt.Sprintf("%s/%d", w.Run, w.Generation) }

// enqueuer is the engine without its executing half: every process has one
// once it approves something.
type enqueuer struct {
	mu   sync.Mutex // of open alone: a transaction must never wait for it
	ctx  dbos.Context
	open atomic.Bool
}

func (e *enqueuer) start(j *Journal) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open.Load() {
		return nil
	}
	config := j.engineConfig()
	if j.pool != nil {
		config.SystemDBPool = j.pool
	} else {
		config.SQLiteSystemDB = j.db
	}
	ctx, err := j.openEngine(config) // never launched, so there is nothing to shut down
	if err != nil {
		return j.explain("open", err)
	}
	e.ctx = ctx
	e.open.Store(true)
	return nil
}

// enqueue orders the execution of an approved run inside of the transaction
// that approved it.
func (e *enqueuer) enqueue(t *sql.Tx, run runbook.Run) error {
	if !e.open.Load() {
		return errEngineClosed
	}
	w := work{Run: run.ID, Generation: run.Generation, State: run.State}
	_, err := dbos.Enqueue[string](e.ctx, engineQueue, engineWorkflow, w, dbos.WithEnqueueWorkflowID(w.id()),
		dbos.WithEnqueueApplicationVersion(engineVersion), dbos.WithEnqueueTransaction(t))
	return err
}

// openEngine opens the engine, which brings its tables up to date. On Postgres
// it does not expect company in that, so one process does it at a time. The lock
// is asked for, not waited for: who waits holds a snapshot, and the engine's
// CREATE INDEX CONCURRENTLY waits for every snapshot to go.
func (j *Journal) openEngine(config dbos.Config) (dbos.Context, error) {
	if j.pool == nil {
		return dbos.NewContext(j.life, config)
	}
	for {
		lock, err := j.lockSession(j.life, lockKey+2, 30*time.Second)
		if err == nil {
			defer lock.release()
			break
		}
		if !errors.Is(err, errLocked) {
			return nil, err
		}
		if err := (runbook.SystemClock{}).Wait(j.life, lockPoll/10); err != nil {
			return nil, err
		}
	}
	return dbos.NewContext(j.life, config)
}

func (j *Journal) engineConfig() dbos.Config {
	return dbos.Config{
		AppName: engineApp, ExecutorID: engineExecutor, ApplicationVersion: engineVersion,
		Logger: slog.New(quiet{j.log.Handler(), j.Usable}), SystemDBStartupTimeout: 30 * time.Second,
	}
}

// engine is the launched engine. It has handles of its own, which it closes.
type engine struct {
	ctx dbos.Context
}

// launch starts the engine: workflows that were cut off go on, approved runs
// are taken from the queue. carry does one state and returns the next; it
// returns an error only after gone is closed.
func (j *Journal) launch(carry func(gone <-chan struct{}, w work) (runbook.State, error)) (*engine, error) {
	config := j.engineConfig()
	var poll time.Duration
	var done func()
	if j.pool == nil {
		db, err := openSQLite(j.path, 8, busyTimeout, j.gate)
		if err != nil {
			return nil, err
		}
		config.SQLiteSystemDB, poll, done = db, pollSQLite, func() { db.Close() }
	} else {
		pool, err := pgxpool.NewWithConfig(j.life, j.pool.Config())
		if err != nil {
			return nil, j.explain("execute", err)
		}
		config.SystemDBPool, poll, done = pool, pollPostgres, pool.Close
	}
	ctx, err := j.openEngine(config)
	if err != nil {
		done()
		return nil, j.explain("execute", err)
	}
	if ctx.GetApplicationVersion() != engineVersion || ctx.GetExecutorID() != engineExecutor {
		done()
		return nil, fmt.Errorf("execute journal %q: the environment changes the engine's identity; unset DBOS__APPVERSION and DBOS__VMID", j.name)
	}
	workflow := func(ctx dbos.Context, w work) (string, error) { return loop(ctx, w, carry) }
	dbos.RegisterWorkflow(ctx, workflow, dbos.WithWorkflowName(engineWorkflow), dbos.WithMaxRecoveryAttempts(0))
	if _, err := dbos.RegisterQueue(ctx, engineQueue, dbos.WithQueueBasePollingInterval(poll),
		dbos.WithQueueOnConflict(dbos.QueueConflictAlwaysUpdate)); err != nil {
		done()
		return nil, j.explain("execute", err)
	}
	if err := dbos.Launch(ctx); err != nil { // shuts itself down
		return nil, j.explain("execute", err)
	}
	return &engine{ctx: ctx}, nil
}

// loop is the workflow. It must stay deterministic in what is recorded: the
// states come from the input and from recorded outputs, never from the row.
func loop(ctx dbos.Context, w work, carry func(<-chan struct{}, work) (runbook.State, error)) (string, error) {
	for {
		next, err := dbos.RunAsStep(ctx, func(context.Context) (string, error) {
			state, err := carry(ctx.Done(), w)
			return string(state), err
		}, dbos.WithStepName(string(w.State)))
		if err != nil {
			return "", err
		}
		w.State = runbook.State(next)
		if !w.State.Executes() {
			return next, nil
		}
	}
}

// again enqueues a workflow for a run that has lost its own.
func (e *engine) again(w work, n int) error {
	_, err := dbos.Enqueue[string](e.ctx, engineQueue, engineWorkflow, w,
		dbos.WithEnqueueWorkflowID(fmt.Sprintf("%s/%d", w.id(), n)), dbos.WithEnqueueApplicationVersion(engineVersion))
	return err
}

// workflows counts the workflows of one generation of a run: all, those that
// wait for the queue, and those that are marked as running.
func (e *engine) workflows(w work) (all, queued, running int, err error) {
	list, err := dbos.ListWorkflows(e.ctx, dbos.WithFilterWorkflowIDPrefix(w.id()),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return 0, 0, 0, err
	}
	for _, s := range list {
		if s.ID != w.id() && !strings.HasPrefix(s.ID, w.id()+"/") {
			continue
		}
		all++
		switch s.Status {
		case dbos.WorkflowStatusEnqueued, dbos.WorkflowStatusDelayed:
			queued++
		case dbos.WorkflowStatusPending:
			running++
		}
	}
	return all, queued, running, nil
}

// prune removes what the engine recorded of workflows that ended before t.
func (e *engine) prune(t time.Time) error {
	list, err := dbos.ListWorkflows(e.ctx, dbos.WithFilterCompletedBefore(t), dbos.WithFilterLimit(1000),
		dbos.WithFilterStatus(dbos.WorkflowStatusSuccess, dbos.WorkflowStatusError, dbos.WorkflowStatusCancelled),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil || len(list) == 0 {
		return err
	}
	ids := make([]string, len(list))
	for i, s := range list {
		ids[i] = s.ID
	}
	return dbos.DeleteWorkflows(e.ctx, ids)
}

// stop ends the engine; workflows that have not ended stay as they are and go
// on with the next launch.
func (e *engine) stop(limit time.Duration) error { return dbos.Shutdown(e.ctx, limit) }

// quiet lowers what the engine tells of itself: its news are our details, and
// what it could not do because it is being stopped, or the journal is away, is
// no error.
type quiet struct {
	slog.Handler
	usable func() error
}

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return q.Handler.Enabled(ctx, lower(l))
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = lower(r.Level)
	if r.Level >= slog.LevelWarn && q.usable() != nil {
		r.Level = slog.LevelDebug
	}
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok && errors.Is(err, context.Canceled) {
			r.Level = slog.LevelDebug
		}
		return true
	})
	if !q.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a), q.usable} }
func (q quiet) WithGroup(name string) slog.Handler   { return quiet{q.Handler.WithGroup(name), q.usable} }

func lower(l slog.Level) slog.Level {
	if l < slog.LevelWarn {
		return min(l, slog.LevelDebug)
	}
	return l
}
