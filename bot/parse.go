package bot

import (
	"fmt"
	"strings"
	"time"

	"jwksbot/bot/render"
	"jwksbot/runbook"
)

// The two commands.
const (
	commandCheck = "/jwks-check"
	commandFlush = "/jwks-flush"
)

// asked is a command line, understood.
type asked struct {
	verb   string // "" does the command's own work; else one of verbs
	target string // after "report" it may be a run
	since  time.Duration
	kid    string

	ticket string // /jwks-flush with everything on the line
	reason string

	restart, gateway, noFlush, direct bool // its flags
}

// request is what a line of /jwks-flush asks for.
func (a asked) request() runbook.Request {
	return runbook.Request{Target: a.target, Ticket: a.ticket, Reason: a.reason,
		Restart: a.restart, Gateway: a.gateway, NoFlush: a.noFlush, Direct: a.direct}
}

const maxLine = 2000

var verbs = map[string]bool{"help": true, "status": true, "history": true, "report": true}

// unescaper takes back what Slack does to & < > in the text of a command. They
// are escaped again wherever they are shown.
var unescaper = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// usageError is what is wrong with a command line, in words, and how to put it
// right.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// parseLine reads what was typed after a command. A name that is missing or
// unknown is left for the desk, which knows who may learn the others.
func parseLine(command, text string) (asked, error) {
	a := asked{since: runbook.DefaultWindow}
	text = unescaper.Replace(text)
	if len(text) > maxLine {
		return a, usage("That is too long for a command line. Try `%s help`.", command)
	}
	words := strings.Fields(text)
	if len(words) > 0 && verbs[strings.ToLower(words[0])] {
		a.verb = strings.ToLower(words[0])
		words = words[1:]
		if len(words) > 0 {
			a.target, words = words[0], words[1:]
		}
		if len(words) > 0 {
			return a, usage("`%s %s` takes %s at most. Try `%s help`.", command, a.verb, taken(a.verb), command)
		}
		return a, nil
	}
	if command == commandFlush {
		return parseFlushLine(a, words)
	}
	return parseCheckLine(a, words)
}

func taken(verb string) string {
	if verb == "report" {
		return "a run or a target"
	}
	return "a target"
}

func parseCheckLine(a asked, words []string) (asked, error) {
	for _, w := range words {
		name, value, isOption := strings.Cut(w, "=")
		switch {
		case !isOption && a.target == "":
			a.target = w
		case !isOption:
			return a, usage("“%s” is one word too many. Usage: `%s [target] [since=1h] [kid=…]`", shown(w), commandCheck)
		case name == "since":
			d, err := time.ParseDuration(value)
			if err != nil || d < runbook.MinWindow || d > runbook.MaxWindow {
				return a, usage("“since=%s” is no time span between 1m and 24h. Write since=15m or since=2h.", shown(value))
			}
			a.since = d
		case name == "kid" && value != "":
			a.kid = value // may hold + / = as Cognito's do
		default:
			return a, usage("“%s” is no option. Known are since=1h and kid=….", shown(w))
		}
	}
	return a, nil
}

// flags reads the words that begin with two dashes, wherever they stand, and
// returns the others.
func (a *asked) flags(words []string) (rest []string, err error) {
	known := map[string]*bool{"restart": &a.restart, "gateway": &a.gateway, "no-flush": &a.noFlush, "direct": &a.direct}
	for _, w := range words {
		// Phones turn two dashes into a long one, which people write as well.
		long := strings.TrimLeft(w, "—–")
		name, isFlag := strings.CutPrefix(w, "--")
		switch set := known[name]; {
		case isFlag && set != nil:
			*set = true
		case isFlag && name != "":
			return nil, usage("“%s” is no option. Known are `--restart`, `--gateway`, `--no-flush` and `--direct`; the form (`%s [target]`) has the rest.", shown(w), commandFlush)
		case long != w && known[long] != nil:
			*known[long] = true
		default:
			rest = append(rest, w)
		}
	}
	if a.noFlush && !a.restart && !a.gateway {
		return nil, usage("Without a flush there is nothing to do: add `--restart` or `--gateway`.")
	}
	return rest, nil
}

// parseFlushLine reads "[target] TICKET reason…" and flags. Without a ticket
// the modal asks for the rest.
func parseFlushLine(a asked, words []string) (asked, error) {
	words, err := a.flags(words)
	if err != nil {
		return a, err
	}
	if len(words) == 0 {
		return a, nil
	}
	if runbook.CheckTicket(words[0]) != nil {
		a.target, words = words[0], words[1:]
	}
	if len(words) == 0 {
		return a, nil
	}
	if runbook.CheckTicket(words[0]) != nil {
		return a, usage("“%s” is no ticket: it looks like INC-2026-0214-001. Usage: `%s [target] [TICKET reason…]`", shown(words[0]), commandFlush)
	}
	a.ticket, a.reason = words[0], strings.Join(words[1:], " ")
	return a, nil
}

// shown is what may be echoed of what somebody typed.
func shown(s string) string { return render.Quoted(runbook.Redact(s), 80) }
