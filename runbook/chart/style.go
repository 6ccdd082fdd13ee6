package chart

import "github.com/go-analyze/charts"

// Colours. Lines are from the palette of Okabe and Ito, whose colours people
// with any kind of colour blindness tell apart, darkened until they have
// enough contrast on the card; a test computes it (WCAG 2.2: 4.5 to 1 for
// text, 3 to 1 for lines).
var (
	ground  = charts.ColorFromHex("#f7f8fa") // of the card
	gapGrey = charts.ColorFromHex("#e6e8ec") // ground of minutes without data
	grid    = charts.ColorFromHex("#d3d7dd") // decoration: nothing is read from it
	border  = charts.ColorFromHex("#868c96") // shows on white and on Slack's dark #1a1d21
	ink     = charts.ColorFromHex("#1d2127")
	softInk = charts.ColorFromHex("#4d545e")
)

// stroke is how a line looks: by colour, dash and width.
type stroke struct {
	name   string
	colour charts.Color
	dash   []float64 // nil: solid
	width  float64
}

// The lines. No two have the same dash.
var (
	failureLine   = stroke{"requests that failed", charts.ColorFromHex("#b34700"), nil, 4}
	thresholdLine = stroke{"escalated above", charts.ColorFromHex("#8f2470"), []float64{18, 8}, 3}
	hitLine       = stroke{"cache hits a minute", charts.ColorFromHex("#005f99"), []float64{14, 5, 3, 5}, 4}
	missLine      = stroke{"cache misses a minute", charts.ColorFromHex("#8a5a00"), []float64{6, 6}, 4}
	markLine      = stroke{"", charts.ColorFromHex("#3b424c"), []float64{2, 5}, 2}
)
