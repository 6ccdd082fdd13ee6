package journal

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"jwksbot/runbook"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	code := m.Run()
	server.stop()
	os.Exit(code)
}

// eachEngine runs a test on a fresh SQLite file and on a fresh Postgres database.
func eachEngine(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, sqliteURL(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, postgresURL(t)) })
}

func sqliteURL(t testing.TB) string { return filepath.Join(t.TempDir(), "jwksbot.db") }

func postgresURL(t testing.TB) string {
	t.Helper()
	admin, err := server.start()
	if err != nil {
		if os.Getenv("JWKSBOT_REQUIRE_SERVERS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, admin+"postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	server.mu.Lock()
	server.databases++
	name := fmt.Sprintf("t%d", server.databases)
	server.mu.Unlock()
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return admin + name
}

// server is one Postgres server for all tests of the package.
var server postgresServer

type postgresServer struct {
	mu        sync.Mutex
	tried     bool
	url       string
	err       error
	dir       string
	bin, data string
	port      int
	attr      *syscall.SysProcAttr
	cmd       *exec.Cmd
	databases int
}

func (s *postgresServer) start() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.tried {
		s.tried = true
		s.err = s.run()
	}
	return s.url, s.err
}

func (s *postgresServer) run() error {
	bin, err := exec.LookPath("postgres")
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
		if len(found) == 0 {
			return fmt.Errorf("postgres not on PATH: %w", err)
		}
		bin = found[0]
	}
	attr, uid, err := unprivileged()
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "journal-postgres"); err != nil {
		return err
	}
	if err := os.Chown(s.dir, uid, -1); err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	initdb := exec.Command(filepath.Join(filepath.Dir(bin), "initdb"), "-D", data, "-A", "trust", "-U", "jwksbot", "--no-sync", "-E", "UTF8", "--locale=C")
	initdb.SysProcAttr, initdb.Dir = attr, s.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	s.bin, s.data, s.port, s.attr = bin, data, port, attr
	s.url = fmt.Sprintf("postgres://jwksbot@127.0.0.1:%d/", port)
	return s.launch()
}

// launch starts the server on its data and waits for its first answer.
func (s *postgresServer) launch() error {
	fsync := "off" // no test cuts the power; the benchmarks shall be honest
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
		fsync = "on"
	}
	s.cmd = exec.Command(s.bin, "-D", s.data, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200", "-c", "fsync="+fsync)
	s.cmd.SysProcAttr, s.cmd.Dir = s.attr, s.dir
	if err := s.cmd.Start(); err != nil {
		return err
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		conn, err := pgx.Connect(context.Background(), s.url+"postgres")
		if err == nil {
			return conn.Close(context.Background())
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("postgres does not answer: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// unprivileged is who runs the server: Postgres refuses to be run by root.
func unprivileged() (*syscall.SysProcAttr, int, error) {
	if os.Getuid() != 0 {
		return nil, os.Getuid(), nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err1 == nil && err2 == nil {
			return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, uid, nil
		}
	}
	return nil, 0, fmt.Errorf("no user to run postgres as: it refuses root")
}

// restart ends every session, as an upgrade of the server does.
func (s *postgresServer) restart() error {
	s.cmd.Process.Signal(syscall.SIGINT)
	s.cmd.Wait()
	return s.launch()
}

func (s *postgresServer) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Signal(syscall.SIGINT) // fast shutdown
		s.cmd.Wait()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

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
