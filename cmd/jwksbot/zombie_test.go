package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/journal/postgrestest"
)

// servant is one "serve" of a storm's configuration, without the storm.
type servant struct {
	cmd   *exec.Cmd
	log   lockedBuffer
	ended chan struct{}
}

func (s *storm) serve(t *testing.T) *servant {
	t.Helper()
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	p := &servant{cmd: exec.Command(file, "serve", "--config", filepath.Join(s.dir, "jwksbot.yaml")), ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = s.env, &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		p.cmd.Process.Kill() // also a stopped one
		<-p.ended
		if t.Failed() {
			t.Logf("a process said:\n%s", p.log.String())
		}
	})
	return p
}

// says waits for words in the process's log.
func (p *servant) says(t *testing.T, words string) {
	t.Helper()
	poll(t, func() bool { return strings.Contains(p.log.String(), words) }, func() string { return words + " in\n" + p.log.String() })
}

// TestZombie stops the executor in the middle of a flush, so that another
// replica takes over and ends it, and lets it go on: it deletes nothing more,
// not even an old entry that came back, and ends.
func TestZombie(t *testing.T) {
	t.Parallel()
	redistest.Need(t, "redis-server", "redis-cli")
	var server postgrestest.Server
	t.Cleanup(server.Stop)
	s := newStorm(t, server.Database(t), 2, 1)
	c := s.caches[0]
	c.proxy.lag = 100 * time.Millisecond // so that a slow test does not stop it too late
	ctx := t.Context()

	first := s.serve(t)
	first.says(t, "executing runs")
	second := s.serve(t)
	second.says(t, "another process executes runs")
	stop, err := c.goStale(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stop() // for any end
	id, err := s.request(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	poll(t, func() bool { r, err := s.journal.Run(ctx, id); return err == nil && r.Post.TS != "" }, func() string { return "the card" })
	run, err := s.journal.Run(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	s.approve(ctx, run)
	poll(t, func() bool { return s.deleted(ctx, id) > 0 }, func() string { return "the first batch" })
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	before := s.deleted(ctx, id)
	if before >= stormEntries {
		t.Fatal("the flush was over before it could be stopped: the test proved nothing")
	}
	second.says(t, "executing runs")
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
	select {
	case <-first.ended:
	case <-bounded(t, 60*time.Second).Done():
		t.Fatal("the replaced executor does not end")
	}
	if first.cmd.ProcessState.Success() {
		t.Error("the replaced executor ended as if all was well")
	}
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

// TestPostgresRestart: two replicas under a supervisor, and the server of the
// journal is restarted in the middle of a run: nothing is lost, whichever
// replica the request and the clicks came to.
func TestPostgresRestart(t *testing.T) {
	t.Parallel()
	redistest.Need(t, "redis-server", "redis-cli")
	var server postgrestest.Server
	t.Cleanup(server.Stop)
	s := newStorm(t, server.Database(t), 2, 1)
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	supervisors := make(chan error, s.replicas)
	for range s.replicas {
		go func() { supervisors <- s.supervise(ctx, file) }()
	}
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
	stop()
	for range s.replicas {
		if err := <-supervisors; err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		for _, l := range s.logs {
			t.Logf("a process said:\n%s", l.String())
		}
	}
}

// supervise starts a replica again whenever it ends, until ctx does.
func (s *storm) supervise(ctx context.Context, file string) error {
	for ctx.Err() == nil {
		cmd := exec.CommandContext(ctx, file, "serve", "--config", filepath.Join(s.dir, "jwksbot.yaml"))
		cmd.Env = s.env
		log := &lockedBuffer{}
		cmd.Stdout, cmd.Stderr = log, log
		s.keep(log)
		if err := cmd.Start(); err != nil {
			if ctx.Err() != nil || os.IsNotExist(err) {
				return nil
			}
			return err
		}
		cmd.Wait()
	}
	return nil
}
