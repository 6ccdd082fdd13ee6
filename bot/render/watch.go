package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// watchVerdict is what the watch of a run says, "" if it was not watched.
func watchVerdict(r runbook.Run) runbook.WatchVerdict {
	if r.Watch == nil {
		return ""
	}
	return r.Watch.Verdict
}

// watchHeader says while a run is watched how it stands.
func watchHeader(r runbook.Run) string {
	switch e := r.Escalation; {
	case died(r):
		return "🚨 Stopped part-way, calling the on-call team"
	case e != nil && e.Resolved.IsZero() && e.Kind == runbook.EscalateBlind:
		return "❓ Could not tell whether it helped"
	case e != nil && e.Resolved.IsZero():
		return "🚨 Escalated, still watching"
	case watchVerdict(r) == runbook.WatchBreach:
		return "🚨 Failures persist"
	case stillFailing(r.Watch):
		return "⚠️ " + runbook.Capital(r.Plan.DoneTask()) + ", but failures continue"
	}
	return "👀 " + runbook.Capital(r.Plan.DoneTask()) + ", watching"
}

// stillFailing says that the newest minute that is known is above the limit.
func stillFailing(w *runbook.Watch) bool {
	if w == nil {
		return false
	}
	for _, p := range slices.Backward(w.Points) {
		if ratio, ok := p.Ratio(); ok {
			return w.Limit > 0 && ratio > w.Limit
		}
	}
	return false
}

// died says that people are called because the execution broke off, not
// because of what a watch saw.
func died(r runbook.Run) bool {
	return r.State == runbook.StateEscalate && r.Escalation != nil && r.Escalation.Kind == runbook.EscalateDied
}

// watchSentence says how a watch stands.
func watchSentence(r runbook.Run) string {
	if died(r) {
		return "the run stopped part-way and may have touched something"
	}
	if r.Watch == nil || r.Watch.Text == "" {
		return r.Plan.DoneTask() + ", watching the failures now"
	}
	return strings.TrimSuffix(prose(r.Watch.Text, LimitSentence), ".")
}

// watchBlocks are the live line of a watch and who was called; nil before.
func watchBlocks(r runbook.Run, now time.Time) []slack.Block {
	var blocks []slack.Block
	if r.Watch != nil {
		if lines := watchLines(r, now); len(lines) > 0 {
			blocks = append(blocks, section(strings.Join(lines, "\n")))
		}
	}
	if e := r.Escalation; e != nil {
		blocks = append(blocks, section(strings.Join(escalationLines(*e), "\n")))
	}
	return blocks
}

// watchLines tell how a watch stands: how the share went, what its sources
// cannot tell, and how long it goes on. Its sentence is that of the message; a
// run that has ended has another one. A zero now is for such a run.
func watchLines(r runbook.Run, now time.Time) []string {
	w := r.Watch
	var lines []string
	if now.IsZero() && w.Text != "" && !strings.Contains(r.Outcome, strings.TrimSuffix(w.Text, ".")) {
		lines = append(lines, "*Watch:* "+prose(w.Text, LimitSentence))
	}
	if bars := ratioBars(w.Points); bars != "" {
		lines = append(lines, "Share of failures since then: "+bars)
	}
	if w.Note != "" {
		lines = append(lines, "ℹ️ "+prose(w.Note, LimitSentence))
	}
	switch {
	case w.Stopped != nil:
		lines = append(lines, "Stopped by "+mention(w.Stopped.By)+" at "+atTime(w.Stopped.At)+": "+Quoted(w.Stopped.Reason, LimitSentence))
	case !now.IsZero() && w.EndedAt.IsZero() && now.Before(w.Until):
		lines = append(lines, "Continues until "+atTime(w.Until))
	}
	return lines
}

// ratioBars draws the share of failures, a bar a minute; a minute that could
// not be read, or in which nobody asked, is a dot and no calm.
func ratioBars(points []runbook.RatioPoint) string {
	if len(points) < 2 {
		return ""
	}
	if len(points) > barsWide {
		points = points[len(points)-barsWide:]
	}
	top, known := 0.0, false
	for _, p := range points {
		if ratio, ok := p.Ratio(); ok {
			top, known = max(top, ratio), true
		}
	}
	if !known {
		return ""
	}
	var bars []rune
	at := points[0].At
	for _, p := range points {
		for ; at.Before(p.At) && len(bars) < 2*barsWide; at = at.Add(time.Minute) {
			bars = append(bars, '·')
		}
		at = p.At.Add(time.Minute)
		bars = append(bars, ratioBar(p, top))
	}
	bars = bars[max(0, len(bars)-barsWide):]
	return fmt.Sprintf("%s (a bar a minute, at most %.0f %%)", string(bars), top*100)
}

func ratioBar(p runbook.RatioPoint, top float64) rune {
	ratio, ok := p.Ratio()
	switch {
	case !ok:
		return '·'
	case ratio <= 0 || top <= 0:
		return '▁'
	}
	return []rune("▂▃▄▅▆▇█")[min(6, int(ratio*6/top))]
}

// escalationLines tell who was called, why, and who took it over.
func escalationLines(e runbook.Escalation) []string {
	lines := []string{escalationShape(e) + " *" + escalationTitle(e) + "* at " + atTime(e.At) + ": " + prose(e.Why, LimitSentence)}
	var told []string
	switch { // a mention here would call the group again
	case e.Pinged != "" && e.Group != "":
		told = append(told, "the on-call group was called in the thread")
	case e.Pinged != "":
		told = append(told, "it is in the thread, and no group was called: set escalation.user_group")
	}
	if !e.Paged.IsZero() {
		told = append(told, "PagerDuty accepted it at "+atTime(e.Paged))
	}
	if !e.Published.IsZero() {
		told = append(told, "SNS published it at "+atTime(e.Published))
	}
	if len(told) > 0 {
		lines = append(lines, " ↳ "+strings.Join(told, " · "))
	}
	for i, n := range e.Notes {
		if i == 3 {
			lines = append(lines, " ↳ "+moreLine(len(e.Notes)-i))
			break
		}
		lines = append(lines, " ↳ ⚠ "+prose(n, LimitSentence/2))
	}
	switch {
	case e.Taken():
		lines = append(lines, " ↳ ✓ "+mention(e.TakenBy)+" took over at "+atTime(e.TakenAt))
	case e.Resolved.IsZero():
		lines = append(lines, " ↳ *nobody has taken over yet*")
	}
	if !e.Resolved.IsZero() {
		lines = append(lines, " ↳ ✓ failures fell again; resolved at "+atTime(e.Resolved))
	}
	return lines
}

func escalationShape(e runbook.Escalation) string {
	if e.Kind == runbook.EscalateBlind {
		return "❓"
	}
	return "🚨"
}

func escalationTitle(e runbook.Escalation) string {
	switch e.Kind {
	case runbook.EscalateBlind:
		return "Needs a look"
	case runbook.EscalateDied:
		return "Escalated: the run stopped part-way"
	case runbook.EscalateAsked:
		return "Escalated by a person"
	}
	return "Escalated"
}

// OnCallPing calls the on-call group, with the evidence and a button for who
// takes over.
func OnCallPing(r runbook.Run, e runbook.Escalation) Message {
	called := ""
	if e.Group != "" {
		called = mentionID(e.Group) + " "
	}
	why := prose(e.Why, LimitSentence)
	text := escalationShape(e) + " " + called + "*" + escalationTitle(e) + ":* " + why
	blocks := []slack.Block{section(text)}
	lines := make([]string, len(e.Evidence))
	for i, l := range e.Evidence {
		lines[i] = "• " + prose(l, LimitSentence/2)
	}
	if len(lines) > 0 {
		blocks = append(blocks, titled("Evidence", lines, 10, roomBlock))
	}
	if next := stepsNext(r); next != "" {
		blocks = append(blocks, section("*What to do next:* "+next))
	}
	if e.Taken() {
		blocks = append(blocks, section("✓ "+mention(e.TakenBy)+" took over at "+atTime(e.TakenAt)+"."))
	} else {
		blocks = append(blocks, slack.NewActionBlock("", button(ActionGotIt, r.ID, "Got it", slack.StylePrimary)))
	}
	blocks = append(blocks, contextLine(fmt.Sprintf("run %s · %s · requested by %s · *Got it* records who takes over", Code(r.ID), Code(r.Ticket), mention(r.Requester))))
	return Message{
		Text:     fallback("jwksbot: ", called, Quoted(r.Target, LimitName), ": ", lower(escalationTitle(e)), ": ", why),
		Blocks:   blocks,
		Metadata: metadata(eventRun, r.ID, r.Target, r.Plan.Verdict, string(r.State)),
	}
}

// BreakGlassElsewhere tells them in the target's own channel, when it was done
// elsewhere.
func BreakGlassElsewhere(r runbook.Run, approvers []string) Message {
	m := BreakGlassNotice(r, approvers)
	m.Blocks = append(m.Blocks, contextLine("It was done outside this channel, so its messages are not here: "+Code("/jwks-flush status")+" shows where it stands."))
	return m
}

// BreakGlassNotice tells the approvers that somebody acted without them.
func BreakGlassNotice(r runbook.Run, approvers []string) Message {
	called := ""
	if len(approvers) > 0 {
		called = peopleText(approvers) + ": "
	}
	s := fmt.Sprintf("%s used break-glass to %s on %s (%s) without approval: %s", mention(r.Requester), prose(r.Plan.Task(), LimitSentence),
		Quoted(r.Target, LimitName), Code(r.Ticket), Quoted(r.BreakGlass, LimitSentence))
	return Message{
		Text:     fallback("jwksbot: ", called, s),
		Blocks:   []slack.Block{section("🚨 " + called + s), contextLine("No action is needed: this is for your information. The audit trail has it as `break_glass`. · run " + Code(r.ID))},
		Metadata: metadata(eventRun, r.ID, r.Target, r.Plan.Verdict, string(r.State)),
	}
}
