package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/config"
	"jwksbot/runbook/journal"
	"jwksbot/runbook/remote"
)

func runsCommand(w *world) *cobra.Command {
	c := &runsCmd{}
	cmd := w.command("runs", "List runs, or show one: what it would touch while it waits for approval, and its receipts afterwards.", c, argument{&c.ID, "[<run>]", "Show this run in full."})
	f := cmd.Flags()
	f.StringVar(&c.Target, "target", "", "Runs of this `TARGET` only.")
	f.IntVar(&c.Limit, "limit", 20, "`N` runs at most, newest first.")
	f.BoolVar(&c.JSON, "json", false, "Print JSON.")
	return cmd
}

// runsCmd lists runs from the journal.
type runsCmd struct {
	ID, Target string
	Limit      int
	JSON       bool
}

// run reads the journal; it needs no network.
func (c *runsCmd) run(ctx context.Context, w *world) error {
	return w.withJournal(ctx, func(cfg *config.Config, j *journal.Journal) error { return c.list(ctx, w, cfg, j) })
}

func (c *runsCmd) list(ctx context.Context, w *world, cfg *config.Config, j *journal.Journal) error {
	runs, err := j.Runs(ctx, runbook.Filter{Target: c.Target, Limit: c.Limit})
	if c.ID != "" {
		var run runbook.Run
		run, err = j.Run(ctx, c.ID)
		runs = []runbook.Run{run}
	}
	if errors.Is(err, runbook.ErrUnknownRun) {
		return unknownRun(c.ID)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return w.json(append([]runbook.Run{}, runs...)) // [], never null
	}
	p := newPrinter(w)
	switch {
	case c.ID != "":
		return p.run(runs[0])
	case len(runs) == 0 && c.Target != "":
		p.line("no runs of %s; configured are: %s", clean(c.Target), strings.Join(targetNames(cfg), ", "))
	case len(runs) == 0:
		p.line("no runs yet")
	}
	for _, r := range runs {
		p.listing(r)
	}
	return p.err
}

func approveCommand(w *world) *cobra.Command {
	c := &approveCmd{}
	cmd := w.command("approve", "Approve the plan of a run, from another identity than the requester's. What it will touch is shown by: jwksbot runs RUN.", c, argument{&c.ID, "<run>", "Id of the run; open ones are listed by: jwksbot runs."})
	cmd.Flags().IntVar(&c.Plan, "plan", 0, "`NUMBER` of the plan that you were shown; needed once a first plan was replaced.")
	return cmd
}

// approveCmd approves a plan of a run from the terminal.
type approveCmd struct {
	ID   string
	Plan int
}

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
	if c.Plan < 0 {
		return usage("--plan: plans are counted from 1")
	}
	return decide(ctx, w, approve.Click{Run: c.ID, Generation: c.Plan, Kind: runbook.DecideApprove})
}

// run decides as the AWS caller.
func (c *denyCmd) run(ctx context.Context, w *world) error {
	return decide(ctx, w, approve.Click{Run: c.ID, Kind: runbook.DecideDeny, Reason: c.Reason})
}

// decide hands the decision in. Where no other process executes, this one does
// and stays until the run has ended.
func decide(ctx context.Context, w *world, click approve.Click) (err error) {
	a, _, err := w.terminalApp(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	run, err := a.journal.Run(ctx, click.Run)
	if errors.Is(err, runbook.ErrUnknownRun) {
		return unknownRun(click.Run)
	}
	if err != nil {
		return err
	}
	if err := namePlan(&click, run); err != nil {
		return err
	}
	return a.runAsExecutor(ctx, w, func(ctx context.Context) error {
		answer, err := a.ask(ctx, remote.Request{Decide: &click})
		if err != nil {
			return err
		}
		p := newPrinter(w)
		p.line("%s", clean(answer.Text))
		run, err := a.journal.Run(ctx, click.Run)
		if err != nil || !a.journal.Executing() || !run.State.Executes() {
			return errors.Join(p.err, err)
		}
		return a.watch(ctx, w, click.Run)
	})
}

// namePlan says which plan a decision is about. An approval without a number is
// about the first plan, which is what a request shows to everybody; a plan that
// replaced it has to be looked at, and named. A denial is about whatever is
// asked for now.
func namePlan(c *approve.Click, run runbook.Run) error {
	switch {
	case c.Generation != 0:
	case c.Kind != runbook.DecideApprove:
		c.Generation = run.Generation
	case run.Generation > 1 && run.State == runbook.StatePending:
		return &runbook.Refusal{Code: approve.RefusedPlan, Text: fmt.Sprintf("Not approved: the first plan of run %[1]s was replaced; it is plan %[2]d now (%[3]s). Look at it with: jwksbot runs %[1]s; then: jwksbot approve %[1]s --plan %[2]d",
			run.ID, run.Generation, clean(run.Changes))}
	default:
		c.Generation = 1
	}
	return nil
}
