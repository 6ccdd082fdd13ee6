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
	"jwksbot/runbook/journal"
)

// auditSelection is which rows are wanted.
type auditSelection struct {
	RunID, Target string
	Since         time.Duration
}

func (s *auditSelection) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.RunID, "run", "", "Rows of this `RUN` only.")
	f.StringVar(&s.Target, "target", "", "Rows of this `TARGET` only.")
	f.DurationVar(&s.Since, "since", 0, "Rows of this last span of time only, such as 24h.")
}

func (s auditSelection) filter() journal.AuditFilter {
	f := journal.AuditFilter{Run: s.RunID, Target: s.Target}
	if s.Since > 0 {
		f.Since = time.Now().UTC().Add(-s.Since)
	}
	return f
}

// withJournal opens the journal of the configuration for one command.
func (w *world) withJournal(ctx context.Context, use func(*journal.Journal) error) (err error) {
	cfg, err := w.readConfig()
	if err != nil {
		return err
	}
	j, err := w.openJournal(ctx, cfg, runbook.SystemClock{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close(ctx)) }()
	return use(j)
}

func auditListCommand(w *world) *cobra.Command {
	c := &auditListCmd{}
	cmd := w.command("list", "Print the trail, oldest first.", c)
	c.flags(cmd)
	return cmd
}

type auditListCmd struct{ auditSelection }

// run prints one line a row.
func (c *auditListCmd) run(ctx context.Context, w *world) error {
	return w.withJournal(ctx, func(j *journal.Journal) error {
		p := newPrinter(w)
		for row, err := range j.AuditRows(ctx, c.filter()) {
			if err != nil {
				return err
			}
			p.line("%6d  %s  %-10s  %-13s  %-12s  %s", row.Seq, row.At.Format(time.DateTime), clean(row.Kind), clean(row.Run), clean(row.Actor), clean(row.Detail))
		}
		return p.err
	})
}

func auditVerifyCommand(w *world) *cobra.Command {
	return w.command("verify", "Check the chain of hashes. Exit 0 whole, 1 changed.", auditVerifyCmd{})
}

type auditVerifyCmd struct{}

// run walks the chain from its first row to its head.
func (auditVerifyCmd) run(ctx context.Context, w *world) error {
	return w.withJournal(ctx, func(j *journal.Journal) error {
		err := j.VerifyAudit(ctx)
		var broken *journal.AuditError
		if errors.As(err, &broken) {
			return &exitError{exitFinding, err}
		}
		if err != nil {
			return err
		}
		seq, hash, err := j.AuditHead(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w.stdout, "whole: %d rows, head %s\n", seq, hash)
		return err
	})
}

func auditExportCommand(w *world) *cobra.Command {
	c := &auditExportCmd{}
	cmd := w.command("export", "Print the trail for an archive, as JSON Lines or CSV.", c)
	c.flags(cmd)
	cmd.Flags().Var(newOneOf(&c.Format, "jsonl", "csv"), "format", "jsonl or csv.")
	return cmd
}

type auditExportCmd struct {
	auditSelection
	Format string
}

// run prints the rows with their hashes, so that an archive can be held
// against the journal.
func (c *auditExportCmd) run(ctx context.Context, w *world) error {
	return w.withJournal(ctx, func(j *journal.Journal) error {
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
		enc := json.NewEncoder(w.stdout)
		enc.SetEscapeHTML(false)
		return func(r journal.AuditRow) error { return enc.Encode(r) }, func() error { return nil }
	}
	out := csv.NewWriter(w.stdout)
	header := []string{"seq", "at", "actor", "kind", "run", "target", "ticket", "reason", "digest", "detail", "prev", "hash"}
	err := out.Write(header)
	write = func(r journal.AuditRow) error {
		return errors.Join(err, out.Write([]string{strconv.FormatInt(r.Seq, 10), r.At.Format(time.RFC3339Nano), r.Actor, r.Kind, r.Run, r.Target, r.Ticket, r.Reason, r.Digest, r.Detail, r.Prev, r.Hash}))
	}
	return write, func() error {
		out.Flush()
		return out.Error()
	}
}
