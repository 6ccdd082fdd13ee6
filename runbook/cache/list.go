package cache

import (
	"context"
	"sort"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
)

// Sizes of one round trip. A server spends about 1 ms on a SCAN of this size
// per million comparisons of its pattern, so that nobody waits for it long.
const (
	scanCount = 5000
	readBatch = 250
)

// List reads every entry that matches the patterns, on every primary at once.
// A server is asked for the next names and the values of the last ones in the
// same round trip. Above MaxEntries or MaxBytes values are no longer read and
// Truncated is set; names are still counted, so that Others stays right.
func (s *Store) List(ctx context.Context) (runbook.Listing, error) {
	var out runbook.Listing
	err := s.with(ctx, func(ctx context.Context, f *fleet) error {
		budget := &budget{}
		budget.entries.Store(int64(s.settings.MaxEntries))
		budget.bytes.Store(s.settings.MaxBytes)
		found := make([]*lister, len(f.primaries))
		err := f.each(ctx, func(ctx context.Context, i int, p *primary) error {
			found[i] = &lister{fleet: f, p: p, match: newMatcher(s.settings.Patterns), budget: budget, seen: map[string]bool{}}
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
	seen := map[string]bool{} // a key that is being moved is found on both sides
	for _, l := range found {
		out.Shards = append(out.Shards, runbook.Shard{Name: l.p.name, Address: l.p.addr, Keys: l.keys})
		for _, e := range l.entries {
			if !seen[e.Name] {
				seen[e.Name] = true
				out.Entries = append(out.Entries, e)
			}
		}
		out.Others += max(0, l.keys-l.matched)
		out.Truncated = out.Truncated || l.truncated
	}
	sort.Slice(out.Shards, func(i, j int) bool { return out.Shards[i].Name < out.Shards[j].Name })
	sort.Slice(out.Entries, func(i, j int) bool { return out.Entries[i].Name < out.Entries[j].Name })
	if len(out.Entries) > most {
		out.Entries, out.Truncated = out.Entries[:most], true
	}
	return out
}

// budget is what may still be read, over all primaries.
type budget struct{ entries, bytes atomic.Int64 }

func (b *budget) takeEntry() bool      { return b.entries.Add(-1) >= 0 }
func (b *budget) takeBytes(n int) bool { return b.bytes.Add(-int64(n)) >= 0 }

// lister lists one primary.
type lister struct {
	fleet  *fleet
	p      *primary
	match  matcher
	budget *budget

	seen      map[string]bool // SCAN may return a key more than once
	queue     []string        // names whose values are still to be read
	entries   []runbook.RawEntry
	keys      int64 // DBSIZE
	matched   int64
	truncated bool
}

func (l *lister) run(ctx context.Context) error {
	var cursor uint64
	for first, scanning := true, true; scanning || len(l.queue) > 0; first = false {
		pipe := l.p.client.Pipeline()
		var page *redis.ScanCmd
		var size *redis.IntCmd
		var hello *redis.Cmd
		if first {
			hello, size = askHello(ctx, pipe), pipe.DBSize(ctx)
		}
		if scanning {
			page = pipe.Scan(ctx, cursor, l.match.scan, scanCount)
		}
		batch := l.queue[:min(len(l.queue), readBatch)]
		l.queue = l.queue[len(batch):]
		reads := make([]*read, len(batch))
		for i, name := range batch {
			reads[i] = startRead(ctx, pipe, name, false)
		}
		exec(ctx, pipe)

		if size != nil {
			if size.Err() != nil {
				return l.p.explain("DBSIZE", size.Err())
			}
			if err := l.p.watchRole(hello); err != nil {
				return err
			}
			l.keys = size.Val()
		}
		if page != nil {
			names, next, err := page.Result()
			if err != nil {
				return l.p.explain("SCAN", err)
			}
			l.add(names)
			cursor, scanning = next, next != 0
		}
		if err := l.finish(ctx, reads); err != nil {
			return err
		}
	}
	return nil
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
		if !l.budget.takeEntry() {
			l.truncated = true
			continue
		}
		l.queue = append(l.queue, n)
	}
}

// finish turns the answers of a batch into entries.
func (l *lister) finish(ctx context.Context, reads []*read) error {
	for i, r := range reads {
		server, asking := l.servedBy(r)
		if !asking {
			continue
		}
		pipe := server.client.Pipeline()
		reads[i] = startRead(ctx, pipe, r.entry.Name, true)
		exec(ctx, pipe)
		if err := settleAll(ctx, server, reads[i:i+1]); err != nil {
			return err
		}
	}
	if err := settleAll(ctx, l.p, reads); err != nil {
		return err
	}
	for _, r := range reads {
		if !r.present {
			l.matched-- // it went away between SCAN and reading
			continue
		}
		r.entry.Shard = l.p.name
		if !l.budget.takeBytes(r.entry.Bytes) {
			l.truncated, l.queue = true, nil
			break
		}
		l.entries = append(l.entries, r.entry)
	}
	return nil
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

// settleAll takes over the answers of one server, with a second round trip for
// what the first could not read: collections and long strings.
func settleAll(ctx context.Context, p *primary, reads []*read) error {
	var more []*read
	pipe := p.client.Pipeline()
	for _, r := range reads {
		if r.settled {
			continue
		}
		r.settled = true
		if err := r.settle(); err != nil {
			return p.explain("read entry", err)
		}
		if r.present && !r.whole && r.startMore(ctx, pipe) {
			more = append(more, r)
		}
	}
	if len(more) == 0 {
		return nil
	}
	exec(ctx, pipe)
	for _, r := range more {
		if err := r.settleMore(); err != nil {
			return p.explain("read entry", err)
		}
	}
	return nil
}
