package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"jwksbot/runbook"
)

// lines is a log that tests read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

// with returns the lines of a message.
func (l *lines) with(t *testing.T, msg string) (out []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if m["msg"] == msg {
			out = append(out, m)
		}
	}
	return out
}

// distinct returns the rows in the log, each once: it may have one twice.
func (l *lines) distinct(t *testing.T) (out []map[string]any) {
	t.Helper()
	seen := map[any]bool{}
	for _, row := range l.with(t, "audit") {
		if !seen[row["seq"]] {
			seen[row["seq"]] = true
			out = append(out, row)
		}
	}
	return out
}

// TestAuditStream: every row goes to the log, also those that another process
// wrote and those that were written while nobody executed; none is left out
// when the executor changes, and the head goes to the log with them.
func TestAuditStream(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx := context.Background()
		var rows, log lines
		j := openWith(t, Settings{URL: url, Log: log.logger(), AuditLog: rows.logger(), HeadEvery: 2})
		other := open(t, url)
		note := func(actor string) {
			t.Helper()
			if err := other.Note(ctx, runbook.AuditEntry{Actor: actor, Kind: "view", Detail: "line\nbreak"}); err != nil {
				t.Fatal(err)
			}
		}
		note("U1")
		stop := execute(t, j, forward)
		eventually(t, "the row of before is in the log", func() bool { return len(rows.distinct(t)) == 1 })
		note("U2")
		note("U3")
		eventually(t, "the rows of the other process are in the log", func() bool { return len(rows.distinct(t)) == 3 })
		eventually(t, "the head is in the log", func() bool {
			heads := log.with(t, headText)
			return len(heads) > 0 && strings.HasSuffix(fmt.Sprint(heads[len(heads)-1]["head"]), "@3")
		})
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		note("U4")
		execute(t, openWith(t, Settings{URL: url, AuditLog: rows.logger()}), forward)
		eventually(t, "the next executor goes on", func() bool { return len(rows.distinct(t)) == 4 })
		for i, row := range rows.distinct(t) {
			if row["seq"] != float64(i+1) || row["actor"] != fmt.Sprintf("U%d", i+1) || len(fmt.Sprint(row["hash"])) != 64 {
				t.Errorf("line %d is %v", i, row)
			}
		}
		heads := log.with(t, headText)
		mark, err := ParseAuditMark(fmt.Sprint(heads[len(heads)-1]["head"]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.VerifyAudit(ctx, mark); err != nil {
			t.Errorf("the head of the log does not verify: %v", err)
		}
	})
}

// TestAuditCutIsNoticed: the executor itself says that rows which the log has
// are gone.
func TestAuditCutIsNoticed(t *testing.T) {
	var log lines
	j := openWith(t, Settings{URL: sqliteURL(t), Log: log.logger(), HeadEvery: 1})
	for range 3 {
		if err := j.Note(context.Background(), runbook.AuditEntry{Kind: "view"}); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, j, forward)
	eventually(t, "the head is in the log", func() bool { return len(log.with(t, headText)) == 1 })
	if _, err := j.db.Exec(`DELETE FROM audit WHERE seq = 3; UPDATE audit_head SET seq = 2, hash = (SELECT hash FROM audit WHERE seq = 2)`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cut is in the log", func() bool { return len(log.with(t, "the audit trail was cut off or rewritten")) == 1 })
}

func TestParseAuditMark(t *testing.T) {
	m := AuditMark{Seq: 12, Hash: forged}
	if got, err := ParseAuditMark(" " + m.String() + "\n"); err != nil || got != m {
		t.Errorf("%v became %v, %v", m, got, err)
	}
	for _, bad := range []string{"", "12", forged, forged + "@", forged + "@0", forged + "@-1", forged + "@x", "abc@12", strings.ToUpper(forged) + "@12"} {
		if m, err := ParseAuditMark(bad); err == nil {
			t.Errorf("%q was read as %v", bad, m)
		}
	}
}
