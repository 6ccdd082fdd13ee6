package diagnose

import (
	"fmt"
	"testing"

	"jwksbot/runbook"
	"jwksbot/runbook/standin"
)

// crowded are cases in which several entries, keys, probes or kids could each
// give the verdict its words.
func crowded() []runbook.Evidence {
	twoFormats := standin.Good("a=1", "b=2")
	twoFormats.Set = standin.With(twoFormats.Set, func(k *runbook.Key) { k.Numbers = map[string]string{"n": "AA1", "e": "AQAB"} })
	otherUse := standin.Good("a=1", "b=2")
	otherUse.Set = standin.With(otherUse.Set, func(k *runbook.Key) { k.Metadata = map[string]string{"use": `"enc"`} })
	issuers := standin.LoggedEvidence("issuer:9")
	issuers.Issuers = []string{"https://b.example", "https://a.example"}
	return []runbook.Evidence{
		{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("p:2", "<html>"), standin.Entry("p:1", "<b>"), standin.Entry("p:3", "keys"))},
		{Live: standin.Agreed("a=1", "b=2"), Cached: standin.CachedEvidence(standin.Entry("q:2", "keys a=3 b=4"), standin.Entry("q:1", "keys b=5 a=6"))},
		{Live: standin.Agreed("a=1", "b=2"), Cached: standin.CachedEvidence(standin.Entry("q:2", "keys a=1"), standin.Entry("q:1", "keys b=2"))},
		{Live: standin.Agreed("a=1", "b=2"), Cached: standin.CachedEvidence(standin.Entry("n:b", "no b"), standin.Entry("n:a", "no a"))},
		{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("u:2", "? 1"), standin.Entry("u:1", "? 2 3"))},
		{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("k:2", "jwk x=7"), standin.Entry("k:1", "jwk y=8"), standin.Entry("k:3", "jwk a=1"))},
		{Live: standin.LiveEvidence(standin.Bad("HTTP 503"), standin.Bad("an HTML page"), standin.Bad("HTTP 404")), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))},
		{Live: standin.LiveEvidence(standin.Unreachable("timeout"), standin.Unreachable("DNS"), standin.Unreachable("refused"))},
		{Live: standin.LiveEvidence(standin.Good("a=1"), standin.Bad("HTTP 503"), standin.Bad("HTTP 404")), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))},
		{Live: standin.LiveEvidence(twoFormats, standin.Good("a=1", "b=2"), standin.Good("b=2", "a=1")), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 b=2"))},
		{Live: standin.LiveEvidence(otherUse, standin.Good("a=1", "b=2"), standin.Good("b=2", "a=1")), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 b=2"))},
		{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: issuers},
		{Live: standin.Agreed("a=1", "a=2", "c=3", "c=4"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 c=3"))},
	}
}

// Diagnose promises that order decides nothing: neither the verdict, nor a
// single word of it.
func TestOrderDecidesNothing(t *testing.T) {
	all := crowded()
	for _, c := range verdictCases {
		all = append(all, c.e)
	}
	for i, e := range all {
		want := Diagnose(e)
		for seed := range uint64(12) {
			r := standin.NewShuffler(seed, uint64(i))
			got := Diagnose(r.Evidence(e))
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
				t.Fatalf("case %d (%s), seed %d: order changed the diagnosis\n got %+v\nwant %+v", i, want.Verdict.ID, seed, got, want)
			}
		}
	}
}

// Putting evidence into order must leave the caller's alone: a report shows
// entries and probes as they came.
func TestDiagnoseLeavesTheEvidenceAlone(t *testing.T) {
	for i, e := range crowded() {
		before := fmt.Sprintf("%+v", shallow(e))
		Diagnose(e)
		if after := fmt.Sprintf("%+v", shallow(e)); after != before {
			t.Errorf("case %d: the evidence was changed\nbefore %s\n after %s", i, before, after)
		}
	}
}

// shallow is what can be printed of evidence: its parts, not their addresses.
func shallow(e runbook.Evidence) []any {
	var out []any
	if e.Live != nil {
		out = append(out, *e.Live)
	}
	if e.Cached != nil {
		out = append(out, *e.Cached)
	}
	if e.Logged != nil {
		out = append(out, *e.Logged)
	}
	return out
}
