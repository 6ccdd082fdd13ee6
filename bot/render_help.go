package bot

import (
	"time"

	"jwksbot/runbook"
)

func helpText(command string, targets []string) string { return "help" }

func statusMessage(targets []string, runs []runbook.Run, now time.Time) message {
	return message{Text: "jwksbot: status", Metadata: metadata(eventReport, "", "", "", "status")}
}

func historyMessage(runs []runbook.Run) message {
	return message{Text: "jwksbot: history", Metadata: metadata(eventReport, "", "", "", "history")}
}

func refusalText(err error) string { return "refused" }
