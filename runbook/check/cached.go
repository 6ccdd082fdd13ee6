package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
	"jwksbot/runbook/diagnose"
)

// cachedKeys lists and reads the entries of the cache.
type cachedKeys struct{ t *Target }

func (cachedKeys) Name() string { return runbook.StepCachedKeys }

func (c cachedKeys) Run(ctx context.Context, _ Question) (Result, error) {
	ev, err := c.t.readCache(ctx)
	if err != nil {
		return Result{Status: runbook.StatusError, Summary: err.Error()}, err
	}
	status, summary := describeCached(ev)
	return Result{Status: status, Summary: summary, Evidence: runbook.Evidence{Cached: &ev}}, nil
}

// readCache lists the cache and decodes every entry, as far as its budget goes.
func (t *Target) readCache(ctx context.Context) (runbook.CacheEvidence, error) {
	list, err := t.Entries.List(ctx, t.Reader(ctx).Read)
	if err != nil {
		return runbook.CacheEvidence{}, err
	}
	ev := runbook.CacheEvidence{Shards: list.Shards, Matched: list.Matched, Others: list.Others, Truncated: list.Truncated}
	ev.Entries = list.Entries
	return ev, nil
}

// Reader reads the entries of one pass over a cache, within one budget.
type Reader struct {
	t      *Target
	budget *budget.Budget
	known  diagnose.Memo[string, runbook.Reading] // by digest
	says   diagnose.Memo[diagnose.KeyList, string]
}

// Reader reads entries, equal ones once.
func (t *Target) Reader(ctx context.Context) *Reader {
	return &Reader{t: t, budget: budget.ForCheck(ctx)}
}

// Read decodes one raw entry with a share of the budget, and attributes it.
func (r *Reader) Read(raw runbook.RawEntry) runbook.Entry {
	e := runbook.Entry{Name: raw.Name, Shard: raw.Shard, Type: raw.Type, TTL: raw.TTL, Bytes: raw.Bytes, Digest: raw.Digest()}
	reading, known := r.known[e.Digest]
	if !known {
		reading = r.decode(raw)
		if namesItself(reading, raw.Name) {
			r.known.Put(e.Digest, reading)
		}
	}
	e.Reading = reading
	e.Foreign = r.t.ForeignIssuer(e)
	return e
}

// Meaning is the entry's.
func (r *Reader) Meaning(e runbook.Entry) string {
	if e.Reading.Content != runbook.ContentKeys {
		return e.Meaning()
	}
	return r.says.Remember(diagnose.ListOf(e.Reading.Set), e.Reading.Set.Meaning)
}

// decode makes a reading of an entry that costs no more than its share.
func (r *Reader) decode(raw runbook.RawEntry) runbook.Reading {
	share := r.budget.Share(raw.Size())
	reading := r.t.Decode(raw, share)
	if !r.budget.Keep(share, reading.Kept()) {
		reading = runbook.UnreadReading(fmt.Sprintf("not kept: the keys of all entries take more than %s of memory", budget.ByteSize(r.budget.Limits.Kept)), reading.Kid)
	}
	return reading
}

// namesItself says that the bytes of an entry read the same under every name:
// there are keys, and none has its kid from the name. Ten thousand copies of one
// key set are then read once and held once.
func namesItself(r runbook.Reading, name string) bool {
	return r.Content == runbook.ContentKeys && r.Unread == "" && !slices.ContainsFunc(r.Set.Keys, func(k runbook.Key) bool {
		return k.Kid == "" || strings.Contains(name, k.Kid)
	})
}

func describeCached(ev runbook.CacheEvidence) (runbook.Status, string) {
	own, foreign := ev.Own()
	if len(own) == 0 && ev.Truncated {
		return runbook.StatusWarn, fmt.Sprintf("not read: the entries on %s are more or larger than the limits allow%s", runbook.Plural(len(ev.Shards), "shard", "shards"), foreignNote(foreign))
	}
	if len(own) == 0 {
		return runbook.StatusOK, fmt.Sprintf("empty: no entry of this issuer on %s%s", runbook.Plural(len(ev.Shards), "shard", "shards"), foreignNote(foreign))
	}
	keys := 0
	for _, e := range own {
		keys += len(e.Reading.Set.Keys)
	}
	text := runbook.Plural(len(own), "entry", "entries")
	if keys > 0 {
		text += " with " + runbook.Plural(keys, "key", "keys")
	}
	text += " on " + runbook.Plural(len(ev.Shards), "shard", "shards") + foreignNote(foreign)
	if odd := oddText(own); odd != "" {
		return runbook.StatusWarn, text + "; " + odd
	}
	return runbook.StatusOK, text
}

// oddText counts the entries that hold no keys, by what they hold instead; ""
// when all hold keys.
func oddText(own []runbook.Entry) string {
	n := map[runbook.Content]int{}
	unread := 0
	for _, e := range own {
		if e.Reading.Unread != "" {
			unread++
			continue
		}
		n[e.Reading.Content]++
	}
	var out []string
	add := func(n int, one, many string) {
		switch {
		case n == 1 && len(own) == 1:
			out = append(out, "it "+one)
		case n > 0:
			out = append(out, runbook.Plural(n, "of them "+one, "of them "+many))
		}
	}
	add(n[runbook.ContentPoison]+n[runbook.ContentEmpty], "is not a key set", "are not key sets")
	add(n[runbook.ContentNegative], "is a negative marker", "are negative markers")
	add(n[runbook.ContentUnknown], "is in an unknown format", "are in an unknown format")
	add(unread, "was not read", "were not read")
	return strings.Join(out, ", ")
}

func foreignNote(foreign []runbook.Entry) string {
	if len(foreign) == 0 {
		return ""
	}
	return fmt.Sprintf(", %s left alone", runbook.Plural(len(foreign), "entry of another issuer", "entries of other issuers"))
}
