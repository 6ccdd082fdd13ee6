package approve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
)

// Rechecked is what reading the world again says of the plan of a run.
type Rechecked struct {
	Drift Drift
	Why   string // what is different, or why nothing is left to do
	// Plan is what people have to look at when Drift is DriftChanged. It was
	// judged like a first one.
	Plan runbook.Plan
	// Unlisted are the entries that match and hold old keys, and that a listed plan
	// does not name: nobody saw them, so nobody touches them. More says that others
	// match that could not be read.
	Unlisted []runbook.EntryName
	More     bool
}

// Recheck reads what the run's plan depends on and says whether it may still be
// carried out: at every click that would count, and before the first effect. A
// *Refusal says that it must not be.
func Recheck(ctx context.Context, t *check.Target, l Ledger, snaps Snapshots, run runbook.Run, now time.Time) (Rechecked, error) {
	if run.Plan.Restore != nil {
		return recheckUndo(ctx, t, l, snaps, run, now)
	}
	e := t.Reread(ctx)
	if err := addListed(ctx, t, run.Plan, &e); err != nil {
		return Rechecked{}, err
	}
	d, w := diagnose.Diagnose(e), IntentOf(run)
	report := check.Report{Target: t.Name, Evidence: e, Diagnosis: d}
	if err := mayPlan(t, report, w); err != nil {
		return Rechecked{}, err
	}
	if _, ok := e.Live.Set(); w.flush && !ok && len(run.Plan.Live) > 0 {
		return Rechecked{}, runbook.Refuse(runbook.RefusedUnread, "The live keys cannot be read right now, so there is no telling whether a flush is still safe. Try again.")
	}
	p, err := plan(ctx, t, report, w)
	if err != nil {
		return Rechecked{}, err
	}
	o := Rechecked{Plan: p}
	if o.Drift, o.Why = Compare(run.Plan, p); o.Drift == DriftChanged {
		return o, o.judge(run, d.Verdict)
	}
	o.Unlisted, o.More = unlisted(run.Plan, p), p.Truncated && !run.Plan.ByName()
	return o, nil
}

// judge holds the new plan to the rules of a first one. The logs are not read
// again: without a flush the verdict that they led to stands.
func (o *Rechecked) judge(run runbook.Run, v runbook.Verdict) error {
	w := IntentOf(run)
	if !w.flush {
		o.Plan.Verdict, o.Plan.Summary, o.Plan.Advice = run.Plan.Verdict, run.Plan.Summary, run.Plan.Advice
	}
	err := judge(o.Plan, v, w)
	refusal := AsRefusal(err)
	if refusal == nil {
		return err
	}
	return runbook.Refuse(refusal.Code, "Things changed since plan %d (%s), and what would have to be done now is refused. %s", run.Generation, o.Why, refusal.Text)
}

// recheckUndo is Recheck for a run that writes back what another one deleted.
func recheckUndo(ctx context.Context, t *check.Target, l Ledger, snaps Snapshots, run runbook.Run, now time.Time) (Rechecked, error) {
	of, err := l.Run(ctx, run.Plan.Restore.Of)
	if err != nil {
		return Rechecked{}, fmt.Errorf("the run to undo: %w", err)
	}
	p, err := planRestore(ctx, t, snaps, of, run.Plan.Restore.Force, now)
	if refusal := AsRefusal(err); err != nil && (refusal == nil || refusal.Code != runbook.RefusedNothing) {
		return Rechecked{}, err
	}
	o := Rechecked{Plan: p}
	o.Drift, o.Why = Compare(run.Plan, p)
	return o, nil
}

// addListed reads the entries of a listed plan by name where there are more
// entries than can be listed: those of the plan may be among the others.
func addListed(ctx context.Context, t *check.Target, p runbook.Plan, e *runbook.Evidence) error {
	if !p.Has(runbook.FlushCache) || p.ByName() || e.Cached == nil || !e.Cached.Truncated {
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
	reader := t.Reader(ctx)
	for _, s := range saved {
		e.Cached.Entries = append(e.Cached.Entries, reader.Read(s.RawEntry))
	}
	return nil
}

// AsRefusal is the refusal in an error, nil if there is none.
func AsRefusal(err error) *runbook.Refusal {
	var r *runbook.Refusal
	errors.As(err, &r)
	return r
}
