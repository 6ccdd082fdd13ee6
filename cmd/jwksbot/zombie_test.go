package main

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

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
	c.proxy.lag = 0
	ctx := t.Context()

	first := s.serve(t)
	first.says("executing runs")
	second := s.serve(t)
	second.says("another process executes runs")
	stop, err := c.goStale(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stop() // for any end
	id, err := s.request(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	run := s.posted(t, id)
	left := func() int64 { return c.redis.DBSize(ctx).Val() }
	held := c.proxy.holdWhile(func() bool { return left() < stormEntries })
	s.approve(ctx, run)
	await(t, "the first batch", held)
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	before := stormEntries - left()
	if before >= stormEntries {
		t.Fatal("the flush was over before it could be stopped: the test proved nothing")
	}
	c.proxy.release() // what was sent arrives
	second.says("executing runs")
	t.Logf("stopped after %d of %d entries; taken over after %v", before, stormEntries, time.Since(stopped).Round(10*time.Millisecond))
	poll(t, func() bool { r, err := s.journal.Run(ctx, id); return err == nil && r.State.Ended() }, func() string { return "the end of the run" })

	stop()                        // until here it refilled the cache, or its proof would be waited for
	for i := range stormEntries { // an authoriser writes what it still holds
		c.redis.Set(ctx, entryName(i), c.old, time.Hour)
	}
	trail, err := s.journal.AuditHead(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	first.says("does not execute runs any more")
	first.says("another process executes runs, waiting")
	gone := 0
	for i := range stormEntries {
		if value, err := c.redis.Get(ctx, entryName(i)).Bytes(); err != nil || !bytes.Equal(value, c.old) {
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
	second.kill()
	poll(t, func() bool { return strings.Count(first.said(), `"executing runs"`) == 2 }, func() string { return "its turn\n" + first.said() })
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

// judgeEnd: the run is done, with one receipt of each step.
func (s *storm) judgeEnd(t *testing.T, id string) {
	t.Helper()
	run, err := s.journal.Run(t.Context(), id)
	if err != nil || run.State != runbook.StateDone {
		t.Fatalf("the run is %s: %s, %v", run.State, run.Outcome, err)
	}
	steps := map[string]int{}
	for _, r := range run.Receipts {
		if steps[r.Step]++; steps[r.Step] > 1 {
			t.Errorf("two receipts of %s", r.Step)
		}
	}
	if _, err := s.journal.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
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
	replicas := []*process{s.serve(t), s.serve(t)}
	c := s.caches[0]
	refilled, err := c.goStale(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.request(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	held := c.proxy.holdWhile(func() bool { return s.deleted(ctx, id) > 0 })
	restarted := make(chan error, 1)
	go func() {
		select {
		case <-held: // in the middle of the flush
		case <-ctx.Done():
		}
		server.Halt()
		c.proxy.release()
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
	for _, m := range s.sim.Messages("C0BRIDGE") {
		if m.Metadata != nil && m.Metadata.Payload["run_id"] == id && !m.InThread() {
			cards++
		}
	}
	if cards != 1 {
		t.Errorf("%d cards of one run", cards)
	}
	for _, r := range replicas {
		select {
		case <-r.ended:
			t.Errorf("a replica ended: %v", r.cmd.ProcessState)
		default:
		}
	}
}
