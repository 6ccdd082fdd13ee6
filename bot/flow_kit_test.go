package bot

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/slacksim"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/execute"
	"jwksbot/runbook/journal"
)

// movedClock is real time that a test can move ahead.
type movedClock struct{ ahead atomic.Int64 }

func (c *movedClock) Now() time.Time {
	return time.Now().UTC().Add(time.Duration(c.ahead.Load()))
}

// Wait ends when the time has come, also because a test moved the clock.
func (c *movedClock) Wait(ctx context.Context, d time.Duration) error {
	for until := c.Now().Add(d); ; {
		left := until.Sub(c.Now())
		if left <= 0 {
			return ctx.Err()
		}
		if err := (runbook.SystemClock{}).Wait(ctx, min(left, 20*time.Millisecond)); err != nil {
			return err
		}
	}
}

func (c *movedClock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// flowOptions change what a flow starts with.
type flowOptions struct {
	required int
	approve  []string
	viewers  []string
	channel  string // of the target; "inc-bridge"
	targets  []string
	sim      slacksim.Options
	hidden   bool // nothing is presented until show is called
	later    bool // the test calls start itself
	watch    bool // a run is watched after its mitigation
	glass    bool // a requester may act alone
	settings func(*Settings)
}

// flow is the whole bot on an emulated workspace: real client, real socket,
// real journal, and a small world behind it.
type flow struct {
	t       testing.TB
	sim     *slacksim.Sim
	api     *slack.Client
	bot     *Bot
	service *approve.Service
	journal *journal.Journal
	keeper  *approve.ExpiryScheduler
	clock   *movedClock
	world   *flowWorld
	log     *lockedLog
	shown   atomic.Bool
	stop    context.CancelFunc
	ends    chan error
}

const (
	robinID   = "U0ONCALL"
	samID     = "U0LEAD"
	noorID    = "U0LEAD2"
	alexID    = "U0OUTSIDER"
	kitID     = "U0GUEST"
	joID      = "U0STRANGER"
	bridge    = "inc-bridge"
	bridgeID  = "C0BRIDGE"
	askLine   = "/jwks-flush production INC-2026-0214-001 keys rotated at 02:40"
	checkLine = "/jwks-check production"
)

func newFlow(t testing.TB, opt flowOptions) *flow {
	t.Helper()
	f := &flow{t: t, clock: &movedClock{}, log: &lockedLog{}, ends: make(chan error, 1),
		world: &flowWorld{entry: "old", live: probeOf(liveKey, liveKey2), logs: *failuresOn(liveKey.Kid, 412)}}
	f.shown.Store(!opt.hidden)
	opt.sim.Clock, opt.sim.AckTimeout, opt.sim.TriggerLife = f.clock, patience, patience
	f.sim = slacksim.New(opt.sim)
	base, err := f.sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.sim.Close() })
	f.api = slack.New("xoxb-demo-bot", slack.OptionAppLevelToken("xapp-demo-app"), slack.OptionAPIURL(base+"/api/"),
		slack.OptionHTTPClient(&http.Client{Timeout: patience}))
	f.office(opt)
	log := slog.New(slog.NewJSONHandler(f.log, nil))
	settings := Settings{API: f.api, Service: f.service, Ledger: f.journal, Clock: f.clock, Log: log, Present: f.shown.Load}
	if opt.settings != nil {
		opt.settings(&settings)
	}
	f.bot, err = New(settings)
	if err != nil {
		t.Fatal(err)
	}
	f.bot.times = times{open: patience, update: 300 * time.Millisecond, present: 100 * time.Millisecond, interim: patience}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s\n%s", f.sim.Transcript(), f.log.String())
		}
	})
	if !opt.later {
		f.start()
	}
	return f
}

// office opens the journal, executes it, and puts the domain around it.
func (f *flow) office(opt flowOptions) {
	j, err := journal.Open(f.t.Context(), journal.Settings{URL: filepath.Join(f.t.TempDir(), "journal.db"), Clock: f.clock})
	if err != nil {
		f.t.Fatal(err)
	}
	f.journal, f.keeper = j, approve.NewExpiryScheduler(j, f.clock)
	if len(opt.targets) == 0 {
		opt.targets = []string{"production"}
	}
	var targets []*check.Target
	for _, name := range opt.targets {
		channel := opt.channel
		if channel == "" {
			channel = bridge
		}
		targets = append(targets, &check.Target{Name: name, JWKSURL: "https://idp.example/jwks.json", Channel: channel, Resource: "replication group " + name,
			Live: f.world, Entries: f.world, Decode: f.world.decode, Logs: f.world,
			Policy: runbook.Policy{Viewers: opt.viewers, Requesters: []string{"S0ONCALL"}, Approvers: append([]string{"S0LEADS"}, opt.approve...),
				Required: max(1, opt.required), Expires: approve.DefaultExpiry, Cooldown: 0, BreakGlass: opt.glass}})
	}
	if opt.watch {
		w := watched{f.world}
		for _, t := range targets {
			t.Logs, t.API, t.Meter, t.Traffic, t.Function, t.Streams = w, w, w, w, w, w
			t.Watch = runbook.WatchPolicy{For: execute.DefaultWatch, Ratio: execute.DefaultRatio, Over: execute.DefaultOver, MinRequests: execute.DefaultMinRequests, UserGroup: "S0IDENTITY"}
		}
	}
	people := &approve.RememberingDirectory{Directory: NewDirectory(f.api), Memory: j, Clock: f.clock, Within: patience}
	runner := check.NewRunner(f.clock, nil)
	f.service, err = approve.New(approve.Settings{Targets: targets, Runner: runner, Ledger: j, Snapshots: j, People: people, Clock: f.clock})
	if err != nil {
		f.t.Fatal(err)
	}
	machine := execute.New(execute.Settings{Targets: targets, Ledger: j, Snapshots: j, People: people, Clock: f.clock, Guard: j.Guard, Changed: runner.Forget})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- j.Execute(ctx, machine.Advance) }()
	f.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) { // ended before it had begun
			f.t.Errorf("execute: %v", err)
		}
		_ = j.Close(context.Background())
	})
}

// start runs the bot until the test ends.
func (f *flow) start() {
	f.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.ends <- f.bot.Run(ctx)
	}()
	f.t.Cleanup(func() {
		stop()
		<-ended
	})
	f.wait("the bot connects", func(s *slacksim.Sim) bool { return len(s.Connections()) > 0 })
}

func (f *flow) wait(what string, cond func(*slacksim.Sim) bool) {
	f.t.Helper()
	waitFor(f.t, f.sim, what, cond)
}

// says does what a person does with a slash command.
func (f *flow) says(user, channel, line string) {
	f.t.Helper()
	if d := f.sim.Command(user, channel, line); d.Err != nil {
		f.t.Fatalf("%s: %v", line, d.Err)
	}
}

func (f *flow) clicks(user string, m slacksim.Message, action string, opts ...slacksim.ClickOption) {
	f.t.Helper()
	if d := f.sim.Click(user, m.Channel, m.TS, action, opts...); d.Err != nil {
		f.t.Fatalf("%s on %s: %v", action, m.TS, d.Err)
	}
}

// shows waits for a message with some words in a channel.
func (f *flow) shows(channel, words string) (found slacksim.Message) {
	f.t.Helper()
	f.wait("a message with "+words, func(s *slacksim.Sim) bool {
		for _, m := range s.Messages(channel) {
			if strings.Contains(textOf(m), words) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// tells waits until somebody alone is told some words.
func (f *flow) tells(user, channel, words string) (found slacksim.Message) {
	f.t.Helper()
	f.wait(user+" being told "+words, func(s *slacksim.Sim) bool {
		for _, m := range s.Ephemerals(user, channel) {
			if m.Bot && strings.Contains(textOf(m), words) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// asks requests a flush and returns the card.
func (f *flow) asks() slacksim.Message {
	f.t.Helper()
	f.says(robinID, bridge, askLine)
	return f.shows(bridge, "Approval needed")
}

func (f *flow) run(id string) runbook.Run {
	f.t.Helper()
	run, err := f.journal.Run(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	return run
}

func (f *flow) runs() []runbook.Run {
	f.t.Helper()
	runs, err := f.journal.Runs(f.t.Context(), runbook.Filter{})
	if err != nil {
		f.t.Fatal(err)
	}
	return runs
}

// only returns the one run that there is.
func (f *flow) only() runbook.Run {
	f.t.Helper()
	runs := f.runs()
	if len(runs) != 1 {
		f.t.Fatalf("%d runs; want one", len(runs))
	}
	return runs[0]
}

// ticks carries out what time alone does, after time has passed.
func (f *flow) ticks(d time.Duration) {
	f.t.Helper()
	f.clock.advance(d)
	if err := f.keeper.Sweep(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// cards returns the messages of runs in a channel.
func cards(s *slacksim.Sim, channel string) []slacksim.Message {
	return slices.DeleteFunc(s.Messages(channel), func(m slacksim.Message) bool {
		return m.Metadata == nil || m.Metadata.EventType != eventApproval && m.Metadata.EventType != eventRun
	})
}

// textOf is everything that a message says, as it was sent.
func textOf(m slacksim.Message) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(m.Blocks)
	return m.Text + "\n" + b.String()
}

// pressable is a button that the renderers did not make.
func pressable(action, value, label string) *slack.ButtonBlockElement {
	return slack.NewButtonBlockElement(action, value, slack.NewTextBlockObject(slack.PlainTextType, label, false, false))
}
