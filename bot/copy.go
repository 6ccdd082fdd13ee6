package bot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/runbook"
)

// A run has one message. A crash between posting it and remembering it, or a
// post whose answer was lost, leaves a second one behind. Nobody can list the
// bot's messages, but whoever presses a button of one shows where it is.

// clickedOn returns the message whose button was pressed and the id of the run
// that the button is about, "" if it is about none.
func clickedOn(call slack.InteractionCallback) (post runbook.Post, id string) {
	if call.Type != slack.InteractionTypeBlockActions || call.Container.IsEphemeral || call.Container.MessageTs == "" ||
		len(call.ActionCallback.BlockActions) == 0 {
		return post, ""
	}
	action := call.ActionCallback.BlockActions[0]
	if !render.OnRun(action.ActionID) || action.ActionID == render.ActionGotIt { // which stands on the call for help too
		return post, ""
	}
	ref, ok := render.ParsePlanRef(action.Value)
	if !ok {
		return post, ""
	}
	return runbook.Post{Channel: originOfCall(call).channel, TS: call.Container.MessageTs}, ref.Run
}

// adoptCopy remembers a message that nobody remembers as the run's own.
func (b *Bot) adoptCopy(ctx context.Context, call slack.InteractionCallback, id string) error {
	post, _ := clickedOn(call)
	if post.TS == "" {
		return nil
	}
	run, err := b.Ledger.Run(ctx, id)
	if err != nil || run.Post.TS != "" {
		return nil // the service says what is wrong with it
	}
	b.Log.Info("a run's message was found again", "run", id, "channel", post.Channel)
	return b.Ledger.MarkShown(ctx, id, run.Shown, post)
}

// retireWithin is what may be spent on that: the button stays where Slack takes
// no update for longer, and the next press tries again.
const retireWithin = 10 * time.Second

// retireCopy takes the buttons off a message that is not the run's present one
// and shows the way there.
func (b *Bot) retireCopy(ctx context.Context, call slack.InteractionCallback) error {
	post, id := clickedOn(call)
	if id == "" {
		return nil
	}
	run, err := b.Ledger.Run(ctx, id)
	if errors.Is(err, runbook.ErrUnknownRun) {
		return nil
	}
	if err != nil {
		return err
	}
	if run.Post.TS == "" || run.Post.Channel == post.Channel && run.Post.TS == post.TS {
		return nil
	}
	link, err := b.API.GetPermalinkContext(ctx, &slack.PermalinkParameters{Channel: run.Post.Channel, Ts: run.Post.TS})
	if err != nil {
		link = "" // its channel has to do
	}
	if err := b.send.replace(ctx, post.Channel, post.TS, render.OlderCopy(run, link)); err != nil {
		return fmt.Errorf("retire an older copy of the message of run %s: %w", run.ID, err)
	}
	return nil
}
