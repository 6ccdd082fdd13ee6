package render

import (
	"strings"
	"unicode/utf8"

	"jwksbot/runbook"
)

// What a plan does is said by the plan; here it gets Slack's marks.

// dangerShape marks what must not be missed.
var dangerShape = map[runbook.Danger]string{runbook.Lasting: "⚠️ ", runbook.Destructive: "🚨 "}

// planLines say exactly what every step of a plan touches and what it spares.
func planLines(p runbook.Plan) []string {
	var lines []string
	for _, l := range p.Lines() {
		s := dangerShape[l.Danger]
		if l.Lead != "" {
			s += bold(prose(l.Lead, LimitSentence)) + " "
		}
		s = strings.TrimSpace(s + prose(l.Text, LimitSentence))
		if len(l.Names) > 0 {
			s += ": " + codes(l.Names, namesOnRun)
		}
		lines = append(lines, s)
	}
	return lines
}

// confirmText states the effect once more, in the few words that a dialog
// takes. What is dangerous is in any case among them.
func confirmText(p runbook.Plan) string {
	var parts []string
	var harmless []int
	if p.Advice != "" {
		parts = append(parts, "This goes *against the verdict*.")
	}
	add := func(l runbook.PlanLine) {
		s := prose(l.Short, LimitSentence) + "."
		if l.Danger > runbook.Harmless {
			s = bold(s)
		} else {
			harmless = append(harmless, len(parts))
		}
		parts = append(parts, s)
	}
	for _, l := range p.Lines() {
		if l.Short != "" {
			add(l)
		}
	}
	if p.Has(runbook.FlushCache) {
		add(runbook.PlanLine{Short: "The effect is read back"})
	}
	for {
		s := strings.Join(parts, " ")
		if utf8.RuneCountInString(s) <= limitConfirmText || len(harmless) == 0 {
			return s
		}
		last := harmless[len(harmless)-1]
		parts, harmless = append(parts[:last], parts[last+1:]...), harmless[:len(harmless)-1]
	}
}
