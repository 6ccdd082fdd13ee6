package render

import (
	"fmt"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
)

// Room for the parts of a report, in runes; together they stay below
// limitMessage, so that a report never needs a second message.
const (
	limitVerdict  = 1200
	roomAlarms    = 900
	roomWhy       = 2200
	roomDo        = 2000
	roomBeside    = 1500
	roomSteps     = 2200
	linesAlarms   = 3
	linesWhy      = 7
	linesDo       = 8
	linesBeside   = 5
	linesSteps    = 12
	namesInReport = 3
)

// Progress shows a check that is under way; it is updated until the
// report takes its place.
func Progress(target string, steps []StepLine, started time.Time) Message {
	done := 0
	lines := make([]string, len(steps))
	for i, s := range steps {
		lines[i] = stepText(s.Name, s.Status, s.Summary, s.Duration)
		if s.Status != "" {
			done++
		}
	}
	m := Message{
		Text:     fallback("jwksbot: ", Quoted(target, LimitName), fmt.Sprintf(": checking, %d of %d steps done", done, len(steps))),
		Metadata: metadata(eventReport, "", target, "", "checking"),
	}
	m.Blocks = append(m.Blocks, header("⏳ Checking · "+runbook.Clip(target, LimitName)))
	if len(lines) > 0 {
		m.Blocks = append(m.Blocks, section(joinLines(lines, linesSteps, roomSteps)))
	}
	m.Blocks = append(m.Blocks, contextLine(fmt.Sprintf("%d of %d steps done · started at %s · reads only, changes nothing", done, len(steps), atTime(started))))
	return m
}

// Report is the answer to a check: verdict, proof, what to do.
func Report(r check.Report) Message {
	v := r.Diagnosis.Verdict
	m := Message{Text: reportText(r), Metadata: metadata(eventReport, "", r.Target, v.ID, "done")}
	m.Blocks = append(m.Blocks,
		header(reportHeader(r)),
		section(bold(prose(v.Summary, limitVerdict))))
	// A leaked key outranks whatever the verdict says about the cache.
	alarms, beside := findingLines(r.Diagnosis)
	if len(alarms) > 0 {
		m.Blocks = append(m.Blocks, section(joinLines(alarms, linesAlarms, roomAlarms)))
	}
	add := func(title string, lines []string, maxLines, room int) {
		if len(lines) > 0 {
			m.Blocks = append(m.Blocks, titled(title, lines, maxLines, room))
		}
	}
	add("Why", bullets(whyLines(r)), linesWhy, roomWhy)
	add("What to do", doLines(r), linesDo, roomDo)
	add("Also found", beside, linesBeside, roomBeside)
	add("Checks", resultLines(r.Steps), linesSteps, roomSteps)
	m.Blocks = append(m.Blocks, reportButtons(r), contextLine(reportFooter(r)))
	return m
}

// reportHeader is the verdict in words behind its shape; a critical finding
// beside it takes the shape.
func reportHeader(r check.Report) string {
	v := r.Diagnosis.Verdict
	s := runbook.Clip(titleOf(v.ID), LimitName/2)
	if alarm := worstBeside(r.Diagnosis); alarm != nil {
		return shapeOf(*alarm) + " " + runbook.Clip(titleOf(alarm.ID), LimitName/4) + " · cache: " + lower(s) + " · " + runbook.Clip(r.Target, LimitName/2)
	}
	return shapeOf(v.Finding) + " " + s + " · " + runbook.Clip(r.Target, LimitName)
}

// worstBeside is the first critical finding that is not the verdict's own.
func worstBeside(d runbook.Diagnosis) *runbook.Finding {
	for i, f := range d.Findings {
		if f.Severity == runbook.SeverityCritical && (i > 0 || f.ID != d.Verdict.ID) {
			return &d.Findings[i]
		}
	}
	return nil
}

// reportText is the sentence for notifications.
func reportText(r check.Report) string {
	v := r.Diagnosis.Verdict
	s := phraseOf(v.ID) + ", " + adviceOf(v)
	if alarm := worstBeside(r.Diagnosis); alarm != nil {
		s = "CRITICAL: " + phraseOf(alarm.ID) + "; the cache: " + s
	}
	if l := r.Evidence.Logged; l != nil && l.Count > 0 {
		s += fmt.Sprintf(" (%s in the last %s)", l.CountText(), runbook.Duration(l.Until.Sub(l.Since)))
	}
	return fallback("jwksbot: ", Quoted(r.Target, LimitName), ": ", s)
}

func bold(markup string) string {
	if markup == "" {
		return "*No sentence.*"
	}
	return "*" + markup + "*"
}

// whyLines are the proof: what the verdict rests on, and since when it fails.
func whyLines(r check.Report) []string {
	var out []string
	for _, b := range r.Diagnosis.Verdict.Because {
		out = append(out, prose(b, LimitSentence))
	}
	if s := failingSince(r.Evidence.Logged); s != "" {
		out = append(out, s)
	}
	return out
}

// failingSince says when failures began and when the last one was seen.
func failingSince(ev *runbook.LogEvidence) string {
	if ev == nil {
		return ""
	}
	var first, last time.Time
	for _, m := range ev.PerMinute {
		if m.Count == 0 {
			continue
		}
		if first.IsZero() {
			first = m.At
		}
		last = m.At.Add(time.Minute)
	}
	if first.IsZero() {
		return ""
	}
	since := "failures since " + atTime(first)
	if ev.AtLeast || !first.After(ev.Since) {
		since = "failures since before " + atTime(first)
	}
	if quiet := ev.Until.Sub(last); quiet > 2*time.Minute {
		return since + ", the last one " + runbook.Duration(quiet) + " before the check"
	}
	return since + ", still happening"
}

// doLines say what helps, what a flush would touch, and what does harm.
func doLines(r check.Report) []string {
	v := r.Diagnosis.Verdict
	var out []string
	for i, m := range v.Recommended {
		out = append(out, fmt.Sprintf("%d. *%s.*", i+1, doText(m))+effectText(m, r.Evidence))
	}
	if v.ID == diagnose.Healthy {
		return []string{"✓ *Leave the cache alone.* A flush or a restart would change nothing."}
	}
	if where := elsewhere[v.ID]; where != "" && len(v.Recommended) == 0 {
		out = append(out, "→ "+where)
	}
	if v.HardCut != "" {
		out = append(out, "⚠️ *Hard cut:* "+prose(v.HardCut, LimitSentence)+".")
	}
	for _, a := range v.Against {
		out = append(out, "⛔ *"+dontText(a.Mitigation)+":* "+prose(a.Reason, LimitSentence)+".")
	}
	if v.WouldChange != "" && len(v.Recommended) == 0 {
		out = append(out, "*"+changeTitle(v.ID)+":* "+prose(v.WouldChange, LimitSentence)+".")
	}
	return out
}

// changeTitle stands before what would lead to another verdict.
func changeTitle(id runbook.VerdictID) string {
	if id == diagnose.Inconclusive {
		return "What would settle it"
	}
	return "What would change this"
}

// effectText says what a recommended mitigation would do to this target.
func effectText(m runbook.Mitigation, e runbook.Evidence) string {
	switch m {
	case runbook.FlushCache:
		return touchText(e)
	case runbook.RestartAuthoriser:
		return restartText(e.Function)
	case runbook.FlushGateway:
		return resultsText(e.Gateway)
	}
	return ""
}

// touchText says how much of the cache a flush would delete and spare.
func touchText(e runbook.Evidence) string {
	var old []string
	shards := map[string]bool{}
	kept, foreign := 0, 0
	for _, m := range diagnose.Marked(e) {
		switch {
		case m.Foreign != "":
			foreign++
		case m.Old:
			old = append(old, runbook.EntryName(m.Name).String())
			shards[m.Shard] = true
		default:
			kept++
		}
	}
	if len(old) == 0 {
		return ""
	}
	s := fmt.Sprintf(" It deletes %s (%s) on %s", runbook.Plural(len(old), "entry", "entries"), codes(old, namesInReport), runbook.Plural(len(shards), "shard", "shards"))
	if spared := runbook.Spared(kept, foreign, e.Cached.Others); spared != "" {
		s += " and leaves " + spared + " alone"
	}
	return s + ". A colleague has to approve it first."
}

// findingLines are the findings beside the verdict, the critical ones apart.
func findingLines(d runbook.Diagnosis) (alarms, beside []string) {
	for _, s := range severities {
		for i, f := range d.Findings {
			if f.Severity != s.severity || i == 0 && f.ID == d.Verdict.ID {
				continue
			}
			line := s.word + prose(f.Summary, LimitSentence/2)
			if f.Severity == runbook.SeverityCritical {
				alarms = append(alarms, line)
			} else {
				beside = append(beside, line)
			}
		}
	}
	return alarms, beside
}

func resultLines(steps []check.Result) []string {
	out := make([]string, len(steps))
	for i, s := range steps {
		out[i] = stepText(s.Step, s.Status, s.Summary, s.Duration)
	}
	return out
}

func reportFooter(r check.Report) string {
	s := fmt.Sprintf("Checked at %s in %s", atTime(r.StartedAt), runbook.Duration(r.Duration))
	if r.Shared {
		s = fmt.Sprintf("Shared result: this check was run for somebody else at %s and was not repeated", atTime(r.StartedAt.Add(r.Duration)))
	}
	if window := r.Question.Until.Sub(r.Question.Since); window > 0 {
		s += " · window: the last " + runbook.Duration(window)
	}
	if r.Question.Kid != "" {
		s += " · only kid " + Code(r.Question.Kid)
	}
	return s + " · evidence is in the thread"
}
