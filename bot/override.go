package bot

import (
	"context"
	"errors"
	"sync"
	"time"

	"jwksbot/bot/render"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
)

// A request that goes against the verdict is refused until it says why. What
// was typed is not lost: a button opens the form with it.

// draftFor is how long a refused request can be completed; a button carries
// nothing but the target.
const draftFor = 15 * time.Minute

// drafts are the refused requests, one for each person.
type drafts struct {
	mu   sync.Mutex
	kept map[string]draft
}

type draft struct {
	at  time.Time
	req approve.Request
}

const maxDrafts = 200

func (d *drafts) keep(user string, req approve.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept == nil || len(d.kept) >= maxDrafts {
		d.kept = map[string]draft{}
	}
	d.kept[user] = draft{time.Now(), req}
}

// of returns somebody's draft for a target, or an empty request for it.
func (d *drafts) of(user, target string) approve.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := d.kept[user]; ok && k.req.Target == target && time.Since(k.at) < draftFor {
		return k.req
	}
	return approve.Request{Target: target}
}

// offerOverride answers a refused request with a way to complete it, where that
// is what it lacks. Any other error is left as it is.
func (b *Bot) offerOverride(ctx context.Context, from origin, req approve.Request, err error) error {
	var refusal *runbook.Refusal
	if !errors.As(err, &refusal) || refusal.Code != approve.RefusedOverride || req.RestoreOf != "" {
		return err
	}
	b.drafts.keep(from.user, req)
	b.privateMessage(ctx, from, render.OverrideOffer(refusal, req.Target))
	return nil
}
