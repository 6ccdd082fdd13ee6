package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"jwksbot/runbook"
)

// sharedClock is real time and all jumps that the test makes, in two processes:
// the test's own and the program's that it kills. A file holds the sum of the
// jumps.
type sharedClock struct{ file string }

// sharedClockEnv names the file of the clock to a program that goes by it.
const sharedClockEnv = "JWKSBOT_TEST_CLOCK"

// timedProgram is the command of [TestMain] that is this program under a shared
// clock.
const timedProgram = "jwksbot-timed"

// timedMain is main, but for the clock, and that it only ends when it is killed.
func timedMain() {
	w := system()
	w.clock = &sharedClock{os.Getenv(sharedClockEnv)}
	os.Exit(run(context.Background(), os.Args[1:], w))
}

func newSharedClock(t *testing.T) *sharedClock {
	t.Helper()
	c := &sharedClock{filepath.Join(t.TempDir(), "clock")}
	if err := c.write(0); err != nil {
		t.Fatal(err)
	}
	return c
}

// Now is the time in every process that has the file. A clock that cannot be
// read ends the process: it must not go on in real time.
func (c *sharedClock) Now() time.Time {
	ahead, err := c.read()
	if err != nil {
		panic(err)
	}
	return time.Now().UTC().Add(ahead)
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

// jump lets the clock show d more. Only the test does that.
func (c *sharedClock) jump(d time.Duration) error {
	ahead, err := c.read()
	if err != nil {
		return err
	}
	return c.write(ahead + d)
}

func (c *sharedClock) read() (time.Duration, error) {
	b, err := os.ReadFile(c.file)
	if err != nil {
		return 0, err
	}
	return time.ParseDuration(string(b))
}

// write replaces the file at once: it is read at any time.
func (c *sharedClock) write(ahead time.Duration) error {
	if err := os.WriteFile(c.file+".new", []byte(ahead.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(c.file+".new", c.file)
}
