package cache

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Sizes of the purge, chosen so that no command keeps a server for long and
// the client holds a few pages only.
const (
	purgeScan   = 2000
	purgeUnlink = 500 // keys of one UNLINK on a standalone server
	purgeAhead  = 2   // pages that the scanner may be ahead of the deleter
)

// Purge deletes everything that matches the patterns, by name alone, on every
// primary at once: for caches above the limit of a snapshot. It cannot be
// undone and does not compare. progress, which may be nil, gets the number of
// entries deleted so far, one call at a time; an error from it stops the
// purge. The count is also returned with an error.
func (s *Store) Purge(ctx context.Context, progress func(deleted int64) error) (int64, error) {
	var total int64
	var mu sync.Mutex
	err := s.with(ctx, func(ctx context.Context, f *fleet) error {
		return f.each(ctx, func(ctx context.Context, _ int, p *primary) error {
			return p.purge(ctx, newMatcher(s.settings.Patterns), !f.cluster, func(n int64) error {
				mu.Lock()
				defer mu.Unlock()
				total += n
				if progress == nil {
					return nil
				}
				return progress(total)
			})
		})
	})
	return total, err
}

// purge scans and deletes on one primary, overlapped.
func (p *primary) purge(ctx context.Context, m matcher, many bool, deleted func(int64) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pages := make(chan []string, purgeAhead)
	scanned := make(chan error, 1)
	go func() {
		defer close(pages)
		scanned <- p.scanPages(ctx, m, pages)
	}()
	for names := range pages {
		n, err := p.unlink(ctx, names, many)
		if redis.HasErrorPrefix(err, "CROSSSLOT") {
			// A cluster node behind a plain endpoint.
			many = false
			n, err = p.unlink(ctx, names, false)
		}
		if err != nil {
			return p.explain("UNLINK", err)
		}
		if err := deleted(n); err != nil {
			return err
		}
	}
	if err := <-scanned; err != nil {
		return p.explain("SCAN", err)
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
	return s.with(ctx, func(ctx context.Context, f *fleet) error {
		return f.each(ctx, func(ctx context.Context, _ int, p *primary) error {
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
}

func (p *primary) flushAll(ctx context.Context) error {
	err := p.client.FlushAllAsync(ctx).Err()
	var reply redis.Error
	if errors.As(err, &reply) && strings.Contains(reply.Error(), unknownCommand) {
		return &serverError{p.addr, "FLUSHALL: the command is switched off or renamed here (parameter group rename-commands): flush the matching keys instead", err}
	}
	if redis.IsPermissionError(err) {
		return &serverError{p.addr, "FLUSHALL: the user may not do this: add +flushall to its access string, or flush the matching keys instead", err}
	}
	return p.explain("FLUSHALL", err)
}
