package drill

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// managedKeysKept is how long API Gateway keeps the keys that a JWT authoriser
// of an HTTP API works with (developer guide, "Control access to HTTP APIs with
// JWT authorizers").
const managedKeysKept = 2 * time.Hour

// results is API Gateway's cache of what a Lambda authoriser answered: for its
// lifetime a token gets the same answer again, and nobody is asked.
type results struct {
	mu      sync.Mutex
	byToken map[string]result
}

type result struct {
	ok    bool
	until time.Time
}

func (r *results) get(token string, at time.Time) (ok, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, known := r.byToken[token]
	if !known || !at.Before(found.until) {
		delete(r.byToken, token)
		return false, false
	}
	return found.ok, true
}

func (r *results) put(token string, ok bool, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byToken == nil {
		r.byToken = map[string]result{}
	}
	r.byToken[token] = result{ok, until}
}

// flush forgets everything.
func (r *results) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byToken = nil
}

// denials counts the tokens that are refused without asking.
func (r *results) denials(at time.Time) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.byToken {
		if !one.ok && at.Before(one.until) {
			n++
		}
	}
	return n
}

// judge answers for the gateway: from its own copy of the keys, from its result
// cache, or by asking the authoriser. An end of ctx is no verdict.
func (g *gateway) judge(ctx context.Context, at time.Time, token string) (status int) {
	if g.managed {
		return g.judgeItself(at, token)
	}
	if g.resultTTL == 0 {
		// An authoriser that raises "Unauthorized" makes a 401, which is never
		// kept.
		return statusOf(g.authoriser.authorise(ctx, at, token), http.StatusUnauthorized)
	}
	ok, known := g.results.get(token, at)
	if !known {
		if ok = g.authoriser.authorise(ctx, at, token); ctx.Err() != nil {
			return http.StatusInternalServerError
		}
		g.results.put(token, ok, at.Add(g.resultTTL))
	}
	return statusOf(ok, http.StatusForbidden) // a denial is a policy, which makes a 403
}

func statusOf(ok bool, otherwise int) int {
	if ok {
		return http.StatusOK
	}
	return otherwise
}

// judgeItself is a JWT authoriser: API Gateway's own copy of the keys decides, and
// is not renewed for a kid that is not in it.
func (g *gateway) judgeItself(at time.Time, raw string) (status int) {
	if !at.Before(g.keysUntil) {
		keys, err := parseKeys(g.idp.currentDocument())
		if err != nil {
			return http.StatusUnauthorized
		}
		g.keys, g.keysUntil = keys, at.Add(managedKeysKept)
	}
	t, err := parseToken(raw)
	if err != nil || t.checkIssuer(g.idp.issuer) != nil || t.checkClaims(at) != nil {
		return http.StatusUnauthorized
	}
	key, known := g.keys[t.header.Kid]
	return statusOf(known && g.verifier.good(t, key), http.StatusUnauthorized)
}

// Remembered counts the tokens that the gateway refuses without asking the
// authoriser.
func (w *World) Remembered() int { return w.gateway.results.denials(w.clock.Now()) }
