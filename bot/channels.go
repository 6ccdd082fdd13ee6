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

	"jwksbot/bot/render"
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

// channelCache knows which channels there are, and which the bot may post into.
type channelCache struct {
	api     *slack.Client
	lookups *sharedCalls[error] // why the bot may not post into a channel; nil: it may

	mu      sync.Mutex
	answers map[string]channelAnswer
	names   map[string]string // channel name → id
	named   time.Time
}

// channelAnswer is the last answer about a channel.
type channelAnswer struct {
	at  time.Time
	why error // why the bot may not post there; nil: it may
}

// namesFor is short, since somebody who is told to /invite does so at once.
const namesFor = 5 * time.Second

func newChannelCache(api *slack.Client) *channelCache {
	return &channelCache{api: api, lookups: newSharedCalls[error]("conversations.info"), answers: map[string]channelAnswer{}, names: map[string]string{}}
}

// readersUnknown is that Slack did not say who reads a channel.
type readersUnknown struct{ err error }

func (u *readersUnknown) Error() string { return u.err.Error() }
func (u *readersUnknown) Unwrap() error { return u.err }

// postable returns nil if the bot may post something new into the channel,
// *notPostable if it may not, and *readersUnknown if that cannot be told. It asks
// Slack now.
func (cache *channelCache) postable(ctx context.Context, channel string) error {
	return cache.readable(ctx, channel, 0, 0)
}

// readable is postable, content with an answer of some age, and, where Slack
// gives none, with an older one.
//
// A direct message is not asked about, which would need the scope im:read: the
// post itself tells.
func (cache *channelCache) readable(ctx context.Context, channel string, age, fallback time.Duration) error {
	if isDirect(channel) || render.IsUserID(channel) {
		return nil
	}
	why, err := cache.lookups.do(ctx, channel, age, func(ctx context.Context) (error, error) { return cache.info(ctx, channel) })
	cache.mu.Lock()
	defer cache.mu.Unlock()
	if err == nil {
		if len(cache.answers) > 1000 {
			clear(cache.answers)
		}
		cache.answers[channel] = channelAnswer{time.Now(), why}
		return why
	}
	if last, ok := cache.answers[channel]; ok && time.Since(last.at) < fallback {
		return last.why
	}
	return &readersUnknown{err}
}

// info is one call of conversations.info: why the bot may not post there, if
// Slack says so.
func (cache *channelCache) info(ctx context.Context, channel string) (why, err error) {
	c, err := cache.api.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: channel})
	var refused slack.SlackErrorResponse
	if errors.As(err, &refused) {
		switch refused.Err {
		case "channel_not_found":
			return &notPostable{text: "jwksbot is not a member of this private channel.", invite: true}, nil
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
		return &notPostable{text: "This channel is archived."}, nil
	case c.IsExtShared:
		return &notPostable{text: "This channel is shared with another organisation, so jwksbot does not post here.", shared: true}, nil
	case !c.IsMember:
		return &notPostable{text: "jwksbot is not a member of this channel.", invite: true}, nil
	}
	return nil, nil
}

var channelID = regexp.MustCompile(`^[CDG][A-Z0-9]{2,}$`)

// resolve turns a channel's name of the configuration into its id; an id stays.
func (cache *channelCache) resolve(ctx context.Context, name string) (string, error) {
	name = strings.TrimPrefix(strings.TrimSpace(name), "#")
	if channelID.MatchString(name) {
		return name, nil
	}
	if name == "" {
		return "", errors.New("no channel is configured for this target: set channel")
	}
	cache.mu.Lock()
	id, fresh := cache.names[name], time.Since(cache.named) < namesFor
	cache.mu.Unlock()
	if id != "" {
		return id, nil
	}
	if !fresh {
		if err := cache.listJoined(ctx); err != nil {
			return "", err
		}
	}
	cache.mu.Lock()
	defer cache.mu.Unlock()
	if id := cache.names[name]; id != "" {
		return id, nil
	}
	return "", &notPostable{text: fmt.Sprintf("jwksbot is not a member of #%s, the channel of this target.", name), invite: true}
}

// listJoined reads the channels that the bot is in.
func (cache *channelCache) listJoined(ctx context.Context) error {
	in := &slack.GetConversationsForUserParameters{Types: []string{"public_channel", "private_channel"}, ExcludeArchived: true, Limit: 200}
	for {
		channels, next, err := cache.api.GetConversationsForUserContext(ctx, in)
		if err != nil {
			return fmt.Errorf("users.conversations: %w", err)
		}
		cache.mu.Lock()
		for _, c := range channels {
			cache.names[c.Name] = c.ID
		}
		cache.named = time.Now()
		cache.mu.Unlock()
		if next == "" {
			return nil
		}
		in.Cursor = next
	}
}
