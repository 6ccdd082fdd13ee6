package bot

import (
	"cmp"
	"context"
	"fmt"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/record"
)

// What people press once a mitigation was made: a next step, the end of a
// watch, and that they take over.

// openNext opens the form of a next step. Whoever may not ask for it is told so
// before they type.
func (b *Bot) openNext(ctx context.Context, from origin, run runbook.Run, kind record.NextKind) error {
	quick, cancel := context.WithTimeout(ctx, b.times.open)
	defer cancel()
	t, err := b.Service.MayRequest(quick, run.Target, from.user)
	if err != nil && quick.Err() == nil && kind != record.NextEscalate {
		return err
	}
	req, ok := record.RequestFor(run, kind, from.user, runbook.ViaSlack)
	if !ok && kind != record.NextEscalate {
		return &runbook.Refusal{Code: "unknown_button", Text: "jwksbot does not know this button; it may be from another version. Use `/jwks-check` or `/jwks-flush`."}
	}
	if kind == record.NextRetry && req.RestoreOf == "" {
		from.channel = cmp.Or(run.Post.Channel, from.channel)
		return b.openFlushModal(ctx, from, req, false)
	}
	return b.openView(ctx, from, render.NextForm(run, kind, req, t != nil && t.Policy.BreakGlass))
}

// submittedNext asks for the next step, as for any mitigation.
func (b *Bot) submittedNext(ctx context.Context, from *origin, a render.NextAnswer) error {
	run, err := b.runOf(ctx, from, a.Run)
	if err != nil {
		return err
	}
	if a.Kind == record.NextEscalate {
		if _, err := b.Service.Escalate(ctx, a.Run, from.user, a.Reason); err != nil {
			return err
		}
		b.Log.Info("escalated by a person", "run", a.Run, "by", from.user)
		b.private(ctx, *from, "The on-call team is being called, in the thread of the run's message.")
		return nil
	}
	req, ok := record.RequestFor(run, a.Kind, from.user, runbook.ViaSlack)
	if !ok || run.ID == "" {
		return &runbook.Refusal{Code: approve.RefusedUnknownRun, Text: "This form does not belong to any run that jwksbot knows. Start again with `/jwks-flush`."}
	}
	req.Reason, req.Override, req.BreakGlass = a.Reason, a.Override, a.BreakGlass
	req.Force = req.RestoreOf != "" && a.Force
	return b.request(ctx, *from, req)
}

// stopWatch ends a watch early.
func (b *Bot) stopWatch(ctx context.Context, from *origin, id, reason string) error {
	if _, err := b.runOf(ctx, from, id); err != nil {
		return err
	}
	if _, err := b.Service.StopWatch(ctx, id, from.user, reason, runbook.ViaSlack); err != nil {
		return err
	}
	b.Log.Info("watch stopped", "run", id, "by", from.user)
	b.private(ctx, *from, "The watch has ended. Nobody will be called if failures rise; `/jwks-check` shows them.")
	return nil
}

// gotIt records who takes an escalation over, and says so where it was called.
func (b *Bot) gotIt(ctx context.Context, from origin, call slack.InteractionCallback, id string) error {
	run, err := b.Service.Acknowledge(ctx, id, from.user)
	if err != nil {
		return err
	}
	b.Log.Info("escalation taken over", "run", id, "by", from.user)
	b.private(ctx, from, fmt.Sprintf("You have taken over run %s. Its message says so; the watch continues.", render.Code(id)))
	if ping := run.Escalation.Pinged; ping != "" && run.Post.Channel != "" {
		if err := b.send.update(ctx, run.Post.Channel, ping, render.OnCallPing(run, *run.Escalation)); err != nil {
			b.Log.Warn("the call of an escalation does not show who took over", "run", id, "error", err)
		}
	}
	return nil
}
