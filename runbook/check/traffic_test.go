package check

import (
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/standin"
)

// minutes of traffic, oldest first, as hits and misses.
func minutes(pairs ...float64) runbook.TrafficEvidence {
	var ev runbook.TrafficEvidence
	for i := 0; i+1 < len(pairs); i += 2 {
		ev.Points = append(ev.Points, runbook.TrafficPoint{At: standin.T0.Add(time.Duration(i/2) * time.Minute), Hits: pairs[i], Misses: pairs[i+1]})
	}
	return ev
}

func repeat(n int, hits, misses float64) (out []float64) {
	for range n {
		out = append(out, hits, misses)
	}
	return out
}

func TestTraffic(t *testing.T) {
	for _, c := range []struct {
		name  string
		ev    runbook.TrafficEvidence
		spike bool
		want  runbook.Status
		says  string
	}{
		{"no points", minutes(), false, runbook.StatusWarn, "no data"},
		{"points without requests", minutes(repeat(8, 0, 0)...), false, runbook.StatusWarn, "no data"},
		{"hits remain high", minutes(repeat(10, 99, 1)...), false, runbook.StatusOK, "hit ratio 99 % now, 99 % before; no spike"},
		{"only the newest minutes", minutes(repeat(3, 90, 10)...), false, runbook.StatusOK, "hit ratio 90 %; no spike"},
		{"refilling", minutes(append(repeat(5, 99, 1), repeat(5, 50, 50)...)...), true, runbook.StatusWarn, "hit ratio 50 % now, 99 % before; spike in misses"},
		{"a little more is noise", minutes(append(repeat(5, 99, 1), repeat(5, 99, 4)...)...), false, runbook.StatusOK, "no spike"},
		{"many misses as ever", minutes(repeat(10, 50, 50)...), false, runbook.StatusOK, "no spike"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, text := describeTraffic(c.ev)
			if diagnose.MissSpike(c.ev) != c.spike || status != c.want || !strings.Contains(text, c.says) {
				t.Errorf("spike %t, %s %q", diagnose.MissSpike(c.ev), status, text)
			}
		})
	}
}
