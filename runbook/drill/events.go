package drill

import (
	"context"
	"net/http"
	"time"
)

// This file holds what may happen in the past of a world.

func rotate(r Rotation) func(context.Context, *World, time.Time) error {
	return func(_ context.Context, w *World, at time.Time) error { return w.idp.rotate(at, r) }
}

func health(h string) func(context.Context, *World, time.Time) error {
	return func(_ context.Context, w *World, _ time.Time) error {
		w.idp.setHealth(h)
		return nil
	}
}

func announce(_ context.Context, w *World, _ time.Time) error { return w.idp.announce() }

func promote(_ context.Context, w *World, at time.Time) error {
	w.idp.promote(at)
	return nil
}

func retire(_ context.Context, w *World, _ time.Time) error {
	w.idp.retire()
	return nil
}

func announceNewKind(_ context.Context, w *World, _ time.Time) error {
	w.idp.announceNewKind()
	return nil
}

func signEarly(_ context.Context, w *World, at time.Time) error { return w.idp.signEarly(at) }

// refill puts the present key set into the cache, as a warm-up job does.
func refill(ctx context.Context, w *World, at time.Time) error {
	return w.authoriser.fill(ctx, at, w.settings.cacheTTL)
}

// everybodySignsIn gives the users who come back a token of the new key.
func everybodySignsIn(_ context.Context, w *World, at time.Time) error {
	for _, u := range w.gateway.users {
		if err := w.gateway.signIn(u, at); err != nil {
			return err
		}
	}
	return nil
}

// stray sends a token with a made-up kid to every environment.
func stray(ctx context.Context, w *World, at time.Time) error {
	junk, err := junkTokens(w)
	if err != nil {
		return err
	}
	for _, env := range w.authoriser.environments {
		token, err := junk(at)
		if err != nil {
			return err
		}
		w.record.request(at, statusOf(w.authoriser.authoriseIn(ctx, env, at, token), http.StatusUnauthorized))
	}
	return ctx.Err()
}

// cacheOtherPool puts another user pool's key set into the same cache.
func cacheOtherPool(ctx context.Context, w *World, _ time.Time) error {
	other, err := w.otherProvider()
	if err != nil {
		return err
	}
	return w.store.set(ctx, "jwks:"+otherPool, string(other.published.document()), time.Hour)
}
