package journal

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"jwksbot/runbook"
)

// present runs Present until the test ends, or stop is called.
func present(t testing.TB, j *Journal) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- j.Present(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error("present:", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// standIn runs StandIn until the test ends.
func standIn(t testing.TB, j *Journal, advance Advance) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- j.StandIn(ctx, advance) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error("stand in:", err)
		}
	})
}

// TestPresentOne: of two processes one presents, whoever executes, and the other
// one does when that one ends.
func TestPresentOne(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, one, two, terminal := context.Background(), open(t, url), open(t, url), open(t, url)
		execute(t, terminal, forward)
		eventually(t, "the terminal executes", terminal.Executing)
		if there, err := terminal.Presented(ctx); there || err != nil {
			t.Errorf("presented by nobody: %t, %v", there, err)
		}
		stop := present(t, one)
		eventually(t, "the first presents", one.Presenting)
		present(t, two)
		if there, err := terminal.Presented(ctx); !there || err != nil {
			t.Errorf("presented by the first: %t, %v", there, err)
		}
		if two.Presenting() {
			t.Error("both present")
		}
		stop()
		if one.Presenting() {
			t.Error("it presents after its end")
		}
		eventually(t, "the second presents", two.Presenting)
	})
}

// TestStandInYields: who stands in gives the lock back between two effects when
// a process comes that presents, and every effect is made once.
func TestStandInYields(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		terminal, bot := open(t, url), open(t, url)
		w := &slowFlush{batches: 20, begun: make(chan struct{})}
		standIn(t, terminal, w.by(terminal, 200*time.Millisecond))
		eventually(t, "standing in", terminal.Executing)
		create(t, terminal, pending("r1", "a"))
		if _, err := approve(terminal, "r1", "U2"); err != nil {
			t.Fatal(err)
		}
		<-w.begun
		present(t, bot)
		execute(t, bot, w.by(bot, time.Millisecond))
		eventually(t, "the bot executes", bot.Executing)
		if terminal.Executing() {
			t.Error("both execute")
		}
		eventually(t, "the run is done", func() bool { return state(t, bot, "r1") == runbook.StateDone })
		w.mu.Lock()
		defer w.mu.Unlock()
		by := map[*Journal]int{}
		for i, b := range w.made {
			by[b.by]++
			if b.n != i {
				t.Fatalf("batch %d was made as number %d", b.n, i)
			}
		}
		if len(w.made) != w.batches || by[terminal] == 0 || by[bot] == 0 {
			t.Errorf("%d batches, %d of them by the terminal and %d by the bot", len(w.made), by[terminal], by[bot])
		}
	})
}

// slowFlush is a cache that is flushed in batches, with the guard asked between.
type slowFlush struct {
	batches int
	begun   chan struct{} // closed with the third batch

	mu   sync.Mutex
	made []sent
}

type sent struct {
	n  int
	by *Journal
}

func (w *slowFlush) by(j *Journal, pace time.Duration) Advance {
	return func(ctx context.Context, r runbook.Run) (runbook.Transition, error) {
		for r.State == runbook.StateFlush {
			if err := j.Guard(ctx); err != nil {
				return runbook.Transition{}, err
			}
			if !w.next(j) {
				break
			}
			select {
			case <-ctx.Done():
				return runbook.Transition{}, ctx.Err()
			case <-time.After(pace):
			}
		}
		return forward(ctx, r)
	}
}

func (w *slowFlush) next(j *Journal) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.made) == w.batches {
		return false
	}
	w.made = append(w.made, sent{len(w.made), j})
	if len(w.made) == 3 {
		close(w.begun)
	}
	return true
}

// TestStandInWaits: who stands in does not take the lock while a process that
// presents is there or may come back, however long nobody executes.
func TestStandInWaits(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		terminal, bot := open(t, url), open(t, url)
		stop := present(t, bot)
		eventually(t, "presenting", bot.Presenting)
		var mu sync.Mutex
		var states []runbook.State
		standIn(t, terminal, func(ctx context.Context, r runbook.Run) (runbook.Transition, error) {
			mu.Lock()
			defer mu.Unlock()
			states = append(states, r.State)
			return forward(ctx, r)
		})
		create(t, terminal, pending("r1", "a"))
		if _, err := approve(terminal, "r1", "U2"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the terminal looks twice", lookedTwice())
		stop() // an upgrade
		left := time.Now()
		again := open(t, url)
		eventually(t, "the terminal looks twice more", lookedTwice())
		if terminal.Executing() && time.Since(left) < returnWithin {
			t.Error("the terminal took the lock of a bot that may come back")
		}
		present(t, again)
		execute(t, again, forward)
		eventually(t, "the run is done", func() bool { return state(t, again, "r1") == runbook.StateDone })
		mu.Lock()
		defer mu.Unlock()
		if slices.Contains(states, runbook.StateFlush) {
			t.Errorf("the terminal executed %v", states)
		}
	})
}

// lookedTwice is true when enough time has passed for two looks at the lock.
func lookedTwice() func() bool {
	begin := time.Now()
	return func() bool { return time.Since(begin) > 2*lockPoll+lockPoll/2 }
}
