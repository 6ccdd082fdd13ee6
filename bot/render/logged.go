package render

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/redact"
)

// loggedBlocks shows what the authoriser failed on.
func loggedBlocks(e runbook.Evidence) []slack.Block {
	ev := e.Logged
	if ev == nil {
		return nil
	}
	title := fmt.Sprintf("Authoriser log: %s in the last %s", ev.CountText(), runbook.Duration(ev.Until.Sub(ev.Since)))
	var lines []string
	if len(ev.Classes) > 0 {
		lines = append(lines, classText(ev.Classes))
	}
	if len(ev.Kids) > 0 {
		lines = append(lines, kidsText(e))
	}
	if len(ev.Issuers) > 0 {
		lines = append(lines, "issuers named: "+codes(ev.Issuers, maxSamples))
	}
	if s := failingSince(ev); s != "" {
		lines = append(lines, s+": "+sparkline(ev.PerMinute))
	}
	lines = append(lines, fmt.Sprintf("log group %s, %s read, filter %s", Code(ev.Group), runbook.Plural(ev.Pages, "page", "pages"), Code(ev.Pattern)))
	blocks := []slack.Block{titled(title, bullets(lines), maxRows, roomBlock)}
	if len(ev.Samples) == 0 {
		return blocks
	}
	var samples []string
	for i, s := range ev.Samples {
		if i == maxSamples {
			break
		}
		// Redacted by its source already; the second time costs nothing.
		samples = append(samples, s.At.UTC().Format("15:04:05")+" "+s.Class, "  "+redact.Text(s.Text))
	}
	return append(blocks, section("*Newest log lines (UTC, redacted)*\n"+codeLines(samples, len(samples), roomBlock-300)))
}

func classText(classes map[string]int) string {
	names := make([]string, 0, len(classes))
	for c := range classes {
		names = append(names, c)
	}
	sort.Slice(names, func(i, j int) bool {
		if classes[names[i]] != classes[names[j]] {
			return classes[names[i]] > classes[names[j]]
		}
		return names[i] < names[j]
	})
	parts := make([]string, 0, len(names))
	for _, c := range names {
		parts = append(parts, Quoted(strings.ReplaceAll(c, "_", " "), LimitName)+" "+runbook.Thousands(int64(classes[c])))
	}
	if len(parts) > 15 {
		parts = append(parts[:15], moreLine(len(parts)-15))
	}
	return "classes: " + strings.Join(parts, ", ")
}

// kidsText says for each failing kid whether it is live and whether cached.
func kidsText(e runbook.Evidence) string {
	const shown = 5
	live, known := e.Live.Set()
	cached := map[string]bool{}
	if e.Cached != nil {
		for _, entry := range e.Cached.Entries {
			for _, k := range entry.Reading.Set.Keys {
				cached[k.Kid] = cached[k.Kid] || entry.Foreign == ""
			}
		}
	}
	parts := make([]string, 0, shown+1)
	for i, k := range e.Logged.Kids {
		if i == shown {
			parts = append(parts, moreLine(len(e.Logged.Kids)-i))
			break
		}
		s := fmt.Sprintf("%s %s×", Code(k.Kid), runbook.Thousands(int64(k.Count)))
		if known && e.Cached != nil {
			s += " (" + whereText(holds(live, k.Kid), cached[k.Kid]) + ")"
		}
		parts = append(parts, s)
	}
	return "kids: " + strings.Join(parts, ", ")
}

func holds(s runbook.KeySet, kid string) bool {
	for _, k := range s.Keys {
		if k.Kid == kid {
			return true
		}
	}
	return false
}

func whereText(live, cached bool) string {
	switch {
	case live && cached:
		return "live and cached"
	case live:
		return "live, not cached"
	case cached:
		return "cached, not live"
	}
	return "neither live nor cached"
}

// barsWide is how many bars fit into one line of a thread pane; a line that is
// broken in the middle shows a rise and a fall that never were.
const barsWide = 30

// sparkline draws the counts of the newest hour, a bar for one minute or more.
func sparkline(points []runbook.MinuteCount) string {
	const steps = "▁▂▃▄▅▆▇█"
	if len(points) > 60 {
		points = points[len(points)-60:]
	}
	per := max(1, (len(points)+barsWide-1)/barsWide)
	bars := make([]int, (len(points)+per-1)/per)
	most, top := 0, 0
	for i, p := range points {
		bar := len(bars) - 1 - (len(points)-1-i)/per // the newest bar is a whole one
		bars[bar] += p.Count
		most, top = max(most, p.Count), max(top, bars[bar])
	}
	if top == 0 {
		return ""
	}
	var out strings.Builder
	for _, n := range bars {
		i := 0
		if n > 0 {
			i = 1 + n*6/top
		}
		out.WriteRune([]rune(steps)[i])
	}
	return fmt.Sprintf("`%s` (%s each, at most %s a minute)", out.String(), runbook.Plural(per, "minute", "minutes"), runbook.Thousands(int64(most)))
}

// trafficBlocks shows the hit ratio of the cache, now and before.
func trafficBlocks(ev *runbook.TrafficEvidence) []slack.Block {
	if ev == nil {
		return nil
	}
	before, now := diagnose.Split(*ev)
	lines := []string{"now: " + ratioText(now), "before: " + ratioText(before)}
	_, known := diagnose.Ratio(now)
	switch {
	case diagnose.MissSpike(*ev):
		lines = append(lines, "spike in misses: the authorisers are refilling")
	case known:
		lines = append(lines, "no spike in misses: hits stay high even while old keys are cached")
	}
	if len(ev.Nodes) > 0 {
		lines = append(lines, "nodes: "+codes(ev.Nodes, 6))
	}
	return []slack.Block{titled("Cache traffic (CloudWatch)", bullets(lines), maxRows, roomBlock)}
}

func ratioText(points []runbook.TrafficPoint) string {
	ratio, ok := diagnose.Ratio(points)
	if !ok {
		return "no data"
	}
	var hits, misses float64
	for _, p := range points {
		hits += p.Hits
		misses += p.Misses
	}
	span := time.Duration(len(points)) * time.Minute
	return fmt.Sprintf("hit ratio %s over %s (%s, %s)", runbook.ExactPercent(ratio), runbook.Duration(span), runbook.Plural(int(hits), "hit", "hits"), runbook.Plural(int(misses), "miss", "misses"))
}

func unreadLines(unread map[string]string) []string {
	var out []string
	for step, why := range unread {
		out = append(out, Code(step)+": "+prose(why, LimitSentence))
	}
	sort.Strings(out)
	return out
}
