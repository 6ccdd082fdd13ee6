package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"jwksbot/runbook/telemetry"
)

func logsClassifyCommand(w *world) *cobra.Command {
	c := &logsClassifyCmd{}
	cmd := w.command("classify", "Name the error class and kid of every line that tells of a failure or a key event. Exit 0: all was read, whatever it says.", c,
		argument{&c.File, "[<file>]", "A file; standard input without it, or with -."})
	cmd.Flags().BoolVar(&c.JSON, "json", false, "Print JSON Lines.")
	cmd.Flags().Var(&patternFlag{&c.Patterns}, "pattern", "One more log pattern, tried first, as in authoriser.patterns; may be repeated: --pattern 'unknown_kid=no key (?P<kid>\\S+)'.")
	return cmd
}

// logsClassifyCmd names what log lines tell; it needs no configuration.
type logsClassifyCmd struct {
	File     string
	JSON     bool
	Patterns []telemetry.Pattern
}

// patternFlag collects patterns, so that they can be tried on a log before they
// go into a configuration.
type patternFlag struct{ into *[]telemetry.Pattern }

func (patternFlag) Type() string { return "CLASS=REGEXP" }

func (patternFlag) String() string { return "" }

func (f patternFlag) Set(text string) error {
	class, re, _ := strings.Cut(text, "=")
	p := telemetry.Pattern{Class: class, Regexp: re}
	if err := p.Validate(); err != nil {
		return err
	}
	*f.into = append(*f.into, p)
	return nil
}

// run reads lines and prints one line for each that says something.
func (c *logsClassifyCmd) run(_ context.Context, w *world) error {
	in, name := w.stdin, "standard input"
	if c.File != "" && c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("log lines: %w", err)
		}
		defer f.Close()
		in, name = f, c.File
	}
	classifier, err := telemetry.NewClassifier(c.Patterns)
	if err != nil {
		return err
	}
	if err := telemetry.Classify(in, classifier, c.emitter(w.stdout)); err != nil {
		return fmt.Errorf("log lines of %s: %w", name, err)
	}
	return nil
}

func (c *logsClassifyCmd) emitter(out io.Writer) func(int, string, string) error {
	if c.JSON {
		enc := json.NewEncoder(exactly{out})
		enc.SetEscapeHTML(false)
		return func(line int, class, kid string) error {
			return enc.Encode(struct {
				Line  int    `json:"line"`
				Class string `json:"class"`
				Kid   string `json:"kid"`
			}{line, class, kid})
		}
	}
	return func(line int, class, kid string) error {
		_, err := fmt.Fprintf(out, "%d\t%s\t%s\n", line, class, clean(kid))
		return err
	}
}
