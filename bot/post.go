package bot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/runbook"
)

// sender sends messages. It knows which errors a retry can help, keeps off a
// method for as long as Slack asked, and posts no faster than Slack likes.
//
// Nothing new goes into a channel before Slack has said who reads it: into the
// channel itself by an answer of now, into a thread by one of just before. What
// stands there already is kept up to date as long as the last answer allows it.
type sender struct {
	api      *slack.Client
	channels *channelCache
	may      func() bool // asked right before a message is sent; nil: it always may
	*rateLimits
}

// rateLimits are how fast Slack may be asked. All senders of a process share them.
type rateLimits struct {
	mu        sync.Mutex
	heldUntil map[string]time.Time // method → not before
	freeAt    map[string]time.Time // channel → when it has taken every post at one a second
}

func newSender(api *slack.Client, channels *channelCache) *sender {
	return &sender{api: api, channels: channels, rateLimits: &rateLimits{heldUntil: map[string]time.Time{}, freeAt: map[string]time.Time{}}}
}

// onlyWhile is the sender that sends only while may says so.
func (s *sender) onlyWhile(may func() bool) *sender {
	return &sender{s.api, s.channels, may, s.rateLimits}
}

// errNotPresenter says that another process sends the messages of runs.
var errNotPresenter = errors.New("another process posts the messages of runs now")

const (
	methodPost   = "chat.postMessage"
	methodUpdate = "chat.update"

	// sendAttempts is how often something is sent that nobody else repeats.
	sendAttempts = 5
	// maxHold bounds how long a Retry-After is believed.
	maxHold = 5 * time.Minute

	// Slack takes one post a second in a channel and tolerates short bursts
	// (docs.slack.dev/apis/web-api/rate-limits).
	postEvery = time.Second
	postBurst = 4
)

// waitForChannel waits until the channel may be posted into.
func (s *sender) waitForChannel(ctx context.Context, channel string) error {
	s.mu.Lock()
	now := time.Now()
	if len(s.freeAt) > 1000 {
		clear(s.freeAt)
	}
	free := s.freeAt[channel]
	if free.Before(now) {
		free = now
	}
	s.freeAt[channel] = free.Add(postEvery)
	s.mu.Unlock()
	return runbook.SystemClock{}.Wait(ctx, free.Sub(now)-(postBurst-1)*postEvery)
}

// retryError says that a later attempt can help, and when.
type retryError struct {
	after time.Duration
	asked bool // Slack named the time
	err   error
}

func (e *retryError) Error() string { return e.err.Error() }
func (e *retryError) Unwrap() error { return e.err }

// classify tells errors that a retry can help from those that it cannot.
func classify(err error) error {
	var limited *slack.RateLimitedError
	var status slack.StatusCodeError
	var refused slack.SlackErrorResponse
	var network net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limited):
		return &retryError{min(limited.RetryAfter, maxHold), true, err}
	case errors.As(err, &status) && status.Code >= 500,
		errors.As(err, &network),
		errors.As(err, &refused) && (refused.Err == "internal_error" || refused.Err == "fatal_error" || refused.Err == "service_unavailable" || refused.Err == "request_timeout"):
		return &retryError{time.Second, false, err}
	}
	return err
}

// held says how long to keep off a method.
func (s *sender) held(method string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Until(s.heldUntil[method])
}

// attempt makes one call, unless the method is on hold.
func (s *sender) attempt(method string, call func() error) error {
	if d := s.held(method); d > 0 {
		return &retryError{d, true, fmt.Errorf("%s: on hold for %s, as Slack asked", method, d.Round(time.Second))}
	}
	err := classify(call())
	var again *retryError
	var limited *slack.RateLimitedError
	if errors.As(err, &again) && errors.As(err, &limited) {
		s.mu.Lock()
		s.heldUntil[method] = time.Now().Add(again.after)
		s.mu.Unlock()
	}
	return err
}

// allowed is asked right before a message of a run is sent.
func (s *sender) allowed() error {
	if s.may != nil && !s.may() {
		return errNotPresenter
	}
	return nil
}

// retry repeats a call until it succeeds, a retry cannot help, or it was
// tried often enough.
func (s *sender) retry(ctx context.Context, method string, call func() error) error {
	var err error
	for n := 1; n <= sendAttempts; n++ {
		err = s.attempt(method, call)
		var again *retryError
		if err == nil || !errors.As(err, &again) || n == sendAttempts {
			break
		}
		wait := again.after
		if !again.asked {
			wait *= time.Duration(n)
		}
		if werr := (runbook.SystemClock{}).Wait(ctx, wait); werr != nil {
			return errors.Join(err, werr)
		}
	}
	return err
}

// messageOptions are those of every message: fallback text, blocks, metadata, and no
// unfolding of links.
func messageOptions(m render.Message) []slack.MsgOption {
	m = m.Complete()
	return []slack.MsgOption{slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(m.Blocks...), slack.MsgOptionMetadata(m.Metadata),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl()}
}

// admit says whether something new may go into a channel, or into a thread of it.
func (s *sender) admit(ctx context.Context, channel, thread string, broadcast bool) error {
	if thread != "" && !broadcast {
		return s.channels.readable(ctx, channel, threadAge, readersFor)
	}
	return s.channels.postable(ctx, channel)
}

// post sends a new message once and returns its timestamp. broadcast shows a
// threaded message in the channel as well.
func (s *sender) post(ctx context.Context, channel, thread string, broadcast bool, m render.Message) (ts string, err error) {
	if err := s.admit(ctx, channel, thread, broadcast); err != nil {
		return "", err
	}
	opts := messageOptions(m)
	if thread != "" {
		opts = append(opts, slack.MsgOptionTS(thread))
		if broadcast {
			opts = append(opts, slack.MsgOptionBroadcast())
		}
	}
	err = s.attempt(methodPost, func() error {
		if err := errors.Join(s.waitForChannel(ctx, channel), s.allowed()); err != nil {
			return err
		}
		_, ts, err = s.api.PostMessageContext(ctx, channel, opts...)
		return err
	})
	return ts, err
}

// postRetrying is post, repeated where that can help. A post whose answer was
// lost may then stand there twice, which is better than not at all.
func (s *sender) postRetrying(ctx context.Context, channel, thread string, m render.Message) (ts string, err error) {
	if err := s.admit(ctx, channel, thread, false); err != nil {
		return "", err
	}
	opts := messageOptions(m)
	if thread != "" {
		opts = append(opts, slack.MsgOptionTS(thread))
	}
	err = s.retry(ctx, methodPost, func() error {
		if err := s.waitForChannel(ctx, channel); err != nil {
			return err
		}
		_, ts, err = s.api.PostMessageContext(ctx, channel, opts...)
		return err
	})
	return ts, err
}

// update replaces a message once.
func (s *sender) update(ctx context.Context, channel, ts string, m render.Message) error {
	if err := s.channels.readable(ctx, channel, 0, readersFor); err != nil {
		return err
	}
	return s.attempt(methodUpdate, s.replacing(ctx, channel, ts, m))
}

// updateRetrying is update for something new, repeated where that can help.
func (s *sender) updateRetrying(ctx context.Context, channel, ts string, m render.Message) error {
	if err := s.channels.postable(ctx, channel); err != nil {
		return err
	}
	return s.replace(ctx, channel, ts, m)
}

// replace puts something into the place of a message that anybody may read.
func (s *sender) replace(ctx context.Context, channel, ts string, m render.Message) error {
	return s.retry(ctx, methodUpdate, s.replacing(ctx, channel, ts, m))
}

func (s *sender) replacing(ctx context.Context, channel, ts string, m render.Message) func() error {
	return func() error {
		if err := s.allowed(); err != nil {
			return err
		}
		_, _, _, err := s.api.UpdateMessageContext(ctx, channel, ts, messageOptions(m)...)
		return err
	}
}

// slackCode is the error code of Slack, "" for any other error.
func slackCode(err error) string {
	var refused slack.SlackErrorResponse
	if errors.As(err, &refused) {
		return refused.Err
	}
	return ""
}
