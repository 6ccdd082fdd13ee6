package main

import (
	"context"
	"errors"

	"jwksbot/runbook"
)

// runsCmd lists runs from the journal.
type runsCmd struct {
	ID     string `arg:"" optional:"" name:"run" help:"Show this run only."`
	Target string `help:"Runs of this target only."`
	Limit  int    `help:"How many, newest first." default:"20"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run reads the journal; it needs no network.
func (c runsCmd) Run(ctx context.Context, w *world) (err error) {
	cfg, err := w.readConfig()
	if err != nil {
		return err
	}
	j, err := w.openJournal(ctx, cfg, runbook.SystemClock{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close(ctx)) }()
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
