package stormtest

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/journal/postgrestest"
)

// TestZombie stops the executor in the middle of a flush, so that another
// replica takes over and ends it, and lets it go on: it deletes nothing more,
// not even an old entry that came back, and waits for its turn.
func TestZombie(t *testing.T) {
	t.Parallel()
	redistest.Need(t, "redis-server", "redis-cli")
	var server postgrestest.Server
	t.Cleanup(server.Stop)
	s := newStorm(t, server.Database(t), 2, 1)
	c := s.caches[0]
	c.Proxy.Lag = 0
	ctx := t.Context()

	first := s.Serve(t)
	first.Says("executing runs")
	second := s.Serve(t)
	second.Says("another process executes runs")
	stop, err := c.GoStale(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stop() // for any end
	id, err := s.request(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	run := s.posted(t, id)
	left := func() int64 { return c.Redis.DBSize(ctx).Val() }
	held := c.Proxy.HoldWhile(func() bool { return left() < bottest.Entries })
	s.approve(ctx, run)
	bottest.Await(t, "the first batch", held)
	if err := first.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	before := bottest.Entries - left()
	if before >= bottest.Entries {
		t.Fatal("the flush was over before it could be stopped: the test proved nothing")
	}
	c.Proxy.Release() // what was sent arrives
	second.Says("executing runs")
	t.Logf("stopped after %d of %d entries; taken over after %v", before, bottest.Entries, time.Since(stopped).Round(10*time.Millisecond))
	bottest.Poll(t, func() bool { r, err := s.journal.Run(ctx, id); return err == nil && r.State.Ended() }, func() string { return "the end of the run" })

	stop()                           // until here it refilled the cache, or its proof would be waited for
	for i := range bottest.Entries { // an authoriser writes what it still holds
		c.Redis.Set(ctx, bottest.EntryName(i), c.Old, time.Hour)
	}
	trail, err := s.journal.AuditHead(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	first.Says("does not execute runs any more")
	first.Says("another process executes runs, waiting")
	gone := 0
	for i := range bottest.Entries {
		if value, err := c.Redis.Get(ctx, bottest.EntryName(i)).Bytes(); err != nil || !bytes.Equal(value, c.Old) {
			gone++
		}
	}
	if gone > 0 {
		t.Errorf("the zombie deleted %d entries that were written after the run", gone)
	}
	if now, err := s.journal.AuditHead(ctx); err != nil || now != trail {
		t.Errorf("the zombie wrote into the trail: %v was %v, %v", now, trail, err)
	}
	s.judgeEnd(t, id)
	second.Kill()
	bottest.Poll(t, func() bool { return strings.Count(first.Said(), `"executing runs"`) == 2 }, func() string { return "its turn\n" + first.Said() })
}

// deleted is how many entries the journal knows to be deleted.
func (s *storm) deleted(ctx context.Context, id string) (n int) {
	fates, err := s.journal.Fates(ctx, id)
	if err != nil {
		return 0
	}
	for _, f := range fates {
		if f.Fate == runbook.FateDeleted {
			n++
		}
	}
	return n
}

// TestPostgresRestart: two replicas, and the server of the journal is restarted
// in the middle of a run: both go on, and nothing is lost, whichever replica the
// request and the clicks came to.
func TestPostgresRestart(t *testing.T) {
	t.Parallel()
	redistest.Need(t, "redis-server", "redis-cli")
	var server postgrestest.Server
	t.Cleanup(server.Stop)
	s := newStorm(t, server.Database(t), 2, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	replicas := []*bottest.Process{s.Serve(t), s.Serve(t)}
	c := s.caches[0]
	refilled, err := c.GoStale(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.request(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	held := c.Proxy.HoldWhile(func() bool { return s.deleted(ctx, id) > 0 })
	restarted := make(chan error, 1)
	go func() {
		select {
		case <-held: // in the middle of the flush
		case <-ctx.Done():
		}
		server.Halt()
		c.Proxy.Release()
		restarted <- server.Restart()
	}()
	err = s.seeThrough(ctx, id, nil)
	written := refilled()
	if err != nil {
		t.Error(err)
	}
	if err := <-restarted; err != nil {
		t.Error(err)
	}
	if err := s.judgeCache(ctx, c, id, written); err != nil {
		t.Error(err)
	}
	s.judgeEnd(t, id)
	cards := 0
	for _, m := range s.Sim.Messages("C0BRIDGE") {
		if m.Metadata != nil && m.Metadata.Payload["run_id"] == id && !m.InThread() {
			cards++
		}
	}
	if cards != 1 {
		t.Errorf("%d cards of one run", cards)
	}
	for _, r := range replicas {
		select {
		case <-r.Ended:
			t.Errorf("a replica ended: %v", r.Cmd.ProcessState)
		default:
		}
	}
}
