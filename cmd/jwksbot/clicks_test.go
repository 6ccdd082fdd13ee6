package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/cache/redistest"
	"jwksbot/runbook/check"
	"jwksbot/runbook/drill"
	"jwksbot/runbook/journal"
	"jwksbot/runbook/journal/postgrestest"
)

// crowdSize is how many people click at once, quorum how many of them count.
const (
	crowdSize = 100
	quorum    = 3
)

// TestCrowdApproves: a hundred people approve one run at the same time, over
// two replicas, half of them twice, and the requester with them. As many count
// as are needed, each person once; everybody else is told why not.
func TestCrowdApproves(t *testing.T) {
	t.Parallel()
	redistest.Need(t, "redis-server", "redis-cli")
	t.Run("sqlite", func(t *testing.T) { crowdApproves(t, filepath.Join(t.TempDir(), "journal.db")) })
	t.Run("postgres", func(t *testing.T) {
		var server postgrestest.Server
		t.Cleanup(server.Stop)
		crowdApproves(t, server.Database(t))
	})
}

func crowdApproves(t *testing.T, journalURL string) {
	dir := t.TempDir()
	world, err := drill.Start(t.Context(), drill.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Close() })
	c := bottest.NewCache(t, "production", world)
	c.Proxy.Lag = 0
	if err := c.Redis.Set(t.Context(), "jwks:current", c.Old, 0).Err(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "jwksbot.yaml")
	if err := os.WriteFile(file, []byte(crowdConfig(journalURL, world, c)), 0o600); err != nil {
		t.Fatal(err)
	}
	sim := slacksim.New(slacksim.Options{Limits: slacksim.LimitsOff})
	for n := range crowdSize {
		sim.SetUser(slacksim.User{ID: crowdID(n), Name: crowdID(n)})
	}
	slack, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	replicas := []*app{crowdApp(t, file, slack), crowdApp(t, file, slack)}
	run, _, err := replicas[0].service.Open(t.Context(), approve.Request{Target: "production", Ticket: "INC-1", Reason: "rotated", By: "U0ONCALL", Via: runbook.ViaSlack}, check.Silent{})
	if err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex
	counted := map[string]int{}
	refused := map[string]int{}
	var clicks sync.WaitGroup
	click := func(n int, who string) {
		clicks.Go(func() {
			answer, err := replicas[n%2].service.Decide(t.Context(), approve.Click{Run: run.ID, Generation: run.Generation, By: who, Kind: runbook.DecideApprove, Via: runbook.ViaSlack})
			mu.Lock()
			defer mu.Unlock()
			var refusal *runbook.Refusal
			switch {
			case err == nil && answer.Text != "":
				counted[who]++
			case errors.As(err, &refusal) && refusal.Text != "":
				refused[refusal.Code]++
			default:
				t.Errorf("%s got no answer: %v", who, err)
			}
		})
	}
	for n := range crowdSize {
		click(n, crowdID(n))
		if n%2 == 0 {
			click(n+1, crowdID(n)) // the same person, at the other replica
		}
	}
	click(0, "U0ONCALL")
	clicks.Wait()
	t.Logf("counted %v, refused %v", counted, refused)

	if len(counted) != quorum {
		t.Errorf("%d people count, want %d", len(counted), quorum)
	}
	for who, n := range counted {
		if n != 1 {
			t.Errorf("%s counts %d times", who, n)
		}
	}
	if refused[approve.RefusedOwn] != 1 {
		t.Error("the requester's own approval was not refused as such")
	}
	now, err := replicas[1].journal.Run(t.Context(), run.ID)
	if err != nil || now.State != runbook.StateApproved || len(now.Decisions) != quorum {
		t.Errorf("the run is %s with %d decisions, %v", now.State, len(now.Decisions), err)
	}
	approvals := 0
	for _, err := range replicas[0].journal.AuditRows(t.Context(), journal.AuditFilter{Run: run.ID, Kind: "approve"}) {
		if err != nil {
			t.Fatal(err)
		}
		approvals++
	}
	if approvals != quorum {
		t.Errorf("the trail has %d approvals, want %d", approvals, quorum)
	}
}

func crowdID(n int) string { return fmt.Sprintf("U%03d", n) }

func crowdConfig(journalURL string, world *drill.World, c *bottest.Cache) string {
	people, approvers := "", []string{"U0ONCALL"}
	for n := range crowdSize {
		people += fmt.Sprintf("  - {slack: %s, aws: \"arn:aws:iam::123456789012:user/%d\"}\n", crowdID(n), n)
		approvers = append(approvers, crowdID(n))
	}
	return fmt.Sprintf(`journal: %q
listen: ""
people:
  - {slack: U0ONCALL, aws: "arn:aws:iam::123456789012:user/oncall"}
%stargets:
  - name: production
    region: %s
    jwks_url: %q
    issuer: %q
    cache: {url: "redis://%s", keys: ["jwks:*"]}
    approval: {requesters: [U0ONCALL], approvers: [%s], required: %d, cooldown: 0s}
`, journalURL, people, drill.Region, world.JWKSURL(), world.Issuer(), c.Proxy.Addr, strings.Join(approvers, ", "), quorum)
}

// crowdApp is one replica without its connection to Slack.
func crowdApp(t *testing.T, file, slack string) *app {
	t.Helper()
	w := quietWorld()
	w.config = file
	w.getenv = func(name string) string {
		return map[string]string{"SLACK_BOT_TOKEN": "xoxb-demo-bot", "SLACK_API_URL": slack + "/api/"}[name]
	}
	a, _, err := w.terminalApp(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	return a
}
