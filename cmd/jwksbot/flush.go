package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/config"
	"jwksbot/runbook/record"
	"jwksbot/runbook/remote"
)

func flushCommand(w *world) *cobra.Command {
	c := &flushCmd{}
	cmd := w.command("flush", "Request a flush under the target's approval policy, and follow it to its end.", c,
		argument{&c.req.Target, "<target>", "Name of the target."})
	f := cmd.Flags()
	f.Var(newOneOf(&c.scope, "keys", "all"), "scope", "keys: the entries that match; all: everything, where the target allows it.")
	f.BoolVar(&c.req.Restart, "restart", false, "Also restart the authoriser, after the flush.")
	f.BoolVar(&c.req.Gateway, "gateway", false, "Also empty the gateway's authoriser cache, after all else.")
	f.BoolVar(&c.req.NoFlush, "no-flush", false, "Leave the cache as it is: --restart or --gateway alone.")
	f.BoolVar(&c.req.Direct, "direct", false, "Delete directly where cache.via is commandbridge.")
	c.flags(f, "; needed unless --dry-run.")
	return cmd
}

func restoreCommand(w *world) *cobra.Command {
	c := &flushCmd{}
	cmd := w.command("restore", "Write back what a run deleted, under the target's approval policy. Ticket and reason are those of that run unless they are given.", c,
		argument{&c.req.RestoreOf, "<run>", "Id of the run to undo; its snapshot is kept for snapshot.keep."})
	f := cmd.Flags()
	f.BoolVar(&c.req.Force, "force", false, "Also over entries that were written since.")
	c.flags(f, "; that of the run to undo without it.")
	return cmd
}

// flushCmd requests a mitigation and follows it.
type flushCmd struct {
	req         approve.Request
	scope       string
	dryRun, yes bool
}

// flags adds what every mitigation takes.
func (c *flushCmd) flags(f *pflag.FlagSet, needed string) {
	f.StringVar(&c.req.Ticket, "ticket", "", "`TICKET`, INC-… or CHG-…"+needed)
	f.StringVar(&c.req.Reason, "reason", "", "`REASON` in a few words"+needed)
	f.StringVar(&c.req.Override, "override", "", "`REASON` why it should be done against the verdict's advice.")
	f.StringVar(&c.req.BreakGlass, "break-glass", "", "`REASON` why nobody can be asked; where the target allows it, it starts at once and the approvers are told.")
	f.BoolVar(&c.dryRun, "dry-run", false, "Print the plan and stop.")
	f.BoolVarP(&c.yes, "yes", "y", false, "Do not ask for the target's name.")
}

// run prints the plan, asks, requests, and stays until the run has ended.
func (c *flushCmd) run(ctx context.Context, w *world) (err error) {
	if err := c.complete(); err != nil {
		return err
	}
	a, _, err := w.terminalApp(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.cfg.Need(config.ToAct); err != nil && !c.dryRun {
		return err
	}
	if err := c.undone(ctx, a); err != nil {
		return err
	}
	if err := c.preview(ctx, w, a); err != nil || c.dryRun {
		return err
	}
	if err := c.confirm(w); err != nil {
		return err
	}
	return a.runAsExecutor(ctx, w, func(ctx context.Context) error {
		answer, err := a.ask(ctx, remote.Request{Open: &c.req})
		if err != nil {
			return err
		}
		run, err := a.journal.Run(ctx, answer.Run)
		if err != nil {
			return err
		}
		p := newPrinter(w)
		if run.BreakGlass != "" {
			p.line("run %s starts at once, approved by nobody: this is recorded, and the approvers are told", p.bold(run.ID))
		} else {
			p.line("run %s waits for %s until %s, from another identity or on the card in Slack:", p.bold(run.ID), runbook.Plural(run.Required, "approval", "approvals"), run.ExpiresAt.UTC().Format("15:04 UTC"))
			p.whole("  jwksbot approve %s", run.ID)
		}
		if run.Verified != "" {
			fmt.Fprintf(w.stderr, "%s, not by a running bot; the record says so\n", run.Verified)
		}
		return a.watch(ctx, w, run.ID)
	})
}

// undone takes the target from the run that is to be undone, and its ticket and
// reason where no others are given.
func (c *flushCmd) undone(ctx context.Context, a *app) error {
	if c.req.RestoreOf == "" {
		return nil
	}
	run, err := a.journal.Run(ctx, c.req.RestoreOf)
	if errors.Is(err, runbook.ErrUnknownRun) {
		return unknownRun(c.req.RestoreOf)
	}
	if err != nil {
		return err
	}
	undo, _ := record.RequestFor(run, record.NextUndo, "", runbook.ViaTerminal)
	c.req.Target = undo.Target
	c.req.Ticket = cmp.Or(c.req.Ticket, undo.Ticket)
	c.req.Reason = cmp.Or(strings.TrimSpace(c.req.Reason), undo.Reason)
	return nil
}

// preview prints what would be done, and why that may be refused.
func (c *flushCmd) preview(ctx context.Context, w *world, a *app) error {
	plan, report, refused := a.service.Preview(ctx, c.req, &stepPrinter{w: w})
	if report.Target == "" {
		return refused
	}
	p := newPrinter(w)
	if v := report.Diagnosis.Verdict; v.ID != "" { // a restore asks for none
		p.line("%s  %s", p.bold(string(v.ID)), clean(v.Summary))
	}
	if refused != nil && plan.Empty() {
		return refused
	}
	if err := p.plan(plan); err != nil {
		return err
	}
	return refused
}

// complete refuses a request that lacks something before anything is checked.
func (c *flushCmd) complete() error {
	c.req.Scope, c.req.Via = runbook.Scope(c.scope), runbook.ViaTerminal
	switch {
	case c.req.NoFlush && !c.req.Restart && !c.req.Gateway:
		return usage("--no-flush leaves nothing to do without --restart or --gateway")
	case c.dryRun:
		return nil
	case c.req.RestoreOf != "" && c.req.Ticket == "":
		return nil
	case c.req.RestoreOf == "" && (c.req.Ticket == "" || strings.TrimSpace(c.req.Reason) == ""):
		return errors.New("a mitigation needs --ticket INC-… (or CHG-…) and --reason; --dry-run shows the plan without them")
	}
	return approve.CheckTicket(c.req.Ticket)
}

// confirm asks for the target's name on standard input.
func (c *flushCmd) confirm(w *world) error {
	if c.yes {
		return nil
	}
	fmt.Fprintf(w.stderr, "Type the target's name to request this: ")
	answer, err := bufio.NewReader(w.stdin).ReadString('\n')
	if !strings.HasSuffix(answer, "\n") {
		fmt.Fprintln(w.stderr) // nobody pressed Enter
	}
	if strings.TrimSpace(answer) != c.req.Target {
		return errors.Join(&exitError{exitFinding, errors.New("not confirmed; nothing was requested")}, ignoreEOF(err))
	}
	return nil
}

func ignoreEOF(err error) error {
	if err == nil || err.Error() == "EOF" {
		return nil
	}
	return err
}

// watch prints what becomes of a run, to its end.
func (a *app) watch(ctx context.Context, w *world, id string) error {
	woken, unsubscribe := a.journal.Subscribe()
	defer unsubscribe()
	p, aside := newPrinter(w), newPrinter(w)
	aside.out, aside.colour = w.stderr, false
	var last string
	escalated := 0
	var duty carrier
	for {
		run, err := a.journal.Run(ctx, id)
		switch {
		case ctx.Err() != nil:
			return interrupted(id)
		case waitable(err):
			if err := a.awaitJournal(ctx, w, id); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		duty.tell(w, a.journal.Executing())
		if now := standing(run); now != last {
			last = now
			fmt.Fprintf(w.stderr, "%s  %s\n", a.clock.Now().Format(time.TimeOnly), clean(now))
		}
		if e := run.Escalation; e != nil && e.N > escalated && !run.State.Ended() {
			escalated = e.N
			aside.line("  %s %s", aside.paint("1;31", "escalated:"), clean(e.Why))
			aside.next(run)
		}
		if run.State.Ended() {
			if err := p.run(run); err != nil {
				return err
			}
			if run.State != runbook.StateDone {
				return &exitError{code: exitFinding}
			}
			return nil
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return interrupted(id)
		case <-time.After(time.Second): // another process may have changed it
		}
	}
}

// doing says what a state that may take a while does.
var doing = map[runbook.State]string{
	runbook.StatePending:  "  waits for approval",
	runbook.StateVerify:   "  reads the effect back, and looks for the refill",
	runbook.StateRestart:  "  waits for new execution environments",
	runbook.StateConfirm:  "  looks for a sign-in that is accepted",
	runbook.StateEscalate: "  calls the on-call team",
}

// standing is where a run is, in a line.
func standing(run runbook.Run) string {
	text := string(run.State)
	p := run.Progress
	switch {
	case run.State == runbook.StateWatch && run.Watch != nil:
		text += "  " + run.Watch.Text
	case p.Total > 0:
		text += fmt.Sprintf("  %d of %d", p.Done, p.Total)
	case p.Text != "":
		text += "  " + p.Text
	default:
		text += doing[run.State]
	}
	return text
}

func interrupted(id string) error {
	return &exitError{exitFailed, fmt.Errorf("interrupted: run %s stays in the journal, and the next executor goes on with it; see it with: jwksbot runs %s", id, id)}
}

// carrier is whether this terminal was last told that it carries the run out.
type carrier bool

// tell says so whenever it changes.
func (c *carrier) tell(w *world, executing bool) {
	switch {
	case executing && !bool(*c):
		fmt.Fprintln(w.stderr, "no bot is running: this terminal carries the run out, so leave it open")
	case !executing && bool(*c):
		fmt.Fprintln(w.stderr, "a bot is running now and carries the run out: this terminal only watches")
	}
	*c = carrier(executing)
}

// waitable says that the journal will be there again. One whose file was
// deleted or replaced is not waited for.
func waitable(err error) bool {
	var l *runbook.LedgerError
	return errors.As(err, &l) && l.Away && !l.Lost
}

// awaitJournal waits until the run can be read again.
func (a *app) awaitJournal(ctx context.Context, w *world, id string) error {
	fmt.Fprintf(w.stderr, "%s  the journal cannot be reached; nothing is lost, waiting for it\n", a.clock.Now().Format(time.TimeOnly))
	for {
		if err := (runbook.SystemClock{}).Wait(ctx, time.Second); err != nil {
			return interrupted(id)
		}
		if _, err := a.journal.Run(ctx, id); !waitable(err) {
			return nil
		}
	}
}
