package cache

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
)

// Result is what became of one entry.
type Result = runbook.EntryFate

// Delete removes the saved entries that still hold what was saved. An entry
// that somebody has rewritten stays, whatever it holds now. No batch is sent
// without the lease; a nil one permits everything. done, which may be nil, is
// called for each batch as soon as the server has answered, never twice at once;
// an error from it stops the deletion. After a failover an entry is told a second time only if it is deleted
// now and was not before. Repeating a Delete is safe: what is deleted is then
// gone.
func (s *Store) Delete(ctx context.Context, saved []runbook.Saved, lease runbook.Lease, done func(batch []Result) error) error {
	lease = orAnyTime(lease)
	d := &deletion{done: done, told: make([]runbook.Fate, len(saved))}
	calls, err := judgeCalls(saved, "delete")
	if err != nil {
		return err
	}
	err = s.with(ctx, func(ctx context.Context, f *fleet) error {
		f = f.leased(lease)
		defer f.closeAll()
		return f.judge(ctx, calls, "delete", func() error { return lease.Hold(ctx) }, d.tell)
	})
	return partly(err, d.deleted)
}

// deletion is what the caller of a Delete was told.
type deletion struct {
	done func(batch []Result) error
	told []runbook.Fate // by the index of the entry
	// deleted says that something was.
	deleted bool
}

// tell passes answers on, each entry's once, but for one that is deleted only
// now.
func (d *deletion) tell(calls []call, batch []Result) error {
	fresh := make([]Result, 0, len(batch))
	for i, r := range batch {
		before := &d.told[calls[i].index]
		if *before == "" || r.Fate == runbook.FateDeleted && *before != runbook.FateDeleted {
			*before = r.Fate
			d.deleted = d.deleted || r.Fate == runbook.FateDeleted
			fresh = append(fresh, r)
		}
	}
	if d.done == nil {
		return nil
	}
	if err := d.done(fresh); err != nil {
		return fmt.Errorf("cache: record progress: %w", err)
	}
	return nil
}

// Compare says of each saved entry whether it is still there as it was, gone,
// or rewritten. The results are in the order of saved. It changes nothing.
func (s *Store) Compare(ctx context.Context, saved []runbook.Saved) ([]Result, error) {
	calls, err := judgeCalls(saved, "keep")
	if err != nil {
		return nil, err
	}
	out := make([]Result, len(saved))
	err = s.with(ctx, func(ctx context.Context, f *fleet) error {
		return f.judge(ctx, calls, "keep", nil, func(calls []call, batch []Result) error {
			for i, r := range batch {
				out[calls[i].index] = r
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// judgeCalls asks for the judgement of every entry.
func judgeCalls(saved []runbook.Saved, action string) ([]call, error) {
	calls := make([]call, len(saved))
	args := func(i int) []any { return judgeArgs(saved[i], action) }
	for i, e := range saved {
		if err := judgeable(e); err != nil {
			return nil, err
		}
		calls[i] = call{index: i, key: e.Name, args: args}
	}
	return calls, nil
}

// judge runs the judgement of every entry; it has to be run for all of them again
// after a failover: what the old primary had not yet told its replica is undone
// there, and what it answered is no proof. before, which may be nil, is called
// ahead of each batch; each gets the calls and their answers batch by batch.
func (f *fleet) judge(ctx context.Context, calls []call, action string, before func() error, each func([]call, []Result) error) error {
	return f.eachBatch(ctx, judge, calls, before, func(p *primary, calls []call, answers []*redis.Cmd) error {
		if len(calls) == 0 {
			return nil
		}
		batch := make([]Result, len(calls))
		for i, a := range answers {
			fate, err := parseFate(a)
			if err != nil {
				return p.explain(action, err)
			}
			batch[i] = Result{Name: calls[i].key, Shard: p.name, Fate: fate}
		}
		return each(calls, batch)
	})
}

func parseFate(cmd *redis.Cmd) (runbook.Fate, error) {
	text, err := cmd.Text()
	if err != nil {
		return "", err
	}
	switch fate := runbook.Fate(text); fate {
	case runbook.FateLeft, runbook.FateDeleted, runbook.FateGone, runbook.FateRewritten:
		return fate, nil
	}
	return "", fmt.Errorf("%w: %q", errAnswer, text)
}
