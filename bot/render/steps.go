package render

import (
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// progressBlocks show a run that is being executed.
func progressBlocks(r runbook.Run, now time.Time) []slack.Block {
	blocks := []slack.Block{section(bold(stateSentence(r)))}
	if breakGlass := breakGlassBlock(r); breakGlass != nil {
		blocks = append(blocks, breakGlass)
	}
	blocks = append(blocks, watchBlocks(r, now)...)
	if next := stepsNext(r); next != "" {
		blocks = append(blocks, section("*What to do next:* "+next))
	}
	blocks = append(blocks, titled("Steps", stepLines(r), linesDone, roomDone))
	if over := overrideBlock(r); over != nil {
		blocks = append(blocks, over)
	}
	if buttons := liveButtons(r); buttons != nil {
		blocks = append(blocks, buttons)
	}
	return append(blocks, contextLine(runFooter(r)))
}

// stateSentence says what is being done just now.
func stateSentence(r runbook.Run) string {
	switch r.State {
	case runbook.StateApproved:
		return "It is checked again, then it starts."
	case runbook.StateSnapshot:
		return "Keeping a copy of what will be deleted."
	case runbook.StateFlush:
		return flushSentence(r.Plan) + progressText(r.Progress) + "."
	case runbook.StateVerify:
		return "Reading back what is in the cache now."
	case runbook.StateRestart:
		return "Renewing the authoriser's execution environments" + progressText(r.Progress) + "."
	case runbook.StateGateway:
		return "Emptying the gateway's authoriser cache."
	case runbook.StateConfirm:
		return "Looking for a token that is accepted now" + progressText(r.Progress) + "."
	case runbook.StateRestore:
		return "Writing back what was deleted" + progressText(r.Progress) + "."
	case runbook.StateWatch, runbook.StateEscalate:
		return runbook.Capital(watchSentence(r)) + "."
	}
	return "jwksbot does not know the state " + Code(string(r.State)) + "; it may be from a newer version."
}

func flushSentence(p runbook.Plan) string {
	switch {
	case p.Route == runbook.RouteBridge:
		return "CommandBridge was asked to flush"
	case p.Scope == runbook.ScopeAll:
		return "Deleting everything on every primary"
	case p.NoUndo:
		return "Deleting what matches, by name"
	}
	return "Deleting exactly what was copied"
}

// plannedStep is one step of a run, with the state in which it is carried out.
type plannedStep struct {
	name  string
	state runbook.State
}

// plannedSteps are the steps of a run in their order. Whether a target is
// confirmed and watched shows only when it comes to it.
func plannedSteps(r runbook.Run) []plannedStep {
	p := r.Plan
	var out []plannedStep
	if p.Has(runbook.FlushCache) {
		if !p.NoUndo {
			out = append(out, plannedStep{"snapshot", runbook.StateSnapshot})
		}
		out = append(out, plannedStep{string(runbook.FlushCache), runbook.StateFlush}, plannedStep{"verify", runbook.StateVerify})
	}
	if p.Has(runbook.RestartAuthoriser) {
		out = append(out, plannedStep{string(runbook.RestartAuthoriser), runbook.StateRestart})
	}
	if p.Has(runbook.FlushGateway) {
		out = append(out, plannedStep{string(runbook.FlushGateway), runbook.StateGateway})
	}
	if p.Has(runbook.RestoreCache) {
		out = append(out, plannedStep{string(runbook.RestoreCache), runbook.StateRestore})
	}
	if r.State == runbook.StateConfirm {
		out = append(out, plannedStep{"confirm", runbook.StateConfirm})
	}
	return out
}

// stepLines are the decisions, the steps that ran with their proof, the one
// that runs, and those to come.
func stepLines(r runbook.Run) []string {
	lines := approvalLines(r)
	ran := map[string]bool{}
	for _, rec := range r.Receipts {
		ran[rec.Step] = true
		lines = append(lines, receiptLines(rec)...)
	}
	for _, e := range plannedSteps(r) {
		switch {
		case e.state == r.State:
			lines = append(lines, "⏳ *"+e.name+"* running"+ellipsis+progressText(r.Progress))
		case ran[e.name]:
		case r.State.Ended():
			lines = append(lines, "– *"+e.name+"* was not carried out")
		default:
			lines = append(lines, "○ *"+e.name+"* comes later")
		}
	}
	return lines
}

func approvalLines(r runbook.Run) []string {
	var lines []string
	for i, a := range r.Approvals() {
		if i == namesOnRun {
			return append(lines, moreLine(len(r.Approvals())-i)+" approvals")
		}
		lines = append(lines, "✓ *approved* by "+mention(a.By)+" at "+atTime(a.At))
	}
	return lines
}

// receiptLines are one step that ran, with the first of its proof.
func receiptLines(rec runbook.Receipt) []string {
	var took time.Duration
	if !rec.StartedAt.IsZero() {
		took = rec.EndedAt.Sub(rec.StartedAt)
	}
	lines := []string{stepText(rec.Step, rec.Status, rec.Summary, took)}
	for i, p := range rec.Proof {
		if i == 2 {
			return append(lines, " ↳ "+moreLine(len(rec.Proof)-i)+" in the thread")
		}
		lines = append(lines, " ↳ "+prose(p, LimitSentence))
	}
	return lines
}
