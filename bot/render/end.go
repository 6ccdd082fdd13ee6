package render

import (
	"cmp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
	"jwksbot/runbook/record"
)

// endBlocks show how a run ended, what was done, and what to do next.
func endBlocks(r runbook.Run) []slack.Block {
	blocks := []slack.Block{section(emphasised(endSentence(r)))}
	if breakGlass := breakGlassBlock(r); breakGlass != nil {
		blocks = append(blocks, breakGlass)
	}
	if d, ok := r.Decided(); ok && d.Reason != "" && (r.State == runbook.StateDenied || r.State == runbook.StateWithdrawn) {
		blocks = append(blocks, section("*Why it was "+string(r.State)+":* "+Quoted(d.Reason, LimitSentence)))
	}
	blocks = append(blocks, watchBlocks(r, time.Time{})...)
	if len(r.Receipts) > 0 || r.State == runbook.StateFailed {
		blocks = append(blocks, titled("What was done", stepLines(r), linesDone, roomDone))
	}
	if r.State == runbook.StateDone && r.Plan.Has(runbook.FlushCache) {
		if gone := r.Plan.KidsGone(); len(gone) > 0 {
			blocks = append(blocks, section("*Keys that left the cache:* "+codes(gone, namesOnRun)))
		}
	}
	if over := overrideBlock(r); over != nil {
		blocks = append(blocks, over)
	}
	if next := nextText(r); next != "" {
		blocks = append(blocks, section("*What to do next:* "+next))
	}
	return append(blocks, endButtons(r), contextLine(runFooter(r)))
}

// endSentence says how the run ended and, where a person ended it, who.
func endSentence(r runbook.Run) string {
	d, decided := r.Decided()
	if decided && (r.State == runbook.StateDenied || r.State == runbook.StateWithdrawn) {
		verb := map[runbook.State]string{runbook.StateDenied: "Denied", runbook.StateWithdrawn: "Withdrawn"}[r.State]
		return verb + " by " + mention(d.By) + " at " + atTime(d.At) + ". Nothing was touched."
	}
	return prose(r.Outcome, limitVerdict)
}

// longBold is where bold stops to help: beyond it everything is emphasised.
const longBold = 220

// emphasised is bold unless it is long.
func emphasised(markup string) string {
	if utf8.RuneCountInString(markup) > longBold {
		return markup
	}
	return bold(markup)
}

// nextText says what helps now: what the runbook says next, each with a button
// below, or else what a person can do.
func nextText(r runbook.Run) string {
	if next := stepsNext(r); next != "" {
		return next
	}
	switch r.State {
	case runbook.StateDone:
		return doneNext(r)
	case runbook.StateFailed:
		if touched(r) {
			return "check again to see how things are now, then request it again if the verdict still calls for it."
		}
		return "check again. Nothing was touched, so nothing has to be undone."
	case runbook.StateExpired:
		return "check again, and request it again if it is still needed; a reminder to the approvers helps."
	case runbook.StateObsolete:
		return "check again to see that the failures stop."
	}
	return ""
}

// stepsNext lists what the runbook says next about a run, "" for nothing.
func stepsNext(r runbook.Run) string {
	var lines []string
	for _, s := range record.NextSteps(r) {
		switch s.Kind {
		case record.NextUndo, record.NextRetry, record.NextEscalate: // possible, and not what helps
		default:
			lines = append(lines, "\n• *"+Quoted(s.Label, limitButton)+"*: "+prose(s.Why, LimitSentence/2))
		}
	}
	return strings.Join(lines[:min(len(lines), maxNext)], "")
}

func doneNext(r runbook.Run) string {
	switch verdict := watchVerdict(r); {
	case verdict == runbook.WatchBreach:
		return "check again: what fails now may be another fault than before."
	case verdict == runbook.WatchBlind:
		return "check whether people can sign in: too little was seen to tell."
	case !proven(r):
		return "check again: the proof is not complete yet."
	case verdict == runbook.WatchCalm:
		return "nothing. Failures stayed below the limit while it was watched."
	}
	return "check again in a few minutes; the failures should be gone."
}

// maxNext bounds how many next steps a message offers.
const maxNext = 5

// actionOfNext are the buttons of next steps. What a button asks for is looked
// up in the run when it is pressed.
var ActionOfNext = map[record.NextKind]string{
	record.NextRestart: "next_restart", record.NextFlush: "next_flush", record.NextFlushDirect: "next_flush_direct",
	record.NextGateway: "next_gateway", record.NextUndo: "next_undo", record.NextRetry: ActionRequestAgain, record.NextEscalate: "next_escalate",
}

// NextOfAction is the way back.
func NextOfAction(action string) (record.NextKind, bool) {
	for kind, a := range ActionOfNext {
		if a == action {
			return kind, true
		}
	}
	return "", false
}

// nextButtons are the next steps of a run, the likeliest first and, if nothing
// else is to be pressed first, as the primary one. What only takes back or calls
// people invites nobody.
func nextButtons(r runbook.Run, primary bool) []slack.BlockElement {
	var out []slack.BlockElement
	steps := record.NextSteps(r)
	for i, s := range steps[:min(len(steps), maxNext)] {
		action, known := ActionOfNext[s.Kind]
		if !known {
			continue
		}
		style := slack.StyleDefault
		switch s.Kind {
		case record.NextUndo, record.NextEscalate, record.NextRetry:
		default:
			if i == 0 && primary {
				style = slack.StylePrimary
			}
		}
		out = append(out, button(action, r.ID, cmp.Or(s.Label, string(s.Kind))+ellipsis, style))
	}
	return out
}

// liveButtons are what may be done while a run is executed; nil for nothing.
func liveButtons(r runbook.Run) slack.Block {
	if r.State != runbook.StateWatch && r.State != runbook.StateEscalate {
		return nil
	}
	var all []slack.BlockElement
	if e := r.Escalation; e != nil && !e.Taken() {
		all = append(all, button(ActionGotIt, r.ID, "Got it", slack.StylePrimary))
	}
	all = append(all, nextButtons(r, len(all) == 0)...)
	if r.State == runbook.StateWatch {
		all = append(all, button(ActionStopWatch, r.ID, "Stop watching"+ellipsis, slack.StyleDefault))
	}
	if len(all) == 0 {
		return nil
	}
	return slack.NewActionBlock("", all...)
}

// endButtons put what is likely next first.
func endButtons(r runbook.Run) slack.Block {
	check := button(ActionCheckAgain, runbook.Clip(r.Target, limitButtonValue), "Check again", slack.StyleDefault)
	var all []slack.BlockElement
	if e := r.Escalation; e != nil && !e.Taken() && e.Resolved.IsZero() {
		all = append(all, button(ActionGotIt, r.ID, "Got it", slack.StylePrimary))
	}
	next := nextButtons(r, len(all) == 0)
	switch r.State {
	case runbook.StateDone, runbook.StateObsolete:
		// What can be undone stands behind a look at how things are.
		if len(next) > 0 && record.NextSteps(r)[0].Kind == record.NextUndo {
			return slack.NewActionBlock("", append(append(all, check), next...)...)
		}
	}
	return slack.NewActionBlock("", append(append(all, next...), check)...)
}
