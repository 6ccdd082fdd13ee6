package check

import (
	"context"
	"sync"

	"jwksbot/runbook"
)

// Reread reads what a plan depends on: the live keys and the cache.
func (t *Target) Reread(ctx context.Context) runbook.Evidence {
	ctx, cancel := context.WithTimeout(ctx, StepDeadline)
	defer cancel()
	e := runbook.Evidence{Unread: map[string]string{}}
	var (
		wg       sync.WaitGroup
		live     Result
		cached   Result
		cacheErr error
	)
	if t.Live != nil {
		wg.Go(func() { live, _ = liveKeys{t}.Run(ctx, Question{}) })
	}
	if t.Entries != nil {
		wg.Go(func() { cached, cacheErr = cachedKeys{t}.Run(ctx, Question{}) })
	}
	wg.Wait()
	e.Merge(live.Evidence)
	e.Merge(cached.Evidence)
	if cacheErr != nil {
		e.Unread[runbook.StepCachedKeys] = cacheErr.Error()
	}
	return e
}
