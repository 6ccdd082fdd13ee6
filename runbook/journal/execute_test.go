package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"jwksbot/runbook"
)

func TestExecuteApprovedRun(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		j, other := open(t, url), open(t, url)
		stop := execute(t, j, forward)
		eventually(t, "executing", j.Executing)
		create(t, other, pending("r1", "a"))
		if _, err := approve(other, "r1", "U2"); err != nil { // by a process that does not execute
			t.Fatal(err)
		}
		eventually(t, "the run is done", func() bool { return state(t, j, "r1") == runbook.StateDone })
		run, err := j.Run(context.Background(), "r1")
		if err != nil || len(run.Receipts) != 4 || run.EndedAt.IsZero() || run.StartedAt.IsZero() {
			t.Errorf("%+v, %v", run, err)
		}
		if got := fmt.Sprint(kinds(t, j)); got != "[request approve effect state effect state effect state effect state]" {
			t.Errorf("audit: %s", got)
		}
		if err := j.Guard(context.Background()); err != nil {
			t.Errorf("guard of the executor: %v", err)
		}
		if err := other.Guard(context.Background()); !errors.Is(err, runbook.ErrNotExecutor) {
			t.Errorf("guard of the other: %v", err)
		}
		if _, err := other.tryLock(context.Background(), lockKey); !errors.Is(err, errLocked) {
			t.Errorf("a second executor: %v", err)
		}
		if name, err := other.Executor(context.Background()); err != nil || !strings.Contains(name, fmt.Sprint(os.Getpid())) {
			t.Errorf("the other knows the executor as %q, %v", name, err)
		}
		if err := stop(); err != nil || j.Executing() {
			t.Errorf("after the end: %v, executing %t", err, j.Executing())
		}
	})
}

// TestSecondGeneration: a changed world puts the run before people again; its
// first workflow is over and the second approval gets its own.
func TestSecondGeneration(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		j := open(t, url)
		execute(t, j, func(ctx context.Context, r runbook.Run) (runbook.Transition, error) {
			if r.Generation == 0 && r.State == runbook.StateSnapshot {
				return runbook.Transition{From: r.State, To: runbook.StatePending, Plan: &runbook.Plan{Digest: "d2"}}, nil
			}
			return forward(ctx, r)
		})
		create(t, j, pending("r1", "a"))
		for range 2 {
			if _, err := approve(j, "r1", "U2"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the run leaves the executor", func() bool { return !state(t, j, "r1").Holds() })
		}
		run, err := j.Run(context.Background(), "r1")
		if err != nil || run.State != runbook.StateDone || run.Generation != 1 || run.Plan.Digest != "d2" {
			t.Errorf("%+v, %v", run, err)
		}
	})
}

// stepping is a clock on which every wait is over at once; it counts them.
type stepping struct{ waits atomic.Int32 }

func (*stepping) Now() time.Time { return start }
func (c *stepping) Wait(ctx context.Context, d time.Duration) error {
	c.waits.Add(1)
	return ctx.Err()
}

func TestFailingStep(t *testing.T) {
	clock := &stepping{}
	j := openWith(t, Settings{URL: sqliteURL(t), Clock: clock})
	var tries atomic.Int32
	execute(t, j, func(ctx context.Context, r runbook.Run) (runbook.Transition, error) {
		switch {
		case r.ID == "flaky" && r.State == runbook.StateFlush && tries.Add(1) < 3:
			return runbook.Transition{}, errors.New("connection reset")
		case r.ID == "broken" && r.State == runbook.StateFlush:
			return runbook.Transition{}, errors.New("delete on 10.0.1.7:6379: no permission")
		case r.ID == "panics" && r.State == runbook.StateSnapshot:
			panic("index out of range")
		case r.ID == "lost" && r.State == runbook.StateSnapshot:
			return runbook.Transition{From: r.State, To: runbook.StateDone}, nil
		}
		return forward(ctx, r)
	})
	for _, c := range []struct {
		id      string
		want    runbook.State
		outcome string
	}{
		{"flaky", runbook.StateDone, ""},
		{"broken", runbook.StateFailed, `The step "flush" failed: delete on 10.0.1.7:6379: no permission.`},
		{"panics", runbook.StateFailed, `The step "snapshot" failed: it panicked; the log of jwksbot has the details.`},
		{"lost", runbook.StateFailed, `The step "snapshot" failed: it led to the state "done", which cannot follow. This is a fault of jwksbot.`},
	} {
		create(t, j, pending(c.id, c.id))
		if _, err := approve(j, c.id, "U2"); err != nil {
			t.Fatal(err)
		}
		eventually(t, c.id+" ends", func() bool { return state(t, j, c.id).Ended() })
		run, err := j.Run(context.Background(), c.id)
		if err != nil || run.State != c.want || run.Outcome != c.outcome {
			t.Errorf("%s: %s, %q, %v", c.id, run.State, run.Outcome, err)
		}
	}
	if n := clock.waits.Load(); n != 2+3 {
		t.Errorf("%d pauses, want 2 for the flaky and 3 for the broken step", n)
	}
}

// TestDrain: the end of the context lets a running step finish and begins no
// other one; the next executor goes on where it stopped.
func TestDrain(t *testing.T) {
	j := open(t, sqliteURL(t))
	entered, leave := make(chan struct{}), make(chan struct{})
	stop := execute(t, j, func(ctx context.Context, r runbook.Run) (runbook.Transition, error) {
		if r.State == runbook.StateSnapshot {
			close(entered)
			<-leave
		}
		return forward(ctx, r)
	})
	create(t, j, pending("r1", "a"))
	if _, err := approve(j, "r1", "U2"); err != nil {
		t.Fatal(err)
	}
	<-entered
	ended := make(chan error)
	go func() { ended <- stop() }()
	eventually(t, "no longer executing", func() bool { return !j.Executing() })
	if err := j.Guard(context.Background()); err != nil {
		t.Errorf("the guard refuses the effects of a step that may finish: %v", err)
	}
	close(leave)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if s := state(t, j, "r1"); s != runbook.StateFlush {
		t.Errorf("the run is %s, want flush: the running step counts, no other one began", s)
	}
	execute(t, j, forward)
	eventually(t, "the run is done", func() bool { return state(t, j, "r1") == runbook.StateDone })
}

// TestInterruptedStep: a step that gives up because the lock is lost is no
// failure: it is done again when this process has its turn.
func TestInterruptedStep(t *testing.T) {
	j := open(t, sqliteURL(t))
	entered := make(chan struct{})
	create(t, j, pending("r1", "a"))
	if _, err := approve(j, "r1", "U2"); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(filepath.Dir(j.path), "jwksbot.db.lock")
	interrupted, first := make(chan struct{}), true
	var fenced error
	execute(t, j, func(ctx context.Context, r runbook.Run) (runbook.Transition, error) {
		if !first {
			return forward(ctx, r)
		}
		first = false
		close(entered)
		<-ctx.Done()
		fenced = j.Guard(context.Background())
		close(interrupted)
		return runbook.Transition{}, ctx.Err()
	})
	<-entered
	if err := os.Remove(lock); err != nil { // as a careless person would
		t.Fatal(err)
	}
	<-interrupted
	if !errors.Is(fenced, runbook.ErrNotExecutor) {
		t.Errorf("the guard of the interrupted step said %v", fenced)
	}
	eventually(t, "the run is done", func() bool { return state(t, j, "r1") == runbook.StateDone })
	if run, err := j.Run(context.Background(), "r1"); err != nil || len(run.Receipts) != 4 {
		t.Errorf("%d receipts, %v", len(run.Receipts), err)
	}
}

// TestZombie: an executor that was replaced while it was in a step records
// nothing, and its guard refuses effects.
func TestZombie(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		j := open(t, url)
		var guarded error
		checked, again := make(chan struct{}), make(chan runbook.State, 1)
		replaced := false
		execute(t, j, func(ctx context.Context, r runbook.Run) (runbook.Transition, error) {
			if replaced {
				select {
				case again <- r.State:
				default:
				}
				return forward(ctx, r)
			}
			replaced = true
			if _, err := j.takeOver(ctx); err != nil { // somebody else came
				return runbook.Transition{}, err
			}
			guarded = j.Guard(ctx)
			close(checked)
			return forward(ctx, r)
		})
		create(t, j, pending("r1", "a"))
		if _, err := approve(j, "r1", "U2"); err != nil {
			t.Fatal(err)
		}
		<-checked
		if !errors.Is(guarded, runbook.ErrNotExecutor) {
			t.Errorf("guard said %v", guarded)
		}
		if s := <-again; s != runbook.StateApproved {
			t.Errorf("the zombie moved the run to %s", s)
		}
		eventually(t, "the run is done", func() bool { return state(t, j, "r1") == runbook.StateDone })
	})
}

// TestSweep: an open run whose workflow is gone gets a new one.
func TestSweep(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		j := open(t, url)
		create(t, j, pending("r1", "a"))
		if _, err := approve(j, "r1", "U2"); err != nil {
			t.Fatal(err)
		}
		table := "workflow_status"
		if j.pool != nil {
			table = "dbos.workflow_status"
		}
		if _, err := j.db.Exec(`UPDATE ` + table + ` SET status = 'ERROR'`); err != nil {
			t.Fatal(err)
		}
		execute(t, j, forward)
		eventually(t, "the run is done", func() bool { return state(t, j, "r1") == runbook.StateDone })
	})
}

func TestTakeOver(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		j := open(t, url)
		effects := filepath.Join(t.TempDir(), "effects")
		first := spawn(t, url, effects)
		eventually(t, "the first executes", func() bool { return holderIs(j, first) })
		second := spawn(t, url, effects)
		create(t, j, pending("r1", "a"))
		if _, err := approve(j, "r1", "U2"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the first run is done", func() bool { return state(t, j, "r1") == runbook.StateDone })
		first.kill()
		create(t, j, pending("r2", "a"))
		if _, err := approve(j, "r2", "U2"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the second run is done", func() bool { return state(t, j, "r2") == runbook.StateDone })
		if !holderIs(j, second) {
			t.Error("the second process is not the holder")
		}
		if err := second.end(); err != nil {
			t.Error(err)
		}
	})
}

func holderIs(j *Journal, p *process) bool {
	_, name, err := j.epoch(context.Background())
	return err == nil && strings.HasPrefix(name, fmt.Sprintf("process %d ", p.cmd.Process.Pid))
}

// TestStoppedExecutor: on Postgres a process that is stopped, not dead, loses
// its lock, and records nothing when it wakes.
func TestStoppedExecutor(t *testing.T) {
	url := postgresURL(t)
	j := open(t, url)
	effects := filepath.Join(t.TempDir(), "effects")
	first := spawn(t, url, effects)
	eventually(t, "the first executes", func() bool { return holderIs(j, first) })
	create(t, j, pending("r0", "a"))
	if _, err := approve(j, "r0", "U2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first run is done", func() bool { return state(t, j, "r0") == runbook.StateDone })
	second := spawn(t, url, effects)
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	create(t, j, pending("r1", "a"))
	if _, err := approve(j, "r1", "U2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the run is done", func() bool { return state(t, j, "r1") == runbook.StateDone })
	if !holderIs(j, second) {
		t.Error("the second process is not the holder")
	}
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := second.end(); err != nil {
		t.Error(err)
	}
	eventually(t, "the first takes its turn again", func() bool { return holderIs(j, first) })
	if err := first.end(); err != nil {
		t.Error(err)
	}
	checkOnce(t, j, "r1")
}

// TestServerRestart: after a restart of Postgres the same process executes
// again, and nothing is lost.
func TestServerRestart(t *testing.T) {
	url := postgresURL(t)
	j := open(t, url)
	effects := filepath.Join(t.TempDir(), "effects")
	first := spawn(t, url, effects)
	eventually(t, "the first executes", func() bool { return holderIs(j, first) })
	for n := range 10 {
		id := fmt.Sprintf("r%d", n)
		create(t, j, pending(id, id))
		if _, err := approve(j, id, "U2"); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	for n := range 10 {
		id := fmt.Sprintf("r%d", n)
		eventually(t, id+" is done", func() bool {
			run, err := j.Run(context.Background(), id) // fails while old connections are found out
			return err == nil && run.State == runbook.StateDone
		})
		checkOnce(t, j, id)
	}
	if err := first.end(); err != nil {
		t.Error(err)
	}
}

// TestKilledAtRandom: the executor is killed again and again; every run ends
// once, with each state recorded once.
func TestKilledAtRandom(t *testing.T) {
	kills, runs := 25, 25
	if testing.Short() {
		kills, runs = 5, 5
	}
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j := context.Background(), open(t, url)
		effects := filepath.Join(t.TempDir(), "effects")
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		for n := range max(kills, runs) {
			if n < runs {
				id := fmt.Sprintf("r%d", n)
				create(t, j, pending(id, id))
				if _, err := approve(j, id, "U2"); err != nil {
					t.Fatal(err)
				}
			}
			p := spawn(t, url, effects)
			if n%2 == 0 { // every other one is killed while it starts
				eventually(t, "the child executes", func() bool { return holderIs(j, p) })
			}
			time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond) // when it is killed, not whether it passes
			p.kill()
		}
		p := spawn(t, url, effects)
		eventually(t, "the last child executes", func() bool { return holderIs(j, p) })
		for n := range runs {
			id := fmt.Sprintf("r%d", n)
			eventually(t, id+" is done", func() bool { return state(t, j, id) == runbook.StateDone })
		}
		if err := p.end(); err != nil {
			t.Error(err)
		}
		for n := range runs {
			checkOnce(t, j, fmt.Sprintf("r%d", n))
		}
		if _, err := j.VerifyAudit(ctx); err != nil {
			t.Error(err)
		}
	})
}

// checkOnce: each state of the run has one receipt, one effect and one state row.
func checkOnce(t *testing.T, j *Journal, id string) {
	t.Helper()
	run, err := j.Run(context.Background(), id)
	if err != nil || len(run.Receipts) != 4 {
		t.Errorf("%s has %d receipts, %v", id, len(run.Receipts), err)
	}
	var got []string
	for row, err := range j.AuditRows(context.Background(), AuditFilter{Run: id}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row.Kind+" "+row.Detail)
	}
	want := "request |approve |effect approved|state approved to snapshot|effect snapshot|state snapshot to flush|effect flush|state flush to verify|effect verify|state verify to done"
	if strings.Join(got, "|") != want {
		t.Errorf("%s: audit\n%s, want\n%s", id, strings.Join(got, "|"), want)
	}
}
