package journal

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/journal/postgrestest"
)

// answered is within how long people have to have an answer.
const answered = 3 * time.Second

// TestPatient: a journal that is away at the start is waited for, and who wants
// to use it meanwhile is told at once. Without patience it is an error.
func TestPatient(t *testing.T) {
	t.Parallel()
	var server postgrestest.Server
	t.Cleanup(server.Stop)
	database := server.Database(t)
	server.Halt()
	refused(t, Settings{URL: database}, "the server cannot be reached")
	j := openWith(t, Settings{URL: database, Patient: true, Log: testLog(t)})
	execute(t, j, forward)
	present(t, j)
	begin := time.Now()
	if err := j.Create(t.Context(), pending("r1", "a")); !runbook.LedgerAway(err) || time.Since(begin) > answered {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
	if err := j.Usable(); !runbook.LedgerAway(err) {
		t.Errorf("usable: %v", err)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "executing and presenting", func() bool { return j.Executing() && j.Presenting() })
	create(t, j, pending("r1", "a"))
	if _, err := approve(j, "r1", "U2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the run is done", func() bool { return state(t, j, "r1") == runbook.StateDone })
}

// TestPatientNotForEver: what time does not heal ends the start, or the waiting.
func TestPatientNotForEver(t *testing.T) {
	t.Parallel()
	var server postgrestest.Server
	t.Cleanup(server.Stop)
	database := server.Database(t)
	patient := func(url string) Settings { return Settings{URL: url, Patient: true, Log: testLog(t)} }
	refused(t, patient(database+"x"), "there is no such database; create it")
	refused(t, patient(database+"?sslmode=require"), "server refused TLS connection")
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("nobody", "hunter2")
	refused(t, patient(u.String()), "this user may not connect")

	server.Halt()
	late := openWith(t, patient(database+"x"))
	done := make(chan error, 2)
	go func() { done <- late.Execute(context.Background(), forward) }()
	go func() { done <- late.Present(context.Background()) }()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	for range cap(done) {
		if err := <-done; err == nil || !strings.Contains(err.Error(), "there is no such database; create it") {
			t.Errorf("it ended with %v", err)
		}
	}
}

// TestRestartInAStep: the server of the journal is restarted in the middle of a
// step, and the same process goes on: what it was doing is done again, and what
// it did before is not.
func TestRestartInAStep(t *testing.T) {
	t.Parallel()
	var server postgrestest.Server
	t.Cleanup(server.Stop)
	j := openWith(t, Settings{URL: server.Database(t), Patient: true, Log: testLog(t)})
	entered := make(chan struct{})
	var mu sync.Mutex
	times := map[runbook.State]int{}
	execute(t, j, func(ctx context.Context, r runbook.Run) (runbook.Transition, error) {
		mu.Lock()
		times[r.State]++
		first := r.State == runbook.StateFlush && times[r.State] == 1
		mu.Unlock()
		if first {
			close(entered)
			<-ctx.Done()
			return runbook.Transition{}, ctx.Err()
		}
		return forward(ctx, r)
	})
	present(t, j)
	create(t, j, pending("r1", "a"))
	create(t, j, pending("r2", "b"))
	if _, err := approve(j, "r1", "U2"); err != nil {
		t.Fatal(err)
	}
	<-entered
	server.Halt()
	begin := time.Now()
	if _, err := approve(j, "r2", "U2"); !runbook.LedgerAway(err) || time.Since(begin) > answered {
		t.Errorf("a click was answered after %v: %v", time.Since(begin), err)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "presenting again", j.Presenting)
	eventually(t, "the run is done", func() bool {
		run, err := j.Run(context.Background(), "r1")
		return err == nil && run.State == runbook.StateDone
	})
	if _, err := approve(j, "r2", "U2"); err != nil {
		t.Errorf("after the return: %v", err)
	}
	eventually(t, "the other run is done", func() bool { return state(t, j, "r2") == runbook.StateDone })
	mu.Lock()
	defer mu.Unlock()
	if times[runbook.StateSnapshot] != 2 || times[runbook.StateFlush] != 3 || times[runbook.StateVerify] != 2 {
		t.Errorf("steps of the two runs: %v", times)
	}
}

// TestSilentServer: a server that takes connections and does not answer is away
// like one that is not there, and who waits for it is answered.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	database := postgresURL(t)
	p := startFreezer(t, database)
	j := openWith(t, Settings{URL: p.url, Patient: true, Log: testLog(t)})
	execute(t, j, forward)
	eventually(t, "executing", j.Executing)
	create(t, j, pending("r1", "a"))
	p.freeze()
	var people sync.WaitGroup
	for _, id := range []string{"r1", "r2", "r3"} {
		people.Go(func() {
			begin := time.Now()
			if _, err := approve(j, id, "U2"); err == nil || time.Since(begin) > answered {
				t.Errorf("answered after %v: %v", time.Since(begin), err)
			}
		})
	}
	people.Wait()
	if err := j.Usable(); !runbook.LedgerAway(err) {
		t.Errorf("usable: %v", err)
	}
	p.thaw()
	eventually(t, "usable again", func() bool { return j.Usable() == nil })
	if _, err := approve(j, "r1", "U2"); err != nil && !errors.Is(err, runbook.ErrMoved) {
		t.Fatal(err)
	}
	eventually(t, "the run is done", func() bool { return state(t, j, "r1") == runbook.StateDone })
}

// freezer is the way to a server that can fall silent without being closed.
type freezer struct {
	url string
	mu  sync.RWMutex
}

func startFreezer(t *testing.T, database string) *freezer {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	f, to := &freezer{}, u.Host
	u.Host = l.Addr().String()
	f.url = u.String()
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go f.carry(from, to)
		}
	}()
	return f
}

func (f *freezer) freeze() { f.mu.Lock() }
func (f *freezer) thaw()   { f.mu.Unlock() }

func (f *freezer) carry(from net.Conn, addr string) {
	defer from.Close()
	to, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		defer to.Close()
		io.Copy(thawed{f, to}, from)
	}()
	io.Copy(thawed{f, from}, to)
}

// thawed writes while nothing is frozen.
type thawed struct {
	f *freezer
	net.Conn
}

func (w thawed) Write(b []byte) (int, error) {
	w.f.mu.RLock()
	defer w.f.mu.RUnlock()
	return w.Conn.Write(b)
}

// TestLockedAtStart: a file that another program has locked at the start is
// waited for.
func TestLockedAtStart(t *testing.T) {
	t.Parallel()
	url := sqliteURL(t)
	first := open(t, url)
	locker, err := first.db.Begin() // immediate, as a backup would
	if err != nil {
		t.Fatal(err)
	}
	j := openWith(t, Settings{URL: url, Patient: true, Log: slog.New(slog.DiscardHandler)})
	execute(t, j, forward)
	if err := j.Usable(); !runbook.LedgerAway(err) {
		t.Errorf("usable: %v", err)
	}
	if err := locker.Rollback(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "executing", j.Executing)
}
