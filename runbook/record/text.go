package record

import (
	"fmt"
	"strings"
	"time"

	"jwksbot/runbook"
)

// Markdown writes the record, ready to be pasted into a review. Text of people
// and of other systems cannot change its layout.
func (t Timeline) Markdown() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# %s: %s", markdown(t.Target), markdown(t.Ticket))
	p("")
	if t.Outcome != "" {
		p("**%s**", markdown(t.Outcome))
		p("")
	}
	t.header(p)
	t.sections(p)
	return b.String()
}

type printf func(format string, args ...any)

func (t Timeline) header(p printf) {
	row := func(name, value string) {
		if value != "" {
			p("| %s | %s |", name, value)
		}
	}
	p("| | |")
	p("|---|---|")
	row("Run", "`"+code(t.Run)+"`, "+markdown(string(t.State)))
	row("Target", markdown(t.Target)+", "+markdown(t.Resource))
	row("Ticket", markdown(t.Ticket))
	row("Reason", markdown(t.Reason))
	row("Verdict", "`"+code(string(t.Verdict))+"`: "+markdown(t.Summary))
	row("Override", markdown(t.Override))
	row("Break-glass", markdown(t.BreakGlass))
	row("Requested", timelineMoment(t.RequestedAt))
	row("Approved", timelineSpan(t.ApprovedAt, t.RequestedAt, "after the request"))
	row("Last mitigation", timelineSpan(t.EffectAt, t.ApprovedAt, "after the approval"))
	row("Ended", timelineSpan(t.EndedAt, t.RequestedAt, "after the request"))
	if t.EndedAt.IsZero() {
		row("Ended", "not yet")
	}
	for _, u := range t.Undone {
		row("Undone", "by run "+markdown(u))
	}
}

func (t Timeline) sections(p printf) {
	p("\n## People\n")
	p("| Who | Did |")
	p("|---|---|")
	for _, who := range t.People {
		p("| %s | %s |", markdown(who.Label())+timelineID(who.PersonRef), markdown(who.Did))
	}
	p("\n## Timeline (UTC)\n")
	p("| Time | Who | What |")
	p("|---|---|---|")
	for _, e := range t.Events {
		p("| %s | %s | %s |", timelineMoment(e.At), markdown(e.Who), markdown(e.What))
	}
	p("\n## What was approved\n")
	for _, line := range t.Plan {
		p("- %s", prose(line))
	}
	p("- digest of the plan: `%s`", code(t.Digest))
	t.evidence(p)
	t.ratios(p)
	p("\n## Not proven\n")
	for _, line := range t.Unproven {
		p("- %s", markdown(line))
	}
	if len(t.Unproven) == 0 {
		p("Nothing: every step has its proof above.")
	}
}

func (t Timeline) evidence(p printf) {
	p("\n## Receipts\n")
	if len(t.Receipts) == 0 {
		p("Nothing was touched.")
	}
	for _, r := range t.Receipts {
		p("- **%s** (%s, %s): %s", markdown(r.Step), r.Status, runbook.Duration(r.EndedAt.Sub(r.StartedAt)), markdown(r.Summary))
		for _, proof := range r.Proof {
			p("  - %s", markdown(proof))
		}
	}
}

func (t Timeline) ratios(p printf) {
	p("\n## Share of requests that failed\n")
	if len(t.Ratios) == 0 {
		p("It was not measured by this run.")
	} else {
		p("| When | Failed | Requests | Share | Minutes without data |")
		p("|---|---|---|---|---|")
	}
	for _, r := range t.Ratios {
		share := "no data"
		if r.Requests > 0 {
			share = runbook.ExactPercent(r.Failures / r.Requests)
		}
		p("| %s | %s | %s | %s | %d |", markdown(r.Label), timelineNumber(r.Failures), timelineNumber(r.Requests), share, r.Missing)
	}
	if t.Chart != "" {
		p("\n![Failures, hits and misses by the minute](%s)", strings.NewReplacer(" ", "%20", "(", "%28", ")", "%29", "\n", "").Replace(t.Chart))
	}
}

func timelineNumber(v float64) string {
	if v == float64(int64(v)) {
		return runbook.Thousands(int64(v))
	}
	return fmt.Sprintf("%.1f", v)
}

func timelineMoment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02 15:04:05")
}

// timelineSpan is a moment and how long after another it was.
func timelineSpan(at, after time.Time, what string) string {
	if at.IsZero() || after.IsZero() {
		return timelineMoment(at)
	}
	return fmt.Sprintf("%s, %s %s", timelineMoment(at), runbook.Duration(at.Sub(after)), what)
}

func timelineID(p runbook.PersonRef) string {
	if p.Name == "" || p.Name == p.ID {
		return ""
	}
	return " (`" + code(p.ID) + "`)"
}

// markdownSpecial are the letters that mean something in Markdown or HTML.
var markdownSpecial = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "#", `\#`, "~", `\~`)

// markdown makes text of others one line that shows as it is written.
func markdown(s string) string {
	return markdownSpecial.Replace(runbook.Clean(strings.Join(strings.Fields(s), " ")))
}

// prose is markdown for a sentence of ours, whose code marks are kept.
func prose(s string) string {
	parts := strings.Split(s, "`")
	if len(parts)%2 == 0 { // one mark without its partner
		return markdown(s)
	}
	for i, part := range parts {
		if i%2 == 1 {
			parts[i] = "`" + code(part) + "`"
		} else {
			parts[i] = markdownSpecial.Replace(runbook.Clean(part))
		}
	}
	return strings.Join(parts, "")
}

// code makes text fit to stand between backticks.
func code(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '`' || r == '|' {
			return '?'
		}
		return r
	}, runbook.Clean(s))
}
