package diagnose

import (
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/standin"
)

// What a flush strands is named, with until when: the bot's own history tells
// when the old key can have signed for the last time.
func TestHardCut(t *testing.T) {
	stale := func(history ...runbook.Sighting) runbook.Evidence {
		return runbook.Evidence{At: standin.T0, Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), History: history}
	}
	for _, c := range []struct {
		name     string
		e        runbook.Evidence
		stranded []string
		says     string
	}{
		{"no history: it may have signed until now", stale(), []string{"a"}, "the last copy of `a`: tokens signed with it that are still valid are refused from then on; the last of them expires by 04:00 UTC"},
		{"the rotation is known", stale(rotatedHistory()...), []string{"a"}, "the last of them expires by 03:46 UTC (tokens live 1 h by Cognito's default, 24 h at most)"},
		{"rotated three hours ago", stale(sighted("a=1", 72*time.Hour, 181*time.Minute), sighted("b=2", 3*time.Hour, 0)), []string{"a"},
			"at Cognito's default of 1 h they have all expired, at its maximum of 24 h not yet"},
		{"rotated two days ago", stale(sighted("a=1", 72*time.Hour, 49*time.Hour), sighted("b=2", 48*time.Hour, 0)), nil, ""},
		{"tokens live three hours", living(3*time.Hour, stale(rotatedHistory()...)), []string{"a"}, "the last of them expires by 05:46 UTC (tokens live 3 h)"},
		{"tokens live five minutes, rotated a quarter ago", living(5*time.Minute, stale(rotatedHistory()...)), nil, ""},
		{"tokens live two days", living(48*time.Hour, stale(rotatedHistory()...)), []string{"a"}, "the last of them expires by 16 February, 02:46 UTC (tokens live 2 days)"},
		// The bot was not looking: the rotation may have been a minute ago.
		{"last seen three days ago, the new key never", stale(sighted("a=1", 99*time.Hour, 72*time.Hour)), []string{"a"}, "04:00 UTC"},
		{"a re-used kid", runbook.Evidence{At: standin.T0, Live: standin.Agreed("a=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))}, []string{"a"}, "the old key of `a`"},
		{"a re-used kid beside a retired one", runbook.Evidence{At: standin.T0, Live: standin.Agreed("a=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 c=3"))}, []string{"a", "c"}, "the old key of `a`, `c`"},
		{"encryption keys sign nothing", runbook.Evidence{At: standin.T0, Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(holding("jwks", keyed("e=5", func(k *runbook.Key) { k.Use = "enc" })))}, nil, ""},
		{"an overlap", runbook.Evidence{At: standin.T0, Live: standin.Agreed("a=1", "b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))}, nil, ""},
		{"no flush is recommended", runbook.Evidence{At: standin.T0, Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 b=2"))}, nil, ""},
		{"many", runbook.Evidence{At: standin.T0, Live: standin.Agreed("z=9"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 b=2 c=3 d=4 e=5 f=6"))}, []string{"a", "b", "c", "d", "e", "f"}, "`a`, `b`, `c`, `d`, 2 more:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Diagnose(c.e).Verdict
			if !slices.Equal(v.Stranded, c.stranded) || (v.HardCut == "") != (len(c.stranded) == 0) || !strings.Contains(v.HardCut, c.says) {
				t.Errorf("stranded %v: %q", v.Stranded, v.HardCut)
			}
		})
	}
}

// living is evidence of a target that says how long its tokens live.
func living(life time.Duration, e runbook.Evidence) runbook.Evidence {
	e.TokenLife = life
	return e
}

// When a format carries the time of writing, it is held against the rotation.
func TestWhenAnEntryWasCached(t *testing.T) {
	for _, c := range []struct {
		name    string
		written time.Duration
		history []runbook.Sighting
		says    string
	}{
		{"before the rotation", 6*time.Hour + 14*time.Minute, rotatedHistory(), "cached 6 h before the rotation"},
		{"after the rotation", 4 * time.Minute, rotatedHistory(), "cached 10 min after the rotation"},
		{"the rotation is not known", 6 * time.Hour, nil, "cached 6 h ago"},
		{"the first check of all saw both", 6 * time.Hour, []runbook.Sighting{sighted("b=2", time.Hour, 0)}, "cached 6 h ago"},
		{"a clock that is ahead", -time.Hour, rotatedHistory(), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := runbook.Evidence{At: standin.T0, Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(writtenAgo(standin.Entry("jwks", "keys a=1"), c.written)), History: c.history}
			v := Diagnose(e).Verdict
			because := strings.Join(v.Because, "\n")
			if c.says == "" && strings.Contains(because, "cached ") || !strings.Contains(because, c.says) {
				t.Errorf("because %q does not say %q", because, c.says)
			}
			// Only a copy that was written after the rotation casts doubt on a flush.
			if doubt := strings.Contains(v.Summary, "Flush once"); doubt != (c.name == "after the rotation") || !v.Advises(runbook.FlushCache) {
				t.Errorf("summary %q", v.Summary)
			}
		})
	}
}
