package execute

import (
	"fmt"
	"time"

	"jwksbot/runbook"
)

// line tells how a watch stands, for the message.
func line(w runbook.Watch, o outlook, until time.Time, run runbook.Run) string {
	total := int(w.Until.Sub(First(w)) / time.Minute)
	minute := max(0, min(total, int(until.Sub(First(w))/time.Minute)))
	head := fmt.Sprintf("minute %d of %d", minute, total)
	p, ok := o.last()
	if !ok {
		all, traffic := Share(w.Points)
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
	head += fmt.Sprintf(": %s of %s requests failed", runbook.ExactPercent(p.Ratio()), count(p.requests))
	if p.minutes > 1 {
		head += fmt.Sprintf(" in %s", runbook.Plural(p.minutes, "minute", "minutes"))
	}
	if b, ok := Share(w.Before); ok {
		head += fmt.Sprintf(" (before: %s)", runbook.ExactPercent(b.Ratio()))
	}
	if o.above > 0 {
		head += fmt.Sprintf("; above %s for %s", runbook.ExactPercent(w.Limit), runbook.Plural(o.above, "minute", "minutes"))
	}
	return head
}

// summary is the sentence with which a watch ends.
func summary(w runbook.Watch, o outlook, why string) string {
	watched := "watched " + runbook.Duration(w.Until.Sub(First(w)))
	p, ok := o.last()
	now := ""
	if ok {
		now = runbook.ExactPercent(p.Ratio())
	}
	before, known := Share(w.Before)
	switch {
	case w.Verdict == runbook.WatchBlind:
		return fmt.Sprintf("Could not tell whether it works again: %s; %s.", why, watched)
	case w.Verdict == runbook.WatchBreach:
		return fmt.Sprintf("Failures are still at %s after %s.", now, runbook.Duration(w.Until.Sub(First(w))))
	case !ok:
		return fmt.Sprintf("%s; %s.", runbook.Capital(why), watched)
	case known && before.Ratio() > p.Ratio():
		return fmt.Sprintf("Failures fell from %s to %s; %s.", runbook.ExactPercent(before.Ratio()), now, watched)
	}
	return fmt.Sprintf("Failures are at %s; %s.", now, watched)
}
