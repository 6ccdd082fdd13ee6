package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

func checkCommand(w *world) *cobra.Command {
	c := &checkCmd{}
	cmd := w.command("check", "Check a target: what is wrong, with proof, and whether a flush would help. Exit 0 healthy, 1 a problem, 2 could not tell.", c,
		argument{&c.Target, "[<target>]", "Name of the target; needed when there is more than one."})
	f := cmd.Flags()
	c.Since = check.DefaultWindow
	f.Var((*span)(&c.Since), "since", "How far back logs and metrics are read, such as 15m or 2h.")
	f.StringVar(&c.Kid, "kid", "", "Count failures of this `KID` only.")
	f.BoolVar(&c.JSON, "json", false, "Print JSON.")
	return cmd
}

// checkCmd runs the checks of a target and prints the verdict.
type checkCmd struct {
	Target string
	Since  time.Duration
	Kid    string
	JSON   bool
}

// span is the value of a flag that takes a window that can be checked.
type span time.Duration

func (s *span) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < check.MinWindow || d > check.MaxWindow {
		return fmt.Errorf("takes a time span between 1m and 24h such as 15m or 2h, not %q", text)
	}
	*s = span(d)
	return nil
}

func (s *span) String() string { return strings.TrimSuffix(time.Duration(*s).String(), "0m0s") }

func (s *span) Type() string { return "duration" }

// run checks anew, whatever was checked before.
func (c *checkCmd) run(ctx context.Context, w *world) error {
	cfg, err := w.readConfig()
	if err != nil {
		return err
	}
	p, err := w.assemble(ctx, cfg, w.clock)
	if err != nil {
		return err
	}
	defer p.close()
	t, err := p.target(c.Target)
	if err != nil {
		return err
	}
	// What earlier checks saw sharpens the verdict; a journal that cannot be
	// opened here must not stand in the way of the check.
	if j, err := w.openJournal(ctx, cfg, p.clock); err != nil {
		w.log.Warn("this check is not remembered", "error", err)
	} else {
		p.runner.Remember(j)
		defer func() { err := j.Close(ctx); w.logIf("journal", err) }()
	}
	var rep check.Reporter = check.Silent{}
	if !c.JSON && w.terminal {
		rep = &stepPrinter{w: w}
	}
	report, err := p.runner.Check(ctx, t, check.Ask{Window: c.Since, Kid: c.Kid, Anew: true}, rep)
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(w.stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(report)
	} else {
		err = newPrinter(w).report(report)
	}
	if err != nil {
		return err
	}
	if code := report.ExitCode(); code != exitOK {
		return &exitError{code: code}
	}
	return nil
}

// target finds a target for the terminal, with the same words as on Slack:
// whoever holds the configuration may know all names.
func (p *parts) target(name string) (*check.Target, error) {
	for _, t := range p.targets {
		if t.Name == name || name == "" && len(p.targets) == 1 {
			return t, nil
		}
	}
	return nil, approve.NoTarget(name, approve.Names(p.targets))
}
