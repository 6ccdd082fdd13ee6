package diagnose

import (
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/standin"
)

// A key that an earlier check did not see is new.
func TestWhenAKeyAppeared(t *testing.T) {
	e := runbook.Evidence{At: standin.T0, Live: standin.Agreed("b=2"), History: rotatedHistory()}
	f := Gather(e)
	if got := f.appeared(f.LiveSet.Keys[0]); !strings.Contains(got, "14 min ago") {
		t.Errorf("appeared says %q", got)
	}
}

func TestRemovedTooEarlyNeedsASightingWithinATokensLife(t *testing.T) {
	at := time.Date(2026, 2, 14, 3, 0, 0, 0, time.UTC)
	gone := func(hours int) runbook.Sighting {
		return runbook.Sighting{Kid: "old", Thumbprint: "print of old", FirstSeen: at.Add(-96 * time.Hour), LastSeen: at.Add(-time.Duration(hours) * time.Hour)}
	}
	for _, tt := range []struct {
		name string
		life time.Duration
		seen []runbook.Sighting
		want runbook.VerdictID
		says string
	}{
		{"seen an hour ago", 0, []runbook.Sighting{gone(1)}, RemovedTooEarly, "publish it again"},
		{"its successor seen two days ago", 0, []runbook.Sighting{gone(49), {Kid: "new", Thumbprint: "print of new", FirstSeen: at.Add(-48 * time.Hour), LastSeen: at}}, ClaimsOrClock, "expired long ago"},
		// Nobody looked in between: the key may have left a minute ago.
		{"seen two days ago, no check since", 0, []runbook.Sighting{gone(48)}, Inconclusive, "a check 2 days ago was the last to see it live"},
		{"its successor seen an hour ago", 0, []runbook.Sighting{gone(48), {Kid: "new", Thumbprint: "print of new", FirstSeen: at.Add(-time.Hour), LastSeen: at}}, Inconclusive, "when it left is not known"},
		{"never seen", 0, nil, Inconclusive, "no earlier check saw it live"},
		// What the pool is set to decides, where it is said.
		{"tokens live 30 min", 30 * time.Minute, []runbook.Sighting{gone(2), {Kid: "new", Thumbprint: "print of new", FirstSeen: at.Add(-time.Hour), LastSeen: at}}, ClaimsOrClock, "expired long ago"},
		{"tokens live 72 h", 72 * time.Hour, []runbook.Sighting{gone(49), {Kid: "new", Thumbprint: "print of new", FirstSeen: at.Add(-48 * time.Hour), LastSeen: at}}, RemovedTooEarly, "publish it again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := runbook.Evidence{At: at, TokenLife: tt.life, History: tt.seen, Logged: standin.FailuresOn(at, "old", 40)}
			e.Live = &runbook.LiveEvidence{Probes: []runbook.Probe{{Status: 200, Set: standin.KeySet("new")}}}
			e.Cached = &runbook.CacheEvidence{Shards: []runbook.Shard{{Name: "0001"}}, Entries: []runbook.Entry{{Name: "jwks:current", TTL: time.Hour,
				Reading: runbook.Reading{Content: runbook.ContentKeys, Set: standin.KeySet("new")}}}}
			if got := Diagnose(e).Verdict; got.ID != tt.want || !strings.Contains(got.Summary, tt.says) {
				t.Errorf("verdict %s (%s), want %s", got.ID, got.Summary, tt.want)
			}
		})
	}
}

// Right after a flush the log is still full of the failures that led to it. They
// must not be taken for a stale memory; those that come afterwards must.
func TestFailuresFromBeforeAFlushAreNotGoingOn(t *testing.T) {
	at := time.Date(2026, 2, 14, 3, 0, 30, 0, time.UTC)
	minute := func(ago, n int) runbook.MinuteCount {
		return runbook.MinuteCount{At: at.Truncate(time.Minute).Add(-time.Duration(ago) * time.Minute), Count: n}
	}
	for _, tt := range []struct {
		name    string
		flushed time.Time
		newest  time.Time
		minutes []runbook.MinuteCount
		want    runbook.VerdictID
	}{
		{"flushed 20 s ago", at.Add(-20 * time.Second), at.Add(-20 * time.Second), []runbook.MinuteCount{minute(2, 100), minute(1, 100), minute(0, 20)}, Healthy},
		{"failing in a minute after the flush", at.Add(-100 * time.Second), at.Add(-time.Second), []runbook.MinuteCount{minute(2, 100), minute(1, 100), minute(0, 50)}, StaleMemory},
		{"flushed by somebody else, silent since", time.Time{}, at.Add(-25 * time.Second), []runbook.MinuteCount{minute(2, 100), minute(1, 100), minute(0, 5)}, Healthy},
		{"not flushed, going on", time.Time{}, at.Add(-time.Second), []runbook.MinuteCount{minute(2, 100), minute(1, 100), minute(0, 50)}, StaleMemory},
		{"few failures, a gap says nothing", time.Time{}, at.Add(-80 * time.Second), []runbook.MinuteCount{minute(3, 2), minute(2, 2), minute(1, 1)}, StaleMemory},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := runbook.Evidence{At: at, Flushed: tt.flushed, Logged: standin.FailuresOn(at, "new", 250)}
			e.Logged.PerMinute, e.Logged.Newest = tt.minutes, tt.newest
			e.Live = &runbook.LiveEvidence{Probes: []runbook.Probe{{Status: 200, Set: standin.KeySet("new")}}}
			e.Cached = &runbook.CacheEvidence{Shards: []runbook.Shard{{Name: "0001"}}, Entries: []runbook.Entry{{Name: "jwks:current", TTL: time.Hour,
				Reading: runbook.Reading{Content: runbook.ContentKeys, Set: standin.KeySet("new")}}}}
			if got := Diagnose(e).Verdict; got.ID != tt.want {
				t.Errorf("verdict %s (%s), want %s", got.ID, got.Summary, tt.want)
			}
		})
	}
}

// Beside a key that is gone, tokens of a live key fail too, and far more of
// them: a restart may help those, so nobody is told that it cannot.
func TestRemovedKeyBesideFailuresOnALiveOne(t *testing.T) {
	e := runbook.Evidence{At: standin.T0, Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), History: rotatedHistory()}
	for _, c := range []struct {
		logged  *runbook.LogEvidence
		against bool
		says    string
	}{
		{standin.LoggedEvidence("unknown_kid:340", "a=40", "b=300"), false, "300 failures name live keys: if those go on"},
		{standin.LoggedEvidence("unknown_kid:41", "a=40", "b=1"), true, ""},
	} {
		e.Logged = c.logged
		v := Diagnose(e).Verdict
		against := slices.ContainsFunc(v.Against, func(a runbook.Advice) bool { return a.Mitigation == runbook.RestartAuthoriser })
		if v.ID != RemovedTooEarly || against != c.against || !strings.Contains(strings.Join(v.Because, "\n"), c.says) {
			t.Errorf("%s, against a restart: %v, because %q", v.ID, against, v.Because)
		}
	}
}
