package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/check"
	"jwksbot/runbook/drill"
)

// TestAccountsOnTheTerminal: an AWS identity in people makes nobody a full
// member of the workspace. Whoever is none is refused at every way in, and so
// is everybody while Slack does not say who they are.
func TestAccountsOnTheTerminal(t *testing.T) {
	t.Parallel()
	kinds := map[string]struct {
		user slacksim.User
		says string
	}{
		"gone":     {slacksim.User{Deleted: true}, "is deactivated"},
		"guest":    {slacksim.User{Restricted: true}, "Guests cannot"},
		"single":   {slacksim.User{UltraRestricted: true}, "Guests cannot"},
		"stranger": {slacksim.User{TeamID: slacksim.OtherTeam, Stranger: true}, "other workspaces"},
		"robot":    {slacksim.User{Bot: true}, "Bots and workflows"},
	}
	people, ids := "people:\n", ""
	for name := range kinds {
		people += fmt.Sprintf("  - {slack: U0%s, aws: \"arn:aws:iam::123456789012:user/%s\"}\n", strings.ToUpper(name), name)
		ids += ", U0" + strings.ToUpper(name)
	}
	d, sim := newTeam(t, "stale", "people:\n", people, "requesters: [U0ROBIN]", "requesters: [U0ROBIN"+ids+"]", "U0LEE], cooldown", "U0LEE, U0KIM"+ids+"], cooldown")
	for name, kind := range kinds {
		kind.user.ID, kind.user.Name = account(name).ID, name
		sim.SetUser(kind.user)
	}
	request := []string{"flush", "production", "--ticket", "INC-1", "--reason", "rotated", "-y"}
	flush := d.start(t, "robin", "", request...)
	id := flush.Says(`run (\S+) waits for 1 approval`)[1]
	for name, kind := range kinds {
		for _, way := range [][]string{request, {"approve", id}, {"deny", id}} {
			_, refused := d.run(t, exitFinding, name, "", way...)
			contains(t, refused, kind.says)
		}
	}
	sim.Outage(true)
	_, refused := d.run(t, exitFinding, "kim", "", "approve", id)
	contains(t, refused, "only Slack can say who may do this, and it could not be asked", "Try again when Slack answers")
	sim.Outage(false)
	sim.RateLimit("users.info", 1, time.Minute)
	_, refused = d.run(t, exitFinding, "kim", "", "approve", id)
	contains(t, refused, "Slack was asked about rights and is limiting the bot", "Try again in")
	shown, _ := d.run(t, exitFinding, "lee", "", "approve", id) // Slack is on hold for everybody
	if shown != "" {
		t.Errorf("decided while Slack wants patience: %s", shown)
	}
	trail, _ := d.run(t, exitOK, "robin", "", "audit", "list", "--kind", "refused")
	if n := strings.Count(trail, "\n"); n < 3*len(kinds)+2 {
		t.Errorf("%d refusals are on record:\n%s", n, trail)
	}
	d.run(t, exitOK, "robin", "", "audit", "verify")
}

// TestTheLastWordOverProcesses: what Slack said to one terminal stands for the
// next one, while Slack is away, and the trail says so.
func TestTheLastWordOverProcesses(t *testing.T) {
	t.Parallel()
	d, sim := newTeam(t, "stale")
	request := []string{"flush", "production", "--ticket", "INC-1", "--reason", "rotated", "-y"}
	first := d.start(t, "robin", "", request...)
	d.run(t, exitOK, "lee", "", "deny", first.Says(`run (\S+) waits for 1 approval`)[1])
	first.Exit()
	sim.Outage(true)
	flush := d.start(t, "robin", "", request...)
	id := flush.Says(`run (\S+) waits for 1 approval`)[1]
	flush.Says("verified on the requester's machine, not by a running bot")
	d.run(t, exitOK, "lee", "", "approve", id)
	if code := flush.Exit(); code != exitOK {
		t.Fatalf("exit code %d\n%s%s", code, flush.Out.String(), flush.Err.String())
	}
	contains(t, flush.Out.String(), "Proven", "(verified on the requester's machine)")
	for _, kind := range []string{"request", "approve", "rights"} {
		trail, _ := d.run(t, exitOK, "robin", "", "audit", "list", "--run", id, "--kind", kind)
		contains(t, trail, "rights as Slack said them at ", "Slack could not be asked; verified on the ")
	}
	if s := d.drill.State(); strings.Join(s.CachedKids, " ") != strings.Join(s.LiveKids, " ") {
		t.Errorf("afterwards the cache holds %v, live are %v", s.CachedKids, s.LiveKids)
	}
}

// TestATerminalWithoutSlack: where nobody can ask Slack, the glass is all that
// is left, for those whom the policy lists by their own ids; and the channel
// learns of it when the bot is there.
func TestATerminalWithoutSlack(t *testing.T) {
	t.Parallel()
	d := newWorkplace(t, "stale", "cooldown: 0s}", "cooldown: 0s, break_glass: true}", "watch: {for: 0s}", "watch: {for: 0s}\n    channel: inc-bridge")
	request := []string{"flush", "production", "--ticket", "INC-1", "--reason", "rotated", "-y"}
	_, refused := d.run(t, exitFinding, "robin", "", request...)
	contains(t, refused, "only Slack can say", "Start `jwksbot serve` on this journal, or set SLACK_BOT_TOKEN here")
	_, refused = d.run(t, exitFinding, "lee", "", append(request, "--break-glass", "nobody answers")...)
	contains(t, refused, "only those listed in approval.requesters by their own user ids can use break-glass")
	done, _ := d.run(t, exitOK, "robin", "", append(request, "--break-glass", "nobody answers")...)
	contains(t, done, "BREAK-GLASS", "Proven")
	trail, _ := d.run(t, exitOK, "robin", "", "audit", "list", "--kind", "break_glass")
	contains(t, trail, "rights by the configuration alone, Slack could not be asked")

	sim := slacksim.New(slacksim.Options{Limits: slacksim.LimitsOff})
	address, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	d.env = append(d.env, "SLACK_BOT_TOKEN=xoxb-demo-bot", "SLACK_APP_TOKEN=xapp-demo-app", "SLACK_API_URL="+address+"/api/")
	d.start(t, "bot", "", "serve")
	until(t, sim, "the channel to be told", func(s *slacksim.Sim) bool {
		return strings.Contains(s.Transcript(), "<@U0LEE>: <@U0ROBIN> used break-glass")
	})
}

// TestOnlyServeVerifies: a target can forbid that a terminal finds out who
// somebody is, also where it may ask Slack.
func TestOnlyServeVerifies(t *testing.T) {
	t.Parallel()
	d, _ := newTeam(t, "stale", "cooldown: 0s}", "cooldown: 0s, break_glass: true, local: false}")
	request := []string{"flush", "production", "--ticket", "INC-1", "--reason", "rotated", "-y"}
	for _, more := range [][]string{nil, {"--break-glass", "nobody answers"}} {
		_, refused := d.run(t, exitFinding, "robin", "", append(request, more...)...)
		contains(t, refused, "only `jwksbot serve` may find out who asks and who approves (approval.local: false)", "Start it, or use Slack")
	}
	d.start(t, "bot", "", "serve").Says("executing runs")
	flush := d.start(t, "robin", "", request...)
	d.run(t, exitOK, "lee", "", "approve", flush.Says(`run (\S+) waits for 1 approval`)[1])
	if code := flush.Exit(); code != exitOK {
		t.Errorf("exit code %d\n%s%s", code, flush.Out.String(), flush.Err.String())
	}
}

// TestRightsOnAnotherReplica: what one replica decides and another carries out.
// Somebody who has just become an approver is one for both; somebody who has
// just left counts for neither.
func TestRightsOnAnotherReplica(t *testing.T) {
	t.Parallel()
	redistest.Need(t, "redis-server", "redis-cli")
	for name, c := range map[string]struct {
		meanwhile func(*slacksim.Sim) // after the approval
		want      runbook.State
		says      string
	}{
		"a new approver":          {func(*slacksim.Sim) {}, runbook.StateDone, "Proven: 0 of 1 old entries left"},
		"the approver leaves":     {func(s *slacksim.Sim) { s.SetGroup("S0LEADS", "U0LEAD") }, runbook.StatePending, "U0NEW, who approved it, may no longer approve"},
		"the requester leaves":    {func(s *slacksim.Sim) { s.SetUser(slacksim.User{ID: "U0ONCALL", Name: "robin", Deleted: true}) }, runbook.StateFailed, "robin, who requested it, is no longer a full member"},
		"the requester's new job": {func(s *slacksim.Sim) { s.SetGroup("S0ONCALL", "U0LEAD") }, runbook.StateFailed, "robin, who requested it, may no longer request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			executes, decides, sim := twoReplicas(t)
			request := approve.Request{Target: "production", Ticket: "INC-1", Reason: "rotated", By: "U0ONCALL", Via: runbook.ViaSlack}
			run, _, err := executes.service.Open(t.Context(), request, check.Silent{}) // it has read the group now
			if err != nil {
				t.Fatal(err)
			}
			sim.SetUser(slacksim.User{ID: "U0NEW", Name: "U0NEW"})
			sim.SetGroup("S0LEADS", "U0LEAD", "U0NEW")
			click := approve.Click{Run: run.ID, Generation: run.Generation, By: "U0NEW", Kind: runbook.DecideApprove, Via: runbook.ViaSlack}
			if _, err := decides.service.Decide(t.Context(), click); err != nil {
				t.Fatal(err)
			}
			c.meanwhile(sim)
			ctx, stop := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- executes.journal.Execute(ctx, executes.machine.Advance) }()
			t.Cleanup(func() {
				stop()
				if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
			bottest.Poll(t, func() bool {
				run, err = decides.journal.Run(t.Context(), run.ID)
				return err == nil && run.State == c.want
			}, func() string { return fmt.Sprintf("state %s, it is %s (%s), %v", c.want, run.State, run.Outcome, err) })
			if !strings.Contains(run.Outcome+run.Changes, c.says) {
				t.Errorf("%s, %q: want %q", run.Outcome, run.Changes, c.says)
			}
		})
	}
}

// twoReplicas are two processes on one journal, with a directory each, and an
// authoriser that refills what is flushed.
func twoReplicas(t *testing.T) (executes, decides *app, sim *slacksim.Sim) {
	t.Helper()
	p := bottest.NewPlace(t, drill.Options{})
	c := bottest.NewCache(t, "production", p.World)
	c.Proxy.Lag = 0
	if err := c.Redis.Set(t.Context(), "jwks:current", c.Old, 0).Err(); err != nil {
		t.Fatal(err)
	}
	c.Refills(t, "jwks:current")
	p.Configure(t, filepath.Join(p.Dir, "journal.db"), bottest.Target{Name: c.Name, Redis: c.Proxy.Addr})
	return crowdApp(t, p.Config(), p.Slack), crowdApp(t, p.Config(), p.Slack), p.Sim
}
