package main

import (
	"fmt"
	"maps"
	"slices"
)

// configCmd holds the commands about the configuration file.
type configCmd struct {
	Example configExampleCmd `cmd:"" help:"Print a commented example."`
	Check   configCheckCmd   `cmd:"" help:"Say what is wrong with the file, with lines."`
}

type configExampleCmd struct{}

// Run prints the example.
func (configExampleCmd) Run(w *world) error {
	_, err := fmt.Fprint(w.stdout, exampleConfig)
	return err
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

type configCheckCmd struct{}

// Run reads the file as every command does and tells what would be missing.
func (configCheckCmd) Run(w *world) error {
	cfg, err := w.readConfig()
	if err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "%s is in order: %s\n", w.config, count(len(cfg.Targets), "target", "targets"))
	for _, path := range slices.Sorted(maps.Keys(cfg.lines.unset)) {
		fmt.Fprintf(w.stdout, "note: %s hangs on the environment variable %s, which is not set\n", path, cfg.lines.unset[path])
	}
	for _, t := range cfg.Targets {
		if len(t.Approval.Requesters) == 0 || len(t.Approval.Approvers) == 0 {
			fmt.Fprintf(w.stdout, "note: target %s: nobody can request or approve a flush, since approval.requesters or approval.approvers is empty\n", t.Name)
		}
	}
	return nil
}
