package bot

import (
	"context"

	"jwksbot/bot/render"
	"jwksbot/runbook/check"
)

// Announce posts a report that nobody asked for into the target's channel: the
// rotation watcher saw a new key that the cache does not have.
func (b *Bot) Announce(ctx context.Context, r check.Report) error {
	b.homes.note(r)
	t, err := b.Service.Target(r.Target)
	if err != nil {
		return err
	}
	channel, err := b.channels.resolve(ctx, t.Channel)
	if err != nil {
		return err
	}
	ts, err := b.send.postRetrying(ctx, channel, "", render.Rotation(r))
	if err != nil {
		return err
	}
	for _, e := range render.Evidence(r) {
		if _, err := b.send.postRetrying(ctx, channel, ts, e); err != nil {
			b.Log.Warn("the evidence of an announcement could not be posted", "target", r.Target, "error", err)
			break // the announcement itself stands: it must not be repeated
		}
	}
	return nil
}
