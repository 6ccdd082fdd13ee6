package bot

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
)

// place is where somebody did something, and how they can be answered there.
type place struct {
	user, channel, thread string
	responseURL, trigger  string
	*attention            // nil: nobody waits for a word
}

func placeOfCommand(c slack.SlashCommand) place {
	return place{user: c.UserID, channel: c.ChannelID, responseURL: c.ResponseURL, trigger: c.TriggerID}
}

func placeOfCall(c slack.InteractionCallback) place {
	p := place{user: c.User.ID, channel: c.Channel.ID, responseURL: c.ResponseURL, trigger: c.TriggerID, thread: c.Container.ThreadTs}
	if p.channel == "" {
		p.channel = c.Container.ChannelID
	}
	if p.thread == c.Container.MessageTs {
		p.thread = "" // a message with replies names itself as its thread
	}
	return p
}

// notHere is why the bot does not post into a channel, in words for people.
type notHere struct {
	text   string
	invite bool // an /invite would help
	shared bool // with another organisation
}

func (n *notHere) Error() string { return n.text }

// onto is a message that says why it is private.
func (n *notHere) onto(m render.Message) render.Message {
	if n.invite {
		return m.Private(n.text, inviteLine)
	}
	return m.Private(n.text, "")
}

// inviteLine is what a member has to type so that the bot may post.
const inviteLine = "Type `/invite @jwksbot` here to see it in the channel."

var channelID = regexp.MustCompile(`^[CDG][A-Z0-9]{2,}$`)

// resolve turns a channel's name of the configuration into its id; an id stays.
func (p *places) resolve(ctx context.Context, name string) (string, error) {
	name = strings.TrimPrefix(strings.TrimSpace(name), "#")
	if channelID.MatchString(name) {
		return name, nil
	}
	if name == "" {
		return "", errors.New("no channel is configured for this target: set channel")
	}
	p.mu.Lock()
	id, fresh := p.names[name], time.Since(p.named) < namesFor
	p.mu.Unlock()
	if id != "" {
		return id, nil
	}
	if !fresh {
		if err := p.listMine(ctx); err != nil {
			return "", err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if id := p.names[name]; id != "" {
		return id, nil
	}
	return "", &notHere{text: fmt.Sprintf("jwksbot is not a member of #%s, the channel of this target.", name), invite: true}
}

// listMine reads the channels that the bot is in.
func (p *places) listMine(ctx context.Context) error {
	in := &slack.GetConversationsForUserParameters{Types: []string{"public_channel", "private_channel"}, ExcludeArchived: true, Limit: 200}
	for {
		channels, next, err := p.api.GetConversationsForUserContext(ctx, in)
		if err != nil {
			return fmt.Errorf("users.conversations: %w", err)
		}
		p.mu.Lock()
		for _, c := range channels {
			p.names[c.Name] = c.ID
		}
		p.named = time.Now()
		p.mu.Unlock()
		if next == "" {
			return nil
		}
		in.Cursor = next
	}
}
