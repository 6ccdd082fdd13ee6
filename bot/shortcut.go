package bot

import (
	"context"
	"strings"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// callbackPick is the small modal in which a target is picked for a shortcut.
const callbackPick = "pick_target"

// shortcut runs a check in the thread of the message that it was used on:
// slash commands do not work in threads.
func (b *Bot) shortcut(ctx context.Context, from place, call slack.InteractionCallback) error {
	if call.CallbackID != callbackShortcut {
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
	return b.openView(ctx, from, pickModal(runbook.Names(targets), from))
}

// pickModal asks for a target; it remembers the thread, which grants nothing.
func pickModal(targets []string, from place) slack.ModalViewRequest {
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: callbackPick, PrivateMetadata: from.channel + " " + from.thread,
		Title: plainText("Run JWKS check", 24), Submit: plainText("Check", 24), Close: plainText("Cancel", 24),
		Blocks: slack.Blocks{BlockSet: []slack.Block{targetSelect(targets, targets[0])}},
	}
}

func (b *Bot) picked(ctx context.Context, from place, v slack.View) error {
	channel, thread, _ := strings.Cut(v.PrivateMetadata, " ")
	from.moveTo(channel)
	from.thread = thread
	target := inputOf(v, blockTarget).SelectedOption.Value
	return b.check(ctx, from, asked{target: target, since: runbook.DefaultWindow})
}
