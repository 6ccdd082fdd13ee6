package main

import (
	"context"
	"errors"

	"jwksbot/runbook"
)

// approveCmd approves a run from the terminal.
type approveCmd struct {
	ID string `arg:"" name:"run" help:"Id of the run."`
}

// denyCmd denies a run from the terminal.
type denyCmd struct {
	ID     string `arg:"" name:"run" help:"Id of the run."`
	Reason string `help:"Why, for the record."`
}

// Run decides as the AWS caller.
func (c *approveCmd) Run(ctx context.Context, w *world) error {
	return decide(ctx, w, runbook.Click{Run: c.ID, Kind: runbook.DecideApprove})
}

// Run decides as the AWS caller.
func (c *denyCmd) Run(ctx context.Context, w *world) error {
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
