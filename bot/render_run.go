package bot

import (
	"fmt"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// Room for the parts of a run's message, in runes; together they stay below
// limitMessage.
const (
	roomPlan   = 2600
	roomDone   = 2800
	linesPlan  = 8
	linesDone  = 16
	namesOnRun = 5
)

// runMessage is the one message of a run, in whatever state it is: the card
// that asks for approval, the progress, and the end with its proof.
func runMessage(r runbook.Run, now time.Time) message {
	m := message{
		Text:     fallback("jwksbot: ", quoted(r.Target, limitName), ": ", runSentence(r, now)),
		Metadata: metadata(eventRun, r.ID, r.Target, r.Plan.Verdict, string(r.State)),
		Blocks:   []slack.Block{header(runHeader(r) + " · " + clip(r.Target, limitName))},
	}
	switch {
	case r.State == runbook.StatePending:
		m.Metadata.EventType = eventApproval
		m.Blocks = append(m.Blocks, cardBlocks(r, now)...)
	case r.State.Ended():
		m.Blocks = append(m.Blocks, endBlocks(r)...)
	default:
		m.Blocks = append(m.Blocks, progressBlocks(r, now)...)
	}
	return m
}

// runHeader says the state in words behind a shape.
func runHeader(r runbook.Run) string {
	switch r.State {
	case runbook.StatePending:
		if r.Generation > 1 {
			return "⚖️ New plan, approval needed again"
		}
		return "⚖️ Approval needed to flush"
	case runbook.StateApproved:
		return "⏳ Approved, starting"
	case runbook.StateSnapshot, runbook.StateFlush:
		return "⏳ Flushing"
	case runbook.StateVerify:
		return "⏳ Flushed, reading back"
	case runbook.StateDone:
		if !proven(r) {
			return "⚠️ Flushed, with a question left"
		}
		return "✅ Flushed and proven"
	case runbook.StateFailed:
		if !deleted(r) {
			return "❌ Stopped, nothing was deleted"
		}
		return "❌ Failed, look at this"
	case runbook.StateDenied:
		return "⛔ Denied"
	case runbook.StateWithdrawn:
		return "↩️ Withdrawn"
	case runbook.StateExpired:
		return "⌛ Expired"
	case runbook.StateObsolete:
		return "✅ Nothing left to do"
	}
	return "❓ " + clip(string(r.State), limitName)
}

// deleted says whether the run got as far as deleting anything.
func deleted(r runbook.Run) bool {
	for _, rec := range r.Receipts {
		if rec.Step == string(runbook.FlushCache) {
			return true
		}
	}
	return false
}

// proven says whether the effect was read back without a reservation.
func proven(r runbook.Run) bool {
	return len(r.Receipts) > 0 && r.Receipts[len(r.Receipts)-1].Status == runbook.StatusOK
}

// runSentence is the run in one sentence, for notifications.
func runSentence(r runbook.Run, now time.Time) string {
	entries := plural(len(r.Plan.Entries), "entry", "entries")
	who := quoted(r.Requester.Label(), limitName)
	ticket := quoted(r.Ticket, limitName)
	switch r.State {
	case runbook.StatePending:
		return fmt.Sprintf("approval needed to flush %s (%s, %s), requested by %s, %s", entries, phraseOf(r.Plan.Verdict), ticket, who, leftText(r, now))
	case runbook.StateApproved:
		return fmt.Sprintf("the flush of %s is approved and starts (%s)", entries, ticket)
	case runbook.StateSnapshot:
		return "keeping a copy of " + entries + " before the flush (" + ticket + ")"
	case runbook.StateFlush:
		return "flushing " + entries + progressText(r.Progress) + " (" + ticket + ")"
	case runbook.StateVerify:
		return "flushed, reading the effect back (" + ticket + ")"
	case runbook.StateDenied, runbook.StateWithdrawn:
		return "the flush (" + ticket + ", requested by " + who + ") was " + string(r.State) + ". " + prose(r.Outcome, limitSentence)
	case runbook.StateDone:
		return "flush done (" + ticket + "). " + prose(r.Outcome, limitSentence)
	}
	return orText(endWords[r.State], "the run is "+quoted(string(r.State), limitName)) + " (" + ticket + "). " + prose(r.Outcome, limitSentence)
}

// endWords say in a sentence how a run ended, where nobody's decision ended it.
var endWords = map[runbook.State]string{
	runbook.StateFailed:   "the flush failed",
	runbook.StateExpired:  "the request expired",
	runbook.StateObsolete: "nothing is left to flush",
}

// leftText is the time that is left to decide.
func leftText(r runbook.Run, now time.Time) string {
	left := r.ExpiresAt.Sub(now)
	if left <= 0 {
		return "time is up"
	}
	return "expires in " + runbook.Duration(left)
}

func progressText(p runbook.Progress) string {
	if p.Total <= 0 {
		return ""
	}
	return fmt.Sprintf(", %s of %s", runbook.Thousands(int64(p.Done)), runbook.Thousands(int64(p.Total)))
}

// progressBlocks show a run that is being executed.
func progressBlocks(r runbook.Run, now time.Time) []slack.Block {
	what := map[runbook.State]string{
		runbook.StateApproved: "Approved. The live keys and the cache are read once more, then it starts.",
		runbook.StateSnapshot: "Keeping a copy of what will be deleted.",
		runbook.StateFlush:    "Deleting exactly what was copied" + progressText(r.Progress) + ".",
		runbook.StateVerify:   "Reading back what is in the cache now.",
	}[r.State]
	blocks := []slack.Block{section(bold(what)), titled("Steps", stepLines(r), linesDone, roomDone)}
	if over := overrideBlock(r); over != nil {
		blocks = append(blocks, over)
	}
	return append(blocks, contextLine(runFooter(r)))
}

// executed are the steps of a run in their order, with the state in which each
// is carried out.
var executed = []struct {
	step  string
	state runbook.State
}{
	{"snapshot", runbook.StateSnapshot},
	{string(runbook.FlushCache), runbook.StateFlush},
	{"verify", runbook.StateVerify},
}

// stepLines are the decisions, the steps that ran with their proof, the one
// that runs, and those to come.
func stepLines(r runbook.Run) []string {
	var lines []string
	for i, a := range r.Approvals() {
		if i == namesOnRun {
			lines = append(lines, moreLine(len(r.Approvals())-i)+" approvals")
			break
		}
		lines = append(lines, "✓ *approved* by "+mention(a.By)+" at "+atTime(a.At))
	}
	ran := map[string]bool{}
	for _, rec := range r.Receipts {
		ran[rec.Step] = true
		lines = append(lines, stepText(rec.Step, rec.Status, rec.Summary, rec.EndedAt.Sub(rec.StartedAt)))
		for i, p := range rec.Proof {
			if i == 2 {
				lines = append(lines, " ↳ "+moreLine(len(rec.Proof)-i)+" in the thread")
				break
			}
			lines = append(lines, " ↳ "+prose(p, limitSentence))
		}
	}
	for _, e := range executed {
		switch {
		case ran[e.step]:
		case e.state == r.State:
			lines = append(lines, "⏳ *"+e.step+"* running"+ellipsis+progressText(r.Progress))
		case r.State.Ended():
			lines = append(lines, "– *"+e.step+"* was not carried out")
		default:
			lines = append(lines, "○ *"+e.step+"* comes later")
		}
	}
	return lines
}

// endBlocks show how a run ended, what was done, and what to do next.
func endBlocks(r runbook.Run) []slack.Block {
	blocks := []slack.Block{section(bold(endSentence(r)))}
	if d, ok := r.Decided(); ok && d.Reason != "" && (r.State == runbook.StateDenied || r.State == runbook.StateWithdrawn) {
		blocks = append(blocks, section("*Why it was "+string(r.State)+":* "+quoted(d.Reason, limitSentence)))
	}
	if len(r.Receipts) > 0 || r.State == runbook.StateFailed {
		blocks = append(blocks, titled("What was done", stepLines(r), linesDone, roomDone))
	}
	if r.State == runbook.StateDone {
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

// nextText says what helps now, where the outcome alone does not.
func nextText(r runbook.Run) string {
	switch r.State {
	case runbook.StateDone:
		if proven(r) {
			return "check again in a few minutes; the failures should be gone."
		}
		return "check again: the proof is not complete yet."
	case runbook.StateFailed:
		if deleted(r) {
			return "check again to see what is in the cache now, then request it again if the verdict still calls for it."
		}
		return "check again. Nothing was deleted, so nothing has to be undone."
	case runbook.StateExpired:
		return "check again, and request it again if it is still needed; a reminder to the approvers helps."
	case runbook.StateObsolete:
		return "check again to see that the failures stop."
	}
	return ""
}

// endButtons put what is likely next first.
func endButtons(r runbook.Run) slack.Block {
	check := button(actionCheckAgain, clip(r.Target, limitButtonValue), "Check again", slack.StyleDefault)
	again := button(actionRequestAgain, r.ID, "Request again", slack.StyleDefault)
	switch r.State {
	case runbook.StateDone, runbook.StateObsolete:
		return slack.NewActionBlock("", check)
	case runbook.StateFailed:
		return slack.NewActionBlock("", check, again)
	}
	return slack.NewActionBlock("", again, check)
}

func runFooter(r runbook.Run) string {
	s := fmt.Sprintf("Requested by %s at %s · %s", mention(r.Requester), atTime(r.CreatedAt), code(r.Ticket))
	if !r.EndedAt.IsZero() {
		s += " · ended at " + atTime(r.EndedAt)
	}
	return s + " · reason: " + quoted(r.Reason, limitSentence) + " · run " + code(r.ID)
}
