package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
)

// What is read of one entry.
const (
	// firstRead is how much of a string is asked for before its length is
	// known. Key sets are below it.
	firstRead = 16 << 10
	// maxValue is the longest string that is read at all, like the cap on the
	// live key set.
	maxValue = 1 << 20
	// maxParts is the largest collection whose members are read.
	maxParts = 10_000
	// maxCollection is the most memory of the server that a collection may take
	// to be read; what its members hold is less.
	maxCollection = 4 << 20
)

// read is the reading of one entry: first type, length and the beginning of a
// string, then the size of a collection, then what is missing and not too large.
type read struct {
	entry   runbook.RawEntry
	present bool
	whole   bool // nothing more is to be asked for
	settled bool // the answers were taken over
	asking  bool // the slot is on its way to the server, which answers only if asked so

	kind   *redis.StatusCmd
	ttl    *redis.DurationCmd
	length *redis.IntCmd
	value  *redis.StringCmd

	count  *redis.IntCmd
	memory *redis.IntCmd
	weight int64 // bytes that the rest takes, as far as the server tells

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
	r.settled = true
	if err := firstError(r.kind, r.ttl); err != nil {
		return err
	}
	r.entry.Type = r.kind.Val()
	r.present = r.entry.Type != "none" && r.ttl.Val() != -2
	if r.whole = !r.present; r.whole {
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
		return r.changed(err)
	}
	size := r.length.Val()
	switch r.entry.Bytes = int(size); {
	case size > maxValue:
		r.entry, r.whole = unreadEntry(r.entry, size, size), true
	case len(r.value.Val()) < firstRead || size == firstRead:
		r.entry.Value, r.whole = r.take(r.value), true
		r.entry.Bytes = len(r.entry.Value)
	default:
		r.weight = size
	}
	return nil
}

// leave ends the reading of an entry whose value is not read.
func (r *read) leave(format string, args ...any) {
	r.entry.Value, r.entry.Parts, r.whole = nil, nil, true
	r.entry.Unread = fmt.Sprintf(format, args...)
}

// changed is for an entry that became something else in between.
func (r *read) changed(err error) error {
	if !redis.HasErrorPrefix(err, "WRONGTYPE") {
		return err
	}
	r.leave("changed while it was read")
	return nil
}

// take copies a value out of its command, which is then forgotten.
func (r *read) take(cmd *redis.StringCmd) []byte {
	b, _ := cmd.Bytes() // its error was looked at
	return b
}

// startSize asks how large a collection is; false when the entry is none.
func (r *read) startSize(ctx context.Context, pipe redis.Pipeliner) bool {
	count := map[string]func(context.Context, string) *redis.IntCmd{
		"hash": pipe.HLen, "set": pipe.SCard, "zset": pipe.ZCard, "list": pipe.LLen}[r.entry.Type]
	if count == nil {
		return false
	}
	r.ask(ctx, pipe)
	r.count = count(ctx, r.entry.Name)
	r.ask(ctx, pipe)
	r.memory = pipe.MemoryUsage(ctx, r.entry.Name)
	return true
}

// settleSize takes over the size of a collection. A server that may not say
// what memory it takes (serverless caches do not) is believed nothing: what it
// then sends is bounded on the connection.
func (r *read) settleSize() error {
	if err := firstError(r.count); err != nil {
		return r.changed(err)
	}
	n := r.count.Val()
	var refused redis.Error
	if err := r.memory.Err(); err != nil && !errors.As(err, &refused) {
		return err
	}
	memory := r.memory.Val()
	switch {
	case n > maxParts || memory > maxCollection:
		r.entry, r.whole = unreadEntry(r.entry, n, memory), true
	case memory == 0:
		r.weight = maxCollection
	default:
		r.weight = memory
	}
	return nil
}

// unreadEntry is an entry that is too large to be read. A string has a length,
// a collection a number of elements and the memory that it takes.
func unreadEntry(e runbook.RawEntry, size, weight int64) runbook.RawEntry {
	e.Value, e.Parts, e.Bytes = nil, nil, int(weight)
	switch {
	case e.Type == "string":
		e.Unread = fmt.Sprintf("too large: %s bytes, not read", runbook.Thousands(size))
		return e
	case weight == 0:
		e.Unread = fmt.Sprintf("too large: %s elements, not read", runbook.Thousands(size))
	default:
		e.Unread = fmt.Sprintf("too large: %s elements in %s bytes of the server's memory, not read", runbook.Thousands(size), runbook.Thousands(weight))
	}
	e.Elements = size
	return e
}

// startMore asks for what is missing; false when there is nothing to ask for.
func (r *read) startMore(ctx context.Context, pipe redis.Pipeliner) bool {
	n := r.entry.Name
	r.ask(ctx, pipe)
	switch r.entry.Type {
	case "string":
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
		r.whole = true
		return false
	}
	return true
}

// settleMore takes over the rest.
func (r *read) settleMore() error {
	r.whole = true
	if err := r.moreErr(); err != nil {
		return r.changed(err)
	}
	switch {
	case r.long != nil:
		v := r.take(r.long)
		if r.entry.Value, r.entry.Bytes = v, len(v); len(v) > maxValue {
			r.leave("too large: more than %s bytes, not read", runbook.Thousands(maxValue))
		}
	case r.hash != nil:
		texts, cursor := r.hash.Val()
		r.setParts(toParts(r.entry.Type, texts), cursor == 0)
	case r.members != nil:
		parts := toParts(r.entry.Type, r.members.Val())
		r.setParts(parts, len(parts) <= maxParts)
	}
	r.long, r.hash, r.members = nil, nil, nil
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
	r.entry.Parts = parts
	r.entry.Bytes = r.entry.Size()
	switch {
	case !whole:
		r.leave("too large: more than %s elements, not read", runbook.Thousands(maxParts))
	case r.entry.Bytes > maxCollection:
		r.leave("too large: %s bytes, not read", runbook.Thousands(int64(r.entry.Bytes)))
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
