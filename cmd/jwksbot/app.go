package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/slack-go/slack"
	"golang.org/x/sync/errgroup"

	"jwksbot/bot"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/config"
	"jwksbot/runbook/execute"
	"jwksbot/runbook/journal"
	"jwksbot/runbook/remote"
)

// app is everything around the journal: the service that takes requests, the
// machine that executes them, and the keeper of due times.
type app struct {
	*parts
	journal *journal.Journal
	service *approve.Service
	machine *execute.Machine
	keeper  *approve.ExpiryScheduler
	client  *remote.Client // hands in what is asked for here, at a terminal
	server  *remote.Server // answers what is asked for at terminals
}

// openApp opens the journal and puts the domain around it. A bot waits for a
// journal that is away, a terminal does not.
func (w *world) openApp(ctx context.Context, p *parts, people approve.Directory) (*app, error) {
	s, err := w.journalSettings(p.cfg, p.clock)
	if err != nil {
		return nil, err
	}
	s.Patient = !p.terminal
	j, err := journal.Open(ctx, s)
	if err != nil {
		return nil, err
	}
	p.runner.Remember(j)
	a := &app{parts: p, journal: j, keeper: approve.NewExpiryScheduler(j, p.clock)}
	settings := approve.Settings{Targets: p.targets, Runner: p.runner, Ledger: j, Snapshots: j, People: a.lastWord(w, people, clickWithin), Clock: p.clock}
	if a.service, err = approve.New(settings); err != nil {
		return nil, errors.Join(err, j.Close(ctx))
	}
	calm := a.lastWord(w, people, calmWithin)
	a.client = remote.NewClient(j, proveAWS)
	a.server = a.remoteServer(settings, calm, w.log)
	verified := ""
	if p.terminal {
		verified = byTerminal
	}
	a.machine = execute.New(execute.Settings{Targets: p.targets, Ledger: j.Fenced(), Snapshots: j.Fenced(), People: calm, Clock: p.clock,
		Guard: j.Guard, Changed: p.runner.Forget, Verified: verified})
	return a, nil
}

// closeWithin is how long an orderly end may take.
const closeWithin = 10 * time.Second

func (a *app) close() error {
	a.parts.close()
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	return a.journal.Close(ctx)
}

// slackAPI is the client of the Web API, at Slack or at SLACK_API_URL. through
// may see every request.
func slackAPI(cfg *config.Config, apiURL string, through ...func(http.RoundTripper) http.RoundTripper) *slack.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64 // two, the default, makes every burst dial anew
	var outward http.RoundTripper = transport
	for _, wrap := range through {
		outward = wrap(outward)
	}
	opts := []slack.Option{slack.OptionAppLevelToken(cfg.Slack.AppToken.Reveal()),
		slack.OptionHTTPClient(&http.Client{Transport: outward, Timeout: 15 * time.Second})}
	if apiURL != "" {
		opts = append(opts, slack.OptionAPIURL(trimSlash(apiURL)+"/"))
	}
	return slack.New(cfg.Slack.BotToken.Reveal(), opts...)
}

// terminalApp is the app as commands on the terminal use it.
func (w *world) terminalApp(ctx context.Context) (*app, terminalPeople, error) {
	cfg, err := w.readConfig()
	if err != nil {
		return nil, terminalPeople{}, err
	}
	p, err := w.assemble(ctx, cfg, w.clock)
	if err != nil {
		return nil, terminalPeople{}, err
	}
	p.terminal = true
	people := terminalPeople{people: cfg.People, slack: noSlack{}}
	if cfg.Slack.BotToken != "" {
		people.slack = bot.NewDirectory(slackAPI(cfg, w.getenv("SLACK_API_URL")))
	}
	a, err := w.openApp(ctx, p, people.slack)
	if err != nil {
		p.close()
		return nil, terminalPeople{}, err
	}
	return a, people, nil
}

// runAsExecutor runs fn while this process executes the journal, or another one
// does: if that one ends and no bot is running, this one takes over.
func (a *app) runAsExecutor(ctx context.Context, w *world, fn func(context.Context) error) error {
	around, stop := context.WithCancel(ctx)
	group, around := errgroup.WithContext(around)
	group.Go(func() error { return a.journal.StandIn(around, a.machine.Advance) })
	group.Go(func() error {
		return a.keeper.Keep(around, func(err error) { w.background("due runs", err) })
	})
	open, closes := context.WithCancel(around)
	served := make(chan struct{})
	group.Go(func() error {
		defer close(served)
		return a.server.Serve(around, open)
	})
	err := fn(around)
	// Whoever is being served gets the answer: the run that fn has waited for may
	// have ended by it.
	closes()
	select {
	case <-served:
	case <-time.After(closeWithin):
	}
	if around.Err() != nil && ctx.Err() == nil && errors.Is(err, context.Canceled) {
		err = nil // the reason is the group's
	}
	stop()
	if gerr := group.Wait(); gerr != nil && !errors.Is(gerr, context.Canceled) {
		err = errors.Join(err, gerr)
	}
	return err
}
