package render

import (
	"fmt"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
)

// Short messages: what stands in the place of another one, and what is added
// to one.

// Private is the message with the reason why it is for one person alone, and
// what they can type to change that, if anything.
func (m Message) Private(why, remedy string) Message {
	m.Text += " " + why
	if remedy != "" {
		why += " " + remedy
	}
	m.Blocks = append(m.Blocks, contextLine(why))
	return m
}

// CheckNotice stands in the place of a report; text is finished markup.
func CheckNotice(target, state, text string) Message {
	return Message{Text: "jwksbot: " + Quoted(target, LimitName) + ": " + text, Blocks: []slack.Block{section(text)},
		Metadata: metadata(eventReport, "", target, "", state)}
}

// Withdrawn stands where a message was that is not for all who read the
// channel now.
func Withdrawn() Message {
	return Message{Text: "This message was withdrawn, because people from another organisation can read this channel now.",
		Metadata: metadata(eventReport, "", "", "", "withdrawn")}
}

// OlderCopy stands where a second message of a run was; link is that of
// the present one, "" if there is none.
func OlderCopy(r runbook.Run, link string) Message {
	text := fmt.Sprintf("This is an older copy of run %s's message.", Code(r.ID))
	if link != "" {
		text += fmt.Sprintf(" <%s|The current one is here.>", link)
	} else {
		text += fmt.Sprintf(" The current one is in <#%s>.", r.Post.Channel)
	}
	return Message{Text: text, Blocks: []slack.Block{section(text)}, Metadata: metadata(eventRun, r.ID, r.Target, r.Plan.Verdict, string(r.State))}
}

// OverrideOffer says why a request was refused, with a button that opens the
// form again.
func OverrideOffer(refused error, target string) Message {
	text := Refusal(refused)
	again := button(ActionOverride, runbook.Clip(target, limitButtonValue), "Say why, and request it"+ellipsis, slack.StyleDefault)
	return Message{Text: text, Blocks: []slack.Block{section(text), slack.NewActionBlock("", again)}}
}

// Rotation is a report that nobody asked for: a new live key was seen
// that the cache does not have.
func Rotation(r check.Report) Message {
	m := Report(r)
	m.Text = "New signing key seen, and the cache still has the old one. " + m.Text
	m.Blocks = append(m.Blocks, contextLine("jwksbot noticed a new live key and checked on its own; nobody asked for this report."))
	return m
}
