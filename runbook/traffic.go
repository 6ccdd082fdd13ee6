package runbook

import "fmt"

// recentMinutes is how many of the newest minutes count as "now".
const recentMinutes = 5

// Ratio is hits divided by requests of the points; ok is false without any
// request, which is "no data" and never 0 %.
func Ratio(points []TrafficPoint) (ratio float64, ok bool) {
	var hits, all float64
	for _, p := range points {
		hits += p.Hits
		all += p.Hits + p.Misses
	}
	if all == 0 {
		return 0, false
	}
	return hits / all, true
}

// Split separates the newest minutes from those before.
func (ev TrafficEvidence) Split() (before, now []TrafficPoint) {
	n := max(0, len(ev.Points)-recentMinutes)
	return ev.Points[:n], ev.Points[n:]
}

// MissSpike says whether misses a minute at least tripled and are more than
// noise: after a rotation or a flush that is the expected sign of refilling.
func (ev TrafficEvidence) MissSpike() bool {
	before, now := ev.Split()
	if len(before) == 0 || len(now) == 0 {
		return false
	}
	return misses(now) >= 5 && misses(now) >= 3*misses(before)
}

// misses is the mean of misses a minute.
func misses(points []TrafficPoint) float64 {
	var sum float64
	for _, p := range points {
		sum += p.Misses
	}
	return sum / float64(len(points))
}

func (ev TrafficEvidence) describe() (Status, string) {
	before, now := ev.Split()
	ratio, ok := Ratio(now)
	if !ok {
		return StatusWarn, fmt.Sprintf("no data: CloudWatch has no hits or misses in the last %d min; nobody reads the cache, or the metrics are late", recentMinutes)
	}
	text := fmt.Sprintf("hit ratio %s", percent(ratio))
	if earlier, ok := Ratio(before); ok {
		text += fmt.Sprintf(" now, %s before", percent(earlier))
	}
	if ev.MissSpike() {
		return StatusWarn, text + "; spike in misses"
	}
	return StatusOK, text + "; no spike in misses"
}

// percent writes a ratio: "12 %".
func percent(r float64) string { return fmt.Sprintf("%.0f %%", r*100) }
