package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"jwksbot/runbook"
	"jwksbot/runbook/keys"
)

func keysInspectCommand(w *world) *cobra.Command {
	c := &keysInspectCmd{}
	cmd := w.command("inspect", "Say what a key set holds and what is wrong with it. Exit 0: in order; 1: a key meant for signatures cannot be used, something secret is published, or a URL answers wrongly; 2: unreadable or out of reach.", c,
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
		err = w.json(set.KeySet)
	} else {
		err = newPrinter(w).keySet(set.KeySet)
	}
	if err != nil {
		return err
	}
	return exitWith(max(keys.ExitCode(set.KeySet), set.atLeast))
}

func keysDiffCommand(w *world) *cobra.Command {
	c := &keysDiffCmd{}
	cmd := w.command("diff", "Compare two key sets by kid and thumbprint, for instance in CI before a rotation. Exit 0: no token is stranded; 1: some are, since a key goes away or a kid names another key; 2: one of the two is unreadable.", c,
		argument{&c.Live, "<live>", "The live (or new) key set: a file, a URL, or - for standard input."},
		argument{&c.Cached, "<cached>", "The cached (or old) key set, likewise."})
	cmd.Flags().BoolVar(&c.JSON, "json", false, "Print JSON.")
	return cmd
}

type keysDiffCmd struct {
	Live, Cached string
	JSON         bool
}

// run compares two key sets.
func (c *keysDiffCmd) run(ctx context.Context, w *world) error {
	if c.Live == "-" && c.Cached == "-" {
		return usage("only one of the two key sets can come from standard input")
	}
	live, err := w.readKeys(ctx, c.Live)
	if err != nil {
		return err
	}
	cached, err := w.readKeys(ctx, c.Cached)
	if err != nil {
		return err
	}
	d := keys.Compare(live.KeySet, cached.KeySet)
	if c.JSON {
		err = w.json(d)
	} else {
		err = newPrinter(w).diff(d, live.KeySet, cached.KeySet)
	}
	if err != nil {
		return err
	}
	return exitWith(max(d.ExitCode(), live.atLeast, cached.atLeast))
}

func exitWith(code int) error {
	if code == exitOK {
		return nil
	}
	return &exitError{code: code}
}

func (w *world) json(v any) error {
	enc := json.NewEncoder(exactly{w.stdout})
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// maxKeyFile bounds what is read of a file; a URL has the endpoint's own cap.
const maxKeyFile = 8 << 20

// sourceKeys is a key set with what its source says of it.
type sourceKeys struct {
	runbook.KeySet
	atLeast int // exit code that the source demands: 1 where a URL answered otherwise than it should
}

// readKeys reads a key set from wherever it is.
func (w *world) readKeys(ctx context.Context, source string) (sourceKeys, error) {
	if strings.HasPrefix(source, "https://") || strings.HasPrefix(source, "http://") {
		return fetchKeys(ctx, source)
	}
	in := w.stdin
	if source != "-" {
		f, err := os.Open(source)
		if err != nil {
			return sourceKeys{}, fmt.Errorf("key set: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxKeyFile+1))
	switch {
	case err != nil:
		return sourceKeys{}, fmt.Errorf("key set %q: %w", source, err)
	case len(b) > maxKeyFile:
		return unreadable(fmt.Sprintf("larger than %d MiB, which no key set is: not read", maxKeyFile>>20)), nil
	}
	return sourceKeys{KeySet: keys.Read(b)}, nil
}

func unreadable(problem string) sourceKeys {
	return sourceKeys{KeySet: runbook.KeySet{Shape: runbook.ShapeUnreadable, Keys: []runbook.Key{}, Problems: []string{problem}}}
}

// fetchKeys asks a URL as the live endpoint is asked. A wrong answer is told as
// a problem of the set: verifiers would not take the keys from there.
func fetchKeys(ctx context.Context, url string) (sourceKeys, error) {
	e, err := keys.NewEndpoint(keys.Settings{URL: url, UserAgent: "jwksbot/" + version()})
	if err != nil {
		return sourceKeys{}, err
	}
	p := e.Probe(ctx)
	switch {
	case p.Unreachable:
		return sourceKeys{}, fmt.Errorf("%s: %s", url, p.Problem)
	case p.Healthy():
		return sourceKeys{KeySet: p.Set}, nil
	case p.Set.Shape == runbook.ShapeUnreadable:
		return unreadable(p.Problem), nil
	}
	if p.Status != http.StatusOK || keys.ExitCode(p.Set) == exitOK { // otherwise the set shows it
		p.Set.Problems = append(p.Set.Problems, p.Problem)
	}
	return sourceKeys{KeySet: p.Set, atLeast: exitFinding}, nil
}

func (p *printer) keySet(set runbook.KeySet) error {
	p.line("%s  %d %s, %d usable", p.bold(set.Shape), len(set.Keys), noun(len(set.Keys), "key", "keys"), set.Usable)
	for i, k := range set.Keys {
		mark := "usable    "
		if !k.Usable {
			mark = "NOT usable"
		}
		problems := k.Problems
		k.Problems = nil
		p.line("  %s  %s", mark, keyLine(k))
		for _, problem := range problems {
			p.line("    - %s", clean(ofKey(problem, i, k.Kid)))
		}
	}
	for _, problem := range set.Problems {
		if problem == runbook.ProblemEmptySet {
			problem = "the set holds no keys"
		}
		p.line("problem: %s", clean(problem))
	}
	if set.PrivatePublished || set.SymmetricPublished {
		p.line("problem: secret key material is published: call security, and have the key replaced at the identity provider")
	}
	return p.err
}

// ofKey is a problem without the place, which the line above it shows.
func ofKey(problem string, i int, kid string) string {
	for _, place := range []string{fmt.Sprintf("key %d (kid %q): ", i+1, kid), fmt.Sprintf("key %d: ", i+1)} {
		if rest, ok := strings.CutPrefix(problem, place); ok {
			return rest
		}
	}
	return problem
}

func noun(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// diff prints how two key sets differ, and first what it means.
func (p *printer) diff(d keys.Diff, live, cached runbook.KeySet) error {
	p.line("%s", p.bold(d.Verdict))
	if d.Meaning() != "" {
		p.line("%s", d.Meaning())
	}
	for _, side := range []struct {
		name string
		set  runbook.KeySet
	}{{"live", live}, {"cached", cached}} {
		for _, problem := range side.set.Problems {
			p.line("  %s: %s", side.name, clean(problem))
		}
	}
	for _, k := range d.Added {
		p.line("  + %s  %s", named(k.Kid), short(k.Thumbprint))
	}
	for _, k := range d.Removed {
		p.line("  - %s  %s", named(k.Kid), short(k.Thumbprint))
	}
	for _, k := range d.Rekeyed {
		p.line("  ! %s  live %s, cached %s", named(k.Kid), short(k.Live), short(k.Cached))
	}
	for _, k := range d.Renamed {
		p.line("  ~ %s  live %s, cached %s", short(k.Thumbprint), named(k.Live), named(k.Cached))
	}
	for _, m := range d.Metadata {
		p.line("  * %s  %s: live %s, cached %s", named(m.Kid), clean(m.Member), orAbsent(m.Live), orAbsent(m.Cached))
	}
	return p.err
}

// named is a kid for people, also where there is none.
func named(kid string) string {
	if kid == "" {
		return "(no kid)"
	}
	return clean(kid)
}

func orAbsent(value string) string {
	if value == "" {
		return "(absent)"
	}
	return clean(value)
}
