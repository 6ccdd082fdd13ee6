package bot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"jwksbot/bot/render"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/redact"
)

// line is a command line, understood.
type line struct {
	command string // with the slash
	verb    string // the sub-command; "" is the command's own work
	target  string // after "report" it may be a run
	since   time.Duration
	kid     string

	ticket string // /jwks-flush with everything on the line
	reason string

	restart, gateway, noFlush, direct bool // its flags
}

// request is what a line of /jwks-flush asks for.
func (l line) request() approve.Request {
	return approve.Request{Target: l.target, Ticket: l.ticket, Reason: l.reason,
		Restart: l.restart, Gateway: l.gateway, NoFlush: l.noFlush, Direct: l.direct}
}

const maxLine = 2000

// unescaper takes back what Slack does to & < > in the text of a command. They
// are escaped again wherever they are shown.
var unescaper = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// usageError is what is wrong with a command line, in words, and how to put it
// right.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// parseLine reads what was typed after a command and returns what it leads to. A
// name that is missing or unknown is left for the service, which knows who may learn
// the others: an error goes to anybody, so that it names no target.
func parseLine(command, text string) (line, action, error) {
	l := line{command: command, since: check.DefaultWindow}
	all := Commands()
	i := slices.IndexFunc(all, func(c Command) bool { return c.Name == command })
	if i < 0 {
		return l, action{}, usage("jwksbot does not know %s. It knows `%s` and `%s`.", echo(command), commandCheck, commandFlush)
	}
	text = unescaper.Replace(text)
	if len(text) > maxLine {
		return l, action{}, usage("That is too long for a command line. Try `%s help`.", command)
	}
	words := strings.Fields(text)
	if len(words) > 0 {
		for _, s := range subcommands() {
			if strings.EqualFold(s.name, words[0]) {
				return l, s.action, l.parseSubcommand(s, words[1:])
			}
		}
	}
	err := all[i].parse(&l, words)
	return l, all[i].action, err
}

// parseSubcommand reads what follows a sub-command: one word at most.
func (l *line) parseSubcommand(s subcommand, words []string) error {
	l.verb = s.name
	switch len(words) {
	case 0:
	case 1:
		l.target = words[0]
	default:
		return usage("`%s %s` takes at most one %s. Try `%s help`.", l.command, s.name, s.takes, l.command)
	}
	return nil
}

// parseCheckLine reads "[target] [since=1h] [kid=…]".
func parseCheckLine(l *line, words []string) error {
	for _, w := range words {
		name, value, isOption := strings.Cut(w, "=")
		switch {
		case !isOption && l.target == "":
			l.target = w
		case !isOption:
			return usage("Unexpected “%s”. Usage: `%s [target] [since=1h] [kid=…]`", echo(w), commandCheck)
		case name == "since":
			d, err := time.ParseDuration(value)
			if err != nil || d < check.MinWindow || d > check.MaxWindow {
				return usage("“since=%s” is not a duration between 1m and 24h. Write since=15m or since=2h.", echo(value))
			}
			l.since = d
		case name == "kid" && value != "":
			l.kid = value // may hold + / = as Cognito's do
		default:
			return usage("Unknown option “%s”. The options are since=1h and kid=….", echo(w))
		}
	}
	return nil
}

// flags reads the words that begin with two dashes, wherever they stand, and
// returns the others.
func (l *line) flags(words []string) (rest []string, err error) {
	known := map[string]*bool{"restart": &l.restart, "gateway": &l.gateway, "no-flush": &l.noFlush, "direct": &l.direct}
	for _, w := range words {
		// Phones turn two dashes into a long one, which people write as well.
		long := strings.TrimLeft(w, "—–")
		name, isFlag := strings.CutPrefix(w, "--")
		switch set := known[name]; {
		case isFlag && set != nil:
			*set = true
		case isFlag && name != "":
			return nil, usage("Unknown option “%s”. The options are `--restart`, `--gateway`, `--no-flush` and `--direct`; the form (`%s [target]`) has the rest.", echo(w), commandFlush)
		case long != w && known[long] != nil:
			*known[long] = true
		default:
			rest = append(rest, w)
		}
	}
	if l.noFlush && !l.restart && !l.gateway {
		return nil, usage("Without a flush there is nothing to do: add `--restart` or `--gateway`.")
	}
	return rest, nil
}

// parseFlushLine reads "[target] TICKET reason…" and flags. Without a ticket
// the modal asks for the rest.
func parseFlushLine(l *line, words []string) error {
	words, err := l.flags(words)
	if err != nil {
		return err
	}
	if len(words) > 0 && approve.CheckTicket(words[0]) != nil {
		l.target, words = words[0], words[1:]
	}
	if len(words) == 0 {
		return nil
	}
	if approve.CheckTicket(words[0]) != nil {
		return usage("“%s” is not a ticket: tickets look like INC-2026-0214-001. Usage: `%s [target] [TICKET reason…]`", echo(words[0]), commandFlush)
	}
	l.ticket, l.reason = words[0], strings.Join(words[1:], " ")
	return nil
}

// echo is what may be echoed of what somebody typed.
func echo(s string) string { return render.Quoted(redact.Text(s), 80) }
