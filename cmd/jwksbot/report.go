package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"jwksbot/bot"
	"jwksbot/runbook"
	"jwksbot/runbook/chart"
	"jwksbot/runbook/config"
	"jwksbot/runbook/journal"
	"jwksbot/runbook/record"
)

func reportCommand(w *world) *cobra.Command {
	c := &reportCmd{}
	cmd := w.command("report", "Write the record of a run for a post-incident review, in Markdown.", c,
		argument{&c.Of, "[<run|target>]", "This run, or the newest one of this target; without it, the newest one of the only target."})
	cmd.Flags().BoolVar(&c.JSON, "json", false, "Print JSON.")
	cmd.Flags().StringVar(&c.Out, "out", "", "Write RUN.md, RUN.json and, where something was measured, the chart RUN.png into this `DIR`.")
	return cmd
}

// reportCmd writes the record of a run.
type reportCmd struct {
	Of, Out string
	JSON    bool
}

// run reads the journal; it needs no network.
func (c *reportCmd) run(ctx context.Context, w *world) error {
	return w.withJournal(ctx, func(cfg *config.Config, j *journal.Journal) error { return c.report(ctx, w, cfg, j) })
}

func (c *reportCmd) report(ctx context.Context, w *world, cfg *config.Config, j *journal.Journal) error {
	run, err := c.find(ctx, cfg, j)
	if err != nil {
		return err
	}
	from, err := recordSources(ctx, j, run)
	if err != nil {
		return err
	}
	switch {
	case c.Out != "":
		return c.write(w, run, from)
	case c.JSON:
		return w.json(record.NewTimeline(run, from))
	}
	_, err = fmt.Fprint(w.stdout, record.NewTimeline(run, from).Markdown())
	return err
}

// find returns the run that is meant.
func (c *reportCmd) find(ctx context.Context, cfg *config.Config, j *journal.Journal) (runbook.Run, error) {
	names := targetNames(cfg)
	target := c.Of
	if target == "" {
		if len(names) != 1 {
			return runbook.Run{}, fmt.Errorf("which run or target? The targets are: %s; the runs are listed by: jwksbot runs", strings.Join(names, ", "))
		}
		target = names[0]
	}
	if c.Of != "" {
		run, err := j.Run(ctx, c.Of)
		if err == nil || !errors.Is(err, runbook.ErrUnknownRun) {
			return run, err
		}
		if !slices.Contains(names, c.Of) {
			return runbook.Run{}, fmt.Errorf("%q is neither a run of this journal nor a target: list the runs with: jwksbot runs; the targets are: %s", c.Of, strings.Join(names, ", "))
		}
	}
	runs, err := j.Runs(ctx, runbook.Filter{Target: target, Limit: 1})
	if err != nil {
		return runbook.Run{}, err
	}
	if len(runs) == 0 {
		return runbook.Run{}, fmt.Errorf("target %s has no run yet, so that there is nothing to report", target)
	}
	return runs[0], nil
}

// recordSources reads what belongs to the record besides the run.
func recordSources(ctx context.Context, j *journal.Journal, run runbook.Run) (record.TimelineSources, error) {
	var from record.TimelineSources
	for row, err := range j.AuditRows(ctx, journal.AuditFilter{Run: run.ID}) {
		if err != nil {
			return from, err
		}
		from.Rows = append(from.Rows, row.AuditEntry)
	}
	later, err := j.Runs(ctx, runbook.Filter{Target: run.Target, Limit: 1000})
	if err != nil {
		return from, err
	}
	for _, r := range later {
		if r.Plan.Restore != nil && r.Plan.Restore.Of == run.ID {
			from.Undone = append(from.Undone, r)
		}
	}
	return from, nil
}

// write puts the record into files and prints their names.
func (c *reportCmd) write(w *world, run runbook.Run, from record.TimelineSources) error {
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("folder of the report: %w", err)
	}
	name := func(ext string) string { return filepath.Join(c.Out, run.ID+ext) }
	files := map[string][]byte{}
	if s := record.Series(run); len(s.Failures) > 0 {
		png, err := chart.Draw(s)
		if err != nil {
			return err
		}
		files[name(".png")], from.Chart = png, run.ID+".png"
	}
	record := record.NewTimeline(run, from)
	text, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	files[name(".json")], files[name(".md")] = append(text, '\n'), []byte(record.Markdown())
	for _, ext := range []string{".md", ".json", ".png"} {
		content, ok := files[name(ext)]
		if !ok {
			continue
		}
		if err := os.WriteFile(name(ext), content, 0o644); err != nil {
			return fmt.Errorf("report: %w", err)
		}
		if _, err := fmt.Fprintln(w.stdout, name(ext)); err != nil {
			return err
		}
	}
	return nil
}

// record is what the bot posts when somebody asks for the record of a run.
func (a *app) record(ctx context.Context, run runbook.Run) ([]byte, error) {
	from, err := recordSources(ctx, a.journal, run)
	if err != nil {
		return nil, err
	}
	if len(record.Series(run).Failures) > 1 {
		from.Chart = bot.ChartName(run.ID) // which is posted beside it
	}
	return []byte(record.NewTimeline(run, from).Markdown()), nil
}

func targetNames(c *config.Config) (names []string) {
	for _, t := range c.Targets {
		names = append(names, t.Name)
	}
	return names
}
