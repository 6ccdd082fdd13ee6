package standin

import (
	"time"

	"jwksbot/runbook"
)

// PointsOf makes a point for every minute; a nil minute is missing.
func PointsOf(minutes ...[]float64) []runbook.RatioPoint {
	var out []runbook.RatioPoint
	for i, m := range minutes {
		if m != nil {
			out = append(out, runbook.RatioPoint{At: T0.Add(time.Duration(i) * time.Minute), Failures: m[0], Requests: m[1]})
		}
	}
	return out
}

// Times repeats a minute.
func Times(n int, m ...float64) [][]float64 {
	out := make([][]float64, n)
	for i := range out {
		out[i] = m
	}
	return out
}

// Join puts minutes after one another.
func Join(lists ...[][]float64) [][]float64 {
	var out [][]float64
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}
