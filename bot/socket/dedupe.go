package socket

import "sync"

// recentIDs is how many ids are remembered at least. At 500 envelopes a second,
// far above what people type, that is 8 seconds; in an incident it is days.
// Slack repeats an event for about 5 minutes.
const rememberedIDs = 4096

// dedupe remembers the last ids in bounded memory: two generations, of which
// the older is dropped when the younger is full.
type dedupe struct {
	limit int

	mu         sync.Mutex
	young, old map[string]struct{}
}

func newDedupe(limit int) *dedupe {
	return &dedupe{limit: limit, young: map[string]struct{}{}}
}

// claim returns true for the first caller with this id.
func (r *dedupe) claim(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.young[id]; ok {
		return false
	}
	if _, ok := r.old[id]; ok {
		return false
	}
	if len(r.young) >= r.limit {
		r.old, r.young = r.young, make(map[string]struct{}, r.limit/8)
	}
	r.young[id] = struct{}{}
	return true
}

// forget gives an id back whose delivery was not acknowledged, so that its
// redelivery counts.
func (r *dedupe) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, id)
	delete(r.old, id)
}
