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
var ErrTooLarge = errors.New("too large for a snapshot")

// Snapshot reads the named entries for a deletion that can be undone. Payload,
// value and TTL of an entry are of the same moment. Entries that do not exist
// are absent from the result, which is in the order of names.
func (s *Store) Snapshot(ctx context.Context, names []string) ([]runbook.Saved, error) {
	calls := make([]call, len(names))
	for i, n := range names {
		calls[i] = call{index: i, key: n, args: []any{maxParts}}
	}
	var out []runbook.Saved
	err := s.with(ctx, func(ctx context.Context, f *fleet) error {
		saved := make([]*runbook.Saved, len(names))
		var total int64
		err := f.eachBatch(ctx, save, calls, nil, func(p *primary, calls []call, answers []*redis.Cmd) error {
			for i, a := range answers {
				e, err := parseSaved(a)
				if err != nil {
					return p.explain("snapshot", err)
				}
				if e == nil {
					continue
				}
				e.Name, e.Shard, e.At = calls[i].key, p.name, s.settings.Clock.Now()
				if total += int64(len(e.Payload)); total > s.settings.MaxBytes {
					return fmt.Errorf("cache %q: entries hold more than %d bytes: %w", f.topology.Name, s.settings.MaxBytes, ErrTooLarge)
				}
				saved[calls[i].index] = e
			}
			return nil
		})
		out = out[:0]
		for _, e := range saved {
			if e != nil {
				out = append(out, *e)
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
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
	if len(answer) != 5 {
		return nil, errAnswer
	}
	kind, ok1 := answer[0].(string)
	ttl, ok2 := answer[1].(int64)
	payload, ok3 := answer[2].(string)
	list, ok4 := answer[4].([]any)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return nil, errAnswer
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
		e.Bytes = partsSize(e.Parts)
	default:
		e.Bytes = len(payload)
	}
	return e, nil
}
