package runbook

import (
	"context"
	"fmt"
	"time"
)

// Times of a watch.
const (
	metricDelay = 2 * time.Minute  // CloudWatch's newest minutes are not complete
	watchBefore = 15 * time.Minute // before the mitigation, for comparison
	watchAgain  = 5 * time.Minute  // late metrics: so much is read once more
	watchMost   = time.Hour        // a breach is followed at most so long, unless the target wants longer
	watchAfter  = 5 * time.Second  // past the minute, so that the source has it
)

// watch takes the points that are complete, and says what follows: another
// minute, a call for people, or the end. It reads again from the source, so that
// a crash leaves no gap and no double point.
func (m *Machine) watch(ctx context.Context, t *Target, run Run) (Transition, error) {
	now := m.clock.Now()
	w := run.watchFrom(t.Watch, now)
	first := w.first()
	until := now.Add(-metricDelay).Truncate(time.Minute)
	if len(w.Points) == 0 { // with what is complete by now
		start := w.Since.Truncate(time.Minute)
		w.Before, _ = t.minutes(ctx, start.Add(-watchBefore), earlier(start, until))
		w.Before = list(w.Before)
	}
	if most := w.most(t.Watch); run.Escalation.breach() && w.Until.Before(earlier(until, most)) {
		w.Until = earlier(until, most) // nobody watched for a while
	}
	until = earlier(until, w.Until)
	if from := w.from(first); from.Before(until) {
		var fresh []RatioPoint
		fresh, w.Note = t.minutes(ctx, from, until)
		w.Points = merge(w.Points, fresh)
	}
	if ctx.Err() != nil {
		return Transition{}, ctx.Err()
	}
	o := t.Watch.judge(w.Points)
	w.Text = w.line(o, until, run)
	w.NextAt = now.Truncate(time.Minute).Add(time.Minute + watchAfter)
	if err := m.resolve(ctx, t, &run, o); err != nil {
		return Transition{}, err
	}
	successor, called, err := m.others(ctx, run, w.Since)
	switch {
	case err != nil:
		return Transition{}, err
	case run.Escalation.open():
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
func (r Run) watchFrom(p WatchPolicy, now time.Time) Watch {
	if r.Watch != nil {
		w := *r.Watch
		w.Points = append([]RatioPoint(nil), w.Points...)
		return w
	}
	since := r.effectAt()
	if since.IsZero() {
		since = now
	}
	w := Watch{Since: since, Verdict: WatchOpen, Points: []RatioPoint{}, Limit: p.Ratio}
	w.Until = w.first().Add(p.For)
	return w
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// first is the first minute that began after the mitigation.
func (w Watch) first() time.Time {
	at := w.Since.Truncate(time.Minute)
	if at.Equal(w.Since) {
		return at
	}
	return at.Add(time.Minute)
}

// most is the end of the minutes for which a breach is followed.
func (w Watch) most(p WatchPolicy) time.Time { return w.first().Add(max(watchMost, p.For)) }

// from is where reading goes on: a few minutes before the newest point.
func (w Watch) from(first time.Time) time.Time {
	if n := len(w.Points); n > 0 {
		if at := w.Points[n-1].At.Add(time.Minute - watchAgain); at.After(first) {
			return at
		}
	}
	return first
}

// afterPoint decides what follows.
func (m *Machine) afterPoint(ctx context.Context, t *Target, run Run, w Watch, o outlook, until time.Time) (Transition, error) {
	tr := Transition{From: run.State, To: StateWatch, Watch: &w}
	switch {
	case o.breach && !run.Escalation.open():
		w.Verdict = WatchBreach
		tr.Alarm = t.breachAlarm(run, w, o, m.clock.Now())
		tr.To = StateEscalate
		tr.Audit = []AuditEntry{run.audit(m.clock.Now(), AuditSelf, "escalate", tr.Alarm.Why)}
	case until.Before(w.Until):
	case run.Escalation.breach() && until.Before(w.most(t.Watch)):
		// The team was called: they want to see when it ends.
		w.Until = w.Until.Add(time.Minute)
	default:
		return m.endWatch(ctx, t, run, w, o)
	}
	return tr, nil
}

// endWatch says what the whole watch showed.
func (m *Machine) endWatch(ctx context.Context, t *Target, run Run, w Watch, o outlook) (Transition, error) {
	now := m.clock.Now()
	w.EndedAt = now
	minutes := int(w.Until.Sub(w.first()) / time.Minute)
	tr := Transition{From: run.State, To: run.end(), Watch: &w}
	calm, why := o.settled(minutes), ""
	if !calm {
		calm, why = m.calmByCount(ctx, t, w)
	}
	switch {
	case run.Escalation.breach():
		w.Verdict, tr.To = WatchBreach, StateFailed
	case calm:
		w.Verdict = WatchCalm
	default:
		w.Verdict = WatchBlind
		if !run.Escalation.open() {
			tr.To = StateEscalate
			tr.Alarm = run.newEscalation(EscalateBlind, fmt.Sprintf("Nobody can tell whether %s works again: %s. Please look.", run.Target, why), now)
			tr.Audit = []AuditEntry{run.audit(now, AuditSelf, "escalate", tr.Alarm.Why)}
		}
	}
	tr.Outcome = run.with(w.summary(o, why))
	return tr, nil
}

// calmByCount is for a watch that has no share of failures to go by: only no
// failure at all, with accepted tokens, is calm.
func (m *Machine) calmByCount(ctx context.Context, t *Target, w Watch) (calm bool, why string) {
	all, traffic := share(w.Points)
	switch {
	case len(w.Points) == 0:
		why = "no minute of the watch could be read"
		if w.Note != "" {
			why += " (" + w.Note + ")"
		}
		return false, why
	case traffic:
		return false, fmt.Sprintf("%s failures of %s requests in %s are too few to speak of a share", count(all.failures), count(all.requests), plural(all.minutes, "minute", "minutes"))
	case all.failures > 0:
		return false, fmt.Sprintf("%s failures were logged in %s, of nobody knows how many requests", count(all.failures), plural(all.minutes, "minute", "minutes"))
	case t.Meter != nil && t.API != nil:
		return false, "no request came"
	case t.Successes != nil:
		if n, _, _, err := t.Successes.Successes(ctx, w.Since, w.Until); err == nil && n > 0 {
			return true, fmt.Sprintf("no failure was logged, and %s", plural(n, "accepted token", "accepted tokens"))
		}
	}
	return false, "no failure was logged, but no accepted token either"
}
