package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
)

// ErrTooLarge says that the entries exceed MaxBytes, so that no snapshot of
// them is kept.
var ErrTooLarge = runbook.ErrTooLarge

// Snapshot reads the named entries for a deletion that can be undone. Payload,
// value and TTL of an entry are of the same moment. Entries that do not exist
// are absent from the result, which is in the order of names. How large they are
// is asked before anything is fetched: above MaxBytes nothing is.
func (s *Store) Snapshot(ctx context.Context, names []string) ([]runbook.Saved, error) {
	var out []runbook.Saved
	err := s.Take(ctx, names, func(page []runbook.Saved) error {
		out = append(out, page...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Take is Snapshot in pages, so that nobody has to hold all of it. Each entry is
// handed over once, also when a failover comes between two pages: a copy that the
// new primary does not agree with is one of an entry that was rewritten. An error
// from page ends it.
func (s *Store) Take(ctx context.Context, names []string, page func([]runbook.Saved) error) error {
	var total int64
	var refused error
	err := s.with(ctx, func(ctx context.Context, f *fleet) error {
		k := &taking{store: s, fleet: f, names: names, total: total}
		weights, err := k.weigh(ctx)
		if err != nil {
			return err
		}
		return k.fetch(ctx, weights, func(next int, saved []runbook.Saved) bool {
			refused = page(saved)
			names, total = k.names[next:], k.total
			return refused == nil
		})
	})
	if refused != nil {
		return refused
	}
	return err
}

// taking is a snapshot being taken.
type taking struct {
	store *Store
	fleet *fleet
	names []string
	saved map[int]*runbook.Saved // of the present page, by the index of the name
	total int64                  // bytes of payloads
}

func (k *taking) tooLarge(what string) error {
	return fmt.Errorf("cache %q: %s more than %s bytes: %w", k.fleet.topology.Name, what, runbook.Thousands(k.store.settings.MaxBytes), ErrTooLarge)
}

// weigh asks how large the entries are; one that does not exist is left out.
func (k *taking) weigh(ctx context.Context) (map[int]int64, error) {
	calls, args := make([]call, len(k.names)), constantly(maxParts)
	for i, n := range k.names {
		calls[i] = call{index: i, key: n, args: args}
	}
	weights := make(map[int]int64, len(calls))
	strings := int64(0) // a collection weighs more than its payload
	err := k.fleet.eachBatch(ctx, weigh, calls, nil, func(p *primary, calls []call, answers []*redis.Cmd) error {
		for i, a := range answers {
			answer, err := a.Slice()
			if err != nil {
				return p.explain("snapshot", err)
			}
			if len(answer) == 0 {
				continue
			}
			kind, _, weight, err := parseWeight(answer)
			if err != nil {
				return p.explain("snapshot", err)
			}
			if weight > k.store.settings.MaxBytes {
				return k.tooLarge(fmt.Sprintf("entry %q holds", calls[i].key))
			}
			if kind == "string" {
				strings += weight
			}
			weights[calls[i].index] = weight
		}
		return nil
	})
	if err == nil && strings > k.store.settings.MaxBytes {
		err = k.tooLarge("entries hold")
	}
	return weights, err
}

// parseWeight reads type, size and weight, with which an answer ends or begins.
func parseWeight(answer []any) (kind string, size, weight int64, err error) {
	if len(answer) != 3 {
		return "", 0, 0, errAnswer
	}
	kind, ok1 := answer[0].(string)
	size, ok2 := answer[1].(int64)
	weight, ok3 := answer[2].(int64)
	if !ok1 || !ok2 || !ok3 {
		return "", 0, 0, errAnswer
	}
	return kind, size, weight, nil
}

// perEntry is what an answer holds beside payload and members.
const perEntry = 256

// A page of a snapshot ends with this many entries or bytes of answers. A larger
// entry has one to itself.
const (
	pageEntries = 2 * batchOf
	pageBytes   = 2 << 20
)

// fetch reads the entries in pages, each of which is answered within what a
// connection takes in: payload and members are twice the weight. It hands over
// each page with the index of the name that comes next, until hand says no.
func (k *taking) fetch(ctx context.Context, weights map[int]int64, hand func(next int, page []runbook.Saved) bool) error {
	var page []call
	var sum int64
	args := constantly(maxParts, maxValue, maxCollection, k.store.settings.MaxBytes)
	for i, n := range k.names {
		weight, present := weights[i]
		if !present {
			continue
		}
		weight = 2*weight + perEntry
		if len(page) > 0 && (sum+weight > pageBytes || len(page) == pageEntries) {
			if more, err := k.page(ctx, page, sum, i, hand); !more {
				return err
			}
			page, sum = page[:0], 0
		}
		sum += weight
		page = append(page, call{index: i, key: n, args: args})
	}
	_, err := k.page(ctx, page, sum, len(k.names), hand)
	return err
}

// page fetches one page and hands it over.
func (k *taking) page(ctx context.Context, calls []call, sum int64, next int, hand func(int, []runbook.Saved) bool) (more bool, err error) {
	if sum > longRead {
		for _, p := range k.fleet.primaries {
			p.extra.Add(sum)
			defer p.extra.Add(-sum)
		}
	}
	k.saved = make(map[int]*runbook.Saved, len(calls))
	if err := k.fleet.eachBatch(ctx, save, calls, nil, k.take); err != nil {
		return false, err
	}
	out := make([]runbook.Saved, 0, len(k.saved))
	for _, c := range calls {
		if e := k.saved[c.index]; e != nil {
			out = append(out, *e)
		}
	}
	return len(out) == 0 || hand(next, out), nil
}

// take keeps the answers of a batch.
func (k *taking) take(p *primary, calls []call, answers []*redis.Cmd) error {
	for i, a := range answers {
		e, err := parseSaved(a)
		if errors.Is(err, ErrTooLarge) {
			return k.tooLarge(fmt.Sprintf("entry %q holds", calls[i].key))
		}
		if err != nil {
			return p.explain("snapshot", err)
		}
		if e == nil {
			continue
		}
		e.Name, e.Shard, e.At = calls[i].key, p.name, k.store.settings.Clock.Now()
		if k.total += int64(len(e.Payload)); k.total > k.store.settings.MaxBytes {
			return k.tooLarge("entries hold")
		}
		k.saved[calls[i].index] = e
	}
	return nil
}

// parseSaved reads saveScript's answer; nil when the entry does not exist.
func parseSaved(cmd *redis.Cmd) (*runbook.Saved, error) {
	answer, err := cmd.Slice()
	if err != nil {
		return nil, err
	}
	if len(answer) == 0 {
		return nil, nil
	}
	if len(answer) != 6 {
		return nil, errAnswer
	}
	kind, ok1 := answer[0].(string)
	ttl, ok2 := answer[1].(int64)
	_, size, weight, err := parseWeight([]any{kind, answer[3], answer[4]})
	list, ok3 := answer[5].([]any)
	if !ok1 || !ok2 || err != nil || !ok3 {
		return nil, errAnswer
	}
	payload, ok := answer[2].(string)
	if !ok {
		return nil, ErrTooLarge // it has grown since it was weighed
	}
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i], _ = v.(string)
	}
	e := &runbook.Saved{Payload: []byte(payload)}
	e.Type, e.TTL = kind, ttlOf(ttl)
	switch {
	case kind == "string" && len(texts) == 1:
		e.Value, e.Bytes = []byte(texts[0]), len(texts[0])
	case len(texts) > 0:
		e.Parts = toParts(kind, texts)
		e.Bytes = e.Size()
	case size > 0:
		e.RawEntry = unreadEntry(e.RawEntry, size, weight)
	default:
		e.Bytes = len(payload)
	}
	return e, nil
}
