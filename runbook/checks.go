package runbook

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// probes is how often the live endpoint is asked: one answer alone cannot tell
// a rotation from one edge that lags behind.
const probes = 3

// liveKeys asks the JWKS URL several times at once, each on its own connection.
type liveKeys struct{ t *Target }

func (liveKeys) Name() string { return StepLiveKeys }

func (c liveKeys) Run(ctx context.Context, _ Question) (Result, error) {
	ev := &LiveEvidence{URL: c.t.JWKSURL, Probes: make([]Probe, probes)}
	var wg sync.WaitGroup
	for i := range ev.Probes {
		wg.Go(func() { ev.Probes[i] = c.t.Live.Probe(ctx) })
	}
	wg.Wait()
	status, summary := ev.describe()
	return Result{Status: status, Summary: summary, Evidence: Evidence{Live: ev}}, nil
}

// describe says in one line what the probes brought.
func (ev *LiveEvidence) describe() (Status, string) {
	healthy, unhealthy, unreachable := ev.sort()
	switch {
	case len(healthy) == 0 && len(unhealthy) == 0:
		return StatusError, "unreachable from here: " + unreachable[0].Problem
	case len(healthy) == 0:
		return StatusFail, unhealthy[0].Problem
	case len(unhealthy) > 0:
		return StatusFail, fmt.Sprintf("%d of %d probes answered badly: %s", len(unhealthy), len(ev.Probes), unhealthy[0].Problem)
	case !ev.agree():
		return StatusFail, fmt.Sprintf("%d probes brought different key sets", len(healthy))
	}
	set := healthy[0].Set
	text := fmt.Sprintf("%s, %d of %d usable, %d probes agree", plural(len(set.Keys), "key", "keys"), set.Usable, len(set.Keys), len(healthy))
	if len(unreachable) > 0 {
		return StatusWarn, fmt.Sprintf("%s; %d unreachable: %s", text, len(unreachable), unreachable[0].Problem)
	}
	if len(set.Problems) > 0 {
		return StatusWarn, text + "; " + set.Problems[0]
	}
	return StatusOK, text
}

// sort tells the probes apart: good ones, wrong answers, and no answers.
func (ev *LiveEvidence) sort() (healthy, unhealthy, unreachable []Probe) {
	for _, p := range ev.Probes {
		switch {
		case p.Unreachable:
			unreachable = append(unreachable, p)
		case p.Healthy():
			healthy = append(healthy, p)
		default:
			unhealthy = append(unhealthy, p)
		}
	}
	return healthy, unhealthy, unreachable
}

// agree says whether all healthy probes brought the same keys.
func (ev *LiveEvidence) agree() bool {
	healthy, _, _ := ev.sort()
	for _, p := range healthy {
		if meaningOf(p.Set) != meaningOf(healthy[0].Set) {
			return false
		}
	}
	return true
}

// Set returns the live key set, if the probes agree on a healthy one.
func (ev *LiveEvidence) Set() (KeySet, bool) {
	if ev == nil {
		return KeySet{}, false
	}
	healthy, unhealthy, _ := ev.sort()
	if len(healthy) == 0 || len(unhealthy) > 0 || !ev.agree() {
		return KeySet{}, false
	}
	return healthy[0].Set, true
}

// cachedKeys lists and reads the entries of the cache.
type cachedKeys struct{ t *Target }

func (cachedKeys) Name() string { return StepCachedKeys }

func (c cachedKeys) Run(ctx context.Context, _ Question) (Result, error) {
	ev, err := c.t.readCache(ctx)
	if err != nil {
		return Result{Status: StatusError, Summary: err.Error()}, err
	}
	status, summary := ev.describe()
	return Result{Status: status, Summary: summary, Evidence: Evidence{Cached: &ev}}, nil
}

// readCache lists the cache and decodes every entry, as far as its budget goes.
func (t *Target) readCache(ctx context.Context) (CacheEvidence, error) {
	list, err := t.Entries.List(ctx, t.reader(ctx).read)
	if err != nil {
		return CacheEvidence{}, err
	}
	ev := CacheEvidence{Shards: list.Shards, Matched: list.Matched, Others: list.Others, Truncated: list.Truncated}
	ev.Entries = list.Entries
	return ev, nil
}

// reader reads the entries of one pass over a cache, within one budget.
type reader struct {
	t      *Target
	budget *Budget
	known  memo[string, Reading] // by digest
	says   memo[keyList, string]
}

// reader reads entries, equal ones once.
func (t *Target) reader(ctx context.Context) *reader {
	return &reader{t: t, budget: checkBudget(ctx)}
}

// read decodes one raw entry with a share of the budget, and attributes it.
func (r *reader) read(raw RawEntry) Entry {
	e := Entry{Name: raw.Name, Shard: raw.Shard, Type: raw.Type, TTL: raw.TTL, Bytes: raw.Bytes, Digest: raw.digest()}
	reading, known := r.known[e.Digest]
	if !known {
		reading = r.decode(raw)
		if reading.namesItself(raw.Name) {
			r.known.put(e.Digest, reading)
		}
	}
	e.Reading = reading
	e.Foreign = r.t.foreignIssuer(e)
	return e
}

// meaning is the entry's.
func (r *reader) meaning(e Entry) string {
	if e.Reading.Content != ContentKeys {
		return e.meaning()
	}
	return r.says.remember(e.Reading.Set.list(), e.Reading.Set.meaning)
}

// decode makes a reading of an entry that costs no more than its share.
func (r *reader) decode(raw RawEntry) Reading {
	share := r.budget.share(raw.Size())
	reading := r.t.Decode(raw, share)
	if !r.budget.keep(share, reading.kept()) {
		reading = UnreadReading(fmt.Sprintf("not kept: the keys of all entries take more than %s of memory", byteSize(r.budget.limits.Kept)), reading.Kid)
	}
	return reading
}

// namesItself says that the bytes of an entry read the same under every name:
// there are keys, and none has its kid from the name. Ten thousand copies of one
// key set are then read once and held once.
func (r Reading) namesItself(name string) bool {
	return r.Content == ContentKeys && r.Unread == "" && !slices.ContainsFunc(r.Set.Keys, func(k Key) bool {
		return k.Kid == "" || strings.Contains(name, k.Kid)
	})
}

// memoMost is how much is remembered of what was looked at last.
const memoMost = 256

// memo remembers what was worked out for entries that say the same, so that it
// is neither worked out nor held again for each of them.
type memo[K comparable, V any] map[K]V

// remember returns what make made for the key before, or makes it.
func (m *memo[K, V]) remember(key K, make func() V) V {
	v, known := (*m)[key]
	if !known {
		v = make()
		m.put(key, v)
	}
	return v
}

func (m *memo[K, V]) put(key K, v V) {
	if *m == nil || len(*m) >= memoMost {
		*m = memo[K, V]{}
	}
	(*m)[key] = v
}

func (ev CacheEvidence) describe() (Status, string) {
	own, foreign := ev.own()
	if len(own) == 0 && ev.Truncated {
		return StatusWarn, fmt.Sprintf("not read: the entries on %s are more or larger than the limits allow%s", plural(len(ev.Shards), "shard", "shards"), foreignNote(foreign))
	}
	if len(own) == 0 {
		return StatusOK, fmt.Sprintf("empty: no entry of this issuer on %s%s", plural(len(ev.Shards), "shard", "shards"), foreignNote(foreign))
	}
	keys := 0
	for _, e := range own {
		keys += len(e.Reading.Set.Keys)
	}
	text := plural(len(own), "entry", "entries")
	if keys > 0 {
		text += " with " + plural(keys, "key", "keys")
	}
	text += " on " + plural(len(ev.Shards), "shard", "shards") + foreignNote(foreign)
	if odd := oddText(own); odd != "" {
		return StatusWarn, text + "; " + odd
	}
	return StatusOK, text
}

// oddText counts the entries that hold no keys, by what they hold instead; ""
// when all hold keys.
func oddText(own []Entry) string {
	n := map[Content]int{}
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
			out = append(out, plural(n, "of them "+one, "of them "+many))
		}
	}
	add(n[ContentPoison]+n[ContentEmpty], "is no key set", "are no key sets")
	add(n[ContentNegative], "is a negative marker", "are negative markers")
	add(n[ContentUnknown], "is in an unknown format", "are in an unknown format")
	add(unread, "was not read", "were not read")
	return strings.Join(out, ", ")
}

func foreignNote(foreign []Entry) string {
	if len(foreign) == 0 {
		return ""
	}
	return fmt.Sprintf(", %s left alone", plural(len(foreign), "entry of another issuer", "entries of other issuers"))
}

// own separates the entries of this target from those of other issuers.
func (ev CacheEvidence) own() (own, foreign []Entry) {
	if !slices.ContainsFunc(ev.Entries, func(e Entry) bool { return e.Foreign != "" }) {
		return slices.Clip(ev.Entries), nil
	}
	for _, e := range ev.Entries {
		if e.Foreign != "" {
			foreign = append(foreign, e)
		} else {
			own = append(own, e)
		}
	}
	return own, foreign
}

// Heals says when an entry that is at fault ends by itself.
func (e Entry) Heals() string {
	if e.TTL == NoExpiry {
		return "never expires"
	}
	return "heals by itself in " + Duration(e.TTL)
}

// Expires says the same of an entry that is in order, or of which nobody knows.
func (e Entry) Expires() string {
	if e.TTL == NoExpiry {
		return "never expires"
	}
	return "expires in " + Duration(e.TTL)
}

// loggedKeys reads what the authoriser failed on.
type loggedKeys struct{ t *Target }

func (loggedKeys) Name() string { return StepLoggedKeys }

func (c loggedKeys) Run(ctx context.Context, q Question) (Result, error) {
	ev, err := c.t.Logs.Failures(ctx, q.Since, q.Until, q.Kid)
	if err != nil && ev.Pages == 0 {
		return Result{Status: StatusError, Summary: err.Error()}, err
	}
	status, summary := ev.describe(q.Until)
	r := Result{Status: status, Summary: summary, Evidence: Evidence{Logged: &ev}}
	if err != nil {
		// What was read is a lower bound and still worth a verdict.
		r.Status, r.Summary = StatusWarn, summary+"; reading stopped: "+err.Error()
	}
	return r, nil
}

func (ev LogEvidence) describe(now time.Time) (Status, string) {
	if ev.Count == 0 {
		return StatusOK, fmt.Sprintf("no failures in the last %s", Duration(ev.Until.Sub(ev.Since)))
	}
	text := ev.CountText() + " in the last " + Duration(ev.Until.Sub(ev.Since))
	if last, ok := ev.lastFailure(); ok && now.Sub(last) > 3*time.Minute {
		return StatusWarn, fmt.Sprintf("%s, none in the last %s", text, Duration(now.Sub(last)))
	}
	return StatusFail, text + ev.kidsText()
}

// CountText writes the count of failures, with "at least" when it is capped.
func (ev LogEvidence) CountText() string {
	s := plural(ev.Count, "failure", "failures")
	if ev.AtLeast {
		return "at least " + s
	}
	return s
}

// kidsText says on which kids the failures were, as far as they name any.
func (ev LogEvidence) kidsText() string {
	named := 0
	for _, k := range ev.Kids {
		named += k.Count
	}
	switch {
	case named == 0:
		return ""
	case named*2 < ev.Count:
		return fmt.Sprintf(", %s of them with a kid", Thousands(int64(named)))
	case len(ev.Kids) > 1 && ev.Kids[0].Count*2 <= ev.Count:
		return fmt.Sprintf(", on %d kids, at most %s on each", len(ev.Kids), Thousands(int64(ev.Kids[0].Count)))
	case len(ev.Kids) > 1:
		return fmt.Sprintf(", on %d kids, most on %s (%s)", len(ev.Kids), quote(ev.Kids[0].Kid), Thousands(int64(ev.Kids[0].Count)))
	case named < ev.Count:
		return fmt.Sprintf(", %s of them on kid %s", Thousands(int64(named)), quote(ev.Kids[0].Kid))
	}
	return ", all on kid " + quote(ev.Kids[0].Kid)
}

// lastFailure returns the end of the newest minute that has a failure.
func (ev LogEvidence) lastFailure() (time.Time, bool) {
	for i := len(ev.PerMinute) - 1; i >= 0; i-- {
		if ev.PerMinute[i].Count > 0 {
			return ev.PerMinute[i].At.Add(time.Minute), true
		}
	}
	return time.Time{}, false
}

// cacheTraffic reads hits and misses; it waits for the names of the nodes,
// which only the cache's discovery knows.
type cacheTraffic struct{ t *Target }

func (cacheTraffic) Name() string { return StepCacheTraffic }

func (c cacheTraffic) Run(ctx context.Context, q Question) (Result, error) {
	nodes, err := c.t.Entries.Nodes(ctx)
	if err != nil {
		return Result{Status: StatusError, Summary: err.Error()}, err
	}
	if len(nodes) == 0 {
		return Result{Status: StatusSkipped, Summary: "the cache is no replication group: CloudWatch has no metrics of it"}, nil
	}
	ev, err := c.t.Traffic.Traffic(ctx, nodes, q.Since, q.Until)
	if err != nil && len(ev.Points) == 0 {
		return Result{Status: StatusError, Summary: err.Error()}, err
	}
	status, summary := ev.describe()
	if err != nil {
		status, summary = StatusWarn, summary+"; reading stopped: "+err.Error()
	}
	return Result{Status: status, Summary: summary, Evidence: Evidence{Traffic: &ev}}, nil
}
