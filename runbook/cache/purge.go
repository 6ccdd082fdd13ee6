package cache

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
)

// Sizes of the purge, chosen so that no command keeps a server for long and
// the client holds a few pages only.
const (
	purgeScan   = 2000
	purgeUnlink = 500 // keys of one UNLINK on a standalone server
	purgeAhead  = 2   // pages that the scanner may be ahead of the deleter
)

// Purge deletes what matches the patterns and meant agrees to, by name alone, on
// every primary at once: for caches above the limit of a snapshot. It cannot be
// undone and does not compare values. No batch is sent without the lease. meant,
// which may be nil, is asked of every name, by several goroutines. progress,
// which may be nil, gets the number of entries deleted so far, one call at a
// time. The count is also returned with an error.
func (s *Store) Purge(ctx context.Context, lease runbook.Lease, meant func(name string) bool, progress func(deleted int64)) (int64, error) {
	lease = orAnyTime(lease)
	var total int64
	var mu sync.Mutex
	err := s.with(ctx, func(ctx context.Context, f *fleet) error {
		l := f.leased(lease)
		defer l.closeAll()
		return f.effect(ctx, func(ctx context.Context, i int, p *primary) error {
			w := &purger{reads: p, deletes: l.primaries[i], match: newMatcher(s.settings.Patterns).only(meant), many: !f.cluster, lease: lease}
			return w.run(ctx, func(n int64) {
				mu.Lock()
				defer mu.Unlock()
				total += n
				if progress != nil {
					progress(total)
				}
			})
		})
	})
	return total, partly(err, total > 0)
}

// purger purges one primary.
type purger struct {
	reads   *primary
	deletes *primary // the same server, under the lease
	match   matcher
	many    bool // it takes several keys in one command
	lease   runbook.Lease
}

// run scans and deletes, overlapped.
func (w *purger) run(ctx context.Context, deleted func(int64)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pages := make(chan []string, purgeAhead)
	scanned := make(chan error, 1)
	go func() {
		defer close(pages)
		scanned <- w.reads.scanPages(ctx, w.match, pages)
	}()
	for names := range pages {
		if err := w.lease.Hold(ctx); err != nil {
			return err
		}
		n, err := w.deletes.unlink(ctx, names, w.many)
		if redis.HasErrorPrefix(err, "CROSSSLOT") {
			// A cluster node behind a plain endpoint.
			w.many = false
			n, err = w.deletes.unlink(ctx, names, false)
		}
		deleted(n)
		if err != nil {
			return w.deletes.explain("UNLINK", err)
		}
	}
	if err := <-scanned; err != nil {
		return w.reads.explain("SCAN", err)
	}
	return nil
}

func (p *primary) scanPages(ctx context.Context, m matcher, pages chan<- []string) error {
	var cursor uint64
	for {
		names, next, err := p.client.Scan(ctx, cursor, m.scan, purgeScan).Result()
		if err != nil {
			return err
		}
		if names = m.keep(names); len(names) > 0 {
			select {
			case pages <- names:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// unlink deletes names in one round trip: a key per command in a cluster,
// where keys of different slots may not share one, else many.
func (p *primary) unlink(ctx context.Context, names []string, many bool) (int64, error) {
	size := 1
	if many {
		size = purgeUnlink
	}
	pipe := p.client.Pipeline()
	var cmds []*redis.IntCmd
	for len(names) > 0 {
		n := min(size, len(names))
		cmds = append(cmds, pipe.Unlink(ctx, names[:n]...))
		names = names[n:]
	}
	exec(ctx, pipe)
	var total int64
	for _, c := range cmds {
		if c.Err() != nil {
			return total, c.Err()
		}
		total += c.Val()
	}
	return total, nil
}

// FlushAll empties every primary, keys of other owners included, in the
// background of the servers. The caller has made sure that this is allowed.
// After a failover only primaries that have not been emptied are asked again:
// elsewhere new keys may have come meanwhile.
func (s *Store) FlushAll(ctx context.Context) error {
	var emptied sync.Map // names of primaries
	some := false
	err := s.with(ctx, func(ctx context.Context, f *fleet) error {
		return f.effect(ctx, func(ctx context.Context, _ int, p *primary) error {
			if _, done := emptied.Load(p.name); done {
				return nil
			}
			if err := p.flushAll(ctx); err != nil {
				return err
			}
			emptied.Store(p.name, true)
			return nil
		})
	})
	emptied.Range(func(any, any) bool { some = true; return false })
	return partly(err, some)
}

func (p *primary) flushAll(ctx context.Context) error {
	err := p.client.FlushAllAsync(ctx).Err()
	var reply redis.Error
	if errors.As(err, &reply) && strings.Contains(reply.Error(), unknownCommand) {
		return &runbook.Denied{Err: &serverError{p.addr, "FLUSHALL: the command is switched off or renamed here (parameter group rename-commands): flush the matching keys instead", err}}
	}
	if redis.IsPermissionError(err) {
		return &runbook.Denied{Err: &serverError{p.addr, "FLUSHALL: the user may not do this: add +flushall to its rule, or flush the matching keys instead", err}}
	}
	return p.explain("FLUSHALL", err)
}
