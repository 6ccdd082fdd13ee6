package bot

import (
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

func progressMessage(target string, steps []stepLine, started time.Time) message {
	var lines []string
	for _, s := range steps {
		lines = append(lines, stepText(s.Name, s.Status, s.Summary, s.Duration))
	}
	return message{
		Text:     "jwksbot: checking " + escape(target),
		Blocks:   []slack.Block{header("Checking · " + target), titled("Steps", lines, 20, limitSection)},
		Metadata: metadata(eventReport, "", target, "", "checking"),
	}
}

func reportMessage(r runbook.Report) message {
	v := r.Diagnosis.Verdict
	return message{
		Text:     "jwksbot: " + prose(r.Target+": "+v.Summary, limitSentence),
		Blocks:   []slack.Block{section("*" + prose(v.Summary, limitSentence) + "*")},
		Metadata: metadata(eventReport, "", r.Target, v.ID, "done"),
	}
}

func evidenceMessages(r runbook.Report) []message { return nil }
