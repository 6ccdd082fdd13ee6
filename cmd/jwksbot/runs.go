package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"jwksbot/runbook"
	"jwksbot/runbook/config"
	"jwksbot/runbook/journal"
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
