package bot

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
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

// places knows which channels the bot may post into. What it learnt is kept
// for a minute, since conversations.info is limited to about 50 a minute.
type places struct {
	api *slack.Client

	mu    sync.Mutex
	known map[string]channelFacts
	names map[string]string // channel name → id
	named time.Time
}

type channelFacts struct {
	at  time.Time
	why error // why the bot may not post there; nil: it may
}

const (
	placesFor = time.Minute
	// namesFor is short, since somebody who is told to /invite does so at once.
	namesFor = 5 * time.Second
)

func newPlaces(api *slack.Client) *places {
	return &places{api: api, known: map[string]channelFacts{}, names: map[string]string{}}
}

// notHere is why the bot does not post into a channel, in words for people.
type notHere struct {
	text   string
	invite bool // an /invite would help
}

func (n *notHere) Error() string { return n.text }

// inviteLine is what a member has to type so that the bot may post.
const inviteLine = "Type `/invite @jwksbot` here to see it in the channel."

// postable returns nil if the bot may post into the channel, *notHere if it may
// not, and any other error if that cannot be told.
//
// A direct message is not asked about, which would need the scope im:read: the
// post itself tells.
func (p *places) postable(ctx context.Context, channel string) error {
	if isDirect(channel) {
		return nil
	}
	p.mu.Lock()
	f, ok := p.known[channel]
	p.mu.Unlock()
	if ok && time.Since(f.at) < placesFor {
		return f.why
	}
	why, err := p.ask(ctx, channel)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) > 1000 {
		clear(p.known)
	}
	// A missing invitation is mended within seconds: it is not remembered.
	if here := (*notHere)(nil); !errors.As(why, &here) || !here.invite {
		p.known[channel] = channelFacts{time.Now(), why}
	}
	return why
}

func (p *places) ask(ctx context.Context, channel string) (why, err error) {
	c, err := p.api.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: channel})
	var refused slack.SlackErrorResponse
	if errors.As(err, &refused) {
		switch refused.Err {
		case "channel_not_found":
			return &notHere{"jwksbot is not a member of this private channel.", true}, nil
		case "missing_scope":
			if strings.Contains(refused.Needed, "im:read") {
				return nil, nil // a conversation of a few people: the post itself tells
			}
			return nil, fmt.Errorf("conversations.info: the bot token lacks the scope %s: add it to the app and install it again", refused.Needed)
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("conversations.info %q: %w", channel, err)
	case c.IsIM:
		return nil, nil
	case c.IsArchived:
		return &notHere{"This channel is archived.", false}, nil
	case c.IsExtShared:
		return &notHere{"This channel is shared with another organisation, so jwksbot does not post into it.", false}, nil
	case !c.IsMember:
		return &notHere{"jwksbot is not a member of this channel.", true}, nil
	}
	return nil, nil
}

// forget drops what is known of a channel, since Slack just said otherwise.
func (p *places) forget(channel string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, channel)
}

// closed says that a channel takes no message of the bot, by the code that
// chat.postMessage or chat.update answered with.
func closed(code string) bool {
	switch code {
	case "channel_not_found", "not_in_channel", "is_archived", "restricted_action",
		"restricted_action_read_only_channel", "restricted_action_thread_only_channel":
		return true
	}
	return false
}

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
	return "", &notHere{fmt.Sprintf("jwksbot is not a member of #%s, the channel of this target.", name), true}
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
