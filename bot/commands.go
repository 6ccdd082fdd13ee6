package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/bot/socket"
	"jwksbot/runbook"
)

// firstAnswer is the private answer that needs no I/O, "" for none. It goes to
// anybody, so that it names no target.
func firstAnswer(cmd slack.SlashCommand) string {
	_, err := parseLine(cmd.Command, cmd.Text)
	switch {
	case cmd.Command != commandCheck && cmd.Command != commandFlush:
		return fmt.Sprintf("jwksbot does not know %s. It knows `%s` and `%s`.", shown(cmd.Command), commandCheck, commandFlush)
	case err != nil:
		return err.Error()
	}
	return ""
}

// laneOfCommand is the lane of what was typed.
func laneOfCommand(cmd slack.SlashCommand) socket.Lane {
	a, err := parseLine(cmd.Command, cmd.Text)
	if err == nil && (a.verb == "report" || a.verb == "" && cmd.Command == commandCheck) {
		return socket.LaneSlow
	}
	return socket.LaneQuick
}

// command does the work of a slash command.
func (b *Bot) command(ctx context.Context, from place, cmd slack.SlashCommand) error {
	if firstAnswer(cmd) != "" {
		return nil // answered with the acknowledgement
	}
	a, err := parseLine(cmd.Command, cmd.Text)
	if err != nil {
		return err
	}
	switch {
	case a.verb == "help":
		return b.help(ctx, from, cmd.Command)
	case a.verb == "status" || a.verb == "history":
		return b.listRuns(ctx, from, a)
	case a.verb == "report":
		return b.record(ctx, from, a)
	case cmd.Command == commandCheck:
		return b.check(ctx, from, a)
	case a.ticket == "":
		advised := !a.restart && !a.gateway && !a.noFlush && !a.direct
		return b.openFlushModal(ctx, from, a.request(), advised)
	}
	return b.request(ctx, from, a.request())
}

// help explains a command to anybody. Who may see targets is told their names,
// unless it takes too long to find out who it is.
func (b *Bot) help(ctx context.Context, from place, command string) error {
	quick, cancel := context.WithTimeout(ctx, b.times.open)
	defer cancel()
	targets, err := b.Desk.Visible(quick, from.user)
	var refusal *runbook.Refusal
	note := ""
	switch {
	case errors.As(err, &refusal):
		note = render.Refusal(err)
	case err != nil:
		b.Log.Warn("help names no targets", "user", from.user, "error", err)
		note = "not listed, since Slack did not say who you are; `status` lists them"
	}
	b.private(ctx, from, render.Help(command, runbook.Names(targets), note))
	return nil
}

// listRuns shows runs privately: what is open for status, all for history.
func (b *Bot) listRuns(ctx context.Context, from place, a asked) error {
	targets, err := b.asked(ctx, from, a.target)
	if err != nil {
		return err
	}
	runs, err := b.newest(ctx, targets)
	if err != nil {
		return err
	}
	if a.verb == "status" {
		b.privateMessage(ctx, from, render.Status(targets, runs, b.Clock.Now()))
		return nil
	}
	b.privateMessage(ctx, from, render.History(runs[:min(len(runs), render.MaxRuns)]))
	return nil
}

// asked is the target that was named, or all that the person may see.
func (b *Bot) asked(ctx context.Context, from place, target string) ([]string, error) {
	if target == "" {
		all, err := b.Desk.ViewAll(ctx, from.user)
		return runbook.Names(all), err
	}
	t, err := b.Desk.View(ctx, target, from.user)
	if err != nil {
		return nil, err
	}
	return []string{t.Name}, nil
}

// newest reads the latest runs of each target, newest first: those of a busy
// target hide no open run of another.
func (b *Bot) newest(ctx context.Context, targets []string) ([]runbook.Run, error) {
	var all []runbook.Run
	for _, name := range targets {
		runs, err := b.Ledger.Runs(ctx, runbook.Filter{Target: name, Limit: render.MaxRuns})
		if err != nil {
			return nil, err
		}
		all = append(all, runs...)
	}
	slices.SortStableFunc(all, func(x, y runbook.Run) int { return y.CreatedAt.Compare(x.CreatedAt) })
	return all, nil
}

// request takes a request for a flush: it answers at once that it is at work,
// and afterwards where the card stands. The card itself is the presenter's.
func (b *Bot) request(ctx context.Context, from place, req runbook.Request) error {
	if err := b.Ledger.Usable(); err != nil {
		return err // before anybody is told that a card will come
	}
	t, err := b.Desk.MayRequest(ctx, req.Target, from.user)
	if err != nil {
		return err
	}
	channel, note, err := b.cardChannel(ctx, from, t)
	if err != nil {
		return unsure(err)
	}
	comes := "The approval card comes into"
	if req.BreakGlass != "" {
		comes = "Nobody is asked: it starts at once, and the approvers are called afterwards. Its message comes into"
	}
	b.private(ctx, from, fmt.Sprintf("Reading the live keys and the cache of %s. %s <#%s>.%s", render.Code(t.Name), comes, channel, note))
	req.Target, req.By, req.Via, req.Channel = t.Name, from.user, runbook.ViaSlack, channel
	run, err := await(ctx, func() (runbook.Run, error) {
		run, report, err := b.Desk.Open(ctx, req, runbook.Silent{})
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
func (b *Bot) cardChannel(ctx context.Context, from place, t *runbook.Target) (channel, note string, err error) {
	var here *notHere
	if from.channel != "" && !isDirect(from.channel) {
		err = b.places.postable(ctx, from.channel)
		switch {
		case err == nil:
			return from.channel, "", nil
		case !errors.As(err, &here):
			return "", "", err
		}
		note = " " + here.text
	}
	channel, err = b.places.resolve(ctx, t.Channel)
	if err == nil {
		err = b.places.postable(ctx, channel)
	}
	if err == nil {
		return channel, note, nil
	}
	var home *notHere
	if !errors.As(err, &home) {
		return "", "", err
	}
	text, invite := "The approval card has no channel to stand in: "+home.text, home.invite
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
