package bot

import (
	"context"
	"errors"
	"slices"

	"jwksbot/bot/render"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
)

// status shows privately, for each target, what is open and what was last.
func (b *Bot) status(ctx context.Context, from origin, l line) error {
	targets, runs, err := b.runsOf(ctx, from, l.target)
	if err != nil {
		return err
	}
	b.privateMessage(ctx, from, render.Status(targets, runs, b.Clock.Now()))
	return nil
}

// history lists the latest runs privately.
func (b *Bot) history(ctx context.Context, from origin, l line) error {
	_, runs, err := b.runsOf(ctx, from, l.target)
	if err != nil {
		return err
	}
	b.privateMessage(ctx, from, render.History(runs[:min(len(runs), render.MaxRuns)]))
	return nil
}

// runsOf reads the runs of the target that was named, or of all that the person
// may see.
func (b *Bot) runsOf(ctx context.Context, from origin, target string) (targets []string, runs []runbook.Run, err error) {
	if targets, err = b.targetNames(ctx, from, target); err != nil {
		return nil, nil, err
	}
	runs, err = b.newest(ctx, targets)
	return targets, runs, err
}

// targetNames is the target that was named, or all that the person may see.
func (b *Bot) targetNames(ctx context.Context, from origin, target string) ([]string, error) {
	if target == "" {
		all, err := b.Service.ViewAll(ctx, from.user)
		return approve.Names(all), err
	}
	t, err := b.Service.View(ctx, target, from.user)
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

// help explains a command to anybody. Who may see targets is told their names,
// unless it takes too long to find out who it is.
func (b *Bot) help(ctx context.Context, from origin, l line) error {
	quick, cancel := context.WithTimeout(ctx, b.times.open)
	defer cancel()
	targets, err := b.Service.Visible(quick, from.user)
	var refusal *runbook.Refusal
	note := ""
	switch {
	case errors.As(err, &refusal):
		note = render.Refusal(err)
	case err != nil:
		b.Log.Warn("help names no targets", "user", from.user, "error", err)
		note = "not listed, because Slack did not say who you are; `status` lists them"
	}
	b.private(ctx, from, render.Help(l.command, helpLines(), approve.Names(targets), note))
	return nil
}

// helpLines are the sub-commands as the help of a command lists them.
func helpLines() []render.HelpLine {
	var out []render.HelpLine
	for _, s := range subcommands() {
		if s.does != "" {
			out = append(out, render.HelpLine{Typed: s.typed(), Does: s.does})
		}
	}
	return out
}
