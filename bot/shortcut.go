package bot

import (
	"context"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/runbook"
)

// shortcut runs a check in the thread of the message that it was used on:
// slash commands do not work in threads.
func (b *Bot) shortcut(ctx context.Context, from place, call slack.InteractionCallback) error {
	if call.CallbackID != render.CallbackShortcut {
		return &runbook.Refusal{Code: "unknown_shortcut", Text: "jwksbot does not know this shortcut; it may be of another version. Use `/jwks-check`."}
	}
	from.thread = call.Message.ThreadTimestamp
	if from.thread == "" {
		from.thread = call.MessageTs
	}
	targets, err := b.Desk.ViewAll(ctx, from.user)
	if err != nil {
		return err
	}
	if len(targets) == 1 {
		return b.check(ctx, from, asked{target: targets[0].Name, since: runbook.DefaultWindow})
	}
	return b.openView(ctx, from, render.PickForm(runbook.Names(targets), from.channel, from.thread))
}

func (b *Bot) picked(ctx context.Context, from place, v slack.View) error {
	channel, thread, target := render.ReadPickForm(v)
	from.moveTo(channel)
	from.thread = thread
	return b.check(ctx, from, asked{target: target, since: runbook.DefaultWindow})
}
