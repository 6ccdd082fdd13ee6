package stormtest

import (
	"path/filepath"
	"testing"

	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
)

// TestKilledInEveryState kills the real binary with SIGKILL in every state of a
// flush, also in the middle of it, while another client keeps writing fresh
// keys, and starts it again: the run ends once, its message shows the end,
// nothing that was written fresh is ever deleted, and no approval is lost. The
// short form kills it before the decision and in the middle of the flush.
func TestKilledInEveryState(t *testing.T) {
	t.Parallel()
	redistest.Need(t, "redis-server", "redis-cli")
	s := newStorm(t, filepath.Join(t.TempDir(), "journal.db"), 1, 1)
	s.caches[0].Proxy.Lag = 0
	states := bottest.FlushStates
	if !full() {
		states = []runbook.State{runbook.StatePending, runbook.StateFlush}
	}
	for _, state := range states {
		t.Run(string(state), func(t *testing.T) { s.killIn(t, state) })
	}
}

func (s *storm) killIn(t *testing.T, state runbook.State) {
	ctx, c := t.Context(), s.caches[0]
	stop, err := c.GoStale(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stop() // for any end
	start := func() *bottest.Process { return s.Serve(t) }
	bot := s.Connected(t, start)
	id, err := s.request(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	run := s.posted(t, id)
	held := c.Proxy.HoldWhile(func() bool { return s.reached(t, c, id, state) })
	if state != runbook.StatePending {
		s.approve(ctx, run)
		bottest.Await(t, "the run to be held in "+string(state), held)
	}
	bot.Kill()
	c.Proxy.Release()
	c.Proxy.DropAll()
	if run, err = s.journal.Run(ctx, id); err != nil || run.State != state {
		t.Fatalf("killed in %q, not in %q: %v", run.State, state, err)
	}
	bot = s.Connected(t, start)
	if state == runbook.StatePending {
		s.approve(ctx, run)
	}
	bottest.Poll(t, func() bool {
		m, ok := s.Sim.Message(run.Post.Channel, run.Post.TS)
		return ok && m.Metadata != nil && m.Metadata.Payload["state"] == string(runbook.StateDone)
	}, func() string { return "the message to show the end\n" + s.Sim.Transcript() })
	bot.Kill()
	c.Proxy.DropAll()
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
	bottest.Poll(t, func() (ok bool) {
		var err error
		run, err = s.journal.Run(t.Context(), id)
		return err == nil && run.Post.TS != ""
	}, func() string { return "the card" })
	return run
}

// reached says that the run stands in the state, and in the flush, that some
// entries are deleted and others are not.
func (s *storm) reached(t *testing.T, c *bottest.Cache, id string, state runbook.State) bool {
	run, err := s.journal.Run(t.Context(), id)
	if err != nil || run.State != state {
		return false
	}
	return state != runbook.StateFlush || c.Redis.DBSize(t.Context()).Val() < bottest.Entries
}
