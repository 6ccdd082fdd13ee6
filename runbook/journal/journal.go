// Package journal keeps the runs, the decisions on them, the audit trail and
// the snapshots, and executes approved runs durably. It lives in one SQLite
// file or in one Postgres database; people may query its tables (schema.go).
//
// # Words
//
// The journal is the database. The executor is the one process that carries
// out runs; it holds a lock beside the journal and has an epoch, a number that
// rises at every take-over. Every other process may create runs, decide on
// them and read them: the run it approves is carried out by the executor.
//
// # Promises
//
//   - Change is a compare-and-set: a run, its decisions, its audit rows and the
//     order to execute it are written in one transaction or not at all.
//   - At most one run holds a resource (a cache, a function): the database
//     refuses a second one.
//   - A run that was approved is carried out until it ends, through crashes and
//     restarts; what was written as an audit row was written once.
//   - A state may be carried out more than once (a crash between its effect and
//     the record of it); its result is recorded once.
//   - An executor that lost its lock records nothing more: its epoch is checked
//     inside every transaction that moves a run.
//   - A journal that goes away is waited for, by an executor and by whoever
//     presents; nothing is written to a file that was deleted or replaced.
//   - What somebody at a terminal asks of the executor (a remote request) is
//     carried out once, and answered by the next executor when this one ends over
//     it; taken back, it is never carried out.
//   - Values of cache entries are in the table snapshots and nowhere else.
//
// # How a run is carried out
//
// The transaction that makes a run "approved" enqueues a workflow of the
// engine (engine.go). The workflow is a loop over states: each state is one
// recorded step whose output is the state that it led to, so that a new version
// of the program can add states and still finish old runs. The row in runs, not
// the engine, says where a run stands; a step that finds the row further on
// goes on from there.
package journal

import (
	"cmp"
	"context"
	"crypto/cipher"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"jwksbot/runbook"
)

// Settings say where the journal is and how it is kept.
type Settings struct {
	// URL is a file path, "sqlite:" and a path, or postgres://….
	URL   string
	Clock runbook.Clock // nil: real time
	Log   *slog.Logger  // nil: nothing is logged
	// SnapshotKey encrypts snapshots (AES-256, 32 bytes); empty: as they are.
	SnapshotKey []byte
	// AuditKey keys the audit chain (HMAC-SHA-256, 32 bytes); empty: plain SHA-256.
	AuditKey []byte
	// AuditLog gets a copy of every row of the trail, at least once, from the
	// process that executes; nil: none.
	AuditLog *slog.Logger
	// HeadEvery is after how many rows at the latest the executor writes the head
	// of the trail to Log; 0 means 100.
	HeadEvery int
	// SnapshotKeep is how long snapshots are kept; 0 means 24 hours.
	SnapshotKeep time.Duration
	// Patient opens also a journal that is away at the moment: until it is there,
	// everything is refused with a *runbook.LedgerError that is Away. What time
	// does not heal ends Execute and Present.
	Patient bool
	// LookOnly opens a journal to see whether it is in order: no file is created
	// and no table is changed. Open returns [ErrNotYet] or [ErrOlder] where there
	// would have been something to do.
	LookOnly bool
}

var (
	// ErrNotYet says that the file or the tables of a journal are not there yet.
	ErrNotYet = errors.New("it does not exist yet")
	// ErrOlder says that the tables of a journal are those of an older build.
	ErrOlder = errors.New("it was written by an older jwksbot")
)

// Journal is an open journal. It is safe for concurrent use.
type Journal struct {
	db    *sql.DB
	pool  *pgxpool.Pool // nil on SQLite
	path  string        // the SQLite file, "" on Postgres
	name  string        // for messages: the path, or the URL without credentials
	clock runbook.Clock
	log   *slog.Logger

	auditKey  []byte
	auditLog  *slog.Logger // nil: rows are not copied
	headEvery int64
	sealer    cipher.AEAD // nil: snapshots are not encrypted
	keep      time.Duration
	patient   bool
	lookOnly  bool

	// writer bounds the transactions that write. On SQLite it lets one through
	// at a time, so that only processes compete for the file's lock; on Postgres
	// it leaves connections for those who read and for the engine. Nothing that
	// holds it waits for anything but the database.
	writer chan struct{}

	plans     planMemory
	standing  *standing
	ground    atomic.Pointer[ground] // nil on Postgres, and before the file was opened
	links     *links                 // nil on SQLite
	presenter presenter
	attending sync.WaitGroup

	life     context.Context // until Close
	end      context.CancelFunc
	enqueuer enqueuer
	executor atomic.Pointer[executor]

	mu   sync.Mutex
	subs map[chan struct{}]struct{}
}

const defaultSnapshotKeep = 24 * time.Hour

// Open opens the journal and brings its tables up to date. The error is for the
// operator. Nothing is executed before Execute.
func Open(ctx context.Context, s Settings) (*Journal, error) {
	j := &Journal{
		clock: s.Clock, log: s.Log, auditKey: s.AuditKey, keep: s.SnapshotKeep, patient: s.Patient, lookOnly: s.LookOnly,
		auditLog: s.AuditLog, headEvery: int64(cmp.Or(s.HeadEvery, headRows)),
		subs: map[chan struct{}]struct{}{},
	}
	j.life, j.end = context.WithCancel(context.Background())
	if j.clock == nil {
		j.clock = runbook.SystemClock{}
	}
	if j.log == nil {
		j.log = slog.New(slog.DiscardHandler)
	}
	if j.keep == 0 {
		j.keep = defaultSnapshotKeep
	}
	if n := len(s.AuditKey); n != 0 && n != 32 {
		return nil, fmt.Errorf("open journal: the audit key has %d bytes; give 32", n)
	}
	var err error
	if j.sealer, err = newSealer(s.SnapshotKey); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j.standing = newStanding(j.log, j.explain)
	if err := j.connect(ctx, s.URL); err != nil {
		return nil, err
	}
	err = j.prepare(ctx)
	if err != nil && !(s.Patient && heals(err)) {
		return nil, errors.Join(err, j.disconnect())
	}
	j.standing.watch(s.Patient)
	if err != nil {
		j.standing.away(err)
	}
	if s.Patient {
		j.attending.Go(func() { j.attend(j.life, err == nil) })
	}
	return j, nil
}

// prepare does what there is to do before the journal is used: it looks for a
// pooler that would lose the locks, and brings the tables up to date.
func (j *Journal) prepare(ctx context.Context) error {
	if j.pool == nil {
		return j.prepareFile(ctx)
	}
	if err := apart(ctx, j.pool.Config().ConnConfig); err != nil {
		return j.explain("open", err)
	}
	db := stdlib.OpenDBFromPool(j.pool) // the gate is not open yet
	return errors.Join(j.migrate(ctx, db), db.Close())
}

func (j *Journal) prepareFile(ctx context.Context) error {
	busy := busyTimeout
	if j.patient {
		busy = lookWithin // it is tried again
	}
	pin, err := openSQLite(j.path, 1, busy, nil)
	if err != nil {
		return err
	}
	g, err := takeGround(j.path, pin, func() error { return j.migrate(ctx, pin) })
	if err != nil {
		return errors.Join(j.explain("open", err), pin.Close())
	}
	j.ground.Store(g)
	return nil
}

// gate is asked before everything that is done with the journal.
func (j *Journal) gate() error {
	g := j.ground.Load()
	if g == nil {
		return j.standing.refuse()
	}
	if err := g.check(); err != nil {
		j.standing.away(err)
		return err
	}
	j.standing.back()
	return nil
}

// Close closes the journal. End Execute and Present first (by their context);
// Close does not wait for them.
func (j *Journal) Close(context.Context) error {
	j.end()
	j.attending.Wait()
	return j.disconnect()
}

// Usable returns nil while the journal can be used, as far as this process
// knows, and otherwise a *runbook.LedgerError. It asks nobody.
func (j *Journal) Usable() error {
	if err := j.gate(); err != nil {
		return err
	}
	return j.standing.state()
}

// Subscribe returns a channel that gets a value after changes that this process
// made, several changes in one; changes of other processes have to be polled
// for. The function ends the subscription.
func (j *Journal) Subscribe() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	j.mu.Lock()
	j.subs[c] = struct{}{}
	j.mu.Unlock()
	return c, func() {
		j.mu.Lock()
		delete(j.subs, c)
		j.mu.Unlock()
	}
}

func (j *Journal) signal() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for c := range j.subs {
		select {
		case c <- struct{}{}:
		default: // one is waiting already
		}
	}
}

// now is the clock's time as it is stored: UTC, microseconds.
func (j *Journal) now() time.Time { return j.clock.Now().UTC().Truncate(time.Microsecond) }
