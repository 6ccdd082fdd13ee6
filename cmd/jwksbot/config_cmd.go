package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"jwksbot/runbook"
	"jwksbot/runbook/config"
)

func configExampleCommand(w *world) *cobra.Command {
	return w.command("example", "Print a commented example.", configExampleCmd{})
}

type configExampleCmd struct{}

// run prints the example.
func (configExampleCmd) run(_ context.Context, w *world) error {
	_, err := fmt.Fprint(w.stdout, config.Example())
	return err
}

func configCheckCommand(w *world) *cobra.Command {
	return w.command("check", "Say what is wrong with the file, with lines.", configCheckCmd{})
}

type configCheckCmd struct{}

// run reads the file as every command does and tells what would be missing.
func (configCheckCmd) run(_ context.Context, w *world) error {
	cfg, err := w.readConfig()
	if err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "%s is in order: %s\n", w.config, runbook.Plural(len(cfg.Targets), "target", "targets"))
	for _, path := range slices.Sorted(maps.Keys(cfg.Unset())) {
		fmt.Fprintf(w.stdout, "note: %s hangs on the environment variable %s, which is not set\n", path, cfg.Unset()[path])
	}
	for i := range cfg.Targets {
		t := &cfg.Targets[i]
		for _, note := range t.Notes() {
			fmt.Fprintf(w.stdout, "note: target %s: %s\n", t.Name, note)
		}
	}
	return nil
}
