package stormtest

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/journal/postgrestest"
)

// TestFullDisk fills the disk under the journal of a real bot: whoever clicks or
// types hears that it is full, and so does the log; nothing is lost, and with
// room again the run is approved and carried out.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	redistest.Need(t, "redis-server", "redis-cli")
	disk := os.Getenv(smallDiskEnv)
	if disk == "" {
		inSmallDisk(t)
		return
	}
	file := filepath.Join(disk, "journal.db")
	s := newStorm(t, file, 1, 1)
	p := s.Serve(t)
	p.Says("executing runs")

	ballast := filepath.Join(disk, "ballast")
	s.faulty(t, p, "jwksbot's journal does not work: the disk is full; free some space", "the disk is full; free some space", func() {
		emptyWAL(t, file)
		f, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for page := make([]byte, 4096); err == nil; {
			_, err = f.Write(page)
		}
	}, func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	})
}

// smallDiskEnv names a small disk that the test may fill.
const smallDiskEnv = "JWKSBOT_TEST_SMALL_DISK"

// inSmallDisk runs the test again in a mount namespace of its own, in which it
// has a small disk.
func inSmallDisk(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file, err := bottest.Program()
	if err != nil {
		t.Fatal(err)
	}
	disk := t.TempDir()
	mount := []string{"-rm", "sh", "-c", `mount -t tmpfs -o size=32m none "$0" && exec "$@"`, disk}
	if out, err := exec.Command("unshare", append(mount, "true")...).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be made here: %v: %s", err, out)
	}
	cmd := exec.CommandContext(bottest.Bounded(t, stormPatience), "unshare", append(mount, self, "-test.run=^"+t.Name()+"$", "-test.v")...)
	cmd.Env = append(os.Environ(), smallDiskEnv+"="+disk, bottest.ProgramEnv+"="+file)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in the small disk: %v\n%s", err, out)
	}
}

// emptyWAL makes the next write need room: SQLite writes over what its log
// holds already.
func emptyWAL(t *testing.T, file string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var busy, frames, done int
	bottest.Poll(t, func() bool {
		err := db.QueryRow(`PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &done)
		return err == nil && busy == 0
	}, func() string { return "the log to be emptied" })
}

// TestUnreachablePostgres halts the server of the journal: both replicas wait
// for it and tell everybody, and one of them goes on when it is back.
func TestUnreachablePostgres(t *testing.T) {
	t.Parallel()
	redistest.Need(t, "redis-server", "redis-cli")
	var server postgrestest.Server
	t.Cleanup(server.Stop)
	s := newStorm(t, server.Database(t), 2, 1)
	first := s.Serve(t)
	first.Says("executing runs")
	second := s.Serve(t)
	second.Says("another process executes runs")
	// What is complained of first may still be that it shuts down.
	s.faulty(t, second, "The journal is unavailable at the moment. Nothing is lost; try again", "the server cannot be reached|the server is starting or stopping", func() {
		server.Halt()
		first.Says("does not execute runs any more")
	}, func() {
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
	})
}

// faulty requests a flush, breaks the journal, clicks and types, which is
// answered with what is told, heals the journal and sees the run through.
func (s *storm) faulty(t *testing.T, p *bottest.Process, told, logged string, breaks, heals func()) {
	t.Helper()
	ctx, c := t.Context(), s.caches[0]
	c.Proxy.Lag = 0
	stop, err := c.GoStale(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stop() // a cache that nobody refills is waited for
	id, err := s.request(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	run := s.posted(t, id)

	breaks()
	if d := s.Sim.Click("U0LEAD", run.Post.Channel, run.Post.TS, "approve"); d.Err != nil {
		t.Fatal(d.Err)
	}
	hears := func(who string) {
		t.Helper()
		bottest.Poll(t, func() bool {
			return slices.ContainsFunc(s.Sim.Ephemerals(who, "C0BRIDGE"), func(m slacksim.Message) bool { return strings.Contains(m.Text, told) })
		}, func() string { return who + " to be told\n" + s.Sim.Transcript() })
	}
	hears("U0LEAD")
	if d := s.Sim.Command("U0ONCALL", "C0BRIDGE", "/jwks-flush "+c.Name+" INC-2 typed meanwhile"); d.Err != nil {
		t.Fatal(d.Err)
	}
	hears("U0ONCALL")
	p.Says(logged)

	heals()
	bottest.Poll(t, func() bool { run, err = s.journal.Run(ctx, id); return err == nil }, func() string { return "the journal" })
	if run.State != runbook.StatePending || len(run.Decisions) != 0 {
		t.Fatalf("the run is %s with %d decisions", run.State, len(run.Decisions))
	}
	bottest.Poll(t, func() bool {
		if run.State == runbook.StatePending {
			s.approve(ctx, run)
		}
		run, err = s.journal.Run(ctx, id)
		return err == nil && run.State.Ended()
	}, func() string { return "the end of the run" })
	s.judgeEnd(t, id)
}
