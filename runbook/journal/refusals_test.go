package journal

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"jwksbot/runbook"
)

// trail is everything that was recorded, and holds that the chain is whole.
func trail(t *testing.T, j *Journal) (rows []AuditRow) {
	t.Helper()
	if _, err := j.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
	for row, err := range j.AuditRows(t.Context(), AuditFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// TestRefusalsAreFolded: whoever is refused again and again, by any number of
// processes, leaves two rows in ten minutes.
func TestRefusalsAreFolded(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		clock := &setClock{now: start}
		a, b := openWith(t, Settings{URL: url, Clock: clock}), openWith(t, Settings{URL: url, Clock: clock})
		no := func(j *Journal, actor string) {
			entry := runbook.AuditEntry{At: clock.Now(), Actor: actor, Kind: "refused", Target: "production", Detail: "view: You may not."}
			if err := j.NoteFolded(context.Background(), actor+" view", entry); err != nil {
				t.Error(err)
			}
		}
		var all sync.WaitGroup
		for n := range 40 {
			all.Go(func() { no([]*Journal{a, b}[n%2], "U1") })
		}
		all.Wait()
		no(b, "U2")
		if rows := trail(t, a); len(rows) != 2 || rows[0].Actor == rows[1].Actor {
			t.Fatalf("%+v", rows)
		}
		clock.set(start.Add(9 * time.Minute))
		no(a, "U1")
		clock.set(start.Add(foldFor))
		if err := b.sumRefusals(t.Context()); err != nil {
			t.Fatal(err)
		}
		rows := trail(t, a)
		if len(rows) != 3 || rows[2].Detail != "40 more until 02:49:00 UTC: view: You may not." || rows[2].Actor != "U1" || rows[2].Target != "production" {
			t.Fatalf("%+v", rows)
		}
		no(a, "U1")
		no(a, "U1")
		clock.set(start.Add(2 * foldFor))
		no(b, "U1") // nobody swept: the next one ends the fold
		if rows := trail(t, a); len(rows) != 6 || rows[4].Detail != "1 more until 02:50:00 UTC: view: You may not." {
			t.Fatalf("%+v", rows[3:])
		}
	})
}

// TestRefusalsThatAllDiffer: who makes every entry another one does not fill
// the trail either.
func TestRefusalsThatAllDiffer(t *testing.T) {
	j := open(t, sqliteURL(t))
	for n := range maxFolds + 50 {
		err := j.NoteFolded(t.Context(), fmt.Sprint(n), runbook.AuditEntry{Actor: fmt.Sprint("arn:", n), Kind: "refused", Detail: "mapped to nobody"})
		if err != nil {
			t.Fatal(err)
		}
	}
	rows := trail(t, j)
	if len(rows) != maxFolds+1 || !strings.Contains(rows[maxFolds].Detail, "counted, not named") {
		t.Errorf("%d rows, the last: %+v", len(rows), rows[len(rows)-1])
	}
}

// TestTheLastWord: what the workspace said last outlives a process and never
// goes back.
func TestTheLastWord(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		a, b := open(t, url), open(t, url)
		if answer, _, err := a.LastSaid(t.Context(), "U1"); answer != nil || err != nil {
			t.Fatalf("%s, %v", answer, err)
		}
		keep := func(j *Journal, answer string, after time.Duration) {
			t.Helper()
			if err := j.KeepSaid(t.Context(), "U1", []byte(answer), start.Add(after)); err != nil {
				t.Fatal(err)
			}
		}
		says := func(want string, after time.Duration) {
			t.Helper()
			if answer, at, err := b.LastSaid(t.Context(), "U1"); err != nil || string(answer) != want || !at.Equal(start.Add(after)) {
				t.Errorf("%s at %v, %v; want %s at %v", answer, at, err, want, after)
			}
		}
		keep(a, `{"Kind":"member"}`, 0)
		keep(b, `{"Kind":"member"}`, saidEvery/2) // the same again: not worth a write
		says(`{"Kind":"member"}`, 0)
		keep(a, `{"Kind":"gone"}`, saidEvery/2)
		says(`{"Kind":"gone"}`, saidEvery/2)
		keep(b, `{"Kind":"member"}`, time.Second) // an older answer that comes late
		says(`{"Kind":"gone"}`, saidEvery/2)
		keep(b, `{"Kind":"gone"}`, 2*saidEvery)
		says(`{"Kind":"gone"}`, 2*saidEvery)
	})
}

// setClock says the time that a test has set.
type setClock struct {
	runbook.SystemClock
	mu  sync.Mutex
	now time.Time
}

func (c *setClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *setClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}
