package runbook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// planCheck is what reading the world again says of the plan of a run.
type planCheck struct {
	drift Drift
	why   string // what is different, or why nothing is left to do
	// plan is what people have to look at when drift is DriftChanged. It was
	// judged like a first one.
	plan Plan
	// unlisted are the entries that match and hold old keys, and that a listed plan
	// does not name: nobody saw them, so nobody touches them. more says that others
	// match that could not be read.
	unlisted []EntryName
	more     bool
}

// recheck reads what the run's plan depends on and says whether it may still be
// carried out: at every click that would count, and before the first effect. A
// *Refusal says that it must not be.
func recheck(ctx context.Context, t *Target, l ledger, snaps snapshots, run Run, now time.Time) (planCheck, error) {
	if run.Plan.Restore != nil {
		return recheckUndo(ctx, t, l, snaps, run, now)
	}
	e := t.reread(ctx)
	if err := t.addListed(ctx, run.Plan, &e); err != nil {
		return planCheck{}, err
	}
	d, w := Diagnose(e), run.wanted()
	report := Report{Target: t.Name, Evidence: e, Diagnosis: d}
	if err := t.mayPlan(report, w); err != nil {
		return planCheck{}, err
	}
	if _, ok := e.Live.Set(); w.flush && !ok && len(run.Plan.Live) > 0 {
		return planCheck{}, refuse(RefusedUnread, "The live keys cannot be read right now, so nobody can say whether a flush is still safe. Try again.")
	}
	p, err := t.plan(ctx, report, w)
	if err != nil {
		return planCheck{}, err
	}
	o := planCheck{plan: p}
	if o.drift, o.why = run.Plan.Compare(p); o.drift == DriftChanged {
		return o, o.judge(run, d.Verdict)
	}
	o.unlisted, o.more = run.Plan.unlisted(p), p.Truncated && !run.Plan.byName()
	return o, nil
}

// judge holds the new plan to the rules of a first one. The logs are not read
// again: without a flush the verdict that they led to stands.
func (o *planCheck) judge(run Run, v Verdict) error {
	w := run.wanted()
	if !w.flush {
		o.plan.Verdict, o.plan.Summary, o.plan.Advice = run.Plan.Verdict, run.Plan.Summary, run.Plan.Advice
	}
	err := o.plan.judge(v, w)
	refusal := asRefusal(err)
	if refusal == nil {
		return err
	}
	return refuse(refusal.Code, "Things changed since plan %d (%s), and what would have to be done now is refused. %s", run.Generation, o.why, refusal.Text)
}

// recheckUndo is recheck for a run that writes back what another one deleted.
func recheckUndo(ctx context.Context, t *Target, l ledger, snaps snapshots, run Run, now time.Time) (planCheck, error) {
	of, err := l.Run(ctx, run.Plan.Restore.Of)
	if err != nil {
		return planCheck{}, fmt.Errorf("the run to undo: %w", err)
	}
	p, err := t.planRestore(ctx, snaps, of, run.Plan.Restore.Force, now)
	if refusal := asRefusal(err); err != nil && (refusal == nil || refusal.Code != RefusedNothing) {
		return planCheck{}, err
	}
	o := planCheck{plan: p}
	o.drift, o.why = run.Plan.Compare(p)
	return o, nil
}

// addListed reads the entries of a listed plan by name where there are more
// entries than can be listed: those of the plan may be among the others.
func (t *Target) addListed(ctx context.Context, p Plan, e *Evidence) error {
	if !p.Has(FlushCache) || p.byName() || e.Cached == nil || !e.Cached.Truncated {
		return nil
	}
	seen := map[string]bool{}
	for _, entry := range e.Cached.Entries {
		seen[entry.Name] = true
	}
	var missing []string
	for _, entry := range p.Entries {
		if name := string(entry.Name); !seen[name] {
			missing = append(missing, name)
		}
	}
	saved, err := t.Entries.Snapshot(ctx, missing)
	if err != nil {
		return unread("The entries of the plan cannot be read", err)
	}
	reader := t.reader(ctx)
	for _, s := range saved {
		e.Cached.Entries = append(e.Cached.Entries, reader.read(s.RawEntry))
	}
	return nil
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
