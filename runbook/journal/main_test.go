package journal

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/journal/postgrestest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	flag.Set("test.parallel", "8") // tests wait more than they work
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

// eachEngine runs a test on a fresh SQLite file and on a fresh Postgres database,
// both at once.
func eachEngine(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, sqliteURL(t)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(t, postgresURL(t)) })
}

func sqliteURL(t testing.TB) string { return filepath.Join(t.TempDir(), "jwksbot.db") }

func postgresURL(t testing.TB) string { return server.Database(t) }

// server is one Postgres server for all tests of the package.
var server postgrestest.Server

func open(t testing.TB, url string) *Journal { return openWith(t, Settings{URL: url, Log: testLog(t)}) }

func openWith(t testing.TB, s Settings) *Journal {
	t.Helper()
	j, err := Open(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close(context.Background()) })
	return j
}

// eventually polls a condition that other goroutines or processes bring about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

var start = time.Date(2026, 2, 14, 2, 40, 0, 0, time.UTC)

func pending(id, resource string) runbook.Run {
	return runbook.Run{
		ID: id, Target: "production", Resource: resource, State: runbook.StatePending,
		Plan:      runbook.Plan{Target: "production", Verdict: "stale_cache", Digest: "d1"},
		Requester: runbook.PersonRef{ID: "U1", Name: "ann"}, Ticket: "INC-1", Reason: "keys rotated", Required: 1,
		CreatedAt: start, ExpiresAt: start.Add(15 * time.Minute),
	}
}

func create(t testing.TB, j *Journal, run runbook.Run) {
	t.Helper()
	if err := j.Create(context.Background(), run, runbook.AuditEntry{Actor: "U1", Kind: "request"}); err != nil {
		t.Fatal(err)
	}
}

// approve is a decision as the bot makes it.
func approve(j *Journal, id, by string) (runbook.Run, error) {
	return j.Change(context.Background(), id, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		if r.State != runbook.StatePending {
			return nil, runbook.ErrMoved
		}
		r.Decisions = append(r.Decisions, runbook.Decision{By: runbook.PersonRef{ID: by}, Kind: runbook.DecideApprove, Generation: r.Generation, At: start})
		if len(r.Approvals()) >= r.Required {
			r.State = runbook.StateApproved
		}
		return []runbook.AuditEntry{{Actor: by, Kind: "approve"}}, nil
	})
}

// execute runs Execute until the test ends.
func execute(t testing.TB, j *Journal, advance Advance) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := j.Execute(ctx, advance)
		if err != nil {
			t.Log("execute:", err)
		}
		done <- err
	}()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() { cancel(); err = <-done })
		return err
	}
	t.Cleanup(func() { stop() })
	return stop
}

// next is the way of a run in which everything succeeds.
var next = map[runbook.State]runbook.State{
	runbook.StateApproved: runbook.StateSnapshot, runbook.StateSnapshot: runbook.StateFlush,
	runbook.StateFlush: runbook.StateVerify, runbook.StateVerify: runbook.StateDone,
	runbook.StateEscalate: runbook.StateFailed,
}

func forward(_ context.Context, r runbook.Run) (runbook.Transition, error) {
	return runbook.Transition{From: r.State, To: next[r.State], Receipt: &runbook.Receipt{Step: string(r.State)},
		Audit: []runbook.AuditEntry{{Actor: runbook.AuditSelf, Kind: "effect", Detail: string(r.State)}}}, nil
}

func state(t testing.TB, j *Journal, id string) runbook.State {
	t.Helper()
	run, err := j.Run(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return run.State
}

// testLog shows the journal's log with -v.
func testLog(t testing.TB) *slog.Logger {
	level := slog.LevelInfo
	if os.Getenv("JOURNAL_TEST_DEBUG") != "" {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level}))
}
