package bot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// openWithin is what may be spent before a modal is opened: its trigger lives
// three seconds (docs.slack.dev "Modals").
const openWithin = 1500 * time.Millisecond

// openFlushModal opens the form of a request. Whoever may not request is told
// so instead, unless that takes too long to find out; the desk asks again when
// the form is submitted.
func (b *Bot) openFlushModal(ctx context.Context, from place, in modalInput) error {
	quick, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	in.Targets = b.Desk.Targets()
	if in.Target != "" || len(in.Targets) == 1 {
		t, err := b.Desk.Target(in.Target)
		if err != nil {
			return err
		}
		in.Target = t.Name
		_, err = b.Desk.MayRequest(quick, in.Target, from.user)
		if err != nil && quick.Err() == nil {
			return err
		}
		if last, err := b.Desk.Last(quick, in.Target, from.user); err == nil && last != nil {
			in.Verdict = last.Diagnosis.Verdict.Summary
		}
	}
	in.Channel = from.channel
	for _, name := range in.Targets {
		if t, err := b.Desk.Target(name); err == nil && t.AllowAll {
			in.AllowAll = append(in.AllowAll, name)
		}
	}
	return b.openView(ctx, from, flushModal(in))
}

func (b *Bot) openView(ctx context.Context, from place, view slack.ModalViewRequest) error {
	_, err := b.API.OpenViewContext(ctx, from.trigger, view)
	switch code := slackCode(err); {
	case code == "expired_trigger_id" || code == "exchanged_trigger_id" || code == "trigger_expired":
		return &runbook.Refusal{Code: "late", Text: "Slack took too long to open the form. Please try again."}
	case err != nil:
		return fmt.Errorf("views.open: %w", err)
	}
	return nil
}

// viewAnswer is the answer to a submitted modal that needs no I/O: what is
// wrong with the form, or to close it.
func viewAnswer(v slack.View) any {
	switch v.CallbackID {
	case callbackFlush:
		if _, wrong := parseFlushModal(v); len(wrong) > 0 {
			return map[string]any{"response_action": "errors", "errors": wrong}
		}
	case callbackDeny, callbackPick:
	default:
		return nil
	}
	return map[string]any{"response_action": "clear"}
}

// submitted does the work of a modal whose form was in order.
func (b *Bot) submitted(ctx context.Context, from place, v slack.View) error {
	switch v.CallbackID {
	case callbackFlush:
		req, wrong := parseFlushModal(v)
		if len(wrong) > 0 {
			return nil // answered with the acknowledgement
		}
		from.channel = req.Channel
		return b.request(ctx, from, req)
	case callbackDeny:
		id, reason := parseDenyModal(v)
		if run, err := b.Ledger.Run(ctx, id); err == nil {
			from.channel = run.Post.Channel
		} else if !errors.Is(err, runbook.ErrUnknownRun) {
			return err
		}
		return b.decide(ctx, from, runbook.Click{Run: id, By: from.user, Kind: runbook.DecideDeny, Reason: reason, Via: runbook.ViaSlack})
	case callbackPick:
		return b.picked(ctx, from, v)
	}
	return &runbook.Refusal{Code: "unknown_form", Text: "jwksbot does not know this form; it may be of another version. Use `/jwks-check` or `/jwks-flush`."}
}
