package main

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/slack-go/slack"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"jwksbot/bot"
	"jwksbot/runbook"
	"jwksbot/runbook/chart"
	"jwksbot/runbook/check"
	"jwksbot/runbook/config"
	"jwksbot/runbook/journal"
)

func serveCommand(w *world) *cobra.Command {
	c := &serveCmd{}
	cmd := w.command("serve", "Run the bot.", c)
	cmd.Flags().BoolVar(&c.AuditLog, "audit-log", false, "Also write every row of the audit trail to standard output as JSON, for a log archive.")
	return cmd
}

// serveCmd runs the bot.
type serveCmd struct{ AuditLog bool }

// run serves until it is interrupted, or until an error comes that time does
// not heal.
func (c *serveCmd) run(ctx context.Context, w *world) error {
	if c.AuditLog {
		w.auditLog = slog.New(slog.NewJSONHandler(exactly{w.stdout}, nil))
	}
	cfg, err := w.readConfig()
	if err != nil {
		return err
	}
	if err := cfg.NeedToServe(); err != nil {
		return err
	}
	if err := cfg.Need(config.ToAct); err != nil {
		return err
	}
	if kind := journal.Ephemeral(cfg.Journal.Reveal()); kind != "" {
		w.log.Warn("the journal is on a file system that does not last: requests, approvals and the audit trail are lost with it; set journal to a file on a volume, or to postgres://…", "filesystem", kind)
	}
	p, err := w.assemble(ctx, cfg, w.clock)
	if err != nil {
		return err
	}
	p.metrics = newMetrics()
	return w.serve(ctx, p, slackAPI(cfg, w.getenv("SLACK_API_URL"), p.metrics.slack))
}

// heapGrowth is by how many percent the heap of a bot may grow before it is
// collected, unless GOGC says otherwise. Measured: against Go's 100 an idle bot
// with checks behind it holds 32 MiB instead of 36, and one that flushes 10,000
// entries 17 MiB less, while collecting is a small part of what either works.
const heapGrowth = 50

// serve puts the bot around the app and runs everything until it ends.
func (w *world) serve(ctx context.Context, p *parts, api *slack.Client) (err error) {
	w.level.Set(min(w.level.Level(), slog.LevelInfo)) // who watches a bot wants to see it work
	if w.getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	dir := bot.NewDirectory(api)
	a, err := w.openApp(ctx, p, dir)
	if err != nil {
		p.close()
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	b, err := bot.New(bot.Settings{API: api, Service: a.service, Ledger: a.journal, Clock: p.clock, Log: w.log, Present: a.journal.Presenting,
		Chart: chart.Draw, Report: a.record})
	if err != nil {
		return err
	}
	m := a.meter(b)
	group, ctx := errgroup.WithContext(ctx)
	// Who presents goes on until the last message is sent.
	presenting, presented := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error {
		defer presented()
		return b.Run(ctx)
	})
	group.Go(func() error { return a.journal.Present(presenting) })
	group.Go(func() error { return a.journal.Execute(ctx, a.machine.Advance) })
	group.Go(func() error {
		return a.keeper.Keep(ctx, func(err error) {
			m.journalErrors.Inc()
			w.background("due runs", err)
		})
	})
	group.Go(func() error { return a.server.Serve(ctx, ctx) })
	w.watchRotations(ctx, group, a, b)
	group.Go(func() error { return w.releaseIdle(ctx, func() uint64 { return b.Status().Acked }) })
	if p.cfg.Listen != "" {
		group.Go(func() error { return m.follow(ctx, a.journal) })
	}
	group.Go(func() error { return serveHealth(ctx, p.cfg.Listen, healthServer{a.readiness(b.Ready), m}, w.log) })
	err = group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil // asked to end, and ended in order
	}
	return err
}

// settled is when the start is over: connected, recovered, and idle or at work.
// From then on memory is given back every minute in which nobody asked for
// anything: a check needs four times what an idle bot does, and a minute after
// it nothing of that.
const (
	settled      = 5 * time.Second
	releaseEvery = time.Minute
)

// releaseIdle gives back what only the start needed, and later what only work
// needed; asked counts what people ask for.
func (w *world) releaseIdle(ctx context.Context, asked func() uint64) error {
	wait, last := settled, uint64(0)
	for {
		if err := (runbook.SystemClock{}).Wait(ctx, wait); err != nil {
			return err
		}
		now := asked()
		if now == last || wait == settled {
			w.logIf("memory that is not needed", releaseMemory())
		}
		wait, last = releaseEvery, now
	}
}

// watchRotations starts the rotation watcher of every target that asks for one.
func (w *world) watchRotations(ctx context.Context, group *errgroup.Group, a *app, b *bot.Bot) {
	for i, t := range a.targets {
		every := a.cfg.Targets[i].Watch.RotationEvery
		if every <= 0 {
			continue
		}
		watcher := check.NewRotationMonitor(check.RotationSettings{Target: t, Runner: a.runner, Memory: a.journal, Clock: a.clock,
			Every: every, Active: a.journal.Presenting, Announce: b.Announce})
		group.Go(func() error {
			return watcher.Watch(ctx, func(err error) {
				if !runbook.LedgerAway(err) {
					w.log.Warn("rotation watcher", "error", err)
				}
			})
		})
	}
}
