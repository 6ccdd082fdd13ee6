package bot

import (
	"context"
	"errors"
	"fmt"

	"jwksbot/bot/render"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

// flush opens the form of a request, or takes the request where everything was
// typed.
func (b *Bot) flush(ctx context.Context, from origin, l line) error {
	if l.ticket == "" {
		advised := !l.restart && !l.gateway && !l.noFlush && !l.direct
		return b.openFlushModal(ctx, from, l.request(), advised)
	}
	return b.request(ctx, from, l.request())
}

// request takes a request for a flush: it answers at once that it is at work,
// and afterwards where the card stands. The card itself is the presenter's.
func (b *Bot) request(ctx context.Context, from origin, req approve.Request) error {
	if err := b.Ledger.Usable(); err != nil {
		return err // before anybody is told that a card will come
	}
	t, err := b.Service.MayRequest(ctx, req.Target, from.user)
	if err != nil {
		return err
	}
	channel, note, err := b.cardChannel(ctx, from, t)
	if err != nil {
		return refuseUnknownReaders(err)
	}
	comes := "The approval card will appear in"
	if req.BreakGlass != "" {
		comes = "Nobody is asked: it starts at once, and the approvers are notified afterwards. Its message will appear in"
	}
	b.private(ctx, from, fmt.Sprintf("Reading the live keys and the cache of %s. %s <#%s>.%s", render.Code(t.Name), comes, channel, note))
	req.Target, req.By, req.Via, req.Channel = t.Name, from.user, runbook.ViaSlack, channel
	run, err := await(ctx, func() (runbook.Run, error) {
		run, report, err := b.Service.Open(ctx, req, check.Silent{})
		if report.Target != "" && report.Diagnosis.Verdict.ID != "" {
			b.homes.note(report)
		}
		return run, err
	})
	if err != nil {
		return b.offerOverride(ctx, from, req, err)
	}
	b.Log.Info("requested", "run", run.ID, "steps", run.Plan.Steps, "target", run.Target, "by", run.Requester.ID, "ticket", run.Ticket)
	return nil
}

// cardChannel is where the approval card will stand: here if the bot may post
// here, else in the target's channel.
func (b *Bot) cardChannel(ctx context.Context, from origin, t *check.Target) (channel, note string, err error) {
	var here *notPostable
	if from.channel != "" && !isDirect(from.channel) {
		err = b.channels.postable(ctx, from.channel)
		switch {
		case err == nil:
			return from.channel, "", nil
		case !errors.As(err, &here):
			return "", "", err
		}
		note = " " + here.text
	}
	channel, err = b.channels.resolve(ctx, t.Channel)
	if err == nil {
		err = b.channels.postable(ctx, channel)
	}
	if err == nil {
		return channel, note, nil
	}
	var home *notPostable
	if !errors.As(err, &home) {
		return "", "", err
	}
	text, invite := "There is no channel for the approval card: "+home.text, home.invite
	if here != nil {
		text, invite = here.text, here.invite
	}
	text += " Nothing was requested."
	if invite {
		text += " " + inviteLine
	}
	return "", "", &runbook.Refusal{Code: "no_channel", Text: text}
}

// isDirect says that a channel is the conversation of one person with the app.
func isDirect(channel string) bool { return len(channel) > 0 && channel[0] == 'D' }
