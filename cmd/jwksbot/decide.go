package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"jwksbot/runbook"
)

func approveCommand(w *world) *cobra.Command {
	c := &approveCmd{}
	return w.command("approve", "Approve a run, from another identity than the requester's. What it will touch is shown by: jwksbot runs RUN.", c, argument{&c.ID, "<run>", "Id of the run; open ones are listed by: jwksbot runs."})
}

// approveCmd approves a run from the terminal.
type approveCmd struct{ ID string }

func denyCommand(w *world) *cobra.Command {
	c := &denyCmd{}
	cmd := w.command("deny", "Deny a run: nothing is touched.", c, argument{&c.ID, "<run>", "Id of the run; open ones are listed by: jwksbot runs."})
	cmd.Flags().StringVar(&c.Reason, "reason", "", "`REASON` for the record.")
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

// decide hands the decision in. Where no other process executes, this one does
// and stays until the run has ended.
func decide(ctx context.Context, w *world, click runbook.Click) (err error) {
	o, _, err := w.terminalOffice(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	if _, err := o.journal.Run(ctx, click.Run); errors.Is(err, runbook.ErrUnknownRun) {
		return unknownRun(click.Run)
	}
	return o.staffed(ctx, w, func(ctx context.Context) error {
		answer, err := o.ask(ctx, petition{Click: &click})
		if err != nil {
			return err
		}
		p := newPrinter(w)
		p.line("%s", clean(answer.Text))
		run, err := o.journal.Run(ctx, click.Run)
		if err != nil || !o.journal.Executing() || !run.State.Executes() {
			return errors.Join(p.err, err)
		}
		return o.watch(ctx, w, click.Run)
	})
}
