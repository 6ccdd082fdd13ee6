package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/journal"
)

// full says that the tests which kill the program run at their full length, as
// .ci/run has them: go test ./... alone shall not take minutes.
func full() bool { return os.Getenv("JWKSBOT_FULL") == "1" }

// flushStates are the states of a run that only flushes;
// [TestKilledInLaterStates] has the others.
var flushStates = []runbook.State{runbook.StatePending, runbook.StateApproved, runbook.StateSnapshot, runbook.StateFlush, runbook.StateVerify}

// TestKilledInEveryState kills the real binary with SIGKILL in every state of a
// flush, also in the middle of it, while another client keeps writing fresh
// keys, and starts it again: the run ends once, its message shows the end,
// nothing that was written fresh is ever deleted, and no approval is lost. The
// short form kills it before the decision and in the middle of the flush.
func TestKilledInEveryState(t *testing.T) {
	t.Parallel()
	redistest.Need(t, "redis-server", "redis-cli")
	s := newStorm(t, filepath.Join(t.TempDir(), "journal.db"), 1, 1)
	s.caches[0].proxy.lag = 0
	states := flushStates
	if !full() {
		states = []runbook.State{runbook.StatePending, runbook.StateFlush}
	}
	for _, state := range states {
		t.Run(string(state), func(t *testing.T) { s.killIn(t, state) })
	}
}

func (s *storm) killIn(t *testing.T, state runbook.State) {
	ctx, c := t.Context(), s.caches[0]
	stop, err := c.goStale(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stop() // for any end
	start := func() *process { return s.serve(t) }
	bot := s.connected(t, start)
	id, err := s.request(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	run := s.posted(t, id)
	held := c.proxy.holdWhile(func() bool { return s.reached(t, c, id, state) })
	if state != runbook.StatePending {
		s.approve(ctx, run)
		await(t, "the run to be held in "+string(state), held)
	}
	bot.kill()
	c.proxy.release()
	c.proxy.dropAll()
	if run, err = s.journal.Run(ctx, id); err != nil || run.State != state {
		t.Fatalf("killed in %q, not in %q: %v", run.State, state, err)
	}
	bot = s.connected(t, start)
	if state == runbook.StatePending {
		s.approve(ctx, run)
	}
	poll(t, func() bool {
		m, ok := s.sim.Message(run.Post.Channel, run.Post.TS)
		return ok && m.Metadata != nil && m.Metadata.Payload["state"] == string(runbook.StateDone)
	}, func() string { return "the message to show the end\n" + s.sim.Transcript() })
	bot.kill()
	c.proxy.dropAll()
	if err := s.judgeCache(ctx, c, id, stop()); err != nil {
		t.Error(err)
	}
	s.judgeEnd(t, id)
	s.judgeOnce(t, id)
}

// posted waits until the journal knows where the card stands. A kill between the
// post and this record leaves a second message, since Slack tells nobody without
// the right to read a channel's history whether a post arrived.
func (s *storm) posted(t *testing.T, id string) (run runbook.Run) {
	t.Helper()
	poll(t, func() (ok bool) {
		var err error
		run, err = s.journal.Run(t.Context(), id)
		return err == nil && run.Post.TS != ""
	}, func() string { return "the card" })
	return run
}

// reached says that the run stands in the state, and in the flush, that some
// entries are deleted and others are not.
func (s *storm) reached(t *testing.T, c *stormCache, id string, state runbook.State) bool {
	run, err := s.journal.Run(t.Context(), id)
	if err != nil || run.State != state {
		return false
	}
	return state != runbook.StateFlush || c.redis.DBSize(t.Context()).Val() < stormEntries
}

// judgeOnce: one row of the effect, and one message.
func (s *storm) judgeOnce(t *testing.T, id string) {
	t.Helper()
	effects, messages := 0, 0
	for row, err := range s.journal.AuditRows(t.Context(), journal.AuditFilter{Run: id, Kind: "effect"}) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Kind == "effect" {
			effects++
		}
	}
	for _, m := range s.sim.Messages("C0BRIDGE") {
		if !m.InThread() && m.Metadata != nil && m.Metadata.Payload["run_id"] == id {
			messages++
		}
	}
	if effects != 1 || messages != 1 {
		t.Errorf("%d rows of the effect and %d messages, want one of each", effects, messages)
	}
}

func entryName(i int) string { return fmt.Sprintf("jwks:tenant:%d", i) }

// compactJSON writes a document as an authoriser that caches it would.
func compactJSON(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
