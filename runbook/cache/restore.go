package cache

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
)

// restoreBatch bounds the payloads that are in flight at once.
const restoreBatch = 50

// Restore writes saved entries back, with what is left of their TTL at now.
// An entry that exists is overwritten only with force. The fates: left, it is
// there as it was saved; rewritten, another value is there and was not
// touched; gone, its TTL has passed meanwhile, it was not written. The results
// are in the order of saved. Repeating a Restore is safe.
func (s *Store) Restore(ctx context.Context, saved []runbook.Saved, force bool, now time.Time) ([]Result, error) {
	out := make([]Result, len(saved))
	err := s.with(ctx, func(ctx context.Context, f *fleet) error {
		routed := map[*primary][]int{}
		for i, e := range saved {
			p, err := f.of(e.Name)
			if err != nil {
				return err
			}
			out[i] = Result{Name: e.Name, Shard: p.name, Fate: runbook.FateGone}
			if _, live := remaining(e, now); live {
				routed[p] = append(routed[p], i)
			}
		}
		return f.each(ctx, func(ctx context.Context, _ int, p *primary) error {
			for todo := routed[p]; len(todo) > 0; {
				batch := todo[:min(len(todo), restoreBatch)]
				todo = todo[len(batch):]
				if err := p.restore(ctx, saved, batch, force, now, out); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return s.tellBusy(ctx, saved, out)
}

// restore writes one batch in one round trip.
func (p *primary) restore(ctx context.Context, saved []runbook.Saved, batch []int, force bool, now time.Time, out []Result) error {
	pipe := p.client.Pipeline()
	cmds := make([]*redis.StatusCmd, len(batch))
	for i, at := range batch {
		e := saved[at]
		ttl, _ := remaining(e, now)
		if force {
			cmds[i] = pipe.RestoreReplace(ctx, e.Name, ttl, string(e.Payload))
		} else {
			cmds[i] = pipe.Restore(ctx, e.Name, ttl, string(e.Payload))
		}
	}
	exec(ctx, pipe)
	for i, c := range cmds {
		switch err := c.Err(); {
		case err == nil:
			out[batch[i]].Fate = runbook.FateLeft
		case redis.HasErrorPrefix(err, "BUSYKEY"):
			out[batch[i]].Fate = runbook.FateRewritten
		case strings.Contains(err.Error(), "DUMP payload version or checksum"):
			return &serverError{p.addr, "RESTORE: the server cannot read the snapshot: it runs an older engine than the one that was saved from, or the snapshot is damaged", err}
		default:
			return p.explain("RESTORE", err)
		}
	}
	return nil
}

// tellBusy looks at the entries that existed already: most are another value,
// but one may be what was saved, from an earlier attempt.
func (s *Store) tellBusy(ctx context.Context, saved []runbook.Saved, out []Result) ([]Result, error) {
	var busy []runbook.Saved
	var at []int
	for i, r := range out {
		if r.Fate == runbook.FateRewritten {
			busy, at = append(busy, saved[i]), append(at, i)
		}
	}
	if len(busy) == 0 {
		return out, nil
	}
	compared, err := s.Compare(ctx, busy)
	if err != nil {
		return nil, err
	}
	for i, r := range compared {
		out[at[i]] = r
	}
	return out, nil
}

// remaining is what is left of an entry's TTL, 0 for one that never expires;
// live is false when nothing is.
func remaining(e runbook.Saved, now time.Time) (ttl time.Duration, live bool) {
	if e.TTL == runbook.NoExpiry {
		return 0, true
	}
	left := e.TTL
	if passed := now.Sub(e.At); passed > 0 {
		left -= passed
	}
	return left, left >= time.Millisecond
}
