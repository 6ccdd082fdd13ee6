package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"jwksbot/runbook"
	"jwksbot/runbook/config"
	"jwksbot/runbook/journal"
)

// auditSelection is which rows are wanted.
type auditSelection struct {
	RunID, Target, Actor, Kind string
	Since                      time.Duration
}

func (s *auditSelection) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.RunID, "run", "", "Rows of this `RUN` only.")
	f.StringVar(&s.Target, "target", "", "Rows of this `TARGET` only.")
	f.StringVar(&s.Actor, "actor", "", "Rows of this `PERSON` only: a Slack user id, or jwksbot for what it did by itself.")
	f.StringVar(&s.Kind, "kind", "", "Rows of this `KIND` only, such as request, approve, refused, state, effect.")
	f.DurationVar(&s.Since, "since", 0, "Rows of this last span of time only, such as 24h.")
}

func (s auditSelection) filter() journal.AuditFilter {
	f := journal.AuditFilter{Run: s.RunID, Target: s.Target, Actor: s.Actor, Kind: s.Kind}
	if s.Since > 0 {
		f.Since = time.Now().UTC().Add(-s.Since)
	}
	return f
}

// withJournal opens the journal of the configuration for one command.
func (w *world) withJournal(ctx context.Context, use func(*config.Config, *journal.Journal) error) (err error) {
	cfg, err := w.readConfig()
	if err != nil {
		return err
	}
	j, err := w.openJournal(ctx, cfg, w.clock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close(ctx)) }()
	return use(cfg, j)
}

func auditListCommand(w *world) *cobra.Command {
	c := &auditListCmd{}
	cmd := w.command("list", "Print the trail, oldest first; times are UTC.", c)
	c.flags(cmd)
	return cmd
}

type auditListCmd struct{ auditSelection }

// run prints one line a row.
func (c *auditListCmd) run(ctx context.Context, w *world) error {
	return w.withJournal(ctx, func(_ *config.Config, j *journal.Journal) error {
		p := newPrinter(w)
		rows := 0
		for row, err := range j.AuditRows(ctx, c.filter()) {
			if err != nil {
				return err
			}
			rows++
			p.hang(14, "%6d  %s  %-10s  %-13s  %-12s  %s", row.Seq, row.At.UTC().Format(time.DateTime), clean(row.Kind), clean(row.Run), clean(row.Actor), clean(row.Detail))
		}
		switch {
		case rows == 0 && c.auditSelection == auditSelection{}:
			fmt.Fprintln(w.stderr, "no rows yet")
		case rows == 0:
			fmt.Fprintln(w.stderr, "no rows match")
		}
		return p.err
	})
}

func auditVerifyCommand(w *world) *cobra.Command {
	c := &auditVerifyCmd{}
	cmd := w.command("verify", "Check the chain of hashes. Exit 0 whole, 1 changed.", c)
	cmd.Flags().StringArrayVar(&c.Heads, "head", nil, "A `HASH@SEQ` from the log (\"audit head\"): shows that nothing up to it was cut off or rewritten. May be repeated.")
	return cmd
}

type auditVerifyCmd struct{ Heads []string }

// run walks the chain from its first row to its head.
func (c *auditVerifyCmd) run(ctx context.Context, w *world) error {
	var marks []journal.AuditMark
	for _, text := range c.Heads {
		m, err := journal.ParseAuditMark(text)
		if err != nil {
			return usage("--head: %v", err)
		}
		marks = append(marks, m)
	}
	return w.withJournal(ctx, func(_ *config.Config, j *journal.Journal) error {
		report, err := j.VerifyAudit(ctx, marks...)
		var broken *journal.AuditError
		if errors.As(err, &broken) {
			return &exitError{exitFinding, err}
		}
		if err != nil {
			return err
		}
		p := newPrinter(w)
		p.line("whole: %d rows, head %s", report.Rows, report.Head)
		if report.Unkeyed > 0 {
			p.line("rows 1 to %d were written without the audit key: only a head from the log of that time shows that they are the old ones", report.Unkeyed)
		}
		return p.err
	})
}

func auditExportCommand(w *world) *cobra.Command {
	c := &auditExportCmd{}
	cmd := w.command("export", "Print the trail for an archive, as JSON Lines or CSV.", c)
	c.flags(cmd)
	cmd.Flags().Var(newOneOf(&c.Format, "jsonl", "csv"), "format", "jsonl, exact; or csv, where a ' stands before what a spreadsheet would compute, and � for what cannot be shown.")
	return cmd
}

type auditExportCmd struct {
	auditSelection
	Format string
}

// run prints the rows with their hashes, so that an archive can be held
// against the journal.
func (c *auditExportCmd) run(ctx context.Context, w *world) error {
	return w.withJournal(ctx, func(_ *config.Config, j *journal.Journal) error {
		write, flush := c.writer(w)
		for row, err := range j.AuditRows(ctx, c.filter()) {
			if err == nil {
				err = write(row)
			}
			if err != nil {
				return err
			}
		}
		return flush()
	})
}

func (c *auditExportCmd) writer(w *world) (write func(journal.AuditRow) error, flush func() error) {
	if c.Format == "jsonl" {
		enc := json.NewEncoder(exactly{w.stdout})
		enc.SetEscapeHTML(false)
		return func(r journal.AuditRow) error { return enc.Encode(r) }, func() error { return nil }
	}
	out := csv.NewWriter(w.stdout)
	err := out.Write([]string{"seq", "at", "actor", "kind", "run", "target", "ticket", "reason", "digest", "detail", "prev", "hash", "keyed"})
	write = func(r journal.AuditRow) error {
		cells := []string{strconv.FormatInt(r.Seq, 10), r.At.Format(time.RFC3339Nano), r.Actor, r.Kind, r.Run, r.Target, r.Ticket, r.Reason, r.Digest, r.Detail, r.Prev, r.Hash, strconv.FormatBool(r.Keyed)}
		for i := range cells {
			cells[i] = runbook.CleanCell(cells[i])
		}
		return errors.Join(err, out.Write(cells))
	}
	return write, func() error {
		out.Flush()
		return out.Error()
	}
}
