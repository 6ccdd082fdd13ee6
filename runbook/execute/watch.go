package execute

import (
	"context"
	"fmt"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

// Defaults of a watch.
const (
	DefaultWatch       = 15 * time.Minute
	DefaultRatio       = 0.10
	DefaultOver        = 10 * time.Minute
	DefaultMinRequests = 20
)

// Times of a watch.
const (
	metricDelay = 2 * time.Minute  // CloudWatch's newest minutes are not complete
	WatchBefore = 15 * time.Minute // before the mitigation, for comparison
	watchAgain  = 5 * time.Minute  // late metrics: so much is read once more
	watchMost   = time.Hour        // a breach is followed at most so long, unless the target wants longer
	watchAfter  = 5 * time.Second  // past the minute, so that the source has it
)

// watch takes the points that are complete, and says what follows: another
// minute, a call for people, or the end. It reads again from the source, so that
// a crash leaves no gap and no double point.
func (m *Machine) watch(ctx context.Context, t *check.Target, run runbook.Run) (runbook.Transition, error) {
	now := m.clock.Now()
	w := watchFrom(run, t.Watch, now)
	first := First(w)
	until := now.Add(-metricDelay).Truncate(time.Minute)
	if len(w.Points) == 0 { // with what is complete by now
		start := w.Since.Truncate(time.Minute)
		w.Before, _ = minutes(ctx, t, start.Add(-WatchBefore), earlier(start, until))
		w.Before = check.NonNil(w.Before)
	}
	if most := most(w, t.Watch); run.Escalation.Breach() && w.Until.Before(earlier(until, most)) {
		w.Until = earlier(until, most) // nobody watched for a while
	}
	until = earlier(until, w.Until)
	if from := from(w, first); from.Before(until) {
		var fresh []runbook.RatioPoint
		fresh, w.Note = minutes(ctx, t, from, until)
		w.Points = merge(w.Points, fresh)
	}
	if ctx.Err() != nil {
		return runbook.Transition{}, ctx.Err()
	}
	o := judge(t.Watch, w.Points)
	w.Text = line(w, o, until, run)
	w.NextAt = now.Truncate(time.Minute).Add(time.Minute + watchAfter)
	if err := m.resolve(ctx, t, &run, o); err != nil {
		return runbook.Transition{}, err
	}
	successor, called, err := m.others(ctx, run, w.Since)
	switch {
	case err != nil:
		return runbook.Transition{}, err
	case run.Escalation.Open():
	case successor != nil:
		return m.superseded(run, w, *successor), nil
	case called != nil && o.breach:
		w.Note = "the on-call team was called for run " + called.ID + " already"
		o.breach = false
	}
	return m.afterPoint(ctx, t, run, w, o, until)
}

// watchFrom continues the run's watch, or begins it at the end of the last
// mitigation.
func watchFrom(r runbook.Run, p runbook.WatchPolicy, now time.Time) runbook.Watch {
	if r.Watch != nil {
		w := *r.Watch
		w.Points = append([]runbook.RatioPoint(nil), w.Points...)
		return w
	}
	since := r.EffectAt()
	if since.IsZero() {
		since = now
	}
	w := runbook.Watch{Since: since, Verdict: runbook.WatchOpen, Points: []runbook.RatioPoint{}, Limit: p.Ratio}
	w.Until = First(w).Add(p.For)
	return w
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// First is the first minute that began after the mitigation.
func First(w runbook.Watch) time.Time {
	at := w.Since.Truncate(time.Minute)
	if at.Equal(w.Since) {
		return at
	}
	return at.Add(time.Minute)
}

// most is the end of the minutes for which a breach is followed.
func most(w runbook.Watch, p runbook.WatchPolicy) time.Time {
	return First(w).Add(max(watchMost, p.For))
}

// from is where reading goes on: a few minutes before the newest point.
func from(w runbook.Watch, first time.Time) time.Time {
	if n := len(w.Points); n > 0 {
		if at := w.Points[n-1].At.Add(time.Minute - watchAgain); at.After(first) {
			return at
		}
	}
	return first
}

// afterPoint decides what follows.
func (m *Machine) afterPoint(ctx context.Context, t *check.Target, run runbook.Run, w runbook.Watch, o outlook, until time.Time) (runbook.Transition, error) {
	tr := runbook.Transition{From: run.State, To: runbook.StateWatch, Watch: &w}
	switch {
	case o.breach && !run.Escalation.Open():
		w.Verdict = runbook.WatchBreach
		tr.Alarm = breachAlarm(t, run, w, o, m.clock.Now())
		tr.To = runbook.StateEscalate
		tr.Audit = []runbook.AuditEntry{approve.Audit(run, m.clock.Now(), runbook.AuditSelf, "escalate", tr.Alarm.Why)}
	case until.Before(w.Until):
	case run.Escalation.Breach() && until.Before(most(w, t.Watch)):
		// The team was called: they want to see when it ends.
		w.Until = w.Until.Add(time.Minute)
	default:
		return m.endWatch(ctx, t, run, w, o)
	}
	return tr, nil
}

// endWatch says what the whole watch showed.
func (m *Machine) endWatch(ctx context.Context, t *check.Target, run runbook.Run, w runbook.Watch, o outlook) (runbook.Transition, error) {
	now := m.clock.Now()
	w.EndedAt = now
	minutes := int(w.Until.Sub(First(w)) / time.Minute)
	tr := runbook.Transition{From: run.State, To: run.End(), Watch: &w}
	calm, why := o.settled(minutes), ""
	if !calm {
		calm, why = m.calmByCount(ctx, t, w)
	}
	switch {
	case run.Escalation.Breach():
		w.Verdict, tr.To = runbook.WatchBreach, runbook.StateFailed
	case calm:
		w.Verdict = runbook.WatchCalm
	default:
		w.Verdict = runbook.WatchBlind
		if !run.Escalation.Open() {
			tr.To = runbook.StateEscalate
			tr.Alarm = run.NewEscalation(runbook.EscalateBlind, fmt.Sprintf("Nobody can tell whether %s works again: %s. Please look.", run.Target, why), now)
			tr.Audit = []runbook.AuditEntry{approve.Audit(run, now, runbook.AuditSelf, "escalate", tr.Alarm.Why)}
		}
	}
	tr.Outcome = run.With(summary(w, o, why))
	return tr, nil
}

// calmByCount is for a watch that has no share of failures to go by: only no
// failure at all, with accepted tokens, is calm.
func (m *Machine) calmByCount(ctx context.Context, t *check.Target, w runbook.Watch) (calm bool, why string) {
	all, traffic := Share(w.Points)
	switch {
	case len(w.Points) == 0:
		why = "no minute of the watch could be read"
		if w.Note != "" {
			why += " (" + w.Note + ")"
		}
		return false, why
	case traffic:
		return false, fmt.Sprintf("%s failures of %s requests in %s are too few to speak of a share", count(all.failures), count(all.requests), runbook.Plural(all.minutes, "minute", "minutes"))
	case all.failures > 0:
		return false, fmt.Sprintf("%s failures were logged in %s, of nobody knows how many requests", count(all.failures), runbook.Plural(all.minutes, "minute", "minutes"))
	case t.Meter != nil && t.API != nil:
		return false, "no request came"
	case t.Successes != nil:
		if n, _, _, err := t.Successes.Successes(ctx, w.Since, w.Until); err == nil && n > 0 {
			return true, fmt.Sprintf("no failure was logged, and %s", runbook.Plural(n, "accepted token", "accepted tokens"))
		}
	}
	return false, "no failure was logged, but no accepted token either"
}
