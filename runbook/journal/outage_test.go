package journal

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/journal/postgrestest"
)

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestOutage: a replica that waits says once that Postgres is away and once that
// it is back, however often it asks meanwhile.
func TestOutage(t *testing.T) {
	t.Parallel()
	var server postgrestest.Server
	t.Cleanup(server.Stop)
	url := server.Database(t)
	var out safeBuffer
	holder := open(t, url)
	execute(t, holder, forward)
	eventually(t, "executing", holder.Executing)
	waiting := openWith(t, Settings{URL: url, Log: slog.New(slog.NewTextHandler(&out, nil))})
	execute(t, waiting, forward)
	eventually(t, "waiting", func() bool { return strings.Contains(out.String(), "another process executes") })

	server.Halt()
	for n := range 5 { // beside its own asking for the lock
		_, err := waiting.Runs(context.Background(), runbook.Filter{})
		if err == nil || n > 2 && !runbook.LedgerAway(err) { // connections from before break in their own ways
			t.Errorf("read while the server was away: %v", err)
		}
		if _, err := waiting.tryLock(context.Background(), lockKey); !runbook.LedgerAway(err) {
			t.Errorf("locked while the server was away: %v", err)
		}
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one of the two to execute", func() bool { return waiting.Executing() || holder.Executing() })
	eventually(t, "the one that waited to say so", func() bool { return strings.Contains(out.String(), "the journal can be used again") })
	said := out.String()
	for what, want := range map[string]int{
		"the journal cannot be used: until it can, nothing is requested, approved or carried out": 1,
		"the journal can be used again": 1, "level=ERROR": 1, "level=WARN": 0,
	} {
		if n := strings.Count(said, what); n != want {
			t.Errorf("%q is said %d times, not %d:\n%s", what, n, want, said)
		}
	}
}

// TestOutageReminds: a long outage is in the log once a minute.
func TestOutageReminds(t *testing.T) {
	var out safeBuffer
	o := newStanding(slog.New(slog.NewTextHandler(&out, nil)), func(_ string, err error) error { return err })
	o.watch(false)
	begin := time.Unix(0, 0)
	for s := range 150 {
		o.lasts(begin.Add(time.Duration(s)*time.Second), context.DeadlineExceeded)
	}
	o.over(begin.Add(150 * time.Second))
	o.over(begin.Add(151 * time.Second))
	if said := out.String(); strings.Count(said, "cannot be used") != 3 || strings.Count(said, "for=1m0s") != 1 || strings.Count(said, "after=2m30s") != 1 {
		t.Errorf("%s", said)
	}
}
