package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jwksbot/runbook"
	"jwksbot/runbook/journal"
)

func flushCommand(w *world) *cobra.Command {
	c := &flushCmd{}
	cmd := w.command("flush", "Request a flush under the target's approval policy, and follow it to its end.", c,
		argument{&c.Target, "<target>", "Name of the target."})
	f := cmd.Flags()
	f.StringVar(&c.Ticket, "ticket", "", "INC-… or CHG-…; needed unless --dry-run.")
	f.StringVar(&c.Reason, "reason", "", "Why, in a few words; needed unless --dry-run.")
	f.Var(newOneOf(&c.Scope, "keys", "all"), "scope", "keys: the entries that match; all: everything, where the target allows it.")
	f.StringVar(&c.Override, "override", "", "`REASON` why it should be done against the verdict's advice.")
	f.BoolVar(&c.DryRun, "dry-run", false, "Print the plan and stop.")
	f.BoolVarP(&c.Yes, "yes", "y", false, "Do not ask for the target's name.")
	return cmd
}

// flushCmd requests a flush and follows it.
type flushCmd struct {
	Target, Ticket, Reason, Scope, Override string
	DryRun, Yes                             bool
}

// run prints the plan, asks, requests, and stays until the run has ended.
func (c *flushCmd) run(ctx context.Context, w *world) (err error) {
	if err := c.complete(); err != nil {
		return err
	}
	o, people, err := w.terminalOffice(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	req := runbook.Request{Target: c.Target, Scope: runbook.Scope(c.Scope), Ticket: c.Ticket, Reason: c.Reason, Override: c.Override, Via: runbook.ViaTerminal}
	plan, report, refused := o.desk.Preview(ctx, req, &stepPrinter{w: w})
	p := newPrinter(w)
	if report.Target != "" {
		p.line("%s  %s", p.bold(string(report.Diagnosis.Verdict.ID)), clean(report.Diagnosis.Verdict.Summary))
		if perr := p.plan(plan); perr != nil {
			return perr
		}
	}
	if refused != nil || c.DryRun {
		return refused
	}
	who, err := people.caller(ctx)
	if err != nil {
		return err
	}
	req.By = who.ID
	if err := c.confirm(w); err != nil {
		return err
	}
	run, _, err := o.desk.Open(ctx, req, runbook.Silent{})
	if err != nil {
		return err
	}
	p.line("run %s waits for %s: jwksbot approve %s, from another identity, or the card in Slack", p.bold(run.ID), count(run.Required, "approval", "approvals"), run.ID)
	return o.follow(ctx, w, run.ID)
}

// complete refuses a request that lacks something before anything is checked.
func (c *flushCmd) complete() error {
	switch {
	case c.DryRun:
		return nil
	case c.Ticket == "" || strings.TrimSpace(c.Reason) == "":
		return errors.New("a flush needs --ticket INC-… (or CHG-…) and --reason; --dry-run shows the plan without them")
	}
	return runbook.CheckTicket(c.Ticket)
}

// confirm asks for the target's name on standard input.
func (c *flushCmd) confirm(w *world) error {
	if c.Yes {
		return nil
	}
	fmt.Fprintf(w.stderr, "Type the target's name to request this: ")
	answer, err := bufio.NewReader(w.stdin).ReadString('\n')
	if strings.TrimSpace(answer) != c.Target {
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

// follow executes what is in the journal, unless another process does, until
// the run has ended, and prints every change of state.
func (o *office) follow(ctx context.Context, w *world, id string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 2)
	go func() {
		err := o.journal.TryExecute(ctx, o.machine.Advance)
		if errors.Is(err, journal.ErrExecutorElsewhere) {
			err = nil // the bot executes it; this process only watches
		}
		ended <- err
	}()
	go func() {
		_ = o.keeper.Keep(ctx, func(err error) { w.log.Error("due runs", "error", err) })
		ended <- nil
	}()
	err := o.watch(ctx, w, id)
	stop()
	return errors.Join(err, <-ended, <-ended)
}

// watch prints what becomes of a run, to its end.
func (o *office) watch(ctx context.Context, w *world, id string) error {
	woken, unsubscribe := o.journal.Subscribe()
	defer unsubscribe()
	p := newPrinter(w)
	var last runbook.State
	for {
		run, err := o.journal.Run(ctx, id)
		switch {
		case ctx.Err() != nil:
			return interrupted(id)
		case err != nil:
			return err
		}
		if run.State != last {
			last = run.State
			fmt.Fprintf(w.stderr, "%s  %s\n", o.clock.Now().Format(time.TimeOnly), run.State)
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

func interrupted(id string) error {
	return &exitError{exitFailed, fmt.Errorf("interrupted: run %s stays in the journal, and the next executor goes on with it; see it with: jwksbot runs %s", id, id)}
}
