package runbook

import "time"

// Series is what a chart shows: a line over minutes for the share of failures,
// two for hits and misses, and the moments that matter.
type Series struct {
	Title        string
	Since, Until time.Time
	Failures     []RatioPoint   // empty: no such line
	Traffic      []TrafficPoint // empty: no such lines
	Threshold    float64        // share of failures that is escalated; 0: none
	Marks        []Mark
}

// RatioPoint is the share of requests that failed in one minute.
type RatioPoint struct {
	At       time.Time `json:"at"`
	Failures float64   `json:"failures"`
	Requests float64   `json:"requests"`
}

// Ratio is failures ÷ requests; ok is false when there were no requests.
func (p RatioPoint) Ratio() (ratio float64, ok bool) {
	if p.Requests <= 0 {
		return 0, false
	}
	return p.Failures / p.Requests, true
}

// Mark is a moment that a chart names: a rotation, a flush, a restart.
type Mark struct {
	At    time.Time `json:"at"`
	Label string    `json:"label"`
}
