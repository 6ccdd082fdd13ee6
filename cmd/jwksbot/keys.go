package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"jwksbot/runbook"
	"jwksbot/runbook/keys"
)

func keysInspectCommand(w *world) *cobra.Command {
	c := &keysInspectCmd{}
	cmd := w.command("inspect", "Say what a key set holds and what is wrong with it. Exit 0 in order, 1 a fault, 2 unreadable.", c,
		argument{&c.Source, "<source>", "A file, a URL, or - for standard input."})
	cmd.Flags().BoolVar(&c.JSON, "json", false, "Print JSON.")
	return cmd
}

// keysInspectCmd says what a key set holds; like all about key sets, it needs
// no configuration.
type keysInspectCmd struct {
	Source string
	JSON   bool
}

// run reads one key set and prints what it is.
func (c *keysInspectCmd) run(ctx context.Context, w *world) error {
	set, err := w.readKeys(ctx, c.Source)
	if err != nil {
		return err
	}
	if c.JSON {
		err = w.json(set)
	} else {
		err = newPrinter(w).keySet(set)
	}
	if err != nil {
		return err
	}
	return exitWith(keys.ExitCode(set))
}

func keysDiffCommand(w *world) *cobra.Command {
	c := &keysDiffCmd{}
	cmd := w.command("diff", "Compare two key sets by kid and thumbprint. Exit 0 where no token is stranded, 1 otherwise, 2 unreadable.", c,
		argument{&c.Live, "<live>", "The live (or new) key set: a file, a URL, or -."},
		argument{&c.Cached, "<cached>", "The cached (or old) key set."})
	cmd.Flags().BoolVar(&c.JSON, "json", false, "Print JSON.")
	return cmd
}

type keysDiffCmd struct {
	Live, Cached string
	JSON         bool
}

// run compares two key sets.
func (c *keysDiffCmd) run(ctx context.Context, w *world) error {
	live, err := w.readKeys(ctx, c.Live)
	if err != nil {
		return err
	}
	cached, err := w.readKeys(ctx, c.Cached)
	if err != nil {
		return err
	}
	d := keys.Compare(live, cached)
	if c.JSON {
		err = w.json(d)
	} else {
		err = newPrinter(w).diff(d)
	}
	if err != nil {
		return err
	}
	return exitWith(d.ExitCode())
}

func exitWith(code int) error {
	if code == exitOK {
		return nil
	}
	return &exitError{code: code}
}

func (w *world) json(v any) error {
	enc := json.NewEncoder(w.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// maxKeyFile bounds what is read from a file; a URL has the endpoint's own cap.
const maxKeyFile = 64 << 20

// readKeys reads a key set from wherever it is.
func (w *world) readKeys(ctx context.Context, source string) (runbook.KeySet, error) {
	if strings.HasPrefix(source, "https://") || strings.HasPrefix(source, "http://") {
		return fetchKeys(ctx, source)
	}
	in := w.stdin
	if source != "-" {
		f, err := os.Open(source)
		if err != nil {
			return runbook.KeySet{}, fmt.Errorf("key set: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxKeyFile+1))
	switch {
	case err != nil:
		return runbook.KeySet{}, fmt.Errorf("key set %q: %w", source, err)
	case len(b) > maxKeyFile:
		return runbook.KeySet{}, fmt.Errorf("key set %q: larger than %d MiB", source, maxKeyFile>>20)
	}
	return keys.Read(b), nil
}

// fetchKeys asks a URL as the live endpoint is asked. A wrong answer is told
// as a problem of the set.
func fetchKeys(ctx context.Context, url string) (runbook.KeySet, error) {
	e, err := keys.NewEndpoint(keys.Settings{URL: url, UserAgent: "jwksbot/" + version()})
	if err != nil {
		return runbook.KeySet{}, err
	}
	p := e.Probe(ctx)
	if p.Unreachable {
		return runbook.KeySet{}, fmt.Errorf("%s: %s", url, p.Problem)
	}
	if p.Problem != "" && len(p.Set.Keys) == 0 {
		return runbook.KeySet{}, fmt.Errorf("%s: %s", url, p.Problem)
	}
	return p.Set, nil
}

func (p *printer) keySet(set runbook.KeySet) error {
	p.line("%s  %d keys, %d usable", p.bold(set.Shape), len(set.Keys), set.Usable)
	for _, k := range set.Keys {
		mark := "usable    "
		if !k.Usable {
			mark = "NOT usable"
		}
		p.line("  %s  %s", mark, keyLine(k))
	}
	for _, problem := range set.Problems {
		p.line("problem: %s", clean(problem))
	}
	return p.err
}

func (p *printer) diff(d keys.Diff) error {
	p.line("%s", p.bold(d.Verdict))
	for _, k := range d.Added {
		p.line("  + %s  %s", clean(k.Kid), short(k.Thumbprint))
	}
	for _, k := range d.Removed {
		p.line("  - %s  %s", clean(k.Kid), short(k.Thumbprint))
	}
	for _, k := range d.Rekeyed {
		p.line("  ! %s  live %s, cached %s", clean(k.Kid), short(k.Live), short(k.Cached))
	}
	for _, k := range d.Renamed {
		p.line("  ~ %s  live %s, cached %s", short(k.Thumbprint), clean(k.Live), clean(k.Cached))
	}
	for _, m := range d.Metadata {
		p.line("  * %s  %s: live %s, cached %s", clean(m.Kid), clean(m.Member), clean(m.Live), clean(m.Cached))
	}
	return p.err
}
