package bot

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// cardBlocks ask for a decision: the verdict and whether the plan fits it,
// exactly what will be touched, who asks and why, and until when.
func cardBlocks(r runbook.Run, now time.Time) []slack.Block {
	blocks := []slack.Block{section(bold(prose(r.Plan.Summary, limitVerdict)) + "\n" + fitText(r))}
	if r.Generation > 1 {
		blocks = append(blocks, section(fmt.Sprintf("⚠️ *This is plan %d.* The world moved since the last one; approvals of it do not count. Look at what will be touched now.", r.Generation)))
	}
	if over := overrideBlock(r); over != nil {
		blocks = append(blocks, over)
	}
	blocks = append(blocks, titled("What will be touched", bullets(planLines(r.Plan)), linesPlan, roomPlan))
	blocks = append(blocks, slack.NewSectionBlock(mrkdwn("*Reason:* "+orText(quoted(r.Reason, limitSentence), "none given")), cardFields(r, now), nil))
	return append(blocks, cardButtons(r),
		contextLine(fmt.Sprintf("Before anything is deleted the live keys and the cache are read again; a changed world brings a new plan. · run %s · plan %d, digest %s", code(r.ID), r.Generation, code(shortDigest(r.Plan.Digest)))))
}

// fitText says whether the plan does what the verdict recommends.
func fitText(r runbook.Run) string {
	name := "*" + phraseOf(r.Plan.Verdict) + "*"
	if r.Plan.Advice == "" {
		return "✓ The plan fits the verdict " + name + "."
	}
	return "⛔ The plan goes *against* the verdict " + name + ": " + prose(r.Plan.Advice, limitSentence) + "."
}

// overrideBlock shows loudly that somebody overrides the verdict, nil if not.
func overrideBlock(r runbook.Run) slack.Block {
	if r.Override == "" {
		return nil
	}
	return section("⚠️ *OVERRIDE of the verdict* by " + mention(r.Requester) + ": " + quoted(r.Override, limitSentence))
}

// planLines say what a plan deletes, what leaves with it, and what it spares.
func planLines(p runbook.Plan) []string {
	lines := []string{deleteText(p)}
	if p.Scope == runbook.ScopeAll {
		lines = append(lines, fmt.Sprintf("🚨 *The whole group is flushed:* %s that are not JWKS and %s are destroyed as well",
			plural(int(p.Others), "key", "keys"), plural(p.Foreign, "entry of another issuer", "entries of other issuers")))
	}
	if gone := p.KidsGone(); len(gone) > 0 {
		lines = append(lines, "*Keys that leave the cache for good:* "+codes(gone, namesOnRun)+"; tokens signed with them are refused from then on")
	} else if len(p.Entries) > 0 {
		lines = append(lines, "No live key is lost: what is live comes back with the next token")
	}
	if p.Scope != runbook.ScopeAll {
		if spared := sparedText(p.Current, p.Foreign, p.Others); spared != "" {
			lines = append(lines, "*Left alone:* "+spared)
		}
	}
	if p.NoUndo {
		return append(lines, "⚠️ *Cannot be undone:* no copy is kept")
	}
	return append(lines, "A copy of every entry is kept first; an entry that somebody rewrites meanwhile survives")
}

func deleteText(p runbook.Plan) string {
	names := make([]string, len(p.Entries))
	for i, e := range p.Entries {
		names[i] = e.Name
	}
	s := fmt.Sprintf("*Deletes %s* on %s of %s", plural(len(names), "entry", "entries"), shardsText(p), quoted(p.Resource, limitName))
	if len(names) > 0 {
		s += ": " + codes(names, namesOnRun)
	}
	return s
}

// shardsText counts the primaries on which something is deleted.
func shardsText(p runbook.Plan) string {
	shards := map[string]bool{}
	for _, e := range p.Entries {
		shards[e.Shard] = true
	}
	if p.Scope == runbook.ScopeAll {
		return "all " + plural(p.Shards, "shard", "shards")
	}
	return plural(len(shards), "shard", "shards")
}

func cardFields(r runbook.Run, now time.Time) []*slack.TextBlockObject {
	via := ""
	if r.Via == runbook.ViaTerminal {
		via = " (from a terminal)"
	}
	return []*slack.TextBlockObject{
		mrkdwn("*Requested by*\n" + mention(r.Requester) + via),
		mrkdwn("*Ticket*\n" + code(r.Ticket)),
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

func cardButtons(r runbook.Run) slack.Block {
	approve := button(actionApprove, r.ID, "Approve", slack.StylePrimary)
	if r.Plan.Advice != "" {
		// Nothing may invite to press it.
		approve = button(actionApprove, r.ID, "Approve against the verdict", slack.StyleDefault)
	}
	approve.Confirm = slack.NewConfirmationBlockObject(
		plainText("Flush "+r.Target+"?", limitConfirmTitle), mrkdwn(confirmText(r.Plan)),
		plainText("Approve", limitConfirmLabel), plainText("Not yet", limitConfirmLabel))
	return slack.NewActionBlock("",
		approve,
		button(actionDeny, r.ID, "Deny", slack.StyleDanger),
		button(actionDenyReason, r.ID, "Deny with reason"+ellipsis, slack.StyleDefault),
		button(actionWithdraw, r.ID, "Withdraw", slack.StyleDefault))
}

// confirmText states the effect once more, in the few words that a dialog takes.
func confirmText(p runbook.Plan) string {
	parts := []string{fmt.Sprintf("Deletes *%s* on %s.", plural(len(p.Entries), "entry", "entries"), shardsText(p))}
	if p.Scope == runbook.ScopeAll {
		parts = append(parts, fmt.Sprintf("*Also destroys %s that are not JWKS.*", plural(int(p.Others), "key", "keys")))
	}
	if p.Advice != "" {
		parts = append(parts, "This goes *against the verdict*.")
	}
	if p.NoUndo {
		parts = append(parts, "It *cannot be undone*.")
	}
	switch gone := p.KidsGone(); len(gone) {
	case 0:
	case 1:
		parts = append(parts, "Key "+code(clip(gone[0], 60))+" leaves the cache.")
	default:
		parts = append(parts, plural(len(gone), "key leaves", "keys leave")+" the cache.")
	}
	parts = append(parts, "The effect is read back.")
	s := ""
	for _, part := range parts {
		if utf8.RuneCountInString(s+" "+part) > limitConfirmText {
			break
		}
		s = strings.TrimSpace(s + " " + part)
	}
	return s
}

func shortDigest(s string) string {
	if len(s) > 10 {
		return s[:10]
	}
	return s
}

// mentioned bounds how many approvers a reminder calls.
const mentioned = 10

// reminderMessage calls the approvers of a request that waits.
func reminderMessage(r runbook.Run, approvers []string, now time.Time) message {
	var names []string
	for i, id := range approvers {
		if i == mentioned {
			names = append(names, moreLine(len(approvers)-i))
			break
		}
		names = append(names, mentionID(id))
	}
	missing := r.Required - len(r.Approvals())
	s := fmt.Sprintf("the flush of %s (%s, requested by %s) still waits for %s and %s.", quoted(r.Target, limitName),
		code(r.Ticket), mention(r.Requester), plural(missing, "approval", "approvals"), leftText(r, now))
	called := ""
	if len(names) > 0 {
		called = strings.Join(names, " ") + ": "
	}
	return message{
		Text:     fallback("jwksbot: ", called, s),
		Blocks:   []slack.Block{section("⏳ " + called + s + " Decide on the card above.")},
		Metadata: metadata(eventApproval, r.ID, r.Target, r.Plan.Verdict, string(r.State)),
	}
}
