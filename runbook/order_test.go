package runbook

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// shuffler puts evidence into another order without changing what it says.
type shuffler struct{ *rand.Rand }

// newShuffler is the shuffler of a seed.
func newShuffler(seed, stream uint64) shuffler { return shuffler{rand.New(rand.NewPCG(seed, stream))} }

func shuffled[T any](r shuffler, list []T) []T {
	out := slices.Clone(list)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func (r shuffler) set(s KeySet) KeySet {
	s.Keys = shuffled(r, s.Keys)
	for i := range s.Keys {
		s.Keys[i].Numbers = r.rebuilt(s.Keys[i].Numbers)
		s.Keys[i].Metadata = r.rebuilt(s.Keys[i].Metadata)
	}
	return s
}

// rebuilt fills a new map in another order.
func (r shuffler) rebuilt(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	out := map[string]string{}
	for _, k := range shuffled(r, slices.Collect(maps.Keys(m))) {
		out[k] = m[k]
	}
	return out
}

// evidence says the same in another order.
func (r shuffler) evidence(e Evidence) Evidence {
	if e.Live != nil {
		l := *e.Live
		l.Probes = shuffled(r, l.Probes)
		for i := range l.Probes {
			l.Probes[i].Set = r.set(l.Probes[i].Set)
			// What differs between two probes of the same set must not matter.
			l.Probes[i].At, l.Probes[i].Duration = t0.Add(time.Duration(r.IntN(900))*time.Millisecond), time.Duration(r.IntN(1e9))
		}
		e.Live = &l
	}
	if e.Cached != nil {
		c := *e.Cached
		c.Entries, c.Shards = shuffled(r, c.Entries), shuffled(r, c.Shards)
		for i := range c.Entries {
			c.Entries[i].Reading.Set = r.set(c.Entries[i].Reading.Set)
		}
		e.Cached = &c
	}
	if e.Logged != nil {
		l := *e.Logged
		l.Kids, l.Issuers, l.PerMinute, l.KeyMinutes = shuffled(r, l.Kids), shuffled(r, l.Issuers), shuffled(r, l.PerMinute), shuffled(r, l.KeyMinutes)
		e.Logged = &l
	}
	if e.Gateway != nil {
		g := *e.Gateway
		g.Points, g.Authorisers = shuffled(r, g.Points), shuffled(r, g.Authorisers)
		e.Gateway = &g
	}
	e.History = shuffled(r, e.History)
	return e
}

// crowded are cases in which several entries, keys, probes or kids could each
// give the verdict its words.
func crowded() []Evidence {
	twoFormats := good("a=1", "b=2")
	twoFormats.Set = with(twoFormats.Set, func(k *Key) { k.Numbers = map[string]string{"n": "AA1", "e": "AQAB"} })
	otherUse := good("a=1", "b=2")
	otherUse.Set = with(otherUse.Set, func(k *Key) { k.Metadata = map[string]string{"use": `"enc"`} })
	issuers := logged("issuer:9")
	issuers.Issuers = []string{"https://b.example", "https://a.example"}
	return []Evidence{
		{Live: agreed("a=1"), Cached: cached(entry("p:2", "<html>"), entry("p:1", "<b>"), entry("p:3", "keys"))},
		{Live: agreed("a=1", "b=2"), Cached: cached(entry("q:2", "keys a=3 b=4"), entry("q:1", "keys b=5 a=6"))},
		{Live: agreed("a=1", "b=2"), Cached: cached(entry("q:2", "keys a=1"), entry("q:1", "keys b=2"))},
		{Live: agreed("a=1", "b=2"), Cached: cached(entry("n:b", "no b"), entry("n:a", "no a"))},
		{Live: agreed("a=1"), Cached: cached(entry("u:2", "? 1"), entry("u:1", "? 2 3"))},
		{Live: agreed("a=1"), Cached: cached(entry("k:2", "jwk x=7"), entry("k:1", "jwk y=8"), entry("k:3", "jwk a=1"))},
		{Live: live(bad("HTTP 503"), bad("an HTML page"), bad("HTTP 404")), Cached: cached(entry("jwks", "keys a=1"))},
		{Live: live(unreachable("timeout"), unreachable("DNS"), unreachable("refused"))},
		{Live: live(good("a=1"), bad("HTTP 503"), bad("HTTP 404")), Cached: cached(entry("jwks", "keys a=1"))},
		{Live: live(twoFormats, good("a=1", "b=2"), good("b=2", "a=1")), Cached: cached(entry("jwks", "keys a=1 b=2"))},
		{Live: live(otherUse, good("a=1", "b=2"), good("b=2", "a=1")), Cached: cached(entry("jwks", "keys a=1 b=2"))},
		{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1")), Logged: issuers},
		{Live: agreed("a=1", "a=2", "c=3", "c=4"), Cached: cached(entry("jwks", "keys a=1 c=3"))},
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
			r := newShuffler(seed, uint64(i))
			got := Diagnose(r.evidence(e))
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
func shallow(e Evidence) []any {
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
