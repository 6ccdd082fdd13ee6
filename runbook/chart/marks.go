package chart

import (
	"github.com/go-analyze/charts"

	"jwksbot/runbook"
)

// Marks beyond these are left out: nobody would read them.
const (
	mostMarks = 12
	mostLanes = 4
	labelMost = 320 // pixels
)

// label is a mark with its place.
type label struct {
	runbook.Mark
	text  string
	x     int // of the line
	start int // of the text
	end   int
}

// lane is one row of names above the panels.
type lane []label

// place puts the names of marks into as few rows as they need. A name goes
// below every name that reaches beyond it, so that its line, which goes down,
// crosses none. Marks outside the window are left out.
func (c *canvas) place(all []runbook.Mark) []lane {
	var lanes []lane
	n := 0
	for _, m := range all {
		if !c.window.holds(m.At) || n == mostMarks {
			continue
		}
		n++
		l := c.label(m)
		row := 0
		for i, in := range lanes {
			if in[len(in)-1].end+16 > l.start {
				row = i + 1
			}
		}
		switch {
		case row < len(lanes):
			lanes[row] = append(lanes[row], l)
		case row < mostLanes:
			lanes = append(lanes, lane{l})
		}
	}
	return lanes
}

func (c *canvas) label(m runbook.Mark) label {
	l := label{Mark: m, x: c.window.x(m.At)}
	l.text = fit(c, m.At.UTC().Format("15:04")+" "+m.Label, c.font, labelMost)
	w := c.wide(l.text, c.font)
	l.start = l.x + 6
	if l.start+w > width-12 { // at the right edge the name stands before its line
		l.start = l.x - 6 - w
	}
	l.end = l.start + w
	return l
}

// marks draws the lines of all marks through every panel, then their names
// over them.
func (c *canvas) marks() {
	drawn := map[int]bool{}
	for i, row := range c.lanes {
		for _, l := range row {
			if drawn[l.x] {
				continue // dots over dots would become a solid line
			}
			drawn[l.x] = true
			from := c.baseline(i) - 16
			for _, p := range c.panels { // the names of lines between panels stay free
				c.stroke(markLine, charts.Point{X: l.x, Y: from}, charts.Point{X: l.x, Y: p.bottom})
				from = p.bottom + between
			}
		}
	}
	for i, row := range c.lanes {
		y := c.baseline(i)
		for _, l := range row {
			c.paint.FilledRect(l.start-3, y-18, l.end+3, y+6, ground, ground, 0)
			c.text(l.text, l.start, y, c.font)
		}
	}
}

func (c *canvas) baseline(lane int) int { return head + laneHeight*lane + 18 }
