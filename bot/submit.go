package bot

import (
	"context"
	"errors"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
)

// submitted is the work of a form that is in order. A form has no channel of its
// own: the work moves from to where its answer belongs.
type submitted func(ctx context.Context, from *origin) error

// readForm reads a submitted form: what its acknowledgement says (to close it,
// or what is wrong with it), and what there is to do, nil for nothing.
func (b *Bot) readForm(v slack.View) (reply any, do submitted) {
	var wrong map[string]string
	switch v.CallbackID {
	case render.CallbackFlush:
		var req approve.Request
		req, wrong = render.ReadFlushForm(v)
		do = func(ctx context.Context, from *origin) error {
			from.moveTo(req.Channel)
			return b.request(ctx, *from, req)
		}
	case render.CallbackNext:
		var next render.NextAnswer
		next, wrong = render.ReadNextForm(v)
		do = func(ctx context.Context, from *origin) error { return b.submittedNext(ctx, from, next) }
	case render.CallbackDeny:
		ref, reason := render.ReadDenyForm(v)
		do = func(ctx context.Context, from *origin) error { return b.denied(ctx, from, ref, reason) }
	case render.CallbackStop:
		run, reason := render.ReadStopForm(v)
		do = func(ctx context.Context, from *origin) error { return b.stopWatch(ctx, from, run, reason) }
	case render.CallbackPick:
		channel, thread, target := render.ReadPickForm(v)
		do = func(ctx context.Context, from *origin) error { return b.picked(ctx, *from, channel, thread, target) }
	default:
		return nil, func(context.Context, *origin) error {
			return &runbook.Refusal{Code: "unknown_form", Text: "jwksbot does not know this form; it may be from another version. Use `/jwks-check` or `/jwks-flush`."}
		}
	}
	if len(wrong) > 0 {
		return map[string]any{"response_action": "errors", "errors": wrong}, nil
	}
	return map[string]any{"response_action": "clear"}, do
}

// submit does the work of a form. What is wrong is answered where the work found
// its place.
func (b *Bot) submit(ctx context.Context, from origin, do submitted) error {
	if err := do(ctx, &from); err != nil {
		return &answeredElsewhere{from, err}
	}
	return nil
}

// answeredElsewhere is an error that is answered somewhere else than it came from.
type answeredElsewhere struct {
	where origin
	err   error
}

func (e *answeredElsewhere) Error() string { return e.err.Error() }
func (e *answeredElsewhere) Unwrap() error { return e.err }

// denied denies a request with a reason.
func (b *Bot) denied(ctx context.Context, from *origin, ref render.PlanRef, reason string) error {
	if _, err := b.runOf(ctx, from, ref.Run); err != nil {
		return err
	}
	return b.decision(ctx, *from, ref, runbook.DecideDeny, reason)
}

// runOf finds the run that a form is about; the answer to its submission goes
// to where the run's message stands. A run that nobody knows is left for the
// service to refuse.
func (b *Bot) runOf(ctx context.Context, from *origin, id string) (runbook.Run, error) {
	run, err := b.Ledger.Run(ctx, id)
	if errors.Is(err, runbook.ErrUnknownRun) {
		return run, nil
	}
	if err == nil {
		from.moveTo(run.Post.Channel)
	}
	return run, err
}
