package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"jwksbot/runbook"
)

// commands is the whole program in one table.
type commands struct {
	Config string `help:"Configuration file; jwksbot.yaml without it." env:"JWKSBOT_CONFIG" default:"jwksbot.yaml" placeholder:"FILE"`
	Debug  bool   `help:"Log more."`

	Serve    serveCmd    `cmd:"" help:"Run the bot."`
	Demo     demoCmd     `cmd:"" help:"Everything on one machine, with no account: an emulated Slack in the browser and a world that is really broken."`
	Check    checkCmd    `cmd:"" help:"Check a target: what is wrong, with proof, and whether a flush would help. Exit 0 healthy, 1 a problem, 2 could not tell."`
	Flush    flushCmd    `cmd:"" help:"Request a flush under the target's approval policy, and follow it to its end."`
	Approve  approveCmd  `cmd:"" help:"Approve a run, from another identity than the requester's."`
	Deny     denyCmd     `cmd:"" help:"Deny a run."`
	Runs     runsCmd     `cmd:"" help:"List runs, or show one."`
	Audit    auditCmd    `cmd:"" help:"The audit trail: list, verify, export."`
	Keys     keysCmd     `cmd:"" help:"Read and compare key sets, offline too."`
	Logs     logsCmd     `cmd:"" help:"Classify authoriser log lines."`
	Cfg      configCmd   `cmd:"" name:"config" help:"Print an example configuration, or check one."`
	Manifest manifestCmd `cmd:"" help:"Print the manifest that creates the Slack app."`
	Health   healthCmd   `cmd:"" help:"Ask a running bot whether it is ready (for container health checks)."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// world is what a command touches of the process: nothing else reads the
// environment or writes to the terminal.
type world struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string
	// colour says that standard output is a terminal that wants colour.
	colour bool
	// terminal says that log lines are for people.
	terminal bool

	config string
	log    *slog.Logger
}

func system() *world {
	w := &world{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
	w.colour = isTerminal(os.Stdout) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	w.terminal = isTerminal(os.Stderr)
	return w
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Exit codes: 0 done; 1 done with a finding, or refused by policy; 2 could not
// be done.
const (
	exitOK      = 0
	exitFinding = 1
	exitFailed  = 2
)

// exitError ends the program with a code; a nil err prints nothing.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string, w *world) int {
	var cli commands
	exited := -1
	parser, err := kong.New(&cli,
		kong.Name("jwksbot"),
		kong.Description("Finds out why valid tokens are rejected after a key rotation, and flushes the stale key cache: with approval, exactly once, with proof."),
		kong.Writers(w.stdout, w.stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(w.stderr, "jwksbot:", err)
		return exitFailed
	}
	kctx, err := parser.Parse(args)
	if exited >= 0 {
		return exited // help was printed
	}
	if err != nil {
		fmt.Fprintf(w.stderr, "jwksbot: %v\nTry: jwksbot --help\n", err)
		return exitFailed
	}
	w.config, w.log = cmp.Or(cli.Config, "jwksbot.yaml"), newLogger(w, cli.Debug) // JWKSBOT_CONFIG may be set and empty
	kctx.BindTo(ctx, (*context.Context)(nil))
	return w.exit(kctx.Run(w))
}

func newLogger(w *world, debug bool) *slog.Logger {
	opts := &slog.HandlerOptions{Level: slog.LevelInfo}
	if debug {
		opts.Level = slog.LevelDebug
	}
	if w.terminal {
		return slog.New(slog.NewTextHandler(w.stderr, opts))
	}
	return slog.New(slog.NewJSONHandler(w.stderr, opts))
}

// logIf logs what went wrong where it changes nothing for the caller.
func (w *world) logIf(what string, err error) {
	if err != nil {
		w.log.Warn(what, "error", err)
	}
}

// exit says what went wrong, once, and picks the code.
func (w *world) exit(err error) int {
	if err == nil {
		return exitOK
	}
	var code *exitError
	var refusal *runbook.Refusal
	switch {
	case errors.As(err, &code):
		if code.err != nil {
			w.complain(code.err.Error())
		}
		return code.code
	case errors.As(err, &refusal):
		w.complain(refusalLine(refusal))
		if refusal.Code == runbook.RefusedTarget || refusal.Code == runbook.RefusedUnread {
			return exitFailed
		}
		return exitFinding
	case errors.Is(err, context.Canceled):
		w.complain("interrupted")
		return exitFailed
	}
	w.complain(err.Error())
	return exitFailed
}

// complain says what went wrong. The text may quote what came from outside.
func (w *world) complain(text string) {
	for line := range strings.Lines("jwksbot: " + text) {
		fmt.Fprintln(w.stderr, clean(strings.TrimSuffix(line, "\n")))
	}
}

// unknownRun says what to do about an id that the journal does not know.
func unknownRun(id string) error {
	return fmt.Errorf("there is no run %q in this journal: list them with: jwksbot runs", id)
}

func refusalLine(r *runbook.Refusal) string {
	if len(r.People) == 0 {
		return r.Text
	}
	return fmt.Sprintf("%s Allowed are: %v.", r.Text, r.People)
}
