package diagnose

import "jwksbot/runbook"

// RecentMinutes is how many of the newest minutes count as "now".
const RecentMinutes = 5

// Ratio is hits divided by requests of the points; ok is false without any
// request, which is "no data" and never 0 %.
func Ratio(points []runbook.TrafficPoint) (ratio float64, ok bool) {
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
func Split(ev runbook.TrafficEvidence) (before, now []runbook.TrafficPoint) {
	n := max(0, len(ev.Points)-RecentMinutes)
	return ev.Points[:n], ev.Points[n:]
}

// MissSpike says whether misses a minute at least tripled and are more than
// noise: after a rotation or a flush that is the expected sign of refilling.
func MissSpike(ev runbook.TrafficEvidence) bool {
	before, now := Split(ev)
	if len(before) == 0 || len(now) == 0 {
		return false
	}
	return misses(now) >= 5 && misses(now) >= 3*misses(before)
}

// misses is the mean of misses a minute.
func misses(points []runbook.TrafficPoint) float64 {
	var sum float64
	for _, p := range points {
		sum += p.Misses
	}
	return sum / float64(len(points))
}
