package render

import (
	"fmt"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// How much a Home tab lists. A target takes three blocks, a run one.
const (
	homeTargets = 12
	MaxHomeRuns = 12
)

// HomeInput is what a Home tab is made from.
type HomeInput struct {
	Targets []HomeTarget
	Runs    []LinkedRun // newest first
	Refused string      // why this person sees nothing; finished markup
}

// HomeTarget is a target on a Home tab.
type HomeTarget struct {
	Name    string
	Verdict SeenVerdict // zero: not checked since this process began
	Busy    bool        // a check that this person asked for is under way
}

// SeenVerdict is what a check said, and when.
type SeenVerdict struct {
	runbook.Finding
	At time.Time
}

// LinkedRun is a run with the way to its message.
type LinkedRun struct {
	runbook.Run
	Link string // of its message; "" when there is none
}

// Home shows what waits first, then the targets, then what was.
func Home(in HomeInput) []slack.Block {
	if in.Refused != "" {
		return []slack.Block{header("jwksbot"), section("jwksbot looks after cached signing keys."), section(in.Refused)}
	}
	var blocks []slack.Block
	var waiting, working, ended []LinkedRun
	for _, r := range in.Runs {
		switch {
		case r.State == runbook.StatePending:
			waiting = append(waiting, r)
		case r.State.Ended():
			ended = append(ended, r)
		default:
			working = append(working, r)
		}
	}
	blocks = append(blocks, homeRunBlocks("Waiting for approval", waiting)...)
	blocks = append(blocks, homeRunBlocks("In progress", working)...)
	blocks = append(blocks, header("Targets"))
	for i, t := range in.Targets {
		if i == homeTargets {
			blocks = append(blocks, contextLine(moreLine(len(in.Targets)-i)+" targets; the commands reach them all"))
			break
		}
		if i > 0 {
			blocks = append(blocks, slack.NewDividerBlock())
		}
		blocks = append(blocks, homeTargetBlocks(t, in.Runs)...)
	}
	blocks = append(blocks, homeRunBlocks("Recent runs", ended)...)
	if len(ended) == 0 {
		blocks = append(blocks, header("Recent runs"), section("None yet."))
	}
	return append(blocks, header("How to start"), section(homeStart))
}

const homeStart = "• `/jwks-check` in the incident channel says what is wrong with the keys, with proof, and whether a flush would help. It only reads.\n" +
	"• `/jwks-flush` asks for a flush, a restart of the authoriser or a flush of the gateway's cache. Somebody else approves exactly what will be touched.\n" +
	"• *Run JWKS check here* in the menu of a message answers in its thread.\n" +
	"• `help` after a command explains it."

// homeTargetBlocks are one target: what the last check said, and what may be
// asked for.
func homeTargetBlocks(t HomeTarget, runs []LinkedRun) []slack.Block {
	value := runbook.Clip(t.Name, limitButtonValue)
	return []slack.Block{
		section(homeTargetText(t, runs)),
		slack.NewActionBlock("home_"+runbook.Clip(t.Name, LimitName),
			button(ActionCheckAgain, value, "Check now", slack.StyleDefault),
			button(ActionRequest, value, "Request a mitigation"+ellipsis, slack.StyleDefault)),
	}
}

func homeTargetText(t HomeTarget, runs []LinkedRun) string {
	name := "*" + Quoted(t.Name, LimitName) + "*"
	if t.Busy {
		return name + " ⏳ checking" + ellipsis + " the report will appear in the *Messages* tab"
	}
	if !t.Verdict.At.IsZero() {
		s := fmt.Sprintf("%s %s *%s* · checked %s", name, shapeOf(t.Verdict.Finding), Quoted(titleOf(t.Verdict.ID), LimitName), atDay(t.Verdict.At))
		if r, changed := changedSince(t, runs); changed {
			return s + "; since then run " + Code(r.ID) + " changed something: *check again*"
		}
		return s + "\n" + prose(t.Verdict.Summary, LimitSentence/2)
	}
	for _, r := range runs {
		if r.Target == t.Name {
			return fmt.Sprintf("%s – not checked since jwksbot started; %s it was %s", name, atDay(r.CreatedAt), phraseOf(r.Plan.Verdict))
		}
	}
	return name + " – not checked since jwksbot started"
}

// changedSince finds the newest run that touched a target after its last check.
func changedSince(t HomeTarget, runs []LinkedRun) (runbook.Run, bool) {
	for _, r := range runs {
		if r.Target != t.Name || !touched(r.Run) || len(r.Receipts) == 0 {
			continue
		}
		return r.Run, r.Receipts[len(r.Receipts)-1].EndedAt.After(t.Verdict.At)
	}
	return runbook.Run{}, false
}

// homeRunBlocks list runs, each with the way to its message; nil for none.
func homeRunBlocks(title string, runs []LinkedRun) []slack.Block {
	if len(runs) == 0 {
		return nil
	}
	blocks := []slack.Block{header(title)}
	for i, r := range runs {
		if i == MaxHomeRuns {
			return append(blocks, contextLine(moreLine(len(runs)-i)+" runs"))
		}
		blocks = append(blocks, section(homeRunText(r)))
	}
	return blocks
}

func homeRunText(r LinkedRun) string {
	s := fmt.Sprintf("*%s* %s · %s by %s", Quoted(r.Target, LimitName), runText(r.Run), Code(r.Ticket), Quoted(r.Requester.Label(), LimitName))
	if r.State == runbook.StatePending {
		s += fmt.Sprintf(" · %d of %d, decide until %s", len(r.Approvals()), r.Required, atTime(r.ExpiresAt))
	}
	s += "\n" + atDay(r.CreatedAt) + " · run " + Code(r.ID)
	if r.Outcome != "" {
		s += " · " + prose(r.Outcome, LimitSentence/3)
	}
	if r.Link != "" {
		s += " · <" + r.Link + "|" + homeLinkText(r.State) + ">"
	}
	return s
}

func homeLinkText(s runbook.State) string {
	if s == runbook.StatePending {
		return "open the card to decide"
	}
	return "open its message"
}
