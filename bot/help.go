package bot

import (
	"context"
	"errors"

	"jwksbot/bot/render"
	"jwksbot/runbook"
)

// help explains a command to anybody. Who may see targets is told their names,
// unless it takes too long to find out who it is.
func (b *Bot) help(ctx context.Context, from place, l line) error {
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
	b.private(ctx, from, render.Help(l.command, helpLines(), runbook.Names(targets), note))
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
