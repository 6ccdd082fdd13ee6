package bot

import (
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

func runMessage(r runbook.Run, now time.Time) message {
	buttons := slack.NewActionBlock("", button(actionApprove, r.ID, "Approve", slack.StylePrimary), button(actionDeny, r.ID, "Deny", slack.StyleDanger))
	return message{
		Text:     "jwksbot: run " + escape(r.ID) + " is " + string(r.State),
		Blocks:   []slack.Block{section("run " + code(r.ID) + " is " + string(r.State)), buttons},
		Metadata: metadata(eventRun, r.ID, r.Target, r.Plan.Verdict, string(r.State)),
	}
}

func runThreadMessages(r runbook.Run) []message { return nil }

func reminderMessage(r runbook.Run, approvers []string, now time.Time) message {
	return message{Text: "jwksbot: run " + escape(r.ID) + " waits for a decision", Metadata: metadata(eventApproval, r.ID, r.Target, r.Plan.Verdict, string(r.State))}
}
