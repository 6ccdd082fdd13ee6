package bot

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/record"
)

// clicked does the work of a pressed button, and then takes the buttons off a
// message that is an older copy.
func (b *Bot) clicked(ctx context.Context, call slack.InteractionCallback) {
	b.serve(ctx, originOfCall(call), func(from origin) error { return b.click(ctx, from, call) })
	b.guarded(ctx, origin{}, func() error {
		ctx, cancel := context.WithTimeout(ctx, retireWithin)
		defer cancel()
		return b.retireCopy(ctx, call)
	})
}

// click answers a pressed button. Its value says what it is about and never
// what may be done.
func (b *Bot) click(ctx context.Context, from origin, call slack.InteractionCallback) error {
	if len(call.ActionCallback.BlockActions) == 0 {
		return nil
	}
	action := call.ActionCallback.BlockActions[0]
	if render.OnRun(action.ActionID) {
		ref, ok := render.ParsePlanRef(action.Value)
		if !ok {
			return &runbook.Refusal{Code: approve.RefusedUnknownRun, Text: "This button does not belong to any run that jwksbot knows. Start again with `/jwks-flush`."}
		}
		if err := b.adoptCopy(ctx, call, ref.Run); err != nil {
			return err
		}
		return b.clickOnRun(ctx, from, call, action.ActionID, ref)
	}
	if req, ok := render.RequestOf(action.ActionID, action.Value); ok {
		return b.openFlushModal(ctx, from, req, false)
	}
	switch action.ActionID {
	case render.ActionRequest:
		return b.openFlushModal(ctx, from, approve.Request{Target: action.Value}, true)
	case render.ActionOverride:
		req := b.drafts.of(from.user, action.Value)
		from.channel = cmp.Or(req.Channel, from.channel)
		return b.openFlushModal(ctx, from, req, false)
	case render.ActionCheckAgain:
		if call.View.Type == slack.VTHomeTab {
			return b.checkFromHome(ctx, from, action.Value)
		}
		return b.check(ctx, inThread(from, call), line{target: action.Value, since: check.DefaultWindow})
	case render.ActionDetails:
		return b.details(ctx, from, call, action.Value)
	}
	if action.ActionID == "" || action.Type == "static_select" || action.Type == "radio_buttons" || action.Type == "checkboxes" {
		return nil // a choice inside a modal, read when it is submitted
	}
	b.Log.Warn("a click on an unknown button", "action", action.ActionID, "user", from.user)
	return &runbook.Refusal{Code: "unknown_button", Text: "jwksbot does not know this button; it may be from another version. Use `/jwks-check` or `/jwks-flush`."}
}

// inThread keeps the answer of a click inside a thread there, and out of it
// otherwise.
func inThread(from origin, call slack.InteractionCallback) origin {
	from.thread = ""
	if t := call.Message.ThreadTimestamp; t != call.Message.Timestamp {
		from.thread = t // a message with replies names itself as its thread
	}
	return from
}

var kindOfAction = map[string]runbook.DecisionKind{render.ActionApprove: runbook.DecideApprove, render.ActionDeny: runbook.DecideDeny, render.ActionWithdraw: runbook.DecideWithdraw}

func (b *Bot) clickOnRun(ctx context.Context, from origin, call slack.InteractionCallback, action string, ref render.PlanRef) error {
	switch action {
	case render.ActionDenyReason:
		if ref.Generation == 0 {
			return b.decision(ctx, from, ref, runbook.DecideDeny, "")
		}
		return b.openView(ctx, from, render.DenyForm(ref))
	case render.ActionStopWatch:
		return b.openView(ctx, from, render.StopForm(ref.Run))
	case render.ActionGotIt:
		return b.gotIt(ctx, from, call, ref.Run)
	case render.ActionRequestAgain:
		action = render.ActionOfNext[record.NextRetry]
	}
	if kind, ok := render.NextOfAction(action); ok {
		run, err := b.Ledger.Run(ctx, ref.Run)
		if err != nil {
			return err
		}
		return b.openNext(ctx, from, run, kind)
	}
	return b.decision(ctx, from, ref, kindOfAction[action], "")
}

// decision is a person's click or form about a plan. A card that names none is
// posted anew, with buttons that do.
func (b *Bot) decision(ctx context.Context, from origin, ref render.PlanRef, kind runbook.DecisionKind, reason string) error {
	err := b.decide(ctx, from, approve.Click{Run: ref.Run, Generation: ref.Generation, By: from.user, Kind: kind, Reason: strings.TrimSpace(reason), Via: runbook.ViaSlack})
	if ref.Generation == 0 {
		if err := b.Service.RenewCard(ctx, ref.Run); err != nil {
			b.Log.Warn("an outdated card could not be renewed", "run", ref.Run, "error", err)
		}
	}
	return err
}

// decide hands a decision to the service and tells the person what came of it.
func (b *Bot) decide(ctx context.Context, from origin, c approve.Click) error {
	start := time.Now()
	if c.Kind == runbook.DecideApprove {
		from.say("Your approval does not count yet: your permissions, the live keys and the cache are being read again. The answer will appear here.")
	}
	answer, err := b.Service.Decide(ctx, c)
	if err != nil {
		return err
	}
	b.Log.Info("decided", "run", c.Run, "by", c.By, "kind", c.Kind, "state", answer.Run.State, "took_ms", time.Since(start).Milliseconds())
	b.private(ctx, from, render.Escape(answer.Text))
	return nil
}

// details shows the evidence of the newest report privately, for whoever does
// not want to open the thread.
func (b *Bot) details(ctx context.Context, from origin, call slack.InteractionCallback, target string) error {
	report, err := b.Service.Last(ctx, target, from.user)
	if err != nil {
		return err
	}
	if report == nil {
		b.private(ctx, from, "The evidence is in the thread of this message. It is too old to show again; press *Check again* for a fresh report.")
		return nil
	}
	for _, m := range render.Evidence(*report) {
		b.privateMessage(ctx, from, m)
	}
	return nil
}

// shortcut does the work of a message shortcut.
func (b *Bot) shortcut(ctx context.Context, from origin, call slack.InteractionCallback) error {
	for _, s := range Shortcuts() {
		if s.ID == call.CallbackID {
			return s.run(b, ctx, from, call)
		}
	}
	return &runbook.Refusal{Code: "unknown_shortcut", Text: "jwksbot does not know this shortcut; it may be from another version. Use `/jwks-check`."}
}

// checkHere runs a check in the thread of the message that it was used on:
// slash commands do not work in threads.
func (b *Bot) checkHere(ctx context.Context, from origin, call slack.InteractionCallback) error {
	from.thread = call.Message.ThreadTimestamp
	if from.thread == "" {
		from.thread = call.MessageTs
	}
	targets, err := b.Service.ViewAll(ctx, from.user)
	if err != nil {
		return err
	}
	if len(targets) == 1 {
		return b.check(ctx, from, line{target: targets[0].Name, since: check.DefaultWindow})
	}
	return b.openView(ctx, from, render.PickForm(approve.Names(targets), from.channel, from.thread))
}

// picked runs the check of checkHere once a target was chosen.
func (b *Bot) picked(ctx context.Context, from origin, channel, thread, target string) error {
	from.moveTo(channel)
	from.thread = thread
	return b.check(ctx, from, line{target: target, since: check.DefaultWindow})
}
