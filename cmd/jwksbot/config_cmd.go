package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

func configExampleCommand(w *world) *cobra.Command {
	return w.command("example", "Print a commented example.", configExampleCmd{})
}

type configExampleCmd struct{}

// run prints the example.
func (configExampleCmd) run(_ context.Context, w *world) error {
	_, err := fmt.Fprint(w.stdout, exampleConfig)
	return err
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
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
	fmt.Fprintf(w.stdout, "%s is in order: %s\n", w.config, count(len(cfg.Targets), "target", "targets"))
	for _, path := range slices.Sorted(maps.Keys(cfg.lines.unset)) {
		fmt.Fprintf(w.stdout, "note: %s hangs on the environment variable %s, which is not set\n", path, cfg.lines.unset[path])
	}
	for i := range cfg.Targets {
		t := &cfg.Targets[i]
		for _, note := range t.notes() {
			fmt.Fprintf(w.stdout, "note: target %s: %s\n", t.Name, note)
		}
	}
	return nil
}

// notes are what is in order and worth a second thought.
func (t *targetConfig) notes() []string {
	var out []string
	if len(t.Approval.Requesters) == 0 || len(t.Approval.Approvers) == 0 {
		out = append(out, "nobody can request or approve a mitigation, since approval.requesters or approval.approvers is empty")
	}
	if t.Approval.BreakGlass {
		out = append(out, "approval.break_glass is on: every requester may act alone, which is recorded and told to the approvers")
	}
	if e := t.Escalation; e.UserGroup == "" && e.PagerDutyKey == "" && e.SNSTopic == "" {
		out = append(out, "nobody is called when failures persist, since escalation has neither user_group nor pagerduty_key nor sns_topic")
	}
	if t.Gateway.RestAPI == "" && t.Gateway.HTTPAPI == "" {
		out = append(out, "the watch cannot tell the share of failures without gateway.rest_api or gateway.http_api, which count the requests")
	}
	return out
}
