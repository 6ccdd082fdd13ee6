package bot

import (
	"context"

	"jwksbot/bot/render"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/record"
)

// What stands in a run's thread is posted once: the service records it in the run
// right after, and the run that comes back is the one to go on with.

// pingOnCall calls the on-call group in the thread, and in the channel, so that
// whoever reads along sees it; once for each escalation.
func (p *presenter) pingOnCall(ctx context.Context, run *runbook.Run, post runbook.Post) error {
	e := run.Escalation
	if e == nil || e.Pinged != "" {
		return nil
	}
	ts, err := p.send.post(ctx, post.Channel, post.TS, true, render.OnCallPing(*run, *e))
	if err != nil {
		return err
	}
	return p.record(ctx, run, approve.Posted{Ping: ts})
}

// breakGlassNotice tells the approvers that somebody acted without them.
func (p *presenter) breakGlassNotice(ctx context.Context, run *runbook.Run, post runbook.Post) error {
	if run.BreakGlass == "" || run.GlassPing != "" {
		return nil
	}
	ts, err := p.send.post(ctx, post.Channel, post.TS, true, render.BreakGlassNotice(*run, p.approvers(*run)))
	if err != nil {
		return err
	}
	return p.record(ctx, run, approve.Posted{GlassPing: ts})
}

// breakGlassElsewhere tells the approvers in the target's own channel of a
// break-glass run that was started somewhere else, where they may not see it.
func (p *presenter) breakGlassElsewhere(ctx context.Context, run *runbook.Run, post runbook.Post) error {
	if run.BreakGlass == "" || run.GlassTold != "" {
		return nil
	}
	t, err := p.bot.Service.Target(run.Target)
	if err != nil {
		return nil // it has no channel any more
	}
	home, err := p.bot.channels.resolve(ctx, t.Channel)
	if err != nil || home == post.Channel {
		return err
	}
	if err := p.bot.channels.postable(ctx, home); err != nil {
		return err
	}
	ts, err := p.bot.send.post(ctx, home, "", false, render.BreakGlassElsewhere(*run, p.approvers(*run)))
	if err != nil {
		return err
	}
	return p.record(ctx, run, approve.Posted{GlassTold: ts})
}

// noChart is recorded where there is no picture, so that none is tried again.
const noChart = "none"

// chart puts the picture of a watch that has ended into the thread. It is worth
// one attempt: a run is complete without it.
func (p *presenter) chart(ctx context.Context, run *runbook.Run, post runbook.Post) error {
	if p.bot.Chart == nil || run.Watch == nil || !run.State.Ended() || run.Chart != "" {
		return nil
	}
	id := noChart
	if f, ok := p.bot.draw(record.Series(*run), ChartName(run.ID)); ok {
		posted, err := p.send.upload(ctx, post.Channel, post.TS, f)
		if err != nil {
			p.bot.Log.Warn("the chart of a watch could not be posted", "run", run.ID, "error", err)
		} else {
			id = posted
		}
	}
	return p.record(ctx, run, approve.Posted{Chart: id})
}

// record keeps what was posted. Where nobody else changed the run meanwhile,
// the run goes on as it is now, and is not shown again because of it.
func (p *presenter) record(ctx context.Context, run *runbook.Run, what approve.Posted) error {
	now, err := p.bot.Service.Record(ctx, run.ID, what)
	if err != nil {
		return err
	}
	if now.Version == run.Version+1 {
		*run = now
	} else {
		run.Escalation, run.GlassPing, run.GlassTold, run.Chart = now.Escalation, now.GlassPing, now.GlassTold, now.Chart
	}
	return nil
}

func (p *presenter) approvers(run runbook.Run) []string {
	t, err := p.bot.Service.Target(run.Target)
	if err != nil {
		return nil
	}
	return t.Policy.Approvers
}
