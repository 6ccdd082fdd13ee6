package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"jwksbot/bot/slacksim"
	"jwksbot/runbook/drill"
)

// botPlace is where the real binary serves in a test: a drill, an emulated
// workspace, and a folder with the configuration.
type botPlace struct {
	world *drill.World
	sim   *slacksim.Sim
	slack string // URL of the workspace
	dir   string
	env   []string // of every process; what comes later wins
}

// newBotPlace opens a workspace beside a drill, which ends with the test.
func newBotPlace(t testing.TB, options drill.Options) *botPlace {
	t.Helper()
	world, err := drill.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Close() })
	p := &botPlace{world: world, dir: t.TempDir(), sim: slacksim.New(slacksim.Options{Limits: slacksim.LimitsOff})}
	if p.slack, err = p.sim.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.sim.Close() })
	p.env = append(os.Environ(), "SLACK_BOT_TOKEN=xoxb-demo-bot", "SLACK_APP_TOKEN=xapp-demo-app", "SLACK_API_URL="+p.slack+"/api/",
		"AWS_ENDPOINT_URL="+world.AWSEndpoint(), "AWS_ACCESS_KEY_ID=AKIADRILLDRILLDRILL0", "AWS_SECRET_ACCESS_KEY=drill", "AWS_REGION="+drill.Region)
	return p
}

// cacheTarget is a target whose keys are the drill's, in a Redis of the test.
type cacheTarget struct{ name, redis string }

// configure writes a configuration of such targets, each with a watch of none.
func (p *botPlace) configure(t testing.TB, journalURL string, targets ...cacheTarget) {
	t.Helper()
	text := fmt.Sprintf("journal: %q\nlisten: \"\"\ntargets:\n", journalURL)
	for _, c := range targets {
		text += fmt.Sprintf(`  - name: %s
    region: %s
    jwks_url: %q
    issuer: %q
    channel: inc-bridge
    cache: {url: "redis://%s", keys: ["jwks:*"]}
    approval: {requesters: [S0ONCALL], approvers: [S0LEADS], cooldown: 0s}
    watch: {for: 0s}
`, c.name, drill.Region, p.world.JWKSURL(), p.world.Issuer(), c.redis)
	}
	p.write(t, text)
}

func (p *botPlace) write(t testing.TB, config string) {
	t.Helper()
	if err := os.WriteFile(p.config(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *botPlace) config() string { return filepath.Join(p.dir, "jwksbot.yaml") }

// binary is a command of the program with this configuration.
func (p *botPlace) binary(args ...string) (*exec.Cmd, error) {
	file, err := program()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(file, append(args, "--config", p.config())...)
	cmd.Env = p.env
	return cmd, nil
}

// serve starts a bot.
func (p *botPlace) serve(t *testing.T) *process {
	t.Helper()
	cmd, err := p.binary("serve")
	if err != nil {
		t.Fatal(err)
	}
	return startProcess(t, cmd)
}

// connected waits until a bot that was just started is connected to the
// workspace: start is given what there was before.
func (p *botPlace) connected(t *testing.T, start func() *process) *process {
	t.Helper()
	before := len(p.sim.Calls("apps.connections.open"))
	bot := start()
	poll(t, func() bool {
		bot.runs()
		return len(p.sim.Calls("apps.connections.open")) > before && len(p.sim.Connections()) > 0
	}, func() string { return "the program to connect" })
	return bot
}
