package cache

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/semaphore"

	"jwksbot/runbook"
)

// Sizes of one round trip. A server spends about 1 ms on a SCAN of this size
// per million comparisons of its pattern, so that nobody waits for it long.
const (
	scanCount = 5000
	readBatch = 250
	// longRead is the most that the rest of values may be in one round trip, and
	// inFlight what all primaries together may be answering.
	longRead = maxAnswer / 2
	inFlight = maxAnswer
	// freeName is the length of a name that is not counted against MaxBytes.
	freeName = 512
)

// List reads every entry that matches the patterns, on every primary at once,
// and hands each to read, one at a time; its value is not kept. A server is asked
// for the next names and the values of the last ones in the same round trip. What
// is too large for a key set is not fetched: such an entry says so in Unread.
// Above MaxEntries or MaxBytes values are no longer read and Truncated is set;
// names are still counted, so that Others stays right.
func (s *Store) List(ctx context.Context, read func(runbook.RawEntry) runbook.Entry) (runbook.Listing, error) {
	var out runbook.Listing
	var turn sync.Mutex
	inTurn := func(e runbook.RawEntry) runbook.Entry {
		turn.Lock()
		defer turn.Unlock()
		return read(e)
	}
	err := s.with(ctx, func(ctx context.Context, f *fleet) error {
		budget := &budget{flight: semaphore.NewWeighted(inFlight)}
		budget.entries.Store(int64(s.settings.MaxEntries))
		budget.bytes.Store(s.settings.MaxBytes)
		found := make([]*lister, len(f.primaries))
		err := f.each(ctx, func(ctx context.Context, i int, p *primary) error {
			found[i] = &lister{fleet: f, p: p, match: newMatcher(s.settings.Patterns), budget: budget, read: inTurn, seen: map[string]bool{}, ahead: scanCount}
			return found[i].run(ctx)
		})
		if err != nil {
			return err
		}
		out = assemble(found, s.settings.MaxEntries)
		return nil
	})
	return out, err
}

// assemble puts the primaries' results together.
func assemble(found []*lister, most int) runbook.Listing {
	var out runbook.Listing
	for _, l := range found {
		out.Shards = append(out.Shards, runbook.Shard{Name: l.p.name, Address: l.p.addr, Keys: l.keys})
		out.Matched += l.matched
		out.Others += max(0, l.keys-l.matched)
		out.Truncated = out.Truncated || l.truncated
	}
	sort.Slice(out.Shards, func(i, j int) bool { return out.Shards[i].Name < out.Shards[j].Name })
	out.Entries = entriesOf(found)
	if len(out.Entries) > most {
		out.Entries, out.Truncated = out.Entries[:most], true
	}
	return out
}

// entriesOf are the entries of all primaries, sorted by name. A key that is being
// moved is found on both sides, and counts once.
func entriesOf(found []*lister) []runbook.Entry {
	var all []runbook.Entry
	for _, l := range found {
		if len(found) == 1 {
			all = l.entries
		} else {
			all = append(all, l.entries...)
		}
	}
	slices.SortFunc(all, func(a, b runbook.Entry) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(all, func(a, b runbook.Entry) bool { return a.Name == b.Name })
}

// budget is what may still be read, over all primaries.
type budget struct {
	entries, bytes atomic.Int64
	flight         *semaphore.Weighted // bytes that are being answered
}

func (b *budget) takeEntry() bool        { return b.entries.Add(-1) >= 0 }
func (b *budget) takeBytes(n int64) bool { return b.bytes.Add(-n) >= 0 }

// lister lists one primary.
type lister struct {
	fleet  *fleet
	p      *primary
	match  matcher
	budget *budget
	read   func(runbook.RawEntry) runbook.Entry

	seen      map[string]bool // SCAN may return a key more than once
	queue     []string        // names whose values are still to be read
	ahead     int64           // how many names SCAN is asked to look at
	entries   []runbook.Entry
	keys      int64 // DBSIZE
	matched   int64
	truncated bool
	full      bool // MaxBytes are read: no more values are taken
}

func (l *lister) run(ctx context.Context) error {
	var cursor uint64
	for first, scanning := true, true; scanning || len(l.queue) > 0; first = false {
		batch := l.queue[:min(len(l.queue), readBatch)]
		l.queue = l.queue[len(batch):]
		weight := int64(1 + firstRead*len(batch))
		if err := l.budget.flight.Acquire(ctx, weight); err != nil {
			return err
		}
		trip := l.send(ctx, first, scanning, cursor, batch)
		next, err := l.receive(trip)
		if errors.Is(err, errFlood) && l.ahead > 1 {
			l.ahead, l.queue, next, err = max(1, l.ahead/50), append(batch, l.queue...), cursor, nil
			trip.reads = nil
		}
		var more []*read
		if err == nil {
			more, err = l.finish(ctx, trip.reads)
		}
		l.budget.flight.Release(weight)
		if err == nil {
			err = l.finishLong(ctx, more)
		}
		if err != nil {
			return err
		}
		if scanning && trip.page.Err() == nil {
			cursor, scanning = next, next != 0
		}
		if !scanning {
			l.seen = nil
		}
	}
	return nil
}

// trip is what one round trip asks for.
type trip struct {
	hello *redis.Cmd
	size  *redis.IntCmd
	page  *redis.ScanCmd
	reads []*read
}

func (l *lister) send(ctx context.Context, first, scanning bool, cursor uint64, batch []string) trip {
	pipe := l.p.client.Pipeline()
	t := trip{reads: make([]*read, len(batch))}
	if first {
		t.hello, t.size = askHello(ctx, pipe), pipe.DBSize(ctx)
	}
	if scanning {
		t.page = pipe.Scan(ctx, cursor, l.match.scan, l.ahead)
	}
	for i, name := range batch {
		t.reads[i] = startRead(ctx, pipe, name, false)
	}
	exec(ctx, pipe)
	return t
}

// receive takes over everything but the values, and returns the next cursor.
func (l *lister) receive(t trip) (next uint64, err error) {
	if t.size != nil {
		if t.size.Err() != nil {
			return 0, l.p.explain("DBSIZE", t.size.Err())
		}
		if err := l.p.watchRole(t.hello); err != nil {
			return 0, err
		}
		l.keys = t.size.Val()
	}
	if t.page == nil {
		return 0, nil
	}
	names, next, err := t.page.Result()
	if err != nil {
		return 0, l.p.explain("SCAN", err)
	}
	l.add(names)
	return next, nil
}

// add counts new names and queues those that may still be read.
func (l *lister) add(names []string) {
	for _, n := range l.match.keep(names) {
		if l.truncated {
			// Beyond the limit a repeated name may be counted twice; keeping
			// millions of names to avoid that is not worth it.
			l.matched++
			continue
		}
		if l.seen[n] {
			continue
		}
		l.seen[n] = true
		l.matched++
		if !l.budget.takeEntry() || !l.budget.takeBytes(int64(max(0, len(n)-freeName))) {
			l.truncated = true
			continue
		}
		l.queue = append(l.queue, n)
	}
}

// finish turns the answers of a batch into entries, and returns the reads that
// need more.
func (l *lister) finish(ctx context.Context, reads []*read) (more []*read, err error) {
	for i, r := range reads {
		server, asking := l.servedBy(r)
		if !asking {
			continue
		}
		pipe := server.client.Pipeline()
		reads[i] = startRead(ctx, pipe, r.entry.Name, true)
		exec(ctx, pipe)
		more, err := settleAll(server, reads[i:i+1])
		if err == nil {
			err = sizeAll(ctx, server, more)
		}
		if err == nil {
			err = readLong(ctx, server, more)
		}
		if err != nil {
			return nil, err
		}
	}
	if more, err = settleAll(l.p, reads); err != nil {
		return nil, err
	}
	for _, r := range reads {
		if r.whole {
			l.take(r)
		}
	}
	return more, nil
}

// finishLong reads what the first round trip could not: collections, after they
// said how large they are, and long strings.
func (l *lister) finishLong(ctx context.Context, reads []*read) error {
	if len(reads) == 0 {
		return nil
	}
	if err := sizeAll(ctx, l.p, reads); err != nil {
		return err
	}
	for len(reads) > 0 && !l.full {
		group, weight := l.group(reads)
		reads = reads[len(group):]
		if err := l.budget.flight.Acquire(ctx, weight); err != nil {
			return err
		}
		err := readLong(ctx, l.p, group)
		for _, r := range group {
			if err == nil {
				l.take(r)
			}
		}
		l.budget.flight.Release(weight)
		if err != nil {
			return err
		}
	}
	return nil
}

// group is as many of the reads as fit into one round trip, at least one.
func (l *lister) group(reads []*read) ([]*read, int64) {
	weight := int64(1)
	for i, r := range reads {
		if i > 0 && weight+r.weight > longRead {
			return reads[:i], weight
		}
		weight += r.weight
	}
	return reads, weight
}

// take reads an entry whose value is there, or will not be, and forgets the
// value.
func (l *lister) take(r *read) {
	switch {
	case l.full:
	case !r.present:
		l.matched-- // it went away between SCAN and reading
	case !l.budget.takeBytes(int64(r.entry.Size())):
		l.full, l.truncated, l.queue = true, true, nil
	default:
		r.entry.Shard = l.p.name
		if len(l.entries) == cap(l.entries) { // SCAN is ahead: it is known how many come
			come := min(l.matched-int64(len(l.entries)), int64(readBatch+len(l.queue)))
			l.entries = slices.Grow(l.entries, int(max(1, come)))
		}
		l.entries = append(l.entries, l.read(r.entry))
		r.entry, r.value = runbook.RawEntry{Name: r.entry.Name}, nil
	}
}

// servedBy says where a key has to be asked for while a resharding moves its
// slot: SCAN finds it on the server that holds it, which the cluster may not
// let answer for it yet (MOVED), or which has just handed it on (ASK).
func (l *lister) servedBy(r *read) (server *primary, asking bool) {
	if addr, ask := redis.IsAskError(r.kind.Err()); ask {
		return l.fleet.at(addr), true
	}
	_, moved := redis.IsMovedError(r.kind.Err())
	return l.p, moved
}

// settleAll takes over the first answers of one server, and returns the reads
// that need more.
func settleAll(p *primary, reads []*read) (more []*read, err error) {
	for _, r := range reads {
		if r.settled {
			continue
		}
		if err := r.settle(); err != nil {
			return nil, p.explain("read entry", err)
		}
		if !r.whole {
			more = append(more, r)
		}
	}
	return more, nil
}

// sizeAll asks how large the collections among the reads are.
func sizeAll(ctx context.Context, p *primary, reads []*read) error {
	pipe := p.client.Pipeline()
	var asked []*read
	for _, r := range reads {
		if r.startSize(ctx, pipe) {
			asked = append(asked, r)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	exec(ctx, pipe)
	for _, r := range asked {
		if err := r.settleSize(); err != nil {
			return p.explain("read entry", err)
		}
	}
	return nil
}
