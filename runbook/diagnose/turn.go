package diagnose

import (
	"slices"
	"time"

	"jwksbot/runbook"
)

// ChangePoint is the minute at which the share of 4xx answers changed most.
type ChangePoint struct {
	At            time.Time
	Before, After float64 // shares of requests, over all minutes on each side
	Spike         bool    // it rose out of the ordinary, and has not fallen again
}

// What a spike is: the share at least doubled, by 5 points or more, and both
// sides have enough minutes and requests to speak of a share.
const (
	turnMinutes  = 3
	turnRequests = 20
	spikePoints  = 0.05
	spikeFactor  = 2
)

// FindChangePoint splits the window where the two sides differ most; ok is false when
// there is too little traffic to compare anything.
func FindChangePoint(ev *runbook.GatewayEvidence) (turn ChangePoint, ok bool) {
	best, all, bad := 0.0, requests(ev.Points), 0.0
	for _, p := range ev.Points {
		bad += p.ClientErrors
	}
	m, x := 0.0, 0.0 // requests and client errors before the split
	for i, p := range ev.Points {
		if n := all - m; i >= turnMinutes && i <= len(ev.Points)-turnMinutes && m >= turnRequests && n >= turnRequests {
			a, b := x/m, (bad-x)/n
			// Weighted by both sides, so that one odd minute at an end counts little.
			if score := (a - b) * (a - b) * m * n / all; !ok || score > best {
				best, ok = score, true
				turn = ChangePoint{At: p.At, Before: a, After: b}
			}
		}
		m, x = m+p.Requests, x+p.ClientErrors
	}
	turn.Spike = ok && turn.After >= spikeFactor*turn.Before && turn.After-turn.Before >= spikePoints &&
		median(Newest(ev.Points)) >= (turn.Before+turn.After)/2
	return turn, ok
}

// median is the share of 4xx in the middle one of the minutes: one odd minute
// is no spike.
func median(points []runbook.GatewayPoint) float64 {
	var shares []float64
	for _, p := range points {
		share, _ := ClientErrors([]runbook.GatewayPoint{p})
		shares = append(shares, share)
	}
	if len(shares) == 0 {
		return 0
	}
	slices.Sort(shares)
	return shares[len(shares)/2]
}

// Newest are the minutes that count as "now".
func Newest(points []runbook.GatewayPoint) []runbook.GatewayPoint {
	return points[max(0, len(points)-RecentMinutes):]
}

func requests(points []runbook.GatewayPoint) (n float64) {
	for _, p := range points {
		n += p.Requests
	}
	return n
}

// ClientErrors is the share of 4xx answers; ok is false without any request.
func ClientErrors(points []runbook.GatewayPoint) (ratio float64, ok bool) {
	n, errors := requests(points), 0.0
	for _, p := range points {
		errors += p.ClientErrors
	}
	if n <= 0 {
		return 0, false
	}
	return errors / n, true
}

// ServerErrors counts the 5xx answers.
func ServerErrors(points []runbook.GatewayPoint) float64 {
	n, errors := requests(points), 0.0
	for _, p := range points {
		errors += p.ServerErrors
	}
	if n <= 0 {
		return 0
	}
	return errors / n
}
