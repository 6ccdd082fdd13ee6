package bot

import (
	"github.com/slack-go/slack"
)

// origin is where somebody did something, and how they can be answered there.
type origin struct {
	user, channel, thread string
	responseURL, trigger  string
	*interimAnswer        // nil: nobody waits for a word
}

func originOfCommand(c slack.SlashCommand) origin {
	return origin{user: c.UserID, channel: c.ChannelID, responseURL: c.ResponseURL, trigger: c.TriggerID}
}

func originOfCall(c slack.InteractionCallback) origin {
	o := origin{user: c.User.ID, channel: c.Channel.ID, responseURL: c.ResponseURL, trigger: c.TriggerID, thread: c.Container.ThreadTs}
	if o.channel == "" {
		o.channel = c.Container.ChannelID
	}
	if o.thread == c.Container.MessageTs {
		o.thread = "" // a message with replies names itself as its thread
	}
	return o
}
