package bot

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/runbook"
)

// Who reads a channel can change at any time: it becomes shared with another
// organisation, is archived, or the bot is removed. So Slack is asked before
// anything new stands there, with one call for all that wait for the answer.
//
// conversations.info and chat.update allow about 50 calls a minute each
// (docs.slack.dev, Tier 3), so that asking before each update keeps within the
// same bounds.
const (
	// threadAge is how old an answer may be for what follows in a thread.
	threadAge = 5 * time.Second
	// readersFor is how long the last answer counts for a message that stands
	// there already, where Slack gives none now.
	readersFor = time.Minute
)

// places knows which channels there are, and which the bot may post into.
type places struct {
	api     *slack.Client
	readers *inquiry[error] // why the bot may not post into a channel; nil: it may

	mu    sync.Mutex
	known map[string]channelFacts
	names map[string]string // channel name → id
	named time.Time
}

// channelFacts are the last answer about a channel.
type channelFacts struct {
	at  time.Time
	why error // why the bot may not post there; nil: it may
}

// namesFor is short, since somebody who is told to /invite does so at once.
const namesFor = 5 * time.Second

func newPlaces(api *slack.Client) *places {
	return &places{api: api, readers: newInquiry[error]("conversations.info"), known: map[string]channelFacts{}, names: map[string]string{}}
}

// unknownReaders is that Slack did not say who reads a channel.
type unknownReaders struct{ err error }

func (u *unknownReaders) Error() string { return u.err.Error() }
func (u *unknownReaders) Unwrap() error { return u.err }

// postable returns nil if the bot may post something new into the channel,
// *notHere if it may not, and *unknownReaders if that cannot be told. It asks
// Slack now.
func (p *places) postable(ctx context.Context, channel string) error {
	return p.readable(ctx, channel, 0, 0)
}

// readable is postable, content with an answer of some age, and, where Slack
// gives none, with an older one.
//
// A direct message is not asked about, which would need the scope im:read: the
// post itself tells.
func (p *places) readable(ctx context.Context, channel string, age, fallback time.Duration) error {
	if isDirect(channel) || render.IsUserID(channel) {
		return nil
	}
	why, err := p.readers.ask(ctx, channel, age, func(ctx context.Context) (error, error) { return p.info(ctx, channel) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		if len(p.known) > 1000 {
			clear(p.known)
		}
		p.known[channel] = channelFacts{time.Now(), why}
		return why
	}
	if last, ok := p.known[channel]; ok && time.Since(last.at) < fallback {
		return last.why
	}
	return &unknownReaders{err}
}

// info is one call of conversations.info: why the bot may not post there, if
// Slack says so.
func (p *places) info(ctx context.Context, channel string) (why, err error) {
	c, err := p.api.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: channel})
	var refused slack.SlackErrorResponse
	if errors.As(err, &refused) {
		switch refused.Err {
		case "channel_not_found":
			return &notHere{text: "jwksbot is not a member of this private channel.", invite: true}, nil
		case "missing_scope":
			if strings.Contains(refused.Needed, "im:read") {
				return nil, nil // a conversation of a few people: the post itself tells
			}
			return nil, err // says which scope
		}
	}
	switch {
	case err != nil:
		return nil, err
	case c.IsIM:
		return nil, nil
	case c.IsArchived:
		return &notHere{text: "This channel is archived."}, nil
	case c.IsExtShared:
		return &notHere{text: "This channel is shared with another organisation, so jwksbot does not post into it.", shared: true}, nil
	case !c.IsMember:
		return &notHere{text: "jwksbot is not a member of this channel.", invite: true}, nil
	}
	return nil, nil
}

// privately says why something is for one person alone and not for the channel;
// nil where the error is about something else.
func privately(channel string, err error) *notHere {
	var here *notHere
	code := slackCode(err)
	switch {
	case errors.As(err, &here):
		return here
	case errors.As(err, new(*unknownReaders)):
		return &notHere{text: "Slack did not say who reads this channel, so only you see this."}
	case closed(code):
		return &notHere{text: "jwksbot may not post here.", invite: code != "is_archived" && !isDirect(channel)}
	}
	return nil
}

// unsure refuses a request whose card has no channel that is known to be right.
func unsure(err error) error {
	if errors.As(err, new(*unknownReaders)) {
		return &runbook.Refusal{Code: "no_channel", Text: "Slack did not say who reads the channel of the approval card, so nothing was requested. Try again in a minute."}
	}
	return err
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
