package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"jwksbot/runbook"
	"jwksbot/runbook/journal"
)

func runsCommand(w *world) *cobra.Command {
	c := &runsCmd{}
	cmd := w.command("runs", "List runs, or show one.", c, argument{&c.ID, "[<run>]", "Show this run only."})
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
	return w.withJournal(ctx, func(_ *config, j *journal.Journal) error { return c.list(ctx, w, j) })
}

func (c *runsCmd) list(ctx context.Context, w *world, j *journal.Journal) error {
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
	for _, r := range runs {
		if err := p.run(r); err != nil {
			return err
		}
	}
	if len(runs) == 0 {
		p.line("no runs yet")
	}
	return p.err
}
