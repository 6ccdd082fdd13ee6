package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"jwksbot/runbook"
	"jwksbot/runbook/standin"
)

// Findings that can stand beside any verdict.
func TestFindings(t *testing.T) {
	forever := standin.Entry("jwks", "keys a=1")
	forever.TTL = runbook.NoExpiry
	shared := standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))
	shared.Others = 41210
	leaking := func(change func(*runbook.KeySet)) runbook.KeySet {
		s := standin.Set("a=1")
		change(&s)
		return s
	}
	private := leaking(func(s *runbook.KeySet) { s.PrivatePublished = true })
	symmetric := leaking(func(s *runbook.KeySet) { s.SymmetricPublished = true })
	unusable := runbook.Probe{Status: 200, Problem: "none of its 1 keys can check a signature", Set: symmetric}
	weak := standin.With(standin.Set("a=1"), func(k *runbook.Key) { k.Problems = []string{"weak: 1024 bits"} })
	reencoded := standin.With(standin.Set("a=1"), func(k *runbook.Key) { k.Numbers = map[string]string{"n": "AA1", "e": "AQAB"} })
	ok := standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))

	for _, c := range []struct {
		name     string
		e        runbook.Evidence
		id       runbook.VerdictID
		severity runbook.Severity
		says     string
	}{
		{"no_expiry", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(forever)}, NoExpiryFinding, runbook.SeverityWarning, "`jwks` never expires"},
		{"shared_cache", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: shared}, SharedCache, runbook.SeverityInfo, "41,210 keys that are not JWKS"},
		{"private key live", runbook.Evidence{Live: liveSet(private), Cached: ok}, PrivatePublished, runbook.SeverityCritical, "the live key set"},
		{"private key cached", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(holding("jwks", private))}, PrivatePublished, runbook.SeverityCritical, "cache entry `jwks`"},
		{"symmetric key live", runbook.Evidence{Live: liveSet(symmetric), Cached: ok}, SymmetricInSet, runbook.SeverityCritical, "the live key set"},
		// A set of symmetric keys alone is unhealthy, and leaks all the same.
		{"symmetric keys alone", runbook.Evidence{Live: standin.LiveEvidence(unusable, unusable, unusable), Cached: ok}, SymmetricInSet, runbook.SeverityCritical, "the live key set"},
		{"one edge leaks", runbook.Evidence{Live: standin.LiveEvidence(standin.Good("a=1"), runbook.Probe{Status: 200, Set: private}, standin.Good("b=2")), Cached: ok}, PrivatePublished, runbook.SeverityCritical, ""},
		{"duplicate_kid", runbook.Evidence{Live: standin.Agreed("a=1", "a=2", "a=3"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 a=2 a=3"))}, DuplicateKid, runbook.SeverityWarning, "`a`"},
		{"weak_key", runbook.Evidence{Live: liveSet(weak), Cached: ok}, WeakKey, runbook.SeverityWarning, "1024 bits"},
		{"reencoded", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(holding("jwks", reencoded))}, Reencoded, runbook.SeverityInfo, "the keys are the same"},
		{"live_unreachable", runbook.Evidence{Live: standin.LiveEvidence(standin.Good("a=1"), standin.Unreachable("timeout"), standin.Good("a=1")), Cached: ok}, LiveUnreachable, runbook.SeverityWarning, "1 of 3 probes"},
		{"cold_cache", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence()}, ColdCache, runbook.SeverityInfo, "empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Diagnose(c.e)
			var found []runbook.Finding
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
	alien := standin.Foreign("jwks:other", "keys z=9")
	alien.TTL = runbook.NoExpiry
	alien.Reading.Set.PrivatePublished = true
	alone := Diagnose(runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))})
	beside := Diagnose(runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"), alien, standin.Foreign("poison", "<html>"), standin.Foreign("neg", "no a"))})
	if fmt.Sprint(alone) != fmt.Sprint(beside) {
		t.Errorf("foreign entries changed the diagnosis:\n%+v\n%+v", alone, beside)
	}
}

func TestStrandedKids(t *testing.T) {
	for _, c := range []struct {
		name string
		e    runbook.Evidence
		want []string
	}{
		{"a hard cut strands the old kid", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))}, []string{"a"}},
		{"an overlap strands nobody", runbook.Evidence{Live: standin.Agreed("a=1", "b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))}, nil},
		{"no flush, nobody is stranded", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 b=2"))}, nil},
		{"each kid once", runbook.Evidence{Live: standin.Agreed("c=3"), Cached: standin.CachedEvidence(standin.Entry("1", "keys b=2 a=1"), standin.Entry("2", "keys a=1"))}, []string{"a", "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Diagnose(c.e).Verdict.Stranded; !slices.Equal(got, c.want) {
				t.Errorf("stranded %v, want %v", got, c.want)
			}
		})
	}
}
