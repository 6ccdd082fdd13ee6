package drill

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"time"

	"jwksbot/runbook"
)

// publication is what the identity provider published from a moment on.
type publication struct {
	at      time.Time
	keys    keySet
	healthy bool // it could be read
}

// note records what is published now, for those who are to remember it.
func (p *provider) note(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.past = append(p.past, publication{at, slices.Clone(p.published), p.health == IDPHealthy})
}

// sightings is who remembers which keys were live; the bot's journal is.
type sightings interface {
	Seen(ctx context.Context, target string, keys []runbook.Key, at time.Time) error
}

// Remember tells h what a bot that has watched the identity provider since
// before the past hour would know: which keys were live, and when. Without it
// nobody can say that a key was removed too early.
func (w *World) Remember(ctx context.Context, h sightings, target string) error {
	w.idp.mu.Lock()
	past := slices.Clone(w.idp.past)
	w.idp.mu.Unlock()
	for i, p := range past {
		until := w.clock.Now()
		if i+1 < len(past) {
			until = past[i+1].at
		}
		if !p.healthy {
			continue
		}
		for _, at := range []time.Time{p.at, until} {
			if err := h.Seen(ctx, target, p.keys.seen(), at); err != nil {
				return fmt.Errorf("remember keys of %s: %w", target, err)
			}
		}
	}
	return nil
}

// seen are the RSA keys of a set as the bot knows them.
func (s keySet) seen() []runbook.Key {
	var keys []runbook.Key
	for _, k := range s {
		if k.private == nil {
			continue
		}
		enc := base64.RawURLEncoding
		n, e := enc.EncodeToString(k.private.N.Bytes()), enc.EncodeToString(big.NewInt(int64(k.private.E)).Bytes())
		sum := sha256.Sum256(fmt.Appendf(nil, `{"e":"%s","kty":"RSA","n":"%s"}`, e, n)) // RFC 7638 section 3
		keys = append(keys, runbook.Key{Kid: k.kid, Thumbprint: enc.EncodeToString(sum[:]), Kty: "RSA", Alg: "RS256", Use: "sig", Usable: true, Problems: []string{}})
	}
	return keys
}
