package check

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/standin"
)

// One entry that cannot be read, or costs too much, hides no other one and is
// never called empty.
func TestWhatIsNotReadIsNotEmpty(t *testing.T) {
	live := runbook.LiveEvidence{Probes: []runbook.Probe{standin.Good("a=1"), standin.Good("a=1"), standin.Good("a=1")}}
	unread := func(name string) runbook.Entry {
		return runbook.Entry{Name: name, Type: "list", TTL: runbook.NoExpiry, Bytes: 1 << 28, Reading: runbook.UnreadReading("too large: 3 elements in 268,435,456 bytes of the server's memory, not read", "")}
	}
	sound := runbook.Entry{Name: "jwks", Type: "string", TTL: time.Hour, Reading: standin.Decode(runbook.RawEntry{Value: []byte("keys a=1")}, nil)}
	for name, c := range map[string]struct {
		cached        runbook.CacheEvidence
		want          runbook.VerdictID
		status        runbook.Status
		says, summary string
	}{
		"alone":     {runbook.CacheEvidence{Entries: []runbook.Entry{unread("jwks:1")}}, diagnose.CacheUnreadable, runbook.StatusWarn, "too large or too costly to read", "it was not read"},
		"beside":    {runbook.CacheEvidence{Entries: []runbook.Entry{sound, unread("jwks:1")}}, diagnose.Healthy, runbook.StatusWarn, "1 entry was too large or too costly to read", "1 of them was not read"},
		"truncated": {runbook.CacheEvidence{Truncated: true}, diagnose.Inconclusive, runbook.StatusWarn, "Cannot tell", "not read: the entries on 1 shard are more or larger than the limits allow"},
	} {
		t.Run(name, func(t *testing.T) {
			c.cached.Shards = []runbook.Shard{{Name: "s1"}}
			d := diagnose.Diagnose(runbook.Evidence{Live: &live, Cached: &c.cached, At: standin.T0})
			status, summary := describeCached(c.cached)
			if d.Verdict.ID != c.want || !strings.Contains(d.Verdict.Summary, c.says) {
				t.Errorf("%s: %s", d.Verdict.ID, d.Verdict.Summary)
			}
			if status != c.status || !strings.Contains(summary, c.summary) {
				t.Errorf("%s: %s", status, summary)
			}
			if strings.Contains(fmt.Sprint(d, summary), "empty") {
				t.Errorf("called empty: %s; %+v", summary, d)
			}
		})
	}
}

// Reports that hold much are forgotten before the newer ones, and not all of
// them.
func TestRememberedReportsAreBounded(t *testing.T) {
	clock, target := standin.NewClock(), fullTarget()
	target.Decode = func(runbook.RawEntry, *budget.Budget) runbook.Reading {
		return runbook.Reading{Content: runbook.ContentUnknown, Note: strings.Repeat("x", 5<<20)}
	}
	r := NewRunner(clock, nil)
	for i := range 10 {
		checked(t, r, target, Ask{Kid: fmt.Sprint(i)})
		clock.Advance(time.Second)
	}
	if len(r.reports) != 6 {
		t.Errorf("%d reports are remembered", len(r.reports))
	}
	if again := checked(t, r, target, Ask{Kid: "9"}); !again.Shared {
		t.Error("the newest is forgotten")
	}
}

// Ten thousand copies of one key set are decoded once and held once; what an
// entry owes to its name alone is its own.
func TestEqualEntriesAreReadOnce(t *testing.T) {
	decoded := 0
	target := &Target{Decode: func(e runbook.RawEntry, _ *budget.Budget) runbook.Reading {
		decoded++
		kid := string(e.Value)
		if kid == "" {
			kid = strings.TrimPrefix(e.Name, "jwks:")
		}
		return runbook.Reading{Content: runbook.ContentKeys, Set: runbook.KeySet{Shape: runbook.ShapeSet, Keys: []runbook.Key{{Kid: kid}}}}
	}}
	r := target.Reader(t.Context())
	var entries []runbook.Entry
	for _, e := range []runbook.RawEntry{
		{Name: "jwks:1", Value: []byte("a")}, {Name: "jwks:2", Value: []byte("a")}, {Name: "jwks:3", Value: []byte("b")},
		{Name: "jwks:4"}, {Name: "jwks:5"}, {Name: "jwks:c", Value: []byte("c")}, {Name: "jwks:6", Value: []byte("c")},
	} {
		entries = append(entries, r.Read(e))
	}
	if decoded != 6 {
		t.Errorf("%d entries were decoded", decoded)
	}
	for i, want := range []string{"a", "a", "b", "4", "5", "c", "c"} {
		if got := entries[i].Reading.Set.Keys[0].Kid; got != want {
			t.Errorf("entry %q holds key %q, want %q", entries[i].Name, got, want)
		}
	}
	if diagnose.ListOf(entries[0].Reading.Set) != diagnose.ListOf(entries[1].Reading.Set) {
		t.Error("equal entries do not share their keys")
	}
}
