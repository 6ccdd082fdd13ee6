package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

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
		pre := fmt.Sprintf("targets[%d]", i)
		if err := cfg.need(under(pre, "region", "user_pool_id", "cache.replication_group", "cache.serverless", "cache.url", "cache.username",
			"authoriser.function", "authoriser.log_group", "gateway.rest_api", "gateway.http_api", "gateway.stage", "gateway.access_log_group", "escalation.sns_topic")...); err != nil {
			return err
		}
	}
	p := cfg.policy(cmp.Or(w.getenv("AWS_REGION"), w.getenv("AWS_DEFAULT_REGION")), !c.Act, !c.Read)
	w.redisRights(cfg)
	if len(p.Statement) == 0 {
		fmt.Fprintln(w.stderr, "Nothing in this configuration needs AWS for that, so that there is no policy.")
		return nil
	}
	return w.json(p)
}

// redisRights tells, beside the policy, what no policy of IAM can give: the
// rights of the bot's user within Redis.
func (w *world) redisRights(cfg *config) {
	told := map[string]bool{}
	for _, t := range cfg.Targets {
		line := fmt.Sprintf("In Redis, user %s of %s needs: %s", cmp.Or(t.Cache.user(), "default"), t.Cache.resource(), t.Cache.settings().Access())
		if !told[line] {
			told[line] = true
			fmt.Fprintln(w.stderr, clean(line))
		}
	}
}

// iamPolicy is a policy document.
type iamPolicy struct {
	Version   string
	Statement []iamStatement
}

type iamStatement struct {
	Sid      string
	Effect   string
	Action   []string
	Resource []string
}

// policy is the smallest policy for all targets. A statement holds actions with
// the same resources only, so that none is allowed on a resource of another.
func (c *config) policy(region string, read, act bool) iamPolicy {
	p := iamPolicy{Version: "2012-10-17", Statement: []iamStatement{}}
	for _, need := range permissions {
		if need.act && !act || !need.act && !read {
			continue
		}
		var resources []string
		for _, t := range c.Targets {
			at := estate{t, cmp.Or(t.Region, poolRegionOrNone(t.UserPoolID), region, "*")}
			resources = append(resources, need.resources(at)...)
		}
		slices.Sort(resources)
		if resources = slices.Compact(resources); len(resources) > 0 {
			p.add(need.sid, need.action, resources)
		}
	}
	return p
}

func (p *iamPolicy) add(sid, action string, resources []string) {
	for i := range p.Statement {
		if p.Statement[i].Sid == sid {
			p.Statement[i].Action = append(p.Statement[i].Action, action)
			return
		}
	}
	p.Statement = append(p.Statement, iamStatement{sid, "Allow", []string{action}, resources})
}

func poolRegionOrNone(pool string) string {
	if pool == "" {
		return ""
	}
	return poolRegion(pool)
}
