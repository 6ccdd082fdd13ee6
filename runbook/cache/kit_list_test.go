package cache

import (
	"context"
	"slices"
	"strings"
	"sync"

	"jwksbot/runbook"
)

// listed is a listing with the values that were handed over.
type listed struct {
	runbook.Listing
	Entries []runbook.RawEntry // sorted by name
}

// listAll collects what List hands over of the entries that it lists.
func listAll(ctx context.Context, s *Store) (listed, error) {
	var mu sync.Mutex
	values := map[string]runbook.RawEntry{}
	l, err := s.List(ctx, func(e runbook.RawEntry) runbook.Entry {
		mu.Lock()
		defer mu.Unlock()
		values[e.Name] = e
		return runbook.Entry{Name: e.Name, Shard: e.Shard}
	})
	out := listed{Listing: l}
	for _, e := range l.Entries {
		out.Entries = append(out.Entries, values[e.Name])
	}
	slices.SortFunc(out.Entries, func(a, b runbook.RawEntry) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}
