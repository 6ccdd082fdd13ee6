package chart

import (
	"fmt"
	"math"
	"time"
)

// window puts moments on the horizontal.
type window struct {
	since, until time.Time
	left, right  int
}

func (w window) x(at time.Time) int {
	share := float64(at.Sub(w.since)) / float64(w.until.Sub(w.since))
	return w.left + int(math.Round(share*float64(w.right-w.left)))
}

func (w window) holds(at time.Time) bool { return !at.Before(w.since) && !at.After(w.until) }

// tickSteps are the distances between times that people read easily.
var tickSteps = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}

// ticks are the whole times that are named, at most twelve.
func (w window) ticks() []time.Time {
	length := w.until.Sub(w.since)
	step := length / 10
	for _, s := range tickSteps {
		if length/s <= 12 {
			step = s
			break
		}
	}
	first := w.since.UTC().Truncate(step)
	if first.Before(w.since) {
		first = first.Add(step)
	}
	var out []time.Time
	for at := first; !at.After(w.until) && len(out) < 13; at = at.Add(step) {
		out = append(out, at)
	}
	return out
}

// ceiling is the end of a vertical scale from 0 with few round steps.
func ceiling(most float64, steps []float64) (top, step float64) {
	for scale := 1.0; scale < 1e15; scale *= 10 {
		for _, s := range steps {
			if most <= 4*s*scale {
				step = s * scale
				return step * math.Max(1, math.Ceil(most/step-1e-9)), step
			}
		}
	}
	return most, most
}

// percents and counts are steps of vertical scales, times powers of ten.
var (
	percents = []float64{0.005, 0.01, 0.025}
	counts   = []float64{1, 2, 5}
)

func percent(v float64) string {
	if p := v * 100; math.Abs(p-math.Round(p)) > 1e-6 {
		return fmt.Sprintf("%.1f %%", p)
	}
	return fmt.Sprintf("%.0f %%", v*100)
}

// compact writes a count in the space of a few letters.
func compact(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.4gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.4gk", v/1e3)
	}
	return fmt.Sprintf("%.4g", v)
}
