package runbook

import (
	"context"
	"errors"
	"sync"
)

// replan reads what the run's plan depends on again and resolves it against
// that. It refuses where a mitigation must not happen now.
func (t *Target) replan(ctx context.Context, run Run) (Plan, error) {
	e := t.reread(ctx)
	d := Diagnose(e)
	glass, w := run.BreakGlass != "", run.wanted()
	if d.Verdict.Forbids() && !glass {
		return Plan{}, refuse(RefusedUnsafe, "Refused: %s", d.Verdict.Summary)
	}
	if w.flush && e.Cached == nil {
		return Plan{}, refuse(RefusedUnread, "The cache cannot be read right now, so nobody can say whether the plan still holds (%s). Try again.", e.Unread[StepCachedKeys])
	}
	if _, ok := e.Live.Set(); w.flush && !ok && len(run.Plan.Live) > 0 {
		return Plan{}, refuse(RefusedUnread, "The live keys cannot be read right now, so nobody can say whether a flush is still safe. Try again.")
	}
	p, err := t.plan(ctx, Report{Target: t.Name, Evidence: e, Diagnosis: d}, w)
	if err != nil {
		return p, err
	}
	// The logs are not read again. While live keys and entries are what was
	// judged with them, that verdict stands; without a flush it always does.
	if !w.flush {
		p.Verdict, p.Summary, p.Advice = run.Plan.Verdict, run.Plan.Summary, run.Plan.Advice
		return p, nil
	}
	drift, _ := run.Plan.Compare(p)
	if drift == DriftChanged && p.Advice != "" && run.Override == "" && !glass && len(p.Entries) > 0 {
		return Plan{}, refuse(RefusedOverride, "The verdict is now %q, which advises against %s: %s. Withdraw this request, check again, and request it anew with an override if it must be.", d.Verdict.ID.words(), p.noun(), p.Advice)
	}
	return p, nil
}

// asRefusal is the refusal in an error, nil if there is none.
func asRefusal(err error) *Refusal {
	var r *Refusal
	errors.As(err, &r)
	return r
}

// reread reads what a plan depends on: the live keys and the cache.
func (t *Target) reread(ctx context.Context) Evidence {
	ctx, cancel := context.WithTimeout(ctx, stepDeadline)
	defer cancel()
	e := Evidence{Unread: map[string]string{}}
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
	e.merge(live.Evidence)
	e.merge(cached.Evidence)
	if cacheErr != nil {
		e.Unread[StepCachedKeys] = cacheErr.Error()
	}
	return e
}
