package bot

import (
	"context"
	"errors"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/runbook"
)

// How hard an answer to one person is tried: every way with its own limit, and
// all of them again after a while.
const privateWithin = 5 * time.Second

var privateRetries = []time.Duration{0, 2 * time.Second, 5 * time.Second}

// private answers somebody alone, with finished markup.
func (b *Bot) private(ctx context.Context, from origin, text string) {
	b.privateMessage(ctx, from, render.Message{Text: text})
}

// privateMessage answers somebody alone: over the response URL if there is
// one, else in the channel, else directly. It must not fail in silence, so the
// log is told if no way was open.
func (b *Bot) privateMessage(ctx context.Context, from origin, m render.Message) {
	if from.user == "" && from.responseURL == "" {
		return // nobody to answer, such as for an event
	}
	from.answered()
	var err error
	for _, wait := range privateRetries {
		if (runbook.SystemClock{}).Wait(ctx, wait) != nil && wait > 0 {
			break
		}
		if err = b.sendPrivately(ctx, from, m); err == nil {
			return
		}
	}
	b.Log.Error("a private answer could not be given", "user", from.user, "channel", from.channel, "error", err)
}

func (b *Bot) sendPrivately(ctx context.Context, from origin, m render.Message) error {
	var all []error
	for _, way := range []func(context.Context, origin, render.Message) error{b.viaResponseURL, b.viaEphemeral, b.viaDirectMessage} {
		// Also an answer that comes with the shutdown is given.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), privateWithin)
		err := way(ctx, from, m)
		cancel()
		if err == nil {
			return nil
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (b *Bot) viaResponseURL(ctx context.Context, from origin, m render.Message) error {
	if from.responseURL == "" {
		return errors.New("no response URL")
	}
	hook := &slack.WebhookMessage{Text: m.Text, ResponseType: slack.ResponseTypeEphemeral, ThreadTimestamp: from.thread}
	if len(m.Blocks) > 0 {
		hook.Blocks = &slack.Blocks{BlockSet: m.Blocks}
	}
	if err := slack.PostWebhookCustomHTTPContext(ctx, from.responseURL, b.http, hook); err != nil {
		return errors.New("the response URL refused it") // the URL itself is a secret
	}
	return nil
}

func (b *Bot) viaEphemeral(ctx context.Context, from origin, m render.Message) error {
	if from.channel == "" || from.user == "" {
		return errors.New("no channel")
	}
	opts := []slack.MsgOption{slack.MsgOptionText(m.Text, false)}
	if len(m.Blocks) > 0 {
		opts = append(opts, slack.MsgOptionBlocks(m.Blocks...))
	}
	if from.thread != "" {
		opts = append(opts, slack.MsgOptionTS(from.thread))
	}
	_, err := b.API.PostEphemeralContext(ctx, from.channel, from.user, opts...)
	return err
}

func (b *Bot) viaDirectMessage(ctx context.Context, from origin, m render.Message) error {
	if from.user == "" {
		return errors.New("no user")
	}
	// A user id as the channel is the conversation with the app (chat:write).
	_, err := b.send.post(ctx, from.user, "", false, m)
	return err
}
