package standin

import (
	"context"
	"sort"
	"sync"

	"jwksbot/runbook"
)

// Snapshots keeps snapshots and fates.
type Snapshots struct {
	mu    sync.Mutex
	Saved map[string][]runbook.Saved
	fates map[string]map[string]runbook.EntryFate
}

// NewSnapshots is empty.
func NewSnapshots() *Snapshots {
	return &Snapshots{Saved: map[string][]runbook.Saved{}, fates: map[string]map[string]runbook.EntryFate{}}
}

// SaveSnapshot replaces the copies of a run.
func (s *Snapshots) SaveSnapshot(_ context.Context, id string, saved []runbook.Saved) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Saved[id], s.fates[id] = append([]runbook.Saved(nil), saved...), map[string]runbook.EntryFate{}
	return nil
}

// AddSnapshot keeps a page of copies.
func (s *Snapshots) AddSnapshot(_ context.Context, id string, first int, saved []runbook.Saved) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Saved[id] = append(s.Saved[id][:first:first], saved...)
	return nil
}

// Sums are the copies without their values.
func (s *Snapshots) Sums(ctx context.Context, id string) ([]runbook.Saved, error) {
	all, err := s.Snapshot(ctx, id)
	for i := range all {
		all[i].Sum, all[i].Payload = runbook.SumOf(all[i].Payload), nil
	}
	return all, err
}

// Snapshot reads the copies of a run.
func (s *Snapshots) Snapshot(_ context.Context, id string) ([]runbook.Saved, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]runbook.Saved(nil), s.Saved[id]...), nil
}

// MarkFates keeps what became of entries.
func (s *Snapshots) MarkFates(_ context.Context, id string, fates []runbook.EntryFate) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range fates {
		s.fates[id][f.Name] = f
	}
	return nil
}

// Fates reads what became of them.
func (s *Snapshots) Fates(_ context.Context, id string) ([]runbook.EntryFate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []runbook.EntryFate
	for _, f := range s.fates[id] {
		out = append(out, f)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}
