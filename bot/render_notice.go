package bot

import (
	"fmt"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// Short messages: what stands in the place of another one, and what is added
// to one.

// private is the message with the reason why it is for one person alone, and
// what they can type to change that, if anything.
func (m message) private(why, remedy string) message {
	m.Text += " " + why
	if remedy != "" {
		why += " " + remedy
	}
	m.Blocks = append(m.Blocks, contextLine(why))
	return m
}

// checkNotice stands in the place of a report; text is finished markup.
func checkNotice(target, state, text string) message {
	return message{Text: "jwksbot: " + quoted(target, limitName) + ": " + text, Blocks: []slack.Block{section(text)},
		Metadata: metadata(eventReport, "", target, "", state)}
}

// withdrawnMessage stands where a message was that is not for all who read the
// channel now.
func withdrawnMessage() message {
	return message{Text: "This message was taken back, since people of another organisation may read this channel now.",
		Metadata: metadata(eventReport, "", "", "", "withdrawn")}
}

// olderCopyMessage stands where a second message of a run was; link is that of
// the present one, "" if there is none.
func olderCopyMessage(r runbook.Run, link string) message {
	text := fmt.Sprintf("This is an older copy of the message of run %s.", code(r.ID))
	if link != "" {
		text += fmt.Sprintf(" <%s|The present one is here.>", link)
	} else {
		text += fmt.Sprintf(" The present one is in <#%s>.", r.Post.Channel)
	}
	return message{Text: text, Blocks: []slack.Block{section(text)}, Metadata: metadata(eventRun, r.ID, r.Target, r.Plan.Verdict, string(r.State))}
}

// overrideMessage says why a request was refused, with a button that opens the
// form again.
func overrideMessage(refused error, target string) message {
	text := refusalText(refused)
	again := button(actionOverride, clip(target, limitButtonValue), "Say why, and request it"+ellipsis, slack.StyleDefault)
	return message{Text: text, Blocks: []slack.Block{section(text), slack.NewActionBlock("", again)}}
}

// rotationMessage is a report that nobody asked for: a new live key was seen
// that the cache does not have.
func rotationMessage(r runbook.Report) message {
	m := reportMessage(r)
	m.Text = "New signing key seen, and the cache still has the old one. " + m.Text
	m.Blocks = append(m.Blocks, contextLine("jwksbot saw a new live key by itself and checked. Nobody has to have noticed yet."))
	return m
}
