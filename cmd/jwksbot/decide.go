package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"jwksbot/runbook"
)

func approveCommand(w *world) *cobra.Command {
	c := &approveCmd{}
	return w.command("approve", "Approve a run, from another identity than the requester's.", c, argument{&c.ID, "<run>", "Id of the run."})
}

// approveCmd approves a run from the terminal.
type approveCmd struct{ ID string }

func denyCommand(w *world) *cobra.Command {
	c := &denyCmd{}
	cmd := w.command("deny", "Deny a run.", c, argument{&c.ID, "<run>", "Id of the run."})
	cmd.Flags().StringVar(&c.Reason, "reason", "", "Why, for the record.")
	return cmd
}

// denyCmd denies a run from the terminal.
type denyCmd struct{ ID, Reason string }

// run decides as the AWS caller.
func (c *approveCmd) run(ctx context.Context, w *world) error {
	return decide(ctx, w, runbook.Click{Run: c.ID, Kind: runbook.DecideApprove})
}

// run decides as the AWS caller.
func (c *denyCmd) run(ctx context.Context, w *world) error {
	return decide(ctx, w, runbook.Click{Run: c.ID, Kind: runbook.DecideDeny, Reason: c.Reason})
}

func decide(ctx context.Context, w *world, click runbook.Click) (err error) {
	o, people, err := w.terminalOffice(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	who, err := people.caller(ctx)
	if err != nil {
		return err
	}
	click.By, click.Via = who.ID, runbook.ViaTerminal
	answer, err := o.desk.Decide(ctx, click)
	var refusal *runbook.Refusal
	if errors.As(err, &refusal) && refusal.Code == runbook.RefusedUnknownRun {
		return unknownRun(click.Run)
	}
	if err != nil {
		return err
	}
	p := newPrinter(w)
	p.line("%s", clean(answer.Text))
	return p.err
}
