package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// sender sends messages. It knows which errors a retry can help, and keeps off
// a method for as long as Slack asked.
type sender struct {
	api  *slack.Client
	log  *slog.Logger
	http *http.Client

	mu   sync.Mutex
	hold map[string]time.Time // method → not before
}

func newSender(api *slack.Client, log *slog.Logger) *sender {
	return &sender{api: api, log: log, http: &http.Client{Timeout: 10 * time.Second}, hold: map[string]time.Time{}}
}

const (
	methodPost   = "chat.postMessage"
	methodUpdate = "chat.update"

	// sendAttempts is how often something is sent that nobody else repeats.
	sendAttempts = 5
	// maxHold bounds how long a Retry-After is believed.
	maxHold = 5 * time.Minute
)

// retryError says that a later attempt can help, and when.
type retryError struct {
	after time.Duration
	err   error
}

func (e *retryError) Error() string { return e.err.Error() }
func (e *retryError) Unwrap() error { return e.err }

// judge tells errors that a retry can help from those that it cannot.
func judge(err error) error {
	var limited *slack.RateLimitedError
	var status slack.StatusCodeError
	var refused slack.SlackErrorResponse
	var network net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limited):
		return &retryError{min(limited.RetryAfter, maxHold), err}
	case errors.As(err, &status) && status.Code >= 500,
		errors.As(err, &network),
		errors.As(err, &refused) && (refused.Err == "internal_error" || refused.Err == "fatal_error" || refused.Err == "service_unavailable" || refused.Err == "request_timeout"):
		return &retryError{time.Second, err}
	}
	return err
}

// held says how long to keep off a method.
func (s *sender) held(method string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Until(s.hold[method])
}

// attempt makes one call, unless the method is on hold.
func (s *sender) attempt(method string, call func() error) error {
	if d := s.held(method); d > 0 {
		return &retryError{d, fmt.Errorf("%s: on hold for %s, as Slack asked", method, d.Round(time.Second))}
	}
	err := judge(call())
	var again *retryError
	var limited *slack.RateLimitedError
	if errors.As(err, &again) && errors.As(err, &limited) {
		s.mu.Lock()
		s.hold[method] = time.Now().Add(again.after)
		s.mu.Unlock()
	}
	return err
}

// insist repeats a call until it succeeds, a retry cannot help, or it was
// tried often enough.
func (s *sender) insist(ctx context.Context, method string, call func() error) error {
	var err error
	for n := 1; n <= sendAttempts; n++ {
		err = s.attempt(method, call)
		var again *retryError
		if err == nil || !errors.As(err, &again) || n == sendAttempts {
			break
		}
		wait := time.NewTimer(again.after * time.Duration(n))
		select {
		case <-ctx.Done():
			wait.Stop()
			return errors.Join(err, ctx.Err())
		case <-wait.C:
		}
	}
	return err
}

// options are those of every message: fallback text, blocks, metadata, and no
// unfolding of links.
func (m message) options() []slack.MsgOption {
	opts := []slack.MsgOption{slack.MsgOptionText(m.text(), false), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl()}
	if len(m.Blocks) > 0 {
		opts = append(opts, slack.MsgOptionBlocks(m.Blocks...))
	}
	if m.Metadata.EventType != "" {
		opts = append(opts, slack.MsgOptionMetadata(m.Metadata))
	}
	return opts
}

// post sends a new message once and returns its timestamp. broadcast shows a
// threaded message in the channel as well.
func (s *sender) post(ctx context.Context, channel, thread string, broadcast bool, m message) (ts string, err error) {
	opts := m.options()
	if thread != "" {
		opts = append(opts, slack.MsgOptionTS(thread))
		if broadcast {
			opts = append(opts, slack.MsgOptionBroadcast())
		}
	}
	err = s.attempt(methodPost, func() error {
		_, ts, err = s.api.PostMessageContext(ctx, channel, opts...)
		return err
	})
	return ts, err
}

// postSurely is post, repeated where that can help.
func (s *sender) postSurely(ctx context.Context, channel, thread string, m message) (ts string, err error) {
	opts := m.options()
	if thread != "" {
		opts = append(opts, slack.MsgOptionTS(thread))
	}
	err = s.insist(ctx, methodPost, func() error {
		_, ts, err = s.api.PostMessageContext(ctx, channel, opts...)
		return err
	})
	return ts, err
}

// update replaces a message once.
func (s *sender) update(ctx context.Context, channel, ts string, m message) error {
	return s.attempt(methodUpdate, func() error {
		_, _, _, err := s.api.UpdateMessageContext(ctx, channel, ts, m.options()...)
		return err
	})
}

// updateSurely is update, repeated where that can help.
func (s *sender) updateSurely(ctx context.Context, channel, ts string, m message) error {
	return s.insist(ctx, methodUpdate, func() error {
		_, _, _, err := s.api.UpdateMessageContext(ctx, channel, ts, m.options()...)
		return err
	})
}

// slackCode is the error code of Slack, "" for any other error.
func slackCode(err error) string {
	var refused slack.SlackErrorResponse
	if errors.As(err, &refused) {
		return refused.Err
	}
	return ""
}

// private answers somebody alone.
func (b *Bot) private(ctx context.Context, from place, text string) {
	b.privateMessage(ctx, from, message{Text: text})
}

// privateMessage answers somebody alone: over the response URL if there is
// one, else in the channel, else directly. It must not fail in silence, so the
// log is told if no way was open.
func (b *Bot) privateMessage(ctx context.Context, from place, m message) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var all []error
	for _, way := range []func(context.Context, place, message) error{b.overURL, b.inChannel, b.directly} {
		err := way(ctx, from, m)
		if err == nil {
			return
		}
		all = append(all, err)
	}
	b.Log.Error("a private answer could not be given", "user", from.user, "channel", from.channel, "error", errors.Join(all...))
}

func (b *Bot) overURL(ctx context.Context, from place, m message) error {
	if from.responseURL == "" {
		return errors.New("no response URL")
	}
	hook := &slack.WebhookMessage{Text: m.text(), ResponseType: slack.ResponseTypeEphemeral}
	if len(m.Blocks) > 0 {
		hook.Blocks = &slack.Blocks{BlockSet: m.Blocks}
	}
	if err := slack.PostWebhookCustomHTTPContext(ctx, from.responseURL, b.send.http, hook); err != nil {
		return errors.New("the response URL refused it") // the URL itself is a secret
	}
	return nil
}

// text is the fallback of a message with blocks, or finished markup of one
// without.
func (m message) text() string {
	if len(m.Blocks) > 0 {
		return escape(m.Text)
	}
	return m.Text
}

func (b *Bot) inChannel(ctx context.Context, from place, m message) error {
	if from.channel == "" || from.user == "" {
		return errors.New("no channel")
	}
	opts := []slack.MsgOption{slack.MsgOptionText(m.text(), false)}
	if len(m.Blocks) > 0 {
		opts = append(opts, slack.MsgOptionBlocks(m.Blocks...))
	}
	if from.thread != "" {
		opts = append(opts, slack.MsgOptionTS(from.thread))
	}
	_, err := b.API.PostEphemeralContext(ctx, from.channel, from.user, opts...)
	return err
}

func (b *Bot) directly(ctx context.Context, from place, m message) error {
	if from.user == "" {
		return errors.New("no user")
	}
	opts := []slack.MsgOption{slack.MsgOptionText(m.text(), false)}
	if len(m.Blocks) > 0 {
		opts = append(opts, slack.MsgOptionBlocks(m.Blocks...))
	}
	// A user id as the channel is the conversation with the app (chat:write).
	_, _, err := b.API.PostMessageContext(ctx, from.user, opts...)
	return err
}
