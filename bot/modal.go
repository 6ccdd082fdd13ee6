package bot

import (
	"context"
	"fmt"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

// openWithin is what may be spent before a modal is opened: its trigger lives
// three seconds (docs.slack.dev "Modals").
const openWithin = 1500 * time.Millisecond

// openFlushModal opens the form of a request. Whoever may not request is told
// so instead, unless that takes too long to find out; the service asks again when
// the form is submitted. advised ticks what the last verdict recommends.
func (b *Bot) openFlushModal(ctx context.Context, from origin, req approve.Request, advised bool) error {
	if err := b.Ledger.Usable(); err != nil {
		return err // before anybody fills it in
	}
	quick, cancel := context.WithTimeout(ctx, b.times.open)
	defer cancel()
	in := render.FlushInput{Request: req}
	t, err := b.targetForForm(quick, from.user, req.Target)
	if err != nil {
		return err
	}
	if in.Targets, err = b.modalTargets(quick, from.user, t); err != nil {
		return err
	}
	if t != nil {
		in.Target = t.Name
		if last, err := b.Service.Last(quick, in.Target, from.user); err == nil && last != nil {
			in.Verdict = last.Diagnosis.Verdict.Summary
			if advised {
				in.Advise(last.Diagnosis.Verdict, render.FormTargetOf(t))
			}
		}
	}
	in.Channel = from.channel
	return b.openView(ctx, from, render.FlushForm(in))
}

// targetForForm is the target that a form is asked for, nil where it is yet to be
// chosen. Who is asking may not be known before the form has to open: then it
// names nothing that they did not name.
func (b *Bot) targetForForm(ctx context.Context, user, name string) (*check.Target, error) {
	t, err := b.Service.Target(name)
	if err != nil && name == "" {
		return nil, nil
	}
	if _, err := b.Service.MayRequest(ctx, name, user); err != nil && ctx.Err() == nil {
		return nil, err
	}
	return t, err
}

// modalTargets are the targets that somebody may ask for, with what may be
// asked of each. Where that is not known in time, there is the one they named.
func (b *Bot) modalTargets(ctx context.Context, user string, named *check.Target) ([]render.FormTarget, error) {
	all, err := b.Service.Requestable(ctx, user)
	switch {
	case err == nil:
	case named != nil:
		all = []*check.Target{named}
	case ctx.Err() != nil:
		return nil, &runbook.Refusal{Code: "late", Text: "Slack did not say in time who you are, so the form was not opened. Try again in a minute, or name the target: `/jwks-flush TARGET`."}
	default:
		return nil, err
	}
	var out []render.FormTarget
	for _, t := range all {
		out = append(out, render.FormTargetOf(t))
	}
	return out, nil
}

func (b *Bot) openView(ctx context.Context, from origin, view slack.ModalViewRequest) error {
	_, err := b.API.OpenViewContext(ctx, from.trigger, view)
	switch code := slackCode(err); {
	case code == "expired_trigger_id" || code == "exchanged_trigger_id" || code == "trigger_expired":
		return &runbook.Refusal{Code: "late", Text: "Slack took too long to open the form. Please try again."}
	case err != nil:
		return fmt.Errorf("views.open: %w", err)
	}
	from.answered()
	return nil
}
