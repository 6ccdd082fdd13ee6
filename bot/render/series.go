package render

import (
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
)

// SeriesOf is what a chart of a report shows: the share of requests that
// failed, the hits and misses of the cache, and the moments that explain them.
func SeriesOf(r check.Report) runbook.Series {
	s := runbook.Series{Since: r.Question.Since, Until: r.Question.Until}
	what := "cache hits and misses"
	if s.Failures = failureShare(r.Evidence); s.Failures == nil {
		if s.Failures = clientErrorShare(r.Evidence.Gateway); s.Failures != nil {
			what = "client errors (4xx) ÷ requests"
		}
	} else {
		what = "token failures ÷ requests"
	}
	s.Title = r.Target + ": " + what
	if t := r.Evidence.Traffic; t != nil {
		s.Traffic = t.Points
	}
	s.Marks = marksOf(r.Evidence, s.Since, s.Until)
	return s
}

// failureShare divides the failures that the authoriser logged by the requests
// of the gateway; nil if either is unknown, or if nothing failed in the log.
func failureShare(e runbook.Evidence) []runbook.RatioPoint {
	if e.Gateway == nil || e.Logged == nil || e.Logged.Count == 0 {
		return nil
	}
	failed := map[time.Time]int{}
	for _, m := range e.Logged.PerMinute {
		failed[m.At.Truncate(time.Minute)] += m.Count
	}
	out := make([]runbook.RatioPoint, len(e.Gateway.Points))
	for i, p := range e.Gateway.Points {
		out[i] = runbook.RatioPoint{At: p.At, Failures: float64(failed[p.At.Truncate(time.Minute)]), Requests: p.Requests}
	}
	return out
}

func clientErrorShare(ev *runbook.GatewayEvidence) []runbook.RatioPoint {
	if ev == nil {
		return nil
	}
	out := make([]runbook.RatioPoint, len(ev.Points))
	for i, p := range ev.Points {
		out[i] = runbook.RatioPoint{At: p.At, Failures: p.ClientErrors, Requests: p.Requests}
	}
	return out
}

// marksOf are the moments within the window: keys that were new while the
// target was looked at (the first check of all sees every key for the first
// time), and the last flush.
func marksOf(e runbook.Evidence, since, until time.Time) []runbook.Mark {
	var out []runbook.Mark
	within := func(t time.Time) bool { return t.After(since) && !t.After(until) }
	var first time.Time
	for _, h := range e.History {
		if first.IsZero() || h.FirstSeen.Before(first) {
			first = h.FirstSeen
		}
	}
	seen := map[time.Time]bool{}
	for _, h := range e.History {
		if h.FirstSeen.After(first) && within(h.FirstSeen) && !seen[h.FirstSeen] {
			seen[h.FirstSeen] = true
			out = append(out, runbook.Mark{At: h.FirstSeen, Label: "new key seen"})
		}
	}
	if within(e.Flushed) {
		out = append(out, runbook.Mark{At: e.Flushed, Label: "flush"})
	}
	return out
}

// Drawable says that a series has enough points for a line.
func Drawable(s runbook.Series) bool { return len(s.Failures) > 1 || len(s.Traffic) > 1 }

// altText says in words what a chart shows.
func altText(s runbook.Series) string {
	text := "Chart of " + s.Title + ", " + s.Since.UTC().Format("15:04") + " to " + s.Until.UTC().Format("15:04 MST")
	if first, last, ok := ends(s.Failures); ok {
		text += "; share of failures " + runbook.ExactPercent(first) + " at the beginning, " + runbook.ExactPercent(last) + " at the end"
	}
	for _, m := range s.Marks {
		text += "; " + m.Label + " at " + m.At.UTC().Format("15:04")
	}
	return plain(text, limitAlt)
}

// ends are the shares of the first and the last minute that had requests.
func ends(points []runbook.RatioPoint) (first, last float64, ok bool) {
	for _, p := range points {
		r, has := p.Ratio()
		if !has {
			continue
		}
		if !ok {
			first = r
		}
		last, ok = r, true
	}
	return first, last, ok
}
