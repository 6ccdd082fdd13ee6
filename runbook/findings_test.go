package runbook

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Findings that can stand beside any verdict.
func TestFindings(t *testing.T) {
	forever := entry("jwks", "keys a=1")
	forever.TTL = NoExpiry
	shared := cached(entry("jwks", "keys a=1"))
	shared.Others = 41210
	leaking := func(change func(*KeySet)) KeySet {
		s := set("a=1")
		change(&s)
		return s
	}
	private := leaking(func(s *KeySet) { s.PrivatePublished = true })
	symmetric := leaking(func(s *KeySet) { s.SymmetricPublished = true })
	unusable := Probe{Status: 200, Problem: "none of its 1 keys can check a signature", Set: symmetric}
	weak := with(set("a=1"), func(k *Key) { k.Problems = []string{"weak: 1024 bits"} })
	reencoded := with(set("a=1"), func(k *Key) { k.Numbers = map[string]string{"n": "AA1", "e": "AQAB"} })
	ok := cached(entry("jwks", "keys a=1"))

	for _, c := range []struct {
		name     string
		e        Evidence
		id       VerdictID
		severity Severity
		says     string
	}{
		{"no_expiry", Evidence{Live: agreed("a=1"), Cached: cached(forever)}, NoExpiryFinding, SeverityWarning, "`jwks` never expires"},
		{"shared_cache", Evidence{Live: agreed("a=1"), Cached: shared}, SharedCache, SeverityInfo, "41,210 keys that are not JWKS"},
		{"private key live", Evidence{Live: liveSet(private), Cached: ok}, PrivatePublished, SeverityCritical, "the live key set"},
		{"private key cached", Evidence{Live: agreed("a=1"), Cached: cached(holding("jwks", private))}, PrivatePublished, SeverityCritical, "cache entry `jwks`"},
		{"symmetric key live", Evidence{Live: liveSet(symmetric), Cached: ok}, SymmetricInSet, SeverityCritical, "the live key set"},
		// A set of symmetric keys alone is unhealthy, and leaks all the same.
		{"symmetric keys alone", Evidence{Live: live(unusable, unusable, unusable), Cached: ok}, SymmetricInSet, SeverityCritical, "the live key set"},
		{"one edge leaks", Evidence{Live: live(good("a=1"), Probe{Status: 200, Set: private}, good("b=2")), Cached: ok}, PrivatePublished, SeverityCritical, ""},
		{"duplicate_kid", Evidence{Live: agreed("a=1", "a=2", "a=3"), Cached: cached(entry("jwks", "keys a=1 a=2 a=3"))}, DuplicateKid, SeverityWarning, "`a`"},
		{"weak_key", Evidence{Live: liveSet(weak), Cached: ok}, WeakKey, SeverityWarning, "1024 bits"},
		{"reencoded", Evidence{Live: agreed("a=1"), Cached: cached(holding("jwks", reencoded))}, Reencoded, SeverityInfo, "the keys are the same"},
		{"live_unreachable", Evidence{Live: live(good("a=1"), unreachable("timeout"), good("a=1")), Cached: ok}, LiveUnreachable, SeverityWarning, "1 of 3 probes"},
		{"cold_cache", Evidence{Live: agreed("a=1"), Cached: cached()}, ColdCache, SeverityInfo, "empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Diagnose(c.e)
			var found []Finding
			for _, f := range d.Findings {
				if f.ID == c.id {
					found = append(found, f)
				}
			}
			if len(found) != 1 {
				t.Fatalf("%s stands %d times among %v", c.id, len(found), idsOf(d.Findings))
			}
			if found[0].Severity != c.severity || !strings.Contains(found[0].Summary, c.says) {
				t.Errorf("got %+v, want severity %s and %q", found[0], c.severity, c.says)
			}
		})
	}
}

// Foreign entries count for nothing: not for a verdict, not for findings.
func TestForeignEntriesAreNeverCompared(t *testing.T) {
	alien := foreign("jwks:other", "keys z=9")
	alien.TTL = NoExpiry
	alien.Reading.Set.PrivatePublished = true
	alone := Diagnose(Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1"))})
	beside := Diagnose(Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1"), alien, foreign("poison", "<html>"), foreign("neg", "no a"))})
	if fmt.Sprint(alone) != fmt.Sprint(beside) {
		t.Errorf("foreign entries changed the diagnosis:\n%+v\n%+v", alone, beside)
	}
}

func TestStrandedKids(t *testing.T) {
	for _, c := range []struct {
		name string
		e    Evidence
		want []string
	}{
		{"a hard cut strands the old kid", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks", "keys a=1"))}, []string{"a"}},
		{"an overlap strands nobody", Evidence{Live: agreed("a=1", "b=2"), Cached: cached(entry("jwks", "keys a=1"))}, nil},
		{"no flush, nobody is stranded", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks", "keys a=1 b=2"))}, nil},
		{"each kid once", Evidence{Live: agreed("c=3"), Cached: cached(entry("1", "keys b=2 a=1"), entry("2", "keys a=1"))}, []string{"a", "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Diagnose(c.e).Verdict.Stranded; !slices.Equal(got, c.want) {
				t.Errorf("stranded %v, want %v", got, c.want)
			}
		})
	}
}
