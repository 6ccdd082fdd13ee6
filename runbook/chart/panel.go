package chart

import (
	"fmt"
	"math"
	"time"

	"github.com/go-analyze/charts"

	"jwksbot/runbook"
)

// dot is one value of a line.
type dot struct {
	at    time.Time
	value float64
}

// line is a series as it is drawn.
type line struct {
	stroke
	dots []dot
}

// panel is one field with a vertical scale of its own.
type panel struct {
	lines       []line
	threshold   float64 // 0: none
	highest     float64 // of the scale
	step        float64
	format      func(float64) string
	nothing     string // is said when there is no dot
	top, bottom int
	names       int // height of the names of the lines
}

func failurePanel(s runbook.Series) panel {
	l := line{stroke: failureLine}
	most := s.Threshold * 2
	for _, p := range s.Failures {
		if ratio, ok := p.Ratio(); ok {
			l.dots = append(l.dots, dot{p.At, ratio})
			most = math.Max(most, ratio)
		}
	}
	p := panel{lines: []line{l}, threshold: s.Threshold, format: percent, nothing: "No data: nobody measured requests in this window."}
	p.highest, p.step = ceiling(math.Max(most, 0.02), percents)
	return p
}

func trafficPanel(s runbook.Series) panel {
	hits, misses := line{stroke: hitLine}, line{stroke: missLine}
	most := 0.0
	for _, p := range s.Traffic {
		hits.dots = append(hits.dots, dot{p.At, p.Hits})
		misses.dots = append(misses.dots, dot{p.At, p.Misses})
		most = math.Max(most, math.Max(p.Hits, p.Misses))
	}
	p := panel{lines: []line{hits, misses}, format: compact, nothing: "No data: the cache reported no traffic in this window."}
	p.highest, p.step = ceiling(math.Max(most, 4), counts)
	return p
}

func (p panel) y(v float64) int {
	return p.bottom - int(math.Round(v/p.highest*float64(p.bottom-p.top)))
}

// panel draws one field: ground, gaps, grid, lines, and what they are called.
func (c *canvas) panel(p panel, last bool) {
	c.gaps(p)
	c.grid(p, last)
	if p.threshold > 0 {
		y := p.y(p.threshold)
		c.stroke(thresholdLine, charts.Point{X: c.window.left, Y: y}, charts.Point{X: c.window.right, Y: y})
	}
	for _, l := range p.lines {
		c.line(p, l)
	}
	c.legend(p)
}

// notice says that a panel has nothing to show, on a plate over everything.
func (c *canvas) notice(p panel) {
	for _, l := range p.lines {
		if len(l.dots) > 0 {
			return
		}
	}
	big := c.font
	big.FontSize = 18
	w := c.wide(p.nothing, big)
	x, y := (c.window.left+c.window.right-w)/2, p.bottom-40
	c.paint.FilledRect(x-16, y-28, x+w+16, y+14, ground, ground, 0)
	c.text(p.nothing, x, y, big)
}

// grid draws the scales. Times stand below the last panel only.
func (c *canvas) grid(p panel, last bool) {
	for v := 0.0; v <= p.highest*1.0001; v += p.step {
		y := p.y(v)
		c.paint.LineStroke([]charts.Point{{X: c.window.left, Y: y}, {X: c.window.right, Y: y}}, grid, 1)
		label := p.format(v)
		c.text(label, c.window.left-14-c.wide(label, c.font), y+6, c.font)
	}
	for _, at := range c.window.ticks() {
		x := c.window.x(at)
		c.paint.LineStroke([]charts.Point{{X: x, Y: p.bottom}, {X: x, Y: p.bottom + 7}}, softInk, 2)
		if last {
			label := at.UTC().Format("15:04")
			c.text(label, x-c.wide(label, c.font)/2, p.bottom+30, c.font)
		}
	}
}

// apart is the distance above which two points have a gap between them: points
// are a minute apart, and clocks are not exact.
const apart = 90 * time.Second

// gaps greys the minutes without data, from the first to the last line that
// has some.
func (c *canvas) gaps(p panel) {
	from := c.window.since
	dots := p.lines[0].dots
	if len(dots) == 0 {
		c.grey(p, from, c.window.until)
		return
	}
	for i, d := range dots {
		if i > 0 {
			from = dots[i-1].at
		}
		if d.at.Sub(from) > apart {
			c.grey(p, from, d.at)
		}
	}
	if end := dots[len(dots)-1].at; c.window.until.Sub(end) > apart {
		c.grey(p, end, c.window.until)
	}
}

func (c *canvas) grey(p panel, from, to time.Time) {
	x1, x2 := max(c.window.x(from), c.window.left), min(c.window.x(to), c.window.right)
	if x2 <= x1 {
		return
	}
	c.paint.FilledRect(x1, p.top, x2, p.bottom, gapGrey, gapGrey, 0)
	soft := c.font
	soft.FontColor = softInk
	if w := c.wide("no data", soft); len(p.lines[0].dots) > 0 && x2-x1 > w+20 {
		c.text("no data", (x1+x2-w)/2, p.bottom-12, soft)
	}
}

// line draws the runs of points without a gap; a lone point is a dot.
func (c *canvas) line(p panel, l line) {
	for i := 0; i < len(l.dots); {
		var run []charts.Point
		for first := i; i < len(l.dots) && (i == first || l.dots[i].at.Sub(l.dots[i-1].at) <= apart); i++ {
			if c.window.holds(l.dots[i].at) {
				run = append(run, charts.Point{X: c.window.x(l.dots[i].at), Y: p.y(l.dots[i].value)})
			}
		}
		switch {
		case len(run) == 1:
			c.paint.Dots(run, l.colour, l.colour, 1, 6)
			c.text(p.format(l.dots[i-1].value), run[0].X+12, run[0].Y+6, c.font)
		case len(run) > 1:
			c.stroke(l.stroke, run...)
		}
	}
}

func (c *canvas) stroke(s stroke, points ...charts.Point) {
	if s.dash == nil {
		c.paint.LineStroke(points, s.colour, s.width)
		return
	}
	c.paint.DashedLineStroke(points, s.colour, s.width, s.dash)
}

// legend names the lines above their panel, each with a piece of itself.
func (c *canvas) legend(p panel) {
	x, y := c.window.left, p.names
	name := func(s stroke, label string) {
		c.stroke(s, charts.Point{X: x, Y: y}, charts.Point{X: x + 56, Y: y})
		c.text(label, x+66, y+6, c.font)
		x += 66 + c.wide(label, c.font) + 36
	}
	for _, l := range p.lines {
		name(l.stroke, l.name)
	}
	if p.threshold > 0 {
		name(thresholdLine, fmt.Sprintf("%s %s", thresholdLine.name, percent(p.threshold)))
	}
}
