package bot

import (
	"context"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/runbook"
)

// shortcut does the work of a message shortcut.
func (b *Bot) shortcut(ctx context.Context, from place, call slack.InteractionCallback) error {
	for _, s := range Shortcuts() {
		if s.ID == call.CallbackID {
			return s.run(b, ctx, from, call)
		}
	}
	return &runbook.Refusal{Code: "unknown_shortcut", Text: "jwksbot does not know this shortcut; it may be of another version. Use `/jwks-check`."}
}

// checkHere runs a check in the thread of the message that it was used on:
// slash commands do not work in threads.
func (b *Bot) checkHere(ctx context.Context, from place, call slack.InteractionCallback) error {
	from.thread = call.Message.ThreadTimestamp
	if from.thread == "" {
		from.thread = call.MessageTs
	}
	targets, err := b.Desk.ViewAll(ctx, from.user)
	if err != nil {
		return err
	}
	if len(targets) == 1 {
		return b.check(ctx, from, line{target: targets[0].Name, since: runbook.DefaultWindow})
	}
	return b.openView(ctx, from, render.PickForm(runbook.Names(targets), from.channel, from.thread))
}

// picked runs the check of checkHere once a target was chosen.
func (b *Bot) picked(ctx context.Context, from place, channel, thread, target string) error {
	from.moveTo(channel)
	from.thread = thread
	return b.check(ctx, from, line{target: target, since: runbook.DefaultWindow})
}
