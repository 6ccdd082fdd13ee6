package runbook

import (
	"fmt"
	"time"
)

// line tells how a watch stands, for the message.
func (w Watch) line(o outlook, until time.Time, run Run) string {
	total := int(w.Until.Sub(w.first()) / time.Minute)
	minute := max(0, min(total, int(until.Sub(w.first())/time.Minute)))
	head := fmt.Sprintf("minute %d of %d", minute, total)
	p, ok := o.last()
	if !ok {
		all, traffic := share(w.Points)
		switch {
		case minute == 0:
			return head + ": the first minute is not complete yet (metrics lag by about two minutes)"
		case len(w.Points) == 0:
			return head + ": nothing could be read yet"
		case !traffic:
			return fmt.Sprintf("%s: %s failures, their share is not known", head, count(all.failures))
		}
		return fmt.Sprintf("%s: %s failures of %s requests, too few to speak of a share", head, count(all.failures), count(all.requests))
	}
	head += fmt.Sprintf(": %s of %s requests failed", exact(p.ratio()), count(p.requests))
	if p.minutes > 1 {
		head += fmt.Sprintf(" in %s", plural(p.minutes, "minute", "minutes"))
	}
	if b, ok := share(w.Before); ok {
		head += fmt.Sprintf(" (before: %s)", exact(b.ratio()))
	}
	if o.above > 0 {
		head += fmt.Sprintf("; above %s for %s", exact(w.Limit), plural(o.above, "minute", "minutes"))
	}
	return head
}

// summary is the sentence with which a watch ends.
func (w Watch) summary(o outlook, why string) string {
	watched := "watched " + Duration(w.Until.Sub(w.first()))
	p, ok := o.last()
	now := ""
	if ok {
		now = exact(p.ratio())
	}
	before, known := share(w.Before)
	switch {
	case w.Verdict == WatchBlind:
		return fmt.Sprintf("Could not tell whether it works again: %s; %s.", why, watched)
	case w.Verdict == WatchBreach:
		return fmt.Sprintf("Failures are still at %s after %s.", now, Duration(w.Until.Sub(w.first())))
	case !ok:
		return fmt.Sprintf("%s; %s.", capital(why), watched)
	case known && before.ratio() > p.ratio():
		return fmt.Sprintf("Failures fell from %s to %s; %s.", exact(before.ratio()), now, watched)
	}
	return fmt.Sprintf("Failures are at %s; %s.", now, watched)
}

// Series is what a chart of the run shows: the minutes before and after the
// mitigation, with the moments that matter. It is empty for a run that was not
// watched.
func (r Run) Series() Series {
	if r.Watch == nil {
		return Series{}
	}
	w := *r.Watch
	s := Series{Title: "Share of failures, " + r.Target + ", run " + r.ID, Threshold: w.Limit,
		Since: w.first().Add(-watchBefore), Until: w.Until}
	for _, p := range append(append([]RatioPoint(nil), w.Before...), w.Points...) {
		if _, ok := p.Ratio(); ok {
			s.Failures = append(s.Failures, p)
		}
	}
	mark := func(at time.Time, label string) {
		if !at.Before(s.Since) && !at.After(s.Until) {
			s.Marks = append(s.Marks, Mark{At: at, Label: label})
		}
	}
	mark(r.Rotated, "rotation")
	for _, rec := range r.Receipts {
		if label, ok := markLabels[rec.Step]; ok && rec.Status != StatusFail {
			mark(rec.EndedAt, label)
		}
	}
	if r.Escalation != nil {
		mark(r.Escalation.At, "escalation")
	}
	return s
}

var markLabels = map[string]string{string(FlushCache): "flush", string(RestartAuthoriser): "restart", string(FlushGateway): "gateway flush"}
