// Package chart draws what people look at during and after an incident: the
// share of requests that failed, and the hits and misses of the cache, minute
// by minute, with the moments that matter. It is the only user of the charting
// library, of whose ready-made charts none has gaps, marks and a threshold
// together: its painter draws, this package decides where.
//
// A picture is an opaque card of its own, so that it reads the same on Slack's
// light and dark pages, with a border in a grey that shows on both. Every line
// differs from the others by its dash as well as by its colour, and is named
// in words. What is missing is missing: a minute without data is a gap with a
// grey ground, never a zero. The same series gives the same bytes.
package chart

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/go-analyze/charts"

	"jwksbot/runbook"
	"jwksbot/runbook/redact"
)

// Sizes in pixels: twice what Slack shows beside a message, so that text is
// still read in the small picture.
const (
	width       = 1200
	panelHeight = 300
	head        = 140 // title, window, and the names of the first panel's lines
	laneHeight  = 30  // one row of names of marks
	foot        = 56  // times
	between     = 64  // panels
	left        = 104
	right       = 40
)

// Draw returns the picture of a series as PNG. A series without a single point
// gives a picture that says so.
func Draw(s runbook.Series) ([]byte, error) {
	s = tidy(s)
	c := layout(s)
	c.card()
	c.title(s)
	for i, p := range c.panels {
		c.panel(p, i == len(c.panels)-1)
	}
	c.marks()
	for _, p := range c.panels {
		c.notice(p)
	}
	png, err := c.paint.Bytes()
	if err != nil {
		return nil, fmt.Errorf("chart %q: %w", s.Title, err)
	}
	return png, nil
}

// canvas is a picture in the making.
type canvas struct {
	paint  *charts.Painter
	font   charts.FontStyle
	height int
	window window
	panels []panel
	lanes  []lane
	top    int // of the first panel
}

// tidy sorts, leaves out what is no number, keeps the last of two points of
// the same minute, and finds the window where none is given.
func tidy(s runbook.Series) runbook.Series {
	s.Failures = inOrder(s.Failures, func(p runbook.RatioPoint) time.Time { return p.At }, func(p runbook.RatioPoint) bool {
		return number(p.Failures) && number(p.Requests)
	})
	s.Traffic = inOrder(s.Traffic, func(p runbook.TrafficPoint) time.Time { return p.At }, func(p runbook.TrafficPoint) bool {
		return number(p.Hits) && number(p.Misses)
	})
	if !number(s.Threshold) || s.Threshold > 1 {
		s.Threshold = 0
	}
	s.Marks = slices.Clone(s.Marks)
	slices.SortStableFunc(s.Marks, func(a, b runbook.Mark) int { return a.At.Compare(b.At) })
	if s.Since.Before(s.Until) {
		return s
	}
	var all []time.Time
	for _, p := range s.Failures {
		all = append(all, p.At)
	}
	for _, p := range s.Traffic {
		all = append(all, p.At)
	}
	for _, m := range s.Marks {
		all = append(all, m.At)
	}
	if len(all) > 0 {
		s.Since, s.Until = slices.MinFunc(all, time.Time.Compare), slices.MaxFunc(all, time.Time.Compare).Add(time.Minute)
	} else {
		s.Until = s.Since.Add(time.Minute)
	}
	return s
}

func number(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) && f >= 0 }

func inOrder[P any](points []P, at func(P) time.Time, good func(P) bool) []P {
	points = slices.Clone(points)
	slices.SortStableFunc(points, func(a, b P) int { return at(a).Compare(at(b)) })
	out := points[:0]
	for _, p := range points {
		switch {
		case !good(p):
		case len(out) > 0 && at(out[len(out)-1]).Equal(at(p)):
			out[len(out)-1] = p
		default:
			out = append(out, p)
		}
	}
	return out
}

// layout decides what is drawn and how high the picture becomes.
func layout(s runbook.Series) *canvas {
	c := &canvas{window: window{s.Since, s.Until, left, width - right}}
	c.font = charts.FontStyle{FontSize: 15, FontColor: ink, Font: charts.GetFont(charts.FontFamilyRoboto)}
	measure := charts.NewPainter(charts.PainterOptions{Width: 10, Height: 10})
	c.paint = measure
	c.lanes = c.place(s.Marks)
	c.top = head + laneHeight*len(c.lanes) + 10
	if len(s.Failures) > 0 || len(s.Traffic) == 0 {
		c.panels = append(c.panels, failurePanel(s))
	}
	if len(s.Traffic) > 0 {
		c.panels = append(c.panels, trafficPanel(s))
	}
	y := c.top
	for i := range c.panels {
		c.panels[i].top, c.panels[i].bottom, c.panels[i].names = y, y+panelHeight, y-22
		y += panelHeight + between
	}
	c.panels[0].names = head - 22 // above the marks, whose lines would cross them
	c.height = y - between + foot
	c.paint = charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputPNG, Width: width, Height: c.height})
	return c
}

// card is the ground: opaque up to the corners, with a border.
func (c *canvas) card() {
	c.paint.FilledRect(0, 0, width, c.height, border, border, 0)
	c.paint.FilledRect(3, 3, width-3, c.height-3, ground, ground, 0)
}

func (c *canvas) title(s runbook.Series) {
	big := c.font
	big.FontSize = 20
	c.text(fit(c, s.Title, big, width-left), 28, 46, big)
	soft := c.font
	soft.FontColor = softInk
	c.text(span(s.Since, s.Until), 28, 78, soft)
}

// span writes the window as people say it; the date matters the day after.
func span(since, until time.Time) string {
	since, until = since.UTC(), until.UTC()
	end := "15:04"
	if since.YearDay() != until.YearDay() || since.Year() != until.Year() {
		end = "2006-01-02 15:04"
	}
	return since.Format("2006-01-02 15:04") + " – " + until.Format(end) + " UTC"
}

// text puts a line so that its baseline is at y.
func (c *canvas) text(s string, x, y int, style charts.FontStyle) {
	c.paint.Text(readable(s, style), x, y, 0, style)
}

func (c *canvas) wide(s string, style charts.FontStyle) int {
	return c.paint.MeasureText(readable(s, style), 0, style).Width()
}

// readable replaces what the font cannot show, and redacts: titles and names
// of marks may quote people.
func readable(s string, style charts.FontStyle) string {
	out := []rune(redact.Text(s))
	for i, r := range out {
		if r < ' ' || style.Font != nil && style.Font.Index(r) == 0 {
			out[i] = '?'
		}
	}
	return string(out)
}

// fit cuts text to a width.
func fit(c *canvas, s string, style charts.FontStyle, most int) string {
	r := []rune(s)
	if len(r) > 200 {
		r = append(r[:199], '…')
	}
	for len(r) > 1 && c.wide(string(r), style) > most {
		r = append(r[:len(r)-2], '…')
	}
	return string(r)
}
