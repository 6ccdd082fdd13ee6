package bot

import (
	"context"
	"strings"

	"github.com/slack-go/slack"

	"jwksbot/bot/socket"
)

// What people can type, and find in the menu of a message. Parser, help,
// manifest and the emulated workspace read these tables: a new sub-command or
// shortcut is an entry here and the function that it names, and manifest.yaml
// is printed anew (jwksbot manifest).

// The two commands.
const (
	commandCheck = "/jwks-check"
	commandFlush = "/jwks-flush"
)

// Command is a slash command as Slack shows it while one types.
type Command struct {
	Name        string // with the slash
	Description string
	Hint        string // what may follow it
	own         string // what may follow it, without the sub-commands
	parse       func(l *line, words []string) error
	action
}

// action is what a line leads to.
type action struct {
	lane socket.Lane
	run  func(b *Bot, ctx context.Context, from origin, l line) error
}

// Commands are the slash commands of the app.
func Commands() []Command {
	all := []Command{
		{Name: commandCheck, own: "[target] [since=1h] [kid=…]", parse: parseCheckLine, action: action{socket.LaneSlow, (*Bot).check},
			Description: "Says what is wrong with the signing keys, with proof, and whether a flush would help"},
		{Name: commandFlush, own: "[target] [INC-… reason] [--restart] [--gateway]", parse: parseFlushLine, action: action{socket.LaneQuick, (*Bot).flush},
			Description: "Requests a flush, a restart or a gateway flush, with approval"},
	}
	for i := range all {
		hint := []string{all[i].own}
		for _, s := range subcommands() {
			hint = append(hint, s.typed())
		}
		all[i].Hint = strings.Join(hint, " | ")
	}
	return all
}

// subcommand is the first word of a line that is about something else than the
// command's own work. Both commands have all of them.
type subcommand struct {
	name  string
	takes string // what may follow, in words
	hint  string // the same as Slack shows it; "" where nothing has to be shown
	does  string // for the help, a clause; "" is not listed
	action
}

// typed is the sub-command with what may follow it.
func (s subcommand) typed() string { return strings.TrimSpace(s.name + " " + s.hint) }

func subcommands() []subcommand {
	return []subcommand{
		{name: "help", takes: "target", action: action{socket.LaneQuick, (*Bot).help}},
		{name: "status", takes: "target", does: "shows what is waiting and what is running", action: action{socket.LaneQuick, (*Bot).status}},
		{name: "history", takes: "target", does: "lists the latest runs", action: action{socket.LaneQuick, (*Bot).history}},
		{name: "report", takes: "run or target", hint: "[run]", does: "puts the record of a run into its thread, for the review", action: action{socket.LaneSlow, (*Bot).record}},
	}
}

// Shortcut is an entry in the menu of a message.
type Shortcut struct {
	ID          string // callback id
	Name        string
	Description string
	run         func(b *Bot, ctx context.Context, from origin, call slack.InteractionCallback) error
}

// Shortcuts are the message shortcuts of the app. Their work goes into the lane
// of checks.
func Shortcuts() []Shortcut {
	return []Shortcut{
		{ID: "check_here", Name: "Run JWKS check here", Description: "Checks the signing keys and answers in this thread", run: (*Bot).checkHere},
	}
}
