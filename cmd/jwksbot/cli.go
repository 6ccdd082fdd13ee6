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

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
)

// commands is the whole program in one table. To add a command: give it a file
// with a constructor and an action, and a line here.
func commands(w *world) *cobra.Command {
	return group("jwksbot", "Finds out why valid tokens are rejected after a key rotation, and flushes the stale key cache: with approval, exactly once, with proof.",
		serveCommand(w),
		demoCommand(w),
		checkCommand(w),
		flushCommand(w),
		approveCommand(w),
		denyCommand(w),
		restoreCommand(w),
		runsCommand(w),
		reportCommand(w),
		group("audit", "The audit trail: list, verify, export.",
			auditListCommand(w),
			auditVerifyCommand(w),
			auditExportCommand(w)),
		group("keys", "Read and compare key sets, offline too.",
			keysInspectCommand(w),
			keysDiffCommand(w)),
		group("logs", "Classify authoriser log lines.",
			logsClassifyCommand(w)),
		group("config", "Print an example configuration, or check one.",
			configExampleCommand(w),
			configCheckCommand(w)),
		doctorCommand(w),
		manifestCommand(w),
		iamPolicyCommand(w),
		healthCommand(w),
		versionCommand(w))
}

// world is what a command touches of the process: nothing else reads the
// environment or writes to the terminal.
type world struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string
	// bare is standard output for what cleans and paints its lines itself; nil
	// outside of run, where stdout is bare itself.
	bare io.Writer
	// colour says that standard output is a terminal that wants colour.
	colour bool
	// width is that of the terminal; 0: standard output is none.
	width int
	// terminal says that log lines are for people.
	terminal bool

	// clock is what waits and due times go by, and what records are dated with.
	clock runbook.Clock

	config string
	debug  bool
	log    *slog.Logger
	// level is what is logged. A command that ends by itself tells a person at a
	// terminal what matters in its own words: it logs warnings only.
	level slog.LevelVar
	// auditLog gets a copy of every row of the audit trail; nil: none.
	auditLog *slog.Logger
}

// paper is what a printer prints on.
func (w *world) paper() io.Writer {
	if w.bare != nil {
		return w.bare
	}
	return w.stdout
}

func system() *world {
	w := &world{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, clock: runbook.SystemClock{}}
	w.colour = isTerminal(os.Stdout) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if isTerminal(os.Stdout) {
		w.width = terminalWidth(os.Stdout)
	}
	w.terminal = isTerminal(os.Stderr)
	return w
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// terminalWidth is how many columns a terminal has; 0 when it does not say: it
// then breaks lines by itself.
func terminalWidth(f *os.File) int {
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
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
	w.bare, w.stdout, w.stderr = w.stdout, &screen{to: w.stdout}, &screen{to: w.stderr}
	cobra.EnableCommandSorting = false // help follows the table
	root := commands(w)
	root.SilenceErrors, root.SilenceUsage = true, true // exit tells errors
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(&w.config, "config", "", "Configuration `FILE`; jwksbot.yaml without it ($JWKSBOT_CONFIG).")
	root.PersistentFlags().BoolVar(&w.debug, "debug", false, "Log more.")
	root.PersistentFlags().BoolP("help", "h", false, "Show the help of a command.")
	showVersion(root, w)
	root.SetHelpFunc(printHelp)
	root.SetHelpCommand(helpCommand())
	root.SetFlagErrorFunc(wrongFlag)
	root.SetOut(w.stdout)
	root.SetErr(w.stderr)
	root.SetArgs(args)
	return w.exit(root.ExecuteContext(ctx))
}

func newLogger(w *world) *slog.Logger {
	opts := &slog.HandlerOptions{Level: &w.level}
	switch {
	case w.debug:
		w.level.Set(slog.LevelDebug)
	case w.terminal:
		w.level.Set(slog.LevelWarn)
	}
	if w.terminal {
		return slog.New(newRepeats(slog.NewTextHandler(w.stderr, opts)))
	}
	return slog.New(newRepeats(slog.NewJSONHandler(exactly{w.stderr}, opts)))
}

// logIf logs what went wrong where it changes nothing for the caller.
func (w *world) logIf(what string, err error) {
	if err != nil {
		w.log.Warn(what, "error", err)
	}
}

// background logs what went wrong in work that is soon done again. That the
// journal cannot be reached is in the log already.
func (w *world) background(what string, err error) {
	if !runbook.LedgerAway(err) {
		w.log.Error(what, "error", err)
	}
}

// exit says what went wrong, once, and picks the code.
func (w *world) exit(err error) int {
	if err == nil {
		return exitOK
	}
	var code *exitError
	var refusal *runbook.Refusal
	var wrong *usageError
	switch {
	case errors.As(err, &wrong):
		w.complain(wrong.Error() + "\nTry: " + cmp.Or(wrong.path, "jwksbot") + " --help")
		return exitFailed
	case errors.As(err, &code):
		if code.err != nil {
			w.complain(code.err.Error())
		}
		return code.code
	case errors.As(err, &refusal):
		w.complain(refusalLine(refusal))
		if refusal.Code == approve.RefusedTarget || refusal.Code == runbook.RefusedUnread {
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
		line = strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", "  ")
		fmt.Fprintln(w.stderr, clean(line))
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
	return fmt.Sprintf("%s Allowed are: %s.", r.Text, strings.Join(r.People, ", "))
}
