package runbook

import (
	"cmp"
	"fmt"
	"slices"
)

// canonical returns the evidence in one fixed order, so that a verdict and its
// words never depend on the order in which probes ended, keys were published or
// a cache was scanned. What it is given stays as it was.
func canonical(e Evidence) Evidence {
	if e.Live != nil {
		live := *e.Live
		live.Probes = slices.Clone(live.Probes)
		for i := range live.Probes {
			live.Probes[i].Set = live.Probes[i].Set.inOrder()
		}
		sortBy(live.Probes, func(p Probe) string {
			return fmt.Sprintf("%t %d %q %v", p.Unreachable, p.Status, p.Problem, p.Set)
		})
		e.Live = &live
	}
	if e.Cached != nil {
		cached := *e.Cached
		cached.Entries = slices.Clone(cached.Entries)
		for i := range cached.Entries {
			cached.Entries[i].Reading.Set = cached.Entries[i].Reading.Set.inOrder()
		}
		sortBy(cached.Entries, func(e Entry) string { return e.Name + "\x00" + e.Shard })
		e.Cached = &cached
	}
	if e.Logged != nil {
		logged := *e.Logged
		logged.Kids = slices.Clone(logged.Kids)
		slices.SortFunc(logged.Kids, func(a, b KidCount) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kid, b.Kid))
		})
		logged.Issuers = slices.Sorted(slices.Values(logged.Issuers))
		logged.PerMinute = slices.Clone(logged.PerMinute)
		slices.SortStableFunc(logged.PerMinute, byMinute)
		logged.KeyMinutes = slices.Clone(logged.KeyMinutes)
		slices.SortStableFunc(logged.KeyMinutes, byMinute)
		e.Logged = &logged
	}
	if e.Gateway != nil {
		gateway := *e.Gateway
		gateway.Points = slices.Clone(gateway.Points)
		slices.SortStableFunc(gateway.Points, func(a, b GatewayPoint) int { return a.At.Compare(b.At) })
		gateway.Authorisers = slices.Clone(gateway.Authorisers)
		sortBy(gateway.Authorisers, func(a GatewayAuthoriser) string { return a.Name + "\x00" + a.ID })
		e.Gateway = &gateway
	}
	e.History = slices.Clone(e.History)
	slices.SortStableFunc(e.History, func(a, b Sighting) int {
		return cmp.Or(a.FirstSeen.Compare(b.FirstSeen), cmp.Compare(a.Kid, b.Kid), cmp.Compare(a.Thumbprint, b.Thumbprint))
	})
	return e
}

func byMinute(a, b MinuteCount) int { return a.At.Compare(b.At) }

// inOrder returns the set with its keys sorted by kid and thumbprint.
func (s KeySet) inOrder() KeySet {
	s.Keys = slices.Clone(s.Keys)
	sortBy(s.Keys, func(k Key) string { return fmt.Sprintf("%q %q %v", k.Kid, k.identity(), k) })
	return s
}

// sortBy sorts by a key that is made once for each element.
func sortBy[T any](list []T, key func(T) string) {
	type keyed struct {
		key   string
		value T
	}
	all := make([]keyed, len(list))
	for i, v := range list {
		all[i] = keyed{key(v), v}
	}
	slices.SortStableFunc(all, func(a, b keyed) int { return cmp.Compare(a.key, b.key) })
	for i := range all {
		list[i] = all[i].value
	}
}
