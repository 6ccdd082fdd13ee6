package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/cobra"

	"jwksbot/bot"
	"jwksbot/bot/slacksim"
	"jwksbot/runbook"
	"jwksbot/runbook/config"
	"jwksbot/runbook/drill"
	"jwksbot/runbook/execute"
)

func demoCommand(w *world) *cobra.Command {
	c := &demoCmd{watch: execute.DefaultWatch}
	cmd := w.command("demo", "Everything on one machine, with no account: an emulated Slack in the browser and a world that is really broken.", c)
	f := cmd.Flags()
	f.StringVar(&c.Scenario, "scenario", "stale", "`NAME` of what is broken; see --list.")
	f.StringVar(&c.Listen, "listen", "127.0.0.1:8088", "`HOST:PORT` where the emulated Slack is served.")
	f.Float64Var(&c.Speed, "speed", 1, "Time runs `N` times as fast, up to 1000.")
	f.BoolVar(&c.List, "list", false, "List the scenarios.")
	return cmd
}

// demoCmd runs everything on one machine.
type demoCmd struct {
	Scenario string
	Listen   string
	Speed    float64
	List     bool

	watch time.Duration // after a mitigation
}

// run starts the world, the workspace and the real bot, and stops them together.
func (c *demoCmd) run(ctx context.Context, w *world) (err error) {
	if c.List {
		return listScenarios(w)
	}
	if c.Speed < 1 || c.Speed > 1000 {
		return fmt.Errorf("--speed %g: between 1 and 1000", c.Speed)
	}
	dir, err := os.MkdirTemp("", "jwksbot-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer os.RemoveAll(dir)
	st, err := c.build(ctx, w, filepath.Join(dir, "journal.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	fmt.Fprintf(w.stderr, "\n  Open %s in a browser.\n  Type /jwks-check production, then /jwks-flush; approve it as another person.\n  Scenario %q (others: jwksbot demo --list). Stop with Ctrl-C.\n\n", st.url, c.Scenario)
	return st.serve(ctx, w)
}

func listScenarios(w *world) error {
	t := tabwriter.NewWriter(w.stdout, 0, 4, 2, ' ', 0)
	for _, s := range drill.Scenarios() {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Name, s.Verdict, s.Summary)
	}
	return t.Flush()
}

// stage is what the demo plays on: a broken world, an emulated workspace, and
// the parts of the real bot pointed at both.
type stage struct {
	drill *drill.World
	sim   *slacksim.Sim
	url   string // of the workspace's page
	parts *parts
}

// build sets everything up but the bot.
func (c *demoCmd) build(ctx context.Context, w *world, journal string) (_ *stage, err error) {
	var clock runbook.Clock = runbook.SystemClock{}
	if c.Speed > 1 {
		clock = newFastClock(c.Speed)
	}
	st := &stage{}
	defer func() {
		if err != nil {
			err = errors.Join(err, st.close())
		}
	}()
	if st.drill, err = drill.Start(ctx, drill.Options{Scenario: c.Scenario, Clock: clock, OtherKeys: 1200}); err != nil {
		return nil, err
	}
	st.sim = slacksim.New(demoWorkspace(slacksim.Options{Clock: clock, Panel: st.drill.Panel(), Note: c.note()}))
	if st.url, err = st.sim.Start(c.Listen); err != nil {
		return nil, fmt.Errorf("demo: %w; choose another address with --listen", err)
	}
	cfg, err := demoConfig(st.drill, journal, c.watch)
	if err != nil {
		return nil, err
	}
	if st.parts, err = w.assembleWith(cfg, demoAWS(st.drill), nil, clock); err != nil {
		return nil, err
	}
	return st, st.remember(ctx, w)
}

// demoWorkspace installs the app as its manifest describes it.
func demoWorkspace(o slacksim.Options) slacksim.Options {
	o.Scopes = bot.Scopes()
	for _, c := range bot.Commands() {
		o.Commands = append(o.Commands, slacksim.CommandHelp{Command: c.Name, Description: c.Description, Usage: c.Hint})
	}
	for _, s := range bot.Shortcuts() {
		o.Shortcuts = append(o.Shortcuts, slacksim.Shortcut{CallbackID: s.ID, Name: s.Name})
	}
	return o
}

// remember lets the bot know the live keys of the past hour, as one that had
// been running would.
func (st *stage) remember(ctx context.Context, w *world) (err error) {
	j, err := w.openJournal(ctx, st.parts.cfg, st.parts.clock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close(ctx)) }()
	return st.drill.Remember(ctx, j, st.parts.targets[0].Name)
}

// note says on the page what its times do not.
func (c *demoCmd) note() string {
	if c.Speed <= 1 {
		return ""
	}
	return fmt.Sprintf("Time runs %g times as fast here.", c.Speed)
}

// serve runs the real bot on the stage.
func (st *stage) serve(ctx context.Context, w *world) error {
	return w.serve(ctx, st.parts, slackAPI(st.parts.cfg, st.url+"/api/"))
}

func (st *stage) close() error {
	var all []error
	if st.sim != nil {
		all = append(all, st.sim.Close())
	}
	if st.drill != nil {
		all = append(all, st.drill.Close())
	}
	return errors.Join(all...)
}

// demoAWS points every AWS client at the staged endpoints, whatever the
// environment says.
func demoAWS(staged *drill.World) aws.Config {
	return aws.Config{Region: drill.Region, BaseEndpoint: aws.String(staged.AWSEndpoint()),
		Credentials: credentials.NewStaticCredentialsProvider("AKIADEMODEMODEMODEMO", "demo", "")}
}

// demoConfig is the configuration of the demo, read like any other.
func demoConfig(staged *drill.World, journal string, watch time.Duration) (*config.Config, error) {
	return config.Parse("demo", []byte(demoText(staged, journal, watch)), func(string) string { return "" }, rules)
}

func demoText(staged *drill.World, journal string, watch time.Duration) string {
	via := runbook.RouteDirect
	if staged.ViaBridge() {
		via = runbook.RouteBridge
	}
	return fmt.Sprintf(`
slack: {bot_token: xoxb-demo-bot, app_token: xapp-demo-app}
journal: %q
listen: ""
targets:
  - name: production
    region: %s
    jwks_url: %q
    issuer: %q
    channel: inc-bridge
    cache: {replication_group: %s, auth: none, keys: ["jwks:*"], allow_flush_all: true, via: %s}
    authoriser: {function: %s, log_group: %s, success_pattern: %s}
    gateway: {rest_api: %q, http_api: %q, stage: %s, access_log_group: %s}
    commandbridge: {url: %q, token: %s, target: %s, environment: %s}
    canary: {token_url: %q, client_id: %q, client_secret: %s, url: %q}
    approval: {requesters: [S0ONCALL], approvers: [S0LEADS], required: 1, cooldown: 1m, break_glass: true}
    watch: {for: %s}
    escalation: {user_group: S0IDENTITY, pagerduty_key: %s, pagerduty_url: %q, sns_topic: %q}
`, journal, drill.Region, staged.JWKSURL(), staged.Issuer(), drill.ReplicationGroup, via,
		drill.Function, drill.LogGroup, drill.SuccessPattern,
		staged.RestAPIID(), staged.HTTPAPIID(), drill.Stage, drill.AccessLogGroup,
		staged.BridgeURL(), drill.BridgeToken, drill.BridgeTarget, drill.BridgeEnvironment,
		staged.TokenURL(), drill.ClientID, drill.ClientSecret, staged.ProtectedURL(),
		watch, drill.PagerDutyKey, staged.PagerDutyURL(), drill.Topic)
}

// fastClock runs faster than life, from the same moment on.
type fastClock struct {
	start time.Time
	speed float64
}

func newFastClock(speed float64) *fastClock { return &fastClock{time.Now().UTC(), speed} }

// Now is the start plus the real time since, times the speed.
func (c *fastClock) Now() time.Time {
	return c.start.Add(time.Duration(float64(time.Since(c.start)) * c.speed))
}

// Wait waits the shorter real time.
func (c *fastClock) Wait(ctx context.Context, d time.Duration) error {
	return runbook.SystemClock{}.Wait(ctx, time.Duration(float64(d)/c.speed))
}
