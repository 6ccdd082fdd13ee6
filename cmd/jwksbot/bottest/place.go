package bottest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"jwksbot/bot/slacksim"
	"jwksbot/runbook/drill"
)

// Place is where the real binary serves in a test: a drill, an emulated
// workspace, and a folder with the configuration.
type Place struct {
	World *drill.World
	Sim   *slacksim.Sim
	Slack string // URL of the workspace
	Dir   string
	Env   []string // of every process; what comes later wins
}

// NewPlace opens a workspace beside a drill, which ends with the test.
func NewPlace(t testing.TB, options drill.Options) *Place {
	t.Helper()
	world, err := drill.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Close() })
	p := &Place{World: world, Dir: t.TempDir(), Sim: slacksim.New(slacksim.Options{Limits: slacksim.LimitsOff})}
	if p.Slack, err = p.Sim.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Sim.Close() })
	p.Env = append(os.Environ(), "SLACK_BOT_TOKEN=xoxb-demo-bot", "SLACK_APP_TOKEN=xapp-demo-app", "SLACK_API_URL="+p.Slack+"/api/",
		"AWS_ENDPOINT_URL="+world.AWSEndpoint(), "AWS_ACCESS_KEY_ID=AKIADRILLDRILLDRILL0", "AWS_SECRET_ACCESS_KEY=drill", "AWS_REGION="+drill.Region)
	return p
}

// Target is a target whose keys are the drill's, in a Redis of the test.
type Target struct{ Name, Redis string }

// Configure writes a configuration of such targets, each with a watch of none.
func (p *Place) Configure(t testing.TB, journalURL string, targets ...Target) {
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
`, c.Name, drill.Region, p.World.JWKSURL(), p.World.Issuer(), c.Redis)
	}
	p.Write(t, text)
}

// Write writes another configuration.
func (p *Place) Write(t testing.TB, config string) {
	t.Helper()
	if err := os.WriteFile(p.Config(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Config is the file of the configuration.
func (p *Place) Config() string { return filepath.Join(p.Dir, "jwksbot.yaml") }

// Binary is a command of the program with this configuration.
func (p *Place) Binary(args ...string) (*exec.Cmd, error) {
	file, err := Program()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(file, append(args, "--config", p.Config())...)
	cmd.Env = p.Env
	return cmd, nil
}

// Serve starts a bot.
func (p *Place) Serve(t *testing.T) *Process {
	t.Helper()
	cmd, err := p.Binary("serve")
	if err != nil {
		t.Fatal(err)
	}
	return Start(t, cmd)
}

// Connected waits until a bot that was just started is connected to the
// workspace: start is given what there was before.
func (p *Place) Connected(t *testing.T, start func() *Process) *Process {
	t.Helper()
	before := len(p.Sim.Calls("apps.connections.open"))
	bot := start()
	Poll(t, func() bool {
		bot.Running()
		return len(p.Sim.Calls("apps.connections.open")) > before && len(p.Sim.Connections()) > 0
	}, func() string { return "the program to connect" })
	return bot
}
