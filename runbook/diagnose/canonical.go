package diagnose

import (
	"cmp"
	"fmt"
	"slices"

	"jwksbot/runbook"
)

// canonical returns the evidence in one fixed order, so that a verdict and its
// words never depend on the order in which probes ended, keys were published or
// a cache was scanned. What it is given stays as it was.
func canonical(e runbook.Evidence) runbook.Evidence {
	if e.Live != nil {
		live := *e.Live
		live.Probes = slices.Clone(live.Probes)
		for i := range live.Probes {
			live.Probes[i].Set = inOrder(live.Probes[i].Set)
		}
		sortBy(live.Probes, func(p runbook.Probe) string {
			return fmt.Sprintf("%t %d %q %v", p.Unreachable, p.Status, p.Problem, p.Set)
		})
		e.Live = &live
	}
	if e.Cached != nil {
		cached := *e.Cached
		cached.Entries = entriesInOrder(cached.Entries)
		e.Cached = &cached
	}
	if e.Logged != nil {
		logged := *e.Logged
		logged.Kids = slices.Clone(logged.Kids)
		slices.SortFunc(logged.Kids, func(a, b runbook.KidCount) int {
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
		slices.SortStableFunc(gateway.Points, func(a, b runbook.GatewayPoint) int { return a.At.Compare(b.At) })
		gateway.Authorisers = slices.Clone(gateway.Authorisers)
		sortBy(gateway.Authorisers, func(a runbook.GatewayAuthoriser) string { return a.Name + "\x00" + a.ID })
		e.Gateway = &gateway
	}
	e.History = slices.Clone(e.History)
	slices.SortStableFunc(e.History, func(a, b runbook.Sighting) int {
		return cmp.Or(a.FirstSeen.Compare(b.FirstSeen), cmp.Compare(a.Kid, b.Kid), cmp.Compare(a.Thumbprint, b.Thumbprint))
	})
	return e
}

func byMinute(a, b runbook.MinuteCount) int { return a.At.Compare(b.At) }

// entriesInOrder returns the entries sorted by name, each with its keys in order.
// A cache may hold ten thousand, which mostly are so already: those are returned
// as they are.
func entriesInOrder(entries []runbook.Entry) []runbook.Entry {
	copied, ordered := false, Memo[KeyList, runbook.KeySet]{}
	for i := range entries {
		if keys := entries[i].Reading.Set.Keys; !slices.IsSortedFunc(keys, byKey) {
			if !copied {
				entries, copied = slices.Clone(entries), true
			}
			set := entries[i].Reading.Set
			entries[i].Reading.Set = ordered.Remember(ListOf(set), func() runbook.KeySet { return inOrder(set) })
		}
	}
	if slices.IsSortedFunc(entries, byEntry) {
		return entries
	}
	return slices.SortedStableFunc(slices.Values(entries), byEntry)
}

func byEntry(a, b runbook.Entry) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Shard, b.Shard))
}

// inOrder returns the set with its keys sorted by kid and thumbprint.
func inOrder(s runbook.KeySet) runbook.KeySet {
	if slices.IsSortedFunc(s.Keys, byKey) {
		return s
	}
	// What tells apart keys of one name is written once for each key: a set may
	// have been made of thousands that are alike.
	texts := make([]string, len(s.Keys))
	text := func(i int) string {
		if texts[i] == "" {
			texts[i] = fmt.Sprint(s.Keys[i])
		}
		return texts[i]
	}
	order := make([]int, len(s.Keys))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		if c := byName(s.Keys[i], s.Keys[j]); c != 0 {
			return c
		}
		return cmp.Compare(text(i), text(j))
	})
	sorted := make([]runbook.Key, len(order))
	for at, i := range order {
		sorted[at] = s.Keys[i]
	}
	s.Keys = sorted
	return s
}

func byName(a, b runbook.Key) int {
	return cmp.Or(cmp.Compare(a.Kid, b.Kid), cmp.Compare(a.Identity(), b.Identity()))
}

// byKey orders keys by everything that is known of them, so that only equal keys
// are equal.
func byKey(a, b runbook.Key) int {
	if c := byName(a, b); c != 0 {
		return c
	}
	return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
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
