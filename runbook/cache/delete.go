package cache

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
)

// Result is what became of one entry.
type Result = runbook.EntryFate

// Delete removes the saved entries that still hold what was saved. An entry
// that somebody has rewritten stays, whatever it holds now. done, which may be
// nil, is called for each batch as soon as the server has answered, never
// twice at once; an error from it stops the deletion. It is called with an
// empty batch, so that the caller can stop it, before Delete begins again after
// a failover, and before a batch when the last call was a while ago: the process
// may have been stopped since, and replaced. After a failover an entry is told a
// second time only if it is deleted now and was not before. Repeating a Delete
// is safe: what is deleted is then gone.
func (s *Store) Delete(ctx context.Context, saved []runbook.Saved, done func(batch []Result) error) error {
	d := &deletion{done: done, told: make(map[string]runbook.Fate, len(saved)), now: time.Now}
	d.asked = d.now()
	return s.judge(ctx, saved, "delete", d.ask, d.tell)
}

// deletion is what the caller of a Delete was told, and when it last agreed.
type deletion struct {
	done  func(batch []Result) error
	told  map[string]runbook.Fate
	asked time.Time // the begin of the last call of done
	now   func() time.Time
}

const (
	// agreedFor is how old the caller's last word may be when a batch is sent.
	// With sendWithin it ends before another executor may begin.
	agreedFor = time.Second
	askTimes  = 3
)

// ask lets the caller stop the deletion if its last word is old.
func (d *deletion) ask() error {
	for range askTimes {
		if d.now().Sub(d.asked) <= agreedFor {
			return nil
		}
		if err := d.tell(nil); err != nil {
			return err
		}
	}
	if d.now().Sub(d.asked) <= sendWithin {
		return nil
	}
	return fmt.Errorf("cache: nothing was sent: recording the progress took longer than %s, %d times in a row; the journal's database is too slow", sendWithin, askTimes)
}

// tell passes answers on, each entry's once, but for one that is deleted only
// now.
func (d *deletion) tell(batch []Result) error {
	d.asked = d.now()
	fresh := make([]Result, 0, len(batch))
	for _, r := range batch {
		before, known := d.told[r.Name]
		if !known || r.Fate == runbook.FateDeleted && before != runbook.FateDeleted {
			d.told[r.Name] = r.Fate
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
	at := make(map[string]Result, len(saved))
	err := s.judge(ctx, saved, "keep", nil, func(batch []Result) error {
		for _, r := range batch {
			at[r.Name] = r
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]Result, len(saved))
	for i, e := range saved {
		out[i] = at[e.Name]
	}
	return out, nil
}

// judge runs the judgement of every entry, and all of them again after a
// failover: what the old primary had not yet told its replica is undone there,
// and what it answered is no proof. before, which may be nil, is called ahead of
// each batch; each gets the answers batch by batch, and nothing before it begins
// again.
func (s *Store) judge(ctx context.Context, saved []runbook.Saved, action string, before func() error, each func([]Result) error) error {
	calls := make([]call, len(saved))
	for i, e := range saved {
		args, err := judgeArgs(e, action)
		if err != nil {
			return err
		}
		calls[i] = call{index: i, key: e.Name, args: args}
	}
	again := false
	return s.with(ctx, func(ctx context.Context, f *fleet) error {
		if again {
			if err := each(nil); err != nil {
				return err
			}
		}
		again = true
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
			return each(batch)
		})
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
