package render

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// cardBlocks ask for a decision: the verdict and whether the plan fits it,
// exactly what will be touched, who asks and why, and until when.
func cardBlocks(r runbook.Run, now time.Time) []slack.Block {
	blocks := []slack.Block{section(aboutText(r))}
	if r.Generation > 1 {
		blocks = append(blocks, section(newPlanText(r)))
	}
	if over := overrideBlock(r); over != nil {
		blocks = append(blocks, over)
	}
	blocks = append(blocks, titled("What will be touched", bullets(planLines(r.Plan)), linesPlan, roomPlan))
	blocks = append(blocks, slack.NewSectionBlock(mrkdwn("*Reason:* "+cmp.Or(Quoted(r.Reason, LimitSentence), "none given")), cardFields(r, now), nil))
	return append(blocks, cardButtons(r),
		contextLine(fmt.Sprintf("It is checked again before it runs; if it would touch anything else, it needs approval again. · run %s · plan %d, digest %s", Code(r.ID), r.Generation, Code(shortDigest(r.Plan.Digest)))))
}

// newPlanText says that there was another plan before, and what is new.
func newPlanText(r runbook.Run) string {
	what := ""
	if r.Changes != "" {
		what = " " + runbook.Capital(prose(r.Changes, LimitSentence)) + "."
	}
	return fmt.Sprintf("⚠️ *This is plan %d.*%s Look again at what would be touched; only the approvals named below count for it.", r.Generation, what)
}

// aboutText is why something is asked for: what the checks said, and whether
// the plan fits it. An undo goes back to what was before another run.
func aboutText(r runbook.Run) string {
	if undo := r.Plan.Restore; undo != nil {
		s := "*Undo of run " + Code(undo.Of) + ".*"
		if r.Plan.Verdict != "" {
			s += " When that was requested, the verdict was *" + phraseOf(r.Plan.Verdict) + "*: " + prose(r.Plan.Summary, LimitSentence)
		}
		return s
	}
	return bold(prose(r.Plan.Summary, limitVerdict)) + "\n" + fitText(r)
}

// fitText says whether the plan does what the verdict recommends.
func fitText(r runbook.Run) string {
	name := "*" + phraseOf(r.Plan.Verdict) + "*"
	if r.Plan.Advice == "" {
		return "✓ The plan fits the verdict " + name + "."
	}
	return "⛔ The plan goes *against* the verdict " + name + ": " + prose(r.Plan.Advice, LimitSentence) + "."
}

// overrideBlock shows loudly that somebody overrides the verdict, nil if not.
func overrideBlock(r runbook.Run) slack.Block {
	if r.Override == "" {
		return nil
	}
	return section("⚠️ *OVERRIDE of the verdict* by " + mention(r.Requester) + ": " + Quoted(r.Override, LimitSentence))
}

// breakGlassBlock shows loudly that nobody was asked, nil if people decided.
func breakGlassBlock(r runbook.Run) slack.Block {
	if r.BreakGlass == "" {
		return nil
	}
	return section("🚨 *BREAK GLASS* by " + mention(r.Requester) + ": *nobody approved this.* " + Quoted(r.BreakGlass, LimitSentence))
}

func cardFields(r runbook.Run, now time.Time) []*slack.TextBlockObject {
	via := ""
	if r.Via == runbook.ViaTerminal {
		via = " (from a terminal" + aside(r.Verified) + ")"
	}
	return []*slack.TextBlockObject{
		mrkdwn("*Requested by*\n" + mention(r.Requester) + via),
		mrkdwn("*Ticket*\n" + Code(r.Ticket)),
		mrkdwn("*Approvals*\n" + approvalsText(r)),
		mrkdwn("*Decide until*\n" + atTime(r.ExpiresAt) + " (" + leftText(r, now) + ")"),
	}
}

// approvalsText counts approvals of the present plan, with names.
func approvalsText(r runbook.Run) string {
	approvals := r.Approvals()
	s := fmt.Sprintf("%d of %d", len(approvals), r.Required)
	var names []string
	for i, a := range approvals {
		if i == namesOnRun {
			names = append(names, moreLine(len(approvals)-i))
			break
		}
		names = append(names, mention(a.By))
	}
	if len(names) > 0 {
		s += ": " + strings.Join(names, ", ")
	}
	return s
}

// aside adds where it was found out who somebody is, if not by serve.
func aside(verified string) string {
	if verified == "" {
		return ""
	}
	return "; " + Quoted(verified, LimitSentence)
}

func cardButtons(r runbook.Run) slack.Block {
	ref := planRefOf(r).String()
	approve := button(ActionApprove, ref, "Approve", slack.StylePrimary)
	if r.Plan.Advice != "" {
		// Nothing may invite to press it.
		approve = button(ActionApprove, ref, "Approve against the verdict", slack.StyleDefault)
	}
	approve.Confirm = slack.NewConfirmationBlockObject(
		plainText(confirmTitle(r), limitConfirmTitle), mrkdwn(confirmText(r.Plan)),
		plainText("Approve", limitConfirmLabel), plainText("Not yet", limitConfirmLabel))
	return slack.NewActionBlock("",
		approve,
		button(ActionDeny, ref, "Deny", slack.StyleDanger),
		button(ActionDenyReason, ref, "Deny with reason"+ellipsis, slack.StyleDefault),
		button(ActionWithdraw, ref, "Withdraw", slack.StyleDefault))
}

func confirmTitle(r runbook.Run) string {
	task := runbook.Capital(r.Plan.ShortTask())
	if task == "Flush" {
		return "Flush " + r.Target + "?"
	}
	return task + " of " + r.Target + "?"
}

func shortDigest(s string) string {
	if len(s) > 10 {
		return s[:10]
	}
	return s
}

// mentioned bounds how many approvers a reminder calls.
const mentioned = 10

// Reminder calls the approvers of a request that waits.
func Reminder(r runbook.Run, approvers []string, now time.Time) Message {
	var names []string
	for i, id := range approvers {
		if i == mentioned {
			names = append(names, moreLine(len(approvers)-i))
			break
		}
		names = append(names, mentionID(id))
	}
	missing := r.Required - len(r.Approvals())
	s := fmt.Sprintf("the request to %s on %s (%s, by %s) is still waiting for %s and %s.", prose(r.Plan.Task(), LimitSentence), Quoted(r.Target, LimitName),
		Code(r.Ticket), mention(r.Requester), runbook.Plural(missing, "approval", "approvals"), leftText(r, now))
	called := ""
	if len(names) > 0 {
		called = strings.Join(names, " ") + ": "
	}
	return Message{
		Text:     fallback("jwksbot: ", called, s),
		Blocks:   []slack.Block{section("⏳ " + called + s + " Decide on the card above.")},
		Metadata: metadata(eventApproval, r.ID, r.Target, r.Plan.Verdict, string(r.State)),
	}
}
