package bot

import (
	"errors"

	"jwksbot/bot/render"
	"jwksbot/runbook"
)

// notPostable is why the bot does not post into a channel, in words for people.
type notPostable struct {
	text   string
	invite bool // an /invite would help
	shared bool // with another organisation
}

func (n *notPostable) Error() string { return n.text }

// explain is a message that says why it is private.
func (n *notPostable) explain(m render.Message) render.Message {
	if n.invite {
		return m.Private(n.text, inviteLine)
	}
	return m.Private(n.text, "")
}

// inviteLine is what a member has to type so that the bot may post.
const inviteLine = "Type `/invite @jwksbot` here to see it in the channel."

// whyPrivate says why something is for one person alone and not for the channel;
// nil where the error is about something else.
func whyPrivate(channel string, err error) *notPostable {
	var here *notPostable
	code := slackCode(err)
	switch {
	case errors.As(err, &here):
		return here
	case errors.As(err, new(*readersUnknown)):
		return &notPostable{text: "Slack did not say who reads this channel, so only you see this."}
	case takesNoMessage(code):
		return &notPostable{text: "jwksbot may not post here.", invite: code != "is_archived" && !isDirect(channel)}
	}
	return nil
}

// refuseUnknownReaders refuses a request whose card has no channel that is known to be right.
func refuseUnknownReaders(err error) error {
	if errors.As(err, new(*readersUnknown)) {
		return &runbook.Refusal{Code: "no_channel", Text: "Slack did not say who reads the channel of the approval card, so nothing was requested. Try again in a minute."}
	}
	return err
}

// takesNoMessage says that a channel takes no message of the bot, by the code that
// chat.postMessage or chat.update answered with.
func takesNoMessage(code string) bool {
	switch code {
	case "channel_not_found", "not_in_channel", "is_archived", "restricted_action",
		"restricted_action_read_only_channel", "restricted_action_thread_only_channel":
		return true
	}
	return false
}
