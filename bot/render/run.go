package render

import (
	"cmp"
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
	linesPlan  = 12
	linesDone  = 20
	namesOnRun = 5
)

// Run is the one message of a run, in whatever state it is: the card
// that asks for approval, the progress, the watch, and the end with its proof.
func Run(r runbook.Run, now time.Time) Message {
	m := Message{
		Text:     fallback("jwksbot: ", Quoted(r.Target, LimitName), ": ", runSentence(r, now)),
		Metadata: metadata(eventRun, r.ID, r.Target, r.Plan.Verdict, string(r.State)),
		Blocks:   []slack.Block{header(runHeader(r) + " · " + runbook.Clip(r.Target, LimitName))},
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
		return "⚖️ Approval needed to " + r.Plan.ShortTask()
	case runbook.StateApproved:
		if r.BreakGlass != "" {
			return "🚨 Break glass, starting"
		}
		return "⏳ Approved, starting"
	case runbook.StateSnapshot, runbook.StateFlush:
		return "⏳ Flushing"
	case runbook.StateVerify:
		return "⏳ Flushed, reading back"
	case runbook.StateRestart:
		return "⏳ Restarting the authoriser"
	case runbook.StateGateway:
		return "⏳ Flushing the gateway's cache"
	case runbook.StateRestore:
		return "⏳ Writing back"
	case runbook.StateConfirm:
		return "⏳ " + runbook.Capital(r.Plan.DoneTask()) + ", looking for an accepted token"
	case runbook.StateWatch, runbook.StateEscalate:
		return watchHeader(r)
	case runbook.StateDone:
		return doneHeader(r)
	case runbook.StateFailed:
		if !touched(r) {
			return "❌ Stopped, nothing was touched"
		}
		if watchVerdict(r) == runbook.WatchBreach {
			return doneHeader(r)
		}
		return "❌ Failed, needs attention"
	case runbook.StateDenied:
		return "⛔ Denied"
	case runbook.StateWithdrawn:
		return "↩️ Withdrawn"
	case runbook.StateExpired:
		return "⌛ Expired"
	case runbook.StateObsolete:
		return "✅ Nothing left to do"
	}
	return "❓ " + runbook.Clip(string(r.State), LimitName)
}

// doneHeader says no more than was proven and seen.
func doneHeader(r runbook.Run) string {
	switch verdict := watchVerdict(r); {
	case verdict == runbook.WatchBreach:
		return "🚨 " + runbook.Capital(r.Plan.DoneTask()) + ", but failures persist"
	case verdict == runbook.WatchBlind:
		return "❓ " + runbook.Capital(r.Plan.DoneTask()) + ", but could not tell whether it helped"
	case !proven(r):
		return "⚠️ " + runbook.Capital(r.Plan.DoneTask()) + ", with an open question"
	case !readBack(r.Plan):
		return "✅ " + runbook.Capital(r.Plan.DoneTask())
	}
	return "✅ " + runbook.Capital(r.Plan.DoneTask("proven"))
}

// readBack says whether the effect of a plan can be read back at all.
func readBack(p runbook.Plan) bool {
	return p.Has(runbook.FlushCache) || p.Has(runbook.RestartAuthoriser) || p.Has(runbook.RestoreCache)
}

// touched says whether the run got as far as changing anything. A restart or a
// gateway flush that failed was refused; a flush may have broken off halfway.
func touched(r runbook.Run) bool {
	for _, rec := range r.Receipts {
		switch runbook.Mitigation(rec.Step) {
		case runbook.FlushCache, runbook.RestoreCache:
			return true
		case runbook.RestartAuthoriser, runbook.FlushGateway:
			if rec.Status != runbook.StatusFail {
				return true
			}
		}
	}
	return len(r.Begun) > 0
}

// proven says whether every step ended without a reservation; of a step that
// ran twice the second time counts.
func proven(r runbook.Run) bool {
	latest := map[string]runbook.Status{}
	for _, rec := range r.Receipts {
		latest[rec.Step] = rec.Status
	}
	for _, status := range latest {
		if status != runbook.StatusOK && status != runbook.StatusSkipped {
			return false
		}
	}
	return len(latest) > 0
}

// runSentence is the run in one sentence, for notifications.
func runSentence(r runbook.Run, now time.Time) string {
	task := prose(r.Plan.Task(), LimitSentence)
	who := Quoted(r.Requester.Label(), LimitName)
	ticket := Quoted(r.Ticket, LimitName)
	switch r.State {
	case runbook.StatePending:
		return fmt.Sprintf("approval needed to %s (%s, %s), requested by %s, %s", task, phraseOf(r.Plan.Verdict), ticket, who, leftText(r, now))
	case runbook.StateApproved:
		if r.BreakGlass != "" {
			return fmt.Sprintf("BREAK GLASS by %s: about to %s, approved by nobody (%s)", who, task, ticket)
		}
		return fmt.Sprintf("approved: about to %s (%s)", task, ticket)
	case runbook.StateWatch, runbook.StateEscalate:
		return watchSentence(r) + " (" + ticket + ")"
	case runbook.StateDenied, runbook.StateWithdrawn:
		return "the request to " + task + " (" + ticket + ", by " + who + ") was " + string(r.State) + ". " + prose(r.Outcome, LimitSentence)
	case runbook.StateDone:
		return r.Plan.DoneTask() + " (" + ticket + "). " + prose(r.Outcome, LimitSentence)
	}
	if doing := doingText(r); doing != "" {
		return doing + " (" + ticket + ")"
	}
	return cmp.Or(endWords[r.State], "the run is "+Quoted(string(r.State), LimitName)) + " (" + ticket + "). " + prose(r.Outcome, LimitSentence)
}

// doingText is a step that is under way, in a sentence; "" for other states.
func doingText(r runbook.Run) string {
	switch r.State {
	case runbook.StateSnapshot:
		return "keeping a copy of " + r.Plan.Extent() + " before the flush"
	case runbook.StateFlush:
		return "flushing " + r.Plan.Extent() + progressText(r.Progress)
	case runbook.StateVerify:
		return "flushed, reading the effect back"
	case runbook.StateRestart:
		return "restarting the authoriser" + progressText(r.Progress)
	case runbook.StateGateway:
		return "flushing the gateway's authoriser cache"
	case runbook.StateConfirm:
		return "looking for an accepted token afterwards" + progressText(r.Progress)
	case runbook.StateRestore:
		return "writing back what was deleted" + progressText(r.Progress)
	}
	return ""
}

// endWords say in a sentence how a run ended, where nobody's decision ended it.
var endWords = map[runbook.State]string{
	runbook.StateFailed:   "the run failed",
	runbook.StateExpired:  "the request expired",
	runbook.StateObsolete: "the run ended",
}

// leftText is the time that is left to decide.
func leftText(r runbook.Run, now time.Time) string {
	left := r.ExpiresAt.Sub(now)
	if left <= 0 {
		return "time is up"
	}
	return "expires in " + runbook.Duration(left)
}

// progressText is how far a step is, as the end of a sentence.
func progressText(p runbook.Progress) string {
	switch {
	case p.Total > 0:
		return fmt.Sprintf(", %s of %s", runbook.Thousands(int64(p.Done)), runbook.Thousands(int64(p.Total)))
	case p.Done > 0:
		return ", " + runbook.Thousands(int64(p.Done)) + " so far"
	case p.Text != "":
		return ", " + prose(p.Text, LimitSentence/2)
	}
	return ""
}

func runFooter(r runbook.Run) string {
	s := fmt.Sprintf("Requested by %s at %s · %s", mention(r.Requester), atTime(r.CreatedAt), Code(r.Ticket))
	if !r.EndedAt.IsZero() {
		s += " · ended at " + atTime(r.EndedAt)
	}
	return s + " · reason: " + Quoted(r.Reason, LimitSentence) + " · run " + Code(r.ID)
}
