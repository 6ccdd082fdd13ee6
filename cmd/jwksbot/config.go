package main

import (
	"cmp"
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
		fmt.Fprintf(w.stdout, "note: %s needs the environment variable %s, which is not set\n", path, cfg.Unset()[path])
	}
	for i := range cfg.Targets {
		t := &cfg.Targets[i]
		for _, note := range t.Notes() {
			fmt.Fprintf(w.stdout, "note: target %s: %s\n", t.Name, note)
		}
	}
	return nil
}

func iamPolicyCommand(w *world) *cobra.Command {
	c := &iamPolicyCmd{}
	cmd := w.command("iam-policy", "Print the smallest IAM policy for the configuration: statements Read… for checks, Act… for mitigations and escalation.", c)
	cmd.Flags().BoolVar(&c.Read, "read", false, "Only what checks need.")
	cmd.Flags().BoolVar(&c.Act, "act", false, "Only what mitigations and escalation need besides.")
	return cmd
}

// iamPolicyCmd prints a policy.
type iamPolicyCmd struct{ Read, Act bool }

// run reads the configuration only: no network, no credentials.
func (c *iamPolicyCmd) run(_ context.Context, w *world) error {
	if c.Read && c.Act {
		return usage("--read and --act are each for a role of its own: give one of them, or neither for one policy with both")
	}
	cfg, err := w.readConfig()
	if err != nil {
		return err
	}
	for i := range cfg.Targets { // a name that hangs on an unset variable would make a wrong policy
		if err := cfg.NeedOf(i, config.ForPolicy); err != nil {
			return err
		}
	}
	p := cfg.IAMPolicy(cmp.Or(w.getenv("AWS_REGION"), w.getenv("AWS_DEFAULT_REGION")), !c.Act, !c.Read)
	w.redisRights(cfg)
	if len(p.Statement) == 0 {
		fmt.Fprintln(w.stderr, "Nothing in this configuration needs AWS for that, so that there is no policy.")
		return nil
	}
	return w.json(p)
}

// redisRights tells, beside the policy, what no policy of IAM can give: the
// rights of the bot's user within Redis.
func (w *world) redisRights(cfg *config.Config) {
	told := map[string]bool{}
	for _, t := range cfg.Targets {
		line := fmt.Sprintf("In Redis, user %s of %s needs: %s", cmp.Or(redisUser(t.Cache), "default"), t.Cache.Resource(), cacheSettings(t.Cache).Access())
		if !told[line] {
			told[line] = true
			fmt.Fprintln(w.stderr, clean(line))
		}
	}
}
