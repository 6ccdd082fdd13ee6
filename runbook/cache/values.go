package cache

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
)

// What is read of one entry.
const (
	// firstRead is how much of a string is asked for before its length is
	// known. Key sets are far below it.
	firstRead = 64 << 10
	// maxValue is the longest string that is read at all, like the cap on the
	// live key set.
	maxValue = 1 << 20
	// maxParts is the largest collection whose members are read.
	maxParts = 10_000
)

// read is the reading of one entry.
type read struct {
	entry   runbook.RawEntry
	present bool
	whole   bool // the value is complete
	settled bool // the answers were taken over
	asking  bool // the slot is on its way to the server, which answers only if asked so

	kind   *redis.StatusCmd
	ttl    *redis.DurationCmd
	length *redis.IntCmd
	value  *redis.StringCmd

	long    *redis.StringCmd
	hash    *redis.ScanCmd
	members *redis.StringSliceCmd
}

// startRead asks for type, TTL, length and value at once, as if the entry were
// a string: most are, and WRONGTYPE costs less than a round trip.
func startRead(ctx context.Context, pipe redis.Pipeliner, name string, asking bool) *read {
	r := &read{entry: runbook.RawEntry{Name: name}, asking: asking}
	r.ask(ctx, pipe)
	r.kind = pipe.Type(ctx, name)
	r.ask(ctx, pipe)
	r.ttl = pipe.PTTL(ctx, name)
	r.ask(ctx, pipe)
	r.length = pipe.StrLen(ctx, name)
	r.ask(ctx, pipe)
	r.value = pipe.GetRange(ctx, name, 0, firstRead-1)
	return r
}

// ask precedes each command to a server that is importing the slot.
func (r *read) ask(ctx context.Context, pipe redis.Pipeliner) {
	if r.asking {
		pipe.Do(ctx, "asking")
	}
}

// settle takes over the first answers.
func (r *read) settle() error {
	if err := firstError(r.kind, r.ttl); err != nil {
		return err
	}
	r.entry.Type = r.kind.Val()
	r.present = r.entry.Type != "none" && r.ttl.Val() != -2
	if !r.present {
		return nil
	}
	r.entry.TTL = r.ttl.Val()
	if r.entry.TTL < 0 {
		r.entry.TTL = runbook.NoExpiry
	}
	if r.entry.Type != "string" {
		return nil
	}
	if err := firstError(r.length, r.value); err != nil {
		if redis.HasErrorPrefix(err, "WRONGTYPE") {
			return nil // became something else in between; the second trip tells
		}
		return err
	}
	r.entry.Value = []byte(r.value.Val())
	r.entry.Bytes = len(r.entry.Value)
	r.whole = r.entry.Bytes < firstRead || r.length.Val() == firstRead
	return nil
}

// startMore asks for what is missing; false when there is nothing to ask for.
func (r *read) startMore(ctx context.Context, pipe redis.Pipeliner) bool {
	n := r.entry.Name
	r.ask(ctx, pipe)
	switch r.entry.Type {
	case "string":
		r.entry.Bytes = int(r.length.Val())
		r.entry.Value = nil
		if r.entry.Bytes > maxValue {
			return false
		}
		r.long = pipe.GetRange(ctx, n, 0, maxValue)
	case "hash":
		r.hash = pipe.HScan(ctx, n, 0, "", maxParts)
	case "set":
		r.hash = pipe.SScan(ctx, n, 0, "", maxParts)
	case "zset":
		r.members = pipe.ZRange(ctx, n, 0, maxParts)
	case "list":
		r.members = pipe.LRange(ctx, n, 0, maxParts)
	default:
		return false
	}
	return true
}

// settleMore takes over the second answers. Something that changed its type
// in between is listed without a value.
func (r *read) settleMore() error {
	if err := r.moreErr(); err != nil {
		if redis.HasErrorPrefix(err, "WRONGTYPE") {
			return nil
		}
		return err
	}
	switch {
	case r.long != nil:
		if v := r.long.Val(); len(v) <= maxValue {
			r.entry.Value, r.entry.Bytes = []byte(v), len(v)
		}
	case r.hash != nil:
		texts, cursor := r.hash.Val()
		parts := toParts(r.entry.Type, texts)
		r.setParts(parts, cursor == 0)
	case r.members != nil:
		parts := toParts(r.entry.Type, r.members.Val())
		r.setParts(parts, len(parts) <= maxParts)
	}
	return nil
}

func (r *read) moreErr() error {
	switch {
	case r.long != nil:
		return firstError(r.long)
	case r.hash != nil:
		return firstError(r.hash)
	}
	return firstError(r.members)
}

func (r *read) setParts(parts []runbook.RawPart, whole bool) {
	r.entry.Bytes = partsSize(parts)
	if whole {
		r.entry.Parts = parts
	}
}

// toParts makes parts of a server's answer: pairs for a hash, else members.
func toParts(kind string, texts []string) []runbook.RawPart {
	parts := []runbook.RawPart{}
	if kind != "hash" {
		for _, t := range texts {
			parts = append(parts, runbook.RawPart{Value: []byte(t)})
		}
		return parts
	}
	for i := 0; i+1 < len(texts); i += 2 {
		parts = append(parts, runbook.RawPart{Field: texts[i], Value: []byte(texts[i+1])})
	}
	return parts
}

func partsSize(parts []runbook.RawPart) int {
	n := 0
	for _, p := range parts {
		n += len(p.Field) + len(p.Value)
	}
	return n
}

func firstError(cmds ...redis.Cmder) error {
	for _, c := range cmds {
		if err := c.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	return nil
}

// ttlOf reads PTTL's answer in milliseconds; -1 stands for no expiry.
func ttlOf(ms int64) time.Duration {
	if ms < 0 {
		return runbook.NoExpiry
	}
	return time.Duration(ms) * time.Millisecond
}
