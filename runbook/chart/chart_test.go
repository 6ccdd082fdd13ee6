package chart

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-analyze/charts"

	"jwksbot/runbook"
)

var start = time.Date(2026, 2, 14, 2, 30, 0, 0, time.UTC)

func minute(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

// heal is an incident that a flush ends, with three minutes without data.
func heal() runbook.Series {
	s := runbook.Series{Title: "production: INC-2026-0214-001", Since: start, Until: minute(60), Threshold: 0.10,
		Marks: []runbook.Mark{{At: minute(11), Label: "keys rotated"}, {At: minute(34), Label: "flush"}, {At: minute(36), Label: "authoriser restarted"}}}
	for i := range 60 {
		if i >= 20 && i < 25 {
			continue
		}
		fail, hits, misses := 2.0, 940.0+float64(i%7)*12, 8.0+float64(i%3)
		switch {
		case i > 38:
			fail = 1
		case i > 11:
			fail = 20 + math.Min(150, float64(i-11)*22)
		}
		if i >= 34 && i < 38 {
			hits, misses = 300, 620-float64(i-34)*140
		}
		s.Failures = append(s.Failures, runbook.RatioPoint{At: minute(i), Failures: fail, Requests: 500})
		s.Traffic = append(s.Traffic, runbook.TrafficPoint{At: minute(i), Hits: hits, Misses: misses})
	}
	return s
}

// breach is a flush that did not help.
func breach() runbook.Series {
	s := heal()
	s.Traffic = nil
	for i := range s.Failures {
		if s.Failures[i].At.After(minute(34)) {
			s.Failures[i].Failures = 170 - float64(i%5)
		}
	}
	s.Marks = append(s.Marks, runbook.Mark{At: minute(47), Label: "escalated to the Identity Platform on-call team"}, runbook.Mark{At: minute(58), Label: "got it: Robin"})
	return s
}

// pictures are all kinds of series; JWKSBOT_CHARTS=DIR writes them out to be
// looked at.
func pictures() map[string]runbook.Series {
	few := heal()
	few.Failures, few.Traffic = []runbook.RatioPoint{few.Failures[5], few.Failures[6], few.Failures[30]}, nil
	one := heal()
	one.Failures, one.Traffic = one.Failures[30:31], one.Traffic[30:31]
	none := heal()
	none.Failures, none.Traffic = nil, nil
	traffic := heal()
	traffic.Failures, traffic.Marks = nil, nil
	crowd := heal()
	for i := range 30 {
		crowd.Marks = append(crowd.Marks, runbook.Mark{At: minute(30 + i%5), Label: strings.Repeat("a long name ", 9)})
	}
	return map[string]runbook.Series{"heal": heal(), "breach": breach(), "few": few, "one": one, "none": none, "traffic": traffic, "crowd": crowd, "zero": {}}
}

func TestEveryPictureIsDrawnTheSameTwice(t *testing.T) {
	dir := os.Getenv("JWKSBOT_CHARTS")
	for name, s := range pictures() {
		a, err := Draw(s)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Draw(s)
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: not the same twice (%v)", name, err)
		}
		if dir != "" {
			if err := os.WriteFile(filepath.Join(dir, name+".png"), a, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		img := decode(t, a)
		for _, at := range []image.Point{{0, 0}, {width - 1, img.Bounds().Dy() - 1}, {width / 2, 10}} {
			if _, _, _, alpha := img.At(at.X, at.Y).RGBA(); alpha != 0xffff {
				t.Errorf("%s: not opaque at %v", name, at)
			}
		}
	}
}

func TestTheOrderOfPointsDoesNotMatter(t *testing.T) {
	s, r := heal(), heal()
	slices.Reverse(r.Failures)
	slices.Reverse(r.Traffic)
	slices.Reverse(r.Marks)
	a, _ := Draw(s)
	b, _ := Draw(r)
	if !bytes.Equal(a, b) {
		t.Error("another order gives another picture")
	}
}

// A gap must never be crossed by a line: that would say something about
// minutes of which nothing is known.
func TestAGapIsAGapAndNoZero(t *testing.T) {
	s := heal()
	s.Traffic, s.Marks, s.Threshold = nil, nil, 0
	img := render(t, s)
	c := layout(tidy(s))
	p := c.panels[0]
	column := func(at time.Time) int {
		n := 0
		for y := p.top - 2; y <= p.bottom+2; y++ {
			if near(img, c.window.x(at), y, failureLine.colour) {
				n++
			}
		}
		return n
	}
	if column(minute(15)) == 0 || column(minute(30)) == 0 {
		t.Fatal("the line is not where it should be")
	}
	for _, at := range []time.Time{minute(21), minute(22), minute(23)} {
		if n := column(at); n > 0 {
			t.Errorf("%s: the line crosses the gap", at)
		}
		if !near(img, c.window.x(at), p.top+20, gapGrey) {
			t.Errorf("%s: the gap is not grey", at)
		}
	}
}

func TestAPointStandsWhereItsValueIs(t *testing.T) {
	s := runbook.Series{Since: start, Until: minute(10), Threshold: 0.10, Failures: []runbook.RatioPoint{{At: minute(5), Failures: 15, Requests: 100}}}
	img, c := render(t, s), layout(tidy(s))
	p := c.panels[0]
	if x, y := c.window.x(minute(5)), p.y(0.15); !near(img, x, y, failureLine.colour) {
		t.Errorf("no dot at %d,%d", x, y)
	}
	if y := p.y(0.10); !near(img, c.window.left+4, y, thresholdLine.colour) {
		t.Errorf("no threshold at %d", y)
	}
	if p.highest != 0.20 || p.step != 0.05 {
		t.Errorf("scale to %v in steps of %v", p.highest, p.step)
	}
}

// WCAG 2.2, criteria 1.4.3 and 1.4.11.
func TestContrastIsEnough(t *testing.T) {
	for _, on := range []charts.Color{ground, gapGrey} {
		for name, c := range map[string]charts.Color{"ink": ink, "soft ink": softInk} {
			if r := contrast(c, on); r < 4.5 {
				t.Errorf("%s: %.2f : 1", name, r)
			}
		}
		for _, s := range strokes() {
			if r := contrast(s.colour, on); r < 3 {
				t.Errorf("%s: %.2f : 1", s.name, r)
			}
		}
	}
	for _, page := range []string{"#ffffff", "#1a1d21"} { // Slack, light and dark
		if r := contrast(border, charts.ColorFromHex(page)); r < 3 {
			t.Errorf("border on %s: %.2f : 1", page, r)
		}
	}
}

func TestLinesDifferByDashAsWellAsByColour(t *testing.T) {
	dashes, colours := map[string]string{}, map[string]string{}
	for _, s := range strokes() {
		dash, colour := fmt.Sprint(s.dash), fmt.Sprint(s.colour)
		if other, taken := dashes[dash]; taken {
			t.Errorf("%q and %q have the dash %s", s.name, other, dash)
		}
		if other, taken := colours[colour]; taken {
			t.Errorf("%q and %q have the colour %s", s.name, other, colour)
		}
		dashes[dash], colours[colour] = s.name, s.name
	}
}

func TestTheFontKnowsWhatIsWritten(t *testing.T) {
	font := charts.GetFont(charts.FontFamilyRoboto)
	for _, r := range "0123456789 %:–…·äöüéÆabcxyzABC()<>/-_" {
		if font.Index(r) == 0 {
			t.Errorf("%q is not in the font", r)
		}
	}
	if got := readable("a\n漢 eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", charts.FontStyle{Font: font}); strings.ContainsAny(got, "\n漢") || strings.Contains(got, "c2ln") {
		t.Errorf("%q", got)
	}
}

func TestScalesAreRound(t *testing.T) {
	for _, c := range []struct {
		most, top, step float64
		steps           []float64
	}{
		{0.02, 0.02, 0.005, percents}, {0.2, 0.2, 0.05, percents}, {0.34, 0.4, 0.1, percents}, {0.9, 1, 0.25, percents}, {1, 1, 0.25, percents},
		{4, 4, 1, counts}, {5, 6, 2, counts}, {1012, 1500, 500, counts}, {41210, 60000, 20000, counts},
	} {
		if top, step := ceiling(c.most, c.steps); math.Abs(top-c.top) > 1e-9 || math.Abs(step-c.step) > 1e-9 {
			t.Errorf("%v: %v in steps of %v, want %v and %v", c.most, top, step, c.top, c.step)
		}
	}
}

func TestTimesAreFewAndWhole(t *testing.T) {
	for length, want := range map[time.Duration]int{time.Minute: 2, 15 * time.Minute: 8, time.Hour: 13, 24 * time.Hour: 13, 15 * 24 * time.Hour: 10} {
		n := len(window{start, start.Add(length), 0, 100}.ticks())
		if n < 2 || n > 13 {
			t.Errorf("%s: %d times, want about %d", length, n, want)
		}
	}
}

func TestNamesOfMarksDoNotTouch(t *testing.T) {
	c := layout(tidy(pictures()["crowd"]))
	if len(c.lanes) == 0 || len(c.lanes) > mostLanes {
		t.Fatalf("%d lanes", len(c.lanes))
	}
	for _, row := range c.lanes {
		for i := 1; i < len(row); i++ {
			if row[i].start < row[i-1].end {
				t.Errorf("%q touches %q", row[i].text, row[i-1].text)
			}
		}
		for _, l := range row {
			if l.start < 0 || l.end > width {
				t.Errorf("%q is outside: %d to %d", l.text, l.start, l.end)
			}
		}
	}
}

func strokes() []stroke { return []stroke{failureLine, thresholdLine, hitLine, missLine, markLine} }

func render(t *testing.T, s runbook.Series) image.Image {
	t.Helper()
	b, err := Draw(s)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, b)
}

func decode(t *testing.T, b []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func near(img image.Image, x, y int, c charts.Color) bool {
	r, g, b, _ := img.At(x, y).RGBA()
	off := func(a uint32, b uint8) float64 { return math.Abs(float64(a>>8) - float64(b)) }
	return off(r, c.R)+off(g, c.G)+off(b, c.B) < 24
}

func contrast(a, b charts.Color) float64 {
	la, lb := luminance(a), luminance(b)
	return (math.Max(la, lb) + 0.05) / (math.Min(la, lb) + 0.05)
}

func luminance(c charts.Color) float64 {
	part := func(v uint8) float64 {
		f := float64(v) / 255
		if f <= 0.04045 {
			return f / 12.92
		}
		return math.Pow((f+0.055)/1.055, 2.4)
	}
	return 0.2126*part(c.R) + 0.7152*part(c.G) + 0.0722*part(c.B)
}
