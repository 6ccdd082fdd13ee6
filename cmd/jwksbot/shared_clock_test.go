package main

import (
	"context"
	"encoding/json"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"jwksbot/runbook"
)

// sharedClock is a clock for two processes, a test and the program that it
// kills: it runs faster than life, and jumps when the test says so. A file
// holds how it goes.
type sharedClock struct {
	file string
	mu   sync.Mutex // of jumps
}

// course is how a shared clock goes.
type course struct {
	Start time.Time     // when it showed real time
	Speed float64       // times real time
	Ahead time.Duration // all jumps
}

// sharedClockEnv names the file of the clock to a program that goes by it.
const sharedClockEnv = "JWKSBOT_TEST_CLOCK"

// timedProgram is the command of [TestMain] that is this program under a shared
// clock.
const timedProgram = "jwksbot-timed"

// timedMain is main, but for the clock.
func timedMain() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	w := system()
	w.clock = &sharedClock{file: os.Getenv(sharedClockEnv)}
	os.Exit(run(ctx, os.Args[1:], w))
}

func newSharedClock(t *testing.T, speed float64) *sharedClock {
	t.Helper()
	c := &sharedClock{file: filepath.Join(t.TempDir(), "clock")}
	if err := c.write(course{Start: time.Now().UTC(), Speed: speed}); err != nil {
		t.Fatal(err)
	}
	return c
}

// Now is the time in every process that has the file. A clock that cannot be
// read ends the process: it must not go on in real time.
func (c *sharedClock) Now() time.Time {
	now, err := c.read()
	if err != nil {
		panic(err)
	}
	return now.Start.Add(time.Duration(float64(time.Since(now.Start))*now.Speed) + now.Ahead)
}

// Wait waits until the clock shows d more, also by a jump.
func (c *sharedClock) Wait(ctx context.Context, d time.Duration) error {
	for end := c.Now().Add(d); ctx.Err() == nil && c.Now().Before(end); {
		if err := (runbook.SystemClock{}).Wait(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// jumpTo lets the clock show that time, if it is later.
func (c *sharedClock) jumpTo(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, err := c.read()
	if ahead := at.Sub(c.Now()); err == nil && ahead > 0 {
		now.Ahead += ahead
		err = c.write(now)
	}
	return err
}

func (c *sharedClock) read() (now course, err error) {
	b, err := os.ReadFile(c.file)
	if err == nil {
		err = json.Unmarshal(b, &now)
	}
	return now, err
}

// write replaces the file at once: it is read at any time.
func (c *sharedClock) write(now course) error {
	b, err := json.Marshal(now)
	if err == nil {
		err = os.WriteFile(c.file+".new", b, 0o600)
	}
	if err != nil {
		return err
	}
	return os.Rename(c.file+".new", c.file)
}
