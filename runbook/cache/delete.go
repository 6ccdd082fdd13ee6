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
// that somebody has rewritten stays, whatever it holds now. done, which may be
// nil, is called for each batch as soon as the server has answered, never
// twice at once and never twice for an entry; an error from it stops the
// deletion. Repeating a Delete is safe: what is deleted is then gone.
func (s *Store) Delete(ctx context.Context, saved []runbook.Saved, done func(batch []Result) error) error {
	return s.judge(ctx, saved, "delete", done)
}

// Compare says of each saved entry whether it is still there as it was, gone,
// or rewritten. The results are in the order of saved. It changes nothing.
func (s *Store) Compare(ctx context.Context, saved []runbook.Saved) ([]Result, error) {
	at := make(map[string]Result, len(saved))
	err := s.judge(ctx, saved, "keep", func(batch []Result) error {
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

func (s *Store) judge(ctx context.Context, saved []runbook.Saved, action string, done func([]Result) error) error {
	calls := make([]call, len(saved))
	for i, e := range saved {
		args, err := judgeArgs(e, action)
		if err != nil {
			return err
		}
		calls[i] = call{index: i, key: e.Name, args: args}
	}
	settled := make([]bool, len(saved))
	return s.with(ctx, func(ctx context.Context, f *fleet) error {
		var open []call
		for _, c := range calls {
			if !settled[c.index] {
				open = append(open, c)
			}
		}
		return f.eachBatch(ctx, judge, open, func(p *primary, calls []call, answers []*redis.Cmd) error {
			batch := make([]Result, len(calls))
			for i, a := range answers {
				fate, err := parseFate(a)
				if err != nil {
					return p.explain(action, err)
				}
				batch[i] = Result{Name: calls[i].key, Shard: p.name, Fate: fate}
				settled[calls[i].index] = true
			}
			if done == nil || len(batch) == 0 {
				return nil
			}
			if err := done(batch); err != nil {
				return fmt.Errorf("cache: record progress: %w", err)
			}
			return nil
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
