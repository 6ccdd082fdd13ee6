package main

import (
	"context"
	"flag"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
)

var update = flag.Bool("update", false, "write the golden files anew")

// quietWorld is a process whose output nobody reads.
func quietWorld() *world {
	w := &world{stdin: nil, stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }, clock: runbook.SystemClock{}}
	w.log = newLogger(w)
	return w
}

// startStage runs the demo with the real bot on it until the test ends.
func startStage(t *testing.T, scenario string) *stage {
	t.Helper()
	return startDemo(t, demoCmd{Scenario: scenario, Speed: 1})
}

// startDemo runs a demo with the real bot on it until the test ends.
func startDemo(t *testing.T, c demoCmd) *stage {
	t.Helper()
	c.Listen = "127.0.0.1:0"
	w := quietWorld()
	st, err := c.build(t.Context(), w, filepath.Join(t.TempDir(), "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	st.play(t, w)
	return st
}

// play runs the real bot on the stage until the test ends.
func (st *stage) play(t *testing.T, w *world) {
	t.Helper()
	t.Cleanup(func() {
		if err := st.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	st.start(t, w)
}

// start runs the real bot until the returned function is called, or the test
// ends.
func (st *stage) start(t *testing.T, w *world) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- st.serve(ctx, w) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(stop)
	until(t, st.sim, "the bot to connect", func(s *slacksim.Sim) bool { return len(s.Connections()) > 0 })
	return stop
}

// until waits for something to be seen in the workspace.
func until(t *testing.T, sim *slacksim.Sim, what string, holds func(*slacksim.Sim) bool) {
	t.Helper()
	if err := sim.Wait(bottest.Bounded(t, 90*time.Second), holds); err != nil {
		t.Fatalf("waiting for %s: %v\n%s", what, err, sim.Transcript())
	}
}
