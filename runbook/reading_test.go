package runbook

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// One entry that cannot be read, or costs too much, hides no other one and is
// never called empty.
func TestWhatIsNotReadIsNotEmpty(t *testing.T) {
	live := LiveEvidence{Probes: []Probe{good("a=1"), good("a=1"), good("a=1")}}
	unread := func(name string) Entry {
		return Entry{Name: name, Type: "list", TTL: NoExpiry, Bytes: 1 << 28, Reading: UnreadReading("too large: 3 elements in 268,435,456 bytes of the server's memory, not read", "")}
	}
	sound := Entry{Name: "jwks", Type: "string", TTL: time.Hour, Reading: decode(RawEntry{Value: []byte("keys a=1")}, nil)}
	for name, c := range map[string]struct {
		cached        CacheEvidence
		want          VerdictID
		status        Status
		says, summary string
	}{
		"alone":     {CacheEvidence{Entries: []Entry{unread("jwks:1")}}, CacheUnreadable, StatusWarn, "too large or too costly to read", "it was not read"},
		"beside":    {CacheEvidence{Entries: []Entry{sound, unread("jwks:1")}}, Healthy, StatusWarn, "1 entry was too large or too costly to read", "1 of them was not read"},
		"truncated": {CacheEvidence{Truncated: true}, Inconclusive, StatusWarn, "Cannot tell", "not read: the entries on 1 shard are more or larger than the limits allow"},
	} {
		t.Run(name, func(t *testing.T) {
			c.cached.Shards = []Shard{{Name: "s1"}}
			d := Diagnose(Evidence{Live: &live, Cached: &c.cached, At: t0})
			status, summary := c.cached.describe()
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
	clock, target := newClock(), fullTarget()
	target.Decode = func(RawEntry, *Budget) Reading {
		return Reading{Content: ContentUnknown, Note: strings.Repeat("x", 5<<20)}
	}
	r := NewRunner(clock, nil)
	for i := range 10 {
		check(t, r, target, Ask{Kid: fmt.Sprint(i)})
		clock.advance(time.Second)
	}
	if len(r.reports) != 6 {
		t.Errorf("%d reports are remembered", len(r.reports))
	}
	if again := check(t, r, target, Ask{Kid: "9"}); !again.Shared {
		t.Error("the newest is forgotten")
	}
}

// Ten thousand copies of one key set are decoded once and held once; what an
// entry owes to its name alone is its own.
func TestEqualEntriesAreReadOnce(t *testing.T) {
	decoded := 0
	target := &Target{Decode: func(e RawEntry, _ *Budget) Reading {
		decoded++
		kid := string(e.Value)
		if kid == "" {
			kid = strings.TrimPrefix(e.Name, "jwks:")
		}
		return Reading{Content: ContentKeys, Set: KeySet{Shape: ShapeSet, Keys: []Key{{Kid: kid}}}}
	}}
	r := target.reader(t.Context())
	var entries []Entry
	for _, e := range []RawEntry{
		{Name: "jwks:1", Value: []byte("a")}, {Name: "jwks:2", Value: []byte("a")}, {Name: "jwks:3", Value: []byte("b")},
		{Name: "jwks:4"}, {Name: "jwks:5"}, {Name: "jwks:c", Value: []byte("c")}, {Name: "jwks:6", Value: []byte("c")},
	} {
		entries = append(entries, r.read(e))
	}
	if decoded != 6 {
		t.Errorf("%d entries were decoded", decoded)
	}
	for i, want := range []string{"a", "a", "b", "4", "5", "c", "c"} {
		if got := entries[i].Reading.Set.Keys[0].Kid; got != want {
			t.Errorf("entry %q holds key %q, want %q", entries[i].Name, got, want)
		}
	}
	if entries[0].Reading.Set.list() != entries[1].Reading.Set.list() {
		t.Error("equal entries do not share their keys")
	}
}
