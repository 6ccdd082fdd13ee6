package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// callbackPick is the small modal in which a target is picked for a shortcut.
const callbackPick = "pick_target"

// limitHome is how many blocks a Home tab holds (docs.slack.dev/surfaces/app-home).
const limitHome = 100

const (
	blockPick  = "target"
	actionPick = "target"
)

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
	targets := b.Desk.Targets()
	if len(targets) == 1 {
		return b.check(ctx, from, asked{target: targets[0], since: runbook.DefaultWindow})
	}
	return b.openView(ctx, from, pickModal(targets, from))
}

// pickModal asks for a target; it remembers the thread, which grants nothing.
func pickModal(targets []string, from place) slack.ModalViewRequest {
	options := make([]*slack.OptionBlockObject, 0, len(targets))
	for _, t := range targets[:min(len(targets), limitOptions)] {
		options = append(options, slack.NewOptionBlockObject(clip(t, limitOption), plainText(t, limitOption), nil))
	}
	choice := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, nil, actionPick, options...)
	choice.InitialOption = options[0]
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: callbackPick, PrivateMetadata: from.channel + " " + from.thread,
		Title: plainText("Run JWKS check", 24), Submit: plainText("Check", 24), Close: plainText("Cancel", 24),
		Blocks: slack.Blocks{BlockSet: []slack.Block{slack.NewInputBlock(blockPick, plainText("Target", 100), nil, choice)}},
	}
}

func (b *Bot) picked(ctx context.Context, from place, v slack.View) error {
	from.channel, from.thread, _ = strings.Cut(v.PrivateMetadata, " ")
	if v.State == nil {
		return nil
	}
	target := v.State.Values[blockPick][actionPick].SelectedOption.Value
	return b.check(ctx, from, asked{target: target, since: runbook.DefaultWindow})
}

// homeEvent is the part of an event that is read.
type homeEvent struct {
	Type string `json:"type"`
	User string `json:"user"`
	Tab  string `json:"tab"`
}

func decodeEvent(env Envelope) (homeEvent, error) {
	var outer struct {
		Event homeEvent `json:"event"`
	}
	if len(env.Payload) > maxPayload {
		return homeEvent{}, fmt.Errorf("envelope %q: its payload of %d bytes is above the limit", env.ID, len(env.Payload))
	}
	err := json.Unmarshal(env.Payload, &outer)
	return outer.Event, err
}

// publishHome shows targets, requests that wait, and the latest runs.
func (b *Bot) publishHome(ctx context.Context, user string) error {
	view := slack.HomeTabViewRequest{Type: slack.VTHomeTab}
	names, err := b.visible(ctx, user)
	var refusal *runbook.Refusal
	switch {
	case errors.As(err, &refusal):
		view.Blocks.BlockSet = []slack.Block{section("jwksbot looks after signing keys in caches."), section(refusalText(refusal))}
	case err != nil:
		return err
	default:
		runs, err := b.newest(ctx, names)
		if err != nil {
			return err
		}
		view.Blocks.BlockSet = append(statusMessage(names, runs, b.Clock.Now()).Blocks, historyMessage(runs[:min(len(runs), maxRunsShown)]).Blocks...)
	}
	view.Blocks.BlockSet = view.Blocks.BlockSet[:min(len(view.Blocks.BlockSet), limitHome)]
	_, err = b.API.PublishViewContext(ctx, slack.PublishViewContextRequest{UserID: user, View: view})
	if err != nil {
		return fmt.Errorf("views.publish: %w", err)
	}
	return nil
}
