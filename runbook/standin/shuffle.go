package standin

import (
	"flag"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"jwksbot/runbook"
)

// Shuffler puts evidence into another order without changing what it says.
type Shuffler struct{ *rand.Rand }

// NewShuffler is the shuffler of a seed.
func NewShuffler(seed, stream uint64) Shuffler { return Shuffler{rand.New(rand.NewPCG(seed, stream))} }

func shuffled[T any](r Shuffler, list []T) []T {
	out := slices.Clone(list)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func (r Shuffler) set(s runbook.KeySet) runbook.KeySet {
	s.Keys = shuffled(r, s.Keys)
	for i := range s.Keys {
		s.Keys[i].Numbers = r.rebuilt(s.Keys[i].Numbers)
		s.Keys[i].Metadata = r.rebuilt(s.Keys[i].Metadata)
	}
	return s
}

// rebuilt fills a new map in another order.
func (r Shuffler) rebuilt(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	out := map[string]string{}
	for _, k := range shuffled(r, slices.Collect(maps.Keys(m))) {
		out[k] = m[k]
	}
	return out
}

// Evidence says the same in another order.
func (r Shuffler) Evidence(e runbook.Evidence) runbook.Evidence {
	if e.Live != nil {
		l := *e.Live
		l.Probes = shuffled(r, l.Probes)
		for i := range l.Probes {
			l.Probes[i].Set = r.set(l.Probes[i].Set)
			// What differs between two probes of the same set must not matter.
			l.Probes[i].At, l.Probes[i].Duration = T0.Add(time.Duration(r.IntN(900))*time.Millisecond), time.Duration(r.IntN(1e9))
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

// Seed is the flag -seed of the random tests.
var Seed = flag.Uint64("seed", 0, "seed of the random evidence; 0: another one each time")
