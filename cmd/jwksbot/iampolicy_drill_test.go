package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/config"
	"jwksbot/runbook/drill"
)

// guarded is a scenario's world whose AWS endpoints refuse what no policy
// allows, and the bot's configuration of everything that it can use there. Time
// runs fast, because restarts wait.
type guarded struct {
	world *drill.World
	cfg   *config.Config
	clock runbook.Clock
}

func newGuarded(t *testing.T, scenario string) *guarded {
	t.Helper()
	clock := newFastClock(20)
	w, err := drill.Start(t.Context(), drill.Options{Scenario: scenario, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg, err := config.Parse("drill", []byte(fmt.Sprintf(`
journal: %q
targets:
  - name: production
    region: %s
    jwks_url: %q
    issuer: %q
    cache: {replication_group: %s, auth: none, keys: ["jwks:*"]}
    authoriser: {function: %s, log_group: %s, success_pattern: %s}
    gateway: {rest_api: %q, http_api: %q, stage: %s, access_log_group: %s}
    escalation: {sns_topic: %q}
`, filepath.Join(t.TempDir(), "journal.db"), drill.Region, w.JWKSURL(), w.Issuer(), drill.ReplicationGroup, drill.Function, drill.LogGroup, drill.SuccessPattern,
		w.RestAPIID(), w.HTTPAPIID(), drill.Stage, drill.AccessLogGroup, drill.Topic)), func(string) string { return "" }, rules)
	if err != nil {
		t.Fatal(err)
	}
	return &guarded{w, cfg, clock}
}

// target is made anew for every use: clients remember what they looked up.
func (g *guarded) target(t *testing.T) (*check.Target, *parts) {
	t.Helper()
	p, err := quietWorld().assembleWith(g.cfg, demoAWS(g.world), nil, g.clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p.targets[0], p
}

func (g *guarded) permit(t *testing.T, p config.IAMPolicy) {
	t.Helper()
	text, err := json.Marshal(p)
	if err == nil {
		err = g.world.Permit(text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// deeds are what the bot does at AWS, by the statement that permits it. A
// refusal for a reason of the scenario's is no error.
var deeds = map[string]func(ctx context.Context, target *check.Target, now time.Time) error{
	"ReadCacheGroup": func(ctx context.Context, target *check.Target, _ time.Time) error {
		_, err := target.Entries.Nodes(ctx)
		return err
	},
	"ReadMetrics": func(ctx context.Context, target *check.Target, now time.Time) error {
		_, err := target.Traffic.Traffic(ctx, []string{drill.ReplicationGroup + "-001"}, now.Add(-5*time.Minute), now)
		return err
	},
	"ReadLogs": func(ctx context.Context, target *check.Target, now time.Time) error {
		_, _, err := target.Access.Denied(ctx, now.Add(-time.Minute), now)
		return err
	},
	"ReadLogStreams": func(ctx context.Context, target *check.Target, now time.Time) error {
		_, err := target.Streams.Streams(ctx, now.Add(-time.Minute))
		return err
	},
	"ReadGateway": func(ctx context.Context, target *check.Target, _ time.Time) error {
		_, err := target.API.Setup(ctx)
		return err
	},
	"ReadFunction": func(ctx context.Context, target *check.Target, _ time.Time) error { return restart(ctx, target) },
	"ActRestart":   func(ctx context.Context, target *check.Target, _ time.Time) error { return restart(ctx, target) },
	"ActFlushGateway": func(ctx context.Context, target *check.Target, _ time.Time) error {
		return target.API.FlushResults(ctx)
	},
	"ActAnnounce": func(ctx context.Context, target *check.Target, _ time.Time) error {
		_, err := target.Publisher.Publish(ctx, runbook.Alarm{Key: "r", Run: "r", Target: "production", Summary: "test"})
		return err
	},
}

// restart renews what the gateway invokes, where that can be renewed.
func restart(ctx context.Context, target *check.Target) error {
	setup, err := target.API.Setup(ctx)
	if err != nil {
		return err
	}
	for _, a := range setup.Authorisers {
		if a.Kind != runbook.LambdaAuthoriser {
			continue
		}
		ev, err := target.Function.Inspect(ctx, a.Qualifier)
		if err != nil || ev.Refusal != "" || ev.Mode == runbook.RestartNone {
			return err
		}
		plan := runbook.RestartPlan{Function: ev.Function, Qualifier: ev.Qualifier, Version: ev.Version, Mode: ev.Mode, Revision: ev.Revision,
			AliasRevision: ev.AliasRevision, CodeSHA: ev.CodeSHA, Provisioned: ev.Provisioned}
		_, err = target.Function.Restart(ctx, plan, fmt.Sprint("run-", time.Now().UnixNano()), nil)
		var refusal *runbook.Refusal
		if errors.As(err, &refusal) && !strings.Contains(refusal.Text, "not permitted") {
			continue // as it stands it cannot be renewed
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// In no scenario does the bot need more than the policy that it prints.
func TestEveryScenarioKeepsToThePrintedPolicy(t *testing.T) {
	t.Parallel()
	for _, s := range drill.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			g := newGuarded(t, s.Name)
			g.permit(t, g.cfg.IAMPolicy("", true, true))
			target, p := g.target(t)
			report, err := p.runner.Check(t.Context(), target, check.Ask{Anew: true, Window: 5 * time.Minute}, check.Silent{})
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range report.Steps {
				if strings.Contains(step.Summary, "allow ") {
					t.Errorf("%s: %s", step.Step, step.Summary)
				}
			}
			for _, sid := range []string{"ActRestart", "ActFlushGateway", "ActAnnounce", "ReadLogStreams"} {
				if err := deeds[sid](t.Context(), target, g.clock.Now()); err != nil && strings.Contains(err.Error(), "allow ") {
					t.Errorf("%s: %v", sid, err)
				}
			}
		})
	}
}

// Every action of the policy is needed: without it something is refused, and
// the refusal says which action is missing. With the reading half alone nothing
// can be changed.
func TestNoActionOfThePolicyIsTooMuch(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, "memory-alias")
	whole := g.cfg.IAMPolicy("", true, true)
	g.permit(t, whole)
	for _, s := range whole.Statement {
		target, _ := g.target(t)
		if err := deeds[s.Sid](t.Context(), target, g.clock.Now()); err != nil {
			t.Fatalf("%s with the whole policy: %v", s.Sid, err)
		}
	}
	for i, s := range whole.Statement {
		for _, action := range s.Action {
			less := config.IAMPolicy{Version: whole.Version, Statement: slices.Clone(whole.Statement)}
			less.Statement[i].Action = slices.DeleteFunc(slices.Clone(s.Action), func(a string) bool { return a == action })
			if len(less.Statement[i].Action) == 0 {
				less.Statement = slices.Delete(less.Statement, i, i+1)
			}
			g.permit(t, less)
			target, _ := g.target(t)
			if err := deeds[s.Sid](t.Context(), target, g.clock.Now()); err == nil || !strings.Contains(err.Error(), "allow "+action) {
				t.Errorf("without %s: %v", action, err)
			}
		}
	}
	g.permit(t, g.cfg.IAMPolicy("", true, false))
	target, _ := g.target(t)
	for sid, action := range map[string]string{"ActRestart": "lambda:UpdateFunctionConfiguration", "ActFlushGateway": "apigateway:DELETE", "ActAnnounce": "sns:Publish"} {
		if err := deeds[sid](t.Context(), target, g.clock.Now()); err == nil || !strings.Contains(err.Error(), "allow "+action) {
			t.Errorf("%s is not refused to the reading half: %v", action, err)
		}
	}
}
