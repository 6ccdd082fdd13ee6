package render

import (
	"strings"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// Message is one post: Text is the sentence for notifications and screen
// readers and stands on every message.
type Message struct {
	Text     string
	Blocks   []slack.Block
	Metadata slack.SlackMetadata
}

// Complete is the message as it is sent: with blocks even if it is but a
// sentence, since an update without any would leave the old ones in place.
func (m Message) Complete() Message {
	if len(m.Blocks) == 0 {
		m.Blocks = []slack.Block{section(runbook.Clip(m.Text, limitSection))}
	}
	if m.Metadata.EventType == "" {
		m.Metadata = metadata(eventAnswer, "", "", "", "")
	}
	return m
}

// Action ids of buttons. The value of a button on a run is the run's opaque
// id; that of a button on a report is the target.
const (
	ActionRequest      = "request"
	ActionRequestFlush = "request_flush"
	ActionOverride     = "override"
	ActionCheckAgain   = "check_again"
	ActionDetails      = "details"
	ActionApprove      = "approve"
	ActionDeny         = "deny"
	ActionDenyReason   = "deny_reason"
	ActionWithdraw     = "withdraw"
	ActionGotIt        = "got_it"
	ActionStopWatch    = "stop_watch"
	ActionRequestAgain = "request_again"
)

// Callback ids of forms.
const (
	CallbackFlush = "flush"
	CallbackDeny  = "deny"
	CallbackStop  = "stop_watch"
	CallbackNext  = "next_step"
	CallbackPick  = "pick_target" // the target of a shortcut
)

// Event types of message metadata, for other apps to react on.
const (
	eventReport   = "jwksbot_report"
	eventApproval = "jwksbot_approval"
	eventRun      = "jwksbot_run"
	eventAnswer   = "jwksbot_answer" // to one person
)

// StepLine is one step of a check that is under way; an empty status means
// that it is running.
type StepLine struct {
	Name     string
	Status   runbook.Status
	Summary  string
	Duration time.Duration
}

func metadata(event, runID, target string, verdict runbook.VerdictID, state string) slack.SlackMetadata {
	return slack.SlackMetadata{EventType: event, EventPayload: map[string]any{
		"run_id": runID, "target": target, "verdict": string(verdict), "state": state,
	}}
}

// marks say the status of a step by shape.
var marks = map[runbook.Status]string{
	"":                    "⏳",
	runbook.StatusOK:      "✓",
	runbook.StatusWarn:    "⚠",
	runbook.StatusFail:    "✗",
	runbook.StatusError:   "?",
	runbook.StatusSkipped: "–",
}

// words say the status of a step where the shape alone would be too little.
var words = map[runbook.Status]string{
	runbook.StatusWarn:    "look",
	runbook.StatusFail:    "fault",
	runbook.StatusError:   "not read",
	runbook.StatusSkipped: "skipped",
}

// stepText is the line of one step: mark, name, how long, what it says.
func stepText(name string, status runbook.Status, summary string, took time.Duration) string {
	line := marks[status] + " *" + Quoted(name, LimitName) + "*"
	if status == "" {
		return line + " running" + ellipsis
	}
	if word := words[status]; word != "" {
		line += " (" + word + ")"
	}
	if took > 0 {
		line += " " + runbook.Duration(took)
	}
	return line + " – " + prose(summary, LimitSentence)
}

func header(text string) slack.Block {
	return slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, plain(text, limitHeader), true, false))
}

// section shows finished markup, unfolded.
func section(markup string) slack.Block {
	return slack.NewSectionBlock(mrkdwn(markup), nil, nil, slack.SectionBlockOptionExpand(true))
}

// titled is a section with a title and lines below it, at most n runes.
func titled(title string, lines []string, maxLines, n int) slack.Block {
	title = "*" + title + "*\n"
	return section(title + joinLines(lines, maxLines, n-len(title)))
}

func contextLine(markup string) slack.Block { return slack.NewContextBlock("", mrkdwn(markup)) }

// mrkdwn is verbatim: Slack must not make links or mentions of what we did not
// mean as one.
func mrkdwn(markup string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, markup, false, true)
}

func plainText(s string, n int) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, plain(s, n), false, false)
}

func button(action, value, label string, style slack.Style) *slack.ButtonBlockElement {
	return slack.NewButtonBlockElement(action, value, plainText(label, limitButton)).WithStyle(style)
}

func bullets(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = "• " + l
	}
	return out
}

// fallback cuts the sentence for notifications to what Slack takes.
func fallback(parts ...string) string {
	s := strings.Join(parts, "")
	if n := []rune(s); len(n) > limitText {
		s = string(n[:limitText-1]) + ellipsis
	}
	return s
}
