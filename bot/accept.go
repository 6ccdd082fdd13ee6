package bot

import (
	"context"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/bot/socket"
)

// Accept reads an envelope, once: whose it is, what can be answered without any
// I/O, and what there is to do. It is called before the acknowledgement.
func (b *Bot) Accept(env socket.Envelope) (w socket.Work) {
	var err error
	switch env.Type {
	case socket.TypeCommand:
		w, err = b.acceptCommand(env)
	case socket.TypeInteraction:
		w, err = b.acceptInteraction(env)
	case socket.TypeEvent:
		w, err = b.acceptEvent(env)
	}
	if err != nil {
		b.Log.Warn("what Slack sent could not be read", "error", err)
	}
	return w
}

// acceptCommand reads a slash command; a line that makes no sense is answered at
// once.
func (b *Bot) acceptCommand(env socket.Envelope) (socket.Work, error) {
	cmd, err := env.Command()
	if err != nil {
		return socket.Work{}, err
	}
	l, does, err := parseLine(cmd.Command, cmd.Text)
	if err != nil {
		return socket.Work{Person: cmd.UserID, Reply: map[string]any{"response_type": "ephemeral", "text": err.Error()}}, nil
	}
	return socket.Work{Person: cmd.UserID, Lane: does.lane, Do: func(ctx context.Context) {
		b.serve(ctx, originOfCommand(cmd), func(from origin) error { return does.run(b, ctx, from, l) })
	}}, nil
}

// acceptInteraction reads a click, a shortcut or a submitted form.
func (b *Bot) acceptInteraction(env socket.Envelope) (socket.Work, error) {
	call, err := env.Interaction()
	if err != nil {
		return socket.Work{}, err
	}
	w := socket.Work{Person: call.User.ID, Lane: laneOfCall(call)}
	switch call.Type {
	case slack.InteractionTypeBlockActions:
		w.Do = func(ctx context.Context) { b.clicked(ctx, call) }
	case slack.InteractionTypeViewSubmission:
		reply, do := b.readForm(call.View)
		if w.Reply = reply; do == nil {
			return w, nil
		}
		w.Do = func(ctx context.Context) {
			b.serve(ctx, originOfCall(call), func(from origin) error { return b.submit(ctx, from, do) })
		}
	case slack.InteractionTypeMessageAction:
		w.Do = func(ctx context.Context) {
			b.serve(ctx, originOfCall(call), func(from origin) error { return b.shortcut(ctx, from, call) })
		}
	}
	return w, nil // closing a form asks for nothing
}

// laneOfCall separates checks, which take as long as other systems do, from what
// must have an answer within three seconds.
func laneOfCall(call slack.InteractionCallback) socket.Lane {
	switch call.Type {
	case slack.InteractionTypeBlockActions:
		if all := call.ActionCallback.BlockActions; len(all) > 0 && all[0].ActionID == render.ActionCheckAgain {
			return socket.LaneSlow
		}
	case slack.InteractionTypeViewSubmission:
		if call.View.CallbackID == render.CallbackPick {
			return socket.LaneSlow
		}
	case slack.InteractionTypeMessageAction:
		return socket.LaneSlow
	}
	return socket.LaneQuick
}

// acceptEvent reads an event: somebody opened their Home tab.
func (b *Bot) acceptEvent(env socket.Envelope) (socket.Work, error) {
	var e homeEvent
	if err := env.Event(&e); err != nil {
		return socket.Work{}, err
	}
	if e.Type != "app_home_opened" || e.Tab != "home" {
		return socket.Work{}, nil
	}
	return socket.Work{Person: e.User, Do: func(ctx context.Context) {
		b.guarded(ctx, origin{}, func() error {
			b.homes.noteOpened(e.User)
			return b.publishHome(ctx, e.User, true)
		})
	}}, nil
}
