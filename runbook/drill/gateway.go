package drill

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

const (
	// returningUsers hold a token and come back with it in turn until it expires
	// or is refused; then they sign in again. They are few, so that everybody
	// who has to sign in again after a hard cut has done so within half a minute.
	returningUsers = 6
	// catchUp is the longest stretch of traffic that is made up for after the
	// clock jumped.
	catchUp = 15 * time.Minute
	// pastTokenAge is how long a fresh token is used again while the past is
	// played, or what a busy machine is late with is made up for: signing one per
	// request would take seconds.
	pastTokenAge = 5 * time.Minute
)

// user is somebody who uses one token for many requests.
type user struct {
	name  string
	token string
	until time.Time
}

// gateway makes the traffic: people who have just signed in, and people who
// come back with the token that they have. It is used by one goroutine at a
// time, which mu makes sure of.
type gateway struct {
	mu         sync.Mutex
	idp        *provider
	authoriser *authoriser
	record     *record
	clock      interface {
		Now() time.Time
		Wait(context.Context, time.Duration) error
	}
	rng       *rand.Rand
	interval  time.Duration // between requests
	returning float64
	users     []*user
	odd       oddClients
	turn      int       // of users, the one who comes back next
	next      time.Time // when the next request is due
	traffic   *traffic

	resultTTL time.Duration // of the authoriser's answers; 0: each request asks
	results   results
	stubborn  bool // returning users keep a token that was refused
	managed   bool // API Gateway checks tokens itself
	keys      verifyKeys
	keysUntil time.Time
	verifier  verifier

	past  bool
	fresh user // the token that is shared then
}

func newGateway(w *World, rng *rand.Rand) *gateway {
	g := &gateway{
		idp: w.idp, authoriser: w.authoriser, record: w.record, clock: w.clock, rng: rng,
		interval:  time.Minute / time.Duration(w.opts.RequestsPerMinute),
		returning: w.settings.returning, past: true, traffic: newTraffic(),
		resultTTL: w.settings.resultTTL, stubborn: w.settings.stubborn, managed: w.settings.managed,
	}
	for range returningUsers {
		g.users = append(g.users, &user{name: uuid(rng)})
	}
	return g
}

// welcome lets the returning users sign in, spread over the hour before start.
func (g *gateway) welcome(start time.Time) error {
	for i, u := range g.users {
		at := start.Add(-tokenLifetime * time.Duration(i) / time.Duration(len(g.users)))
		if err := g.signIn(u, at); err != nil {
			return err
		}
	}
	return nil
}

func (g *gateway) signIn(u *user, at time.Time) (err error) {
	u.token, err = g.idp.issue(u.name, uuid(g.rng), at)
	u.until = at.Add(tokenLifetime)
	return err
}

// run sends requests as they fall due until ctx ends.
func (g *gateway) run(ctx context.Context) {
	for {
		now := g.clock.Now()
		if g.next.Before(now.Add(-catchUp)) {
			g.next = now.Add(-catchUp)
		}
		g.traffic.reach(g.next)
		for !g.next.After(now) && ctx.Err() == nil {
			g.request(ctx, g.next)
			g.next = g.next.Add(g.interval)
			g.traffic.reach(g.next)
		}
		if g.clock.Wait(ctx, g.next.Sub(now)) != nil {
			return
		}
	}
}

// request is one call of an API at that time, and its place in the statistics.
func (g *gateway) request(ctx context.Context, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.odd.turn() {
		g.oddRequest(ctx, at)
		return
	}
	returning := g.rng.Float64() < g.returning
	u := g.visitor(returning, at)
	if u == nil {
		return
	}
	status := g.judge(ctx, at, u.token)
	if ctx.Err() != nil {
		return
	}
	g.record.request(at, status)
	if status != http.StatusOK && returning && !g.stubborn {
		u.until = at // signs in again before the next request
	}
}

// call is a request of somebody outside of the traffic.
func (g *gateway) call(ctx context.Context, at time.Time, token string) (status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if status = g.judge(ctx, at, token); ctx.Err() == nil {
		g.record.request(at, status)
	}
	return status
}

// oddRequest is one call of a client whose token is at fault.
func (g *gateway) oddRequest(ctx context.Context, at time.Time) {
	token, err := g.odd.token(at)
	if err != nil {
		return
	}
	if status := g.judge(ctx, at, token); ctx.Err() == nil {
		g.record.request(at, status)
	}
}

// visitor returns somebody with a token, nil when none could be signed.
func (g *gateway) visitor(returning bool, at time.Time) *user {
	var u *user
	switch {
	case returning:
		g.turn++
		if u = g.users[g.turn%len(g.users)]; at.Before(u.until) {
			return u
		}
	case g.past, g.clock.Now().Sub(at) > behind: // the past is played, or made up for
		u = &g.fresh
		if at.Before(u.until.Add(pastTokenAge-tokenLifetime)) && !g.idp.rotatedSince(u.until.Add(-tokenLifetime)) {
			return u
		}
		u.name = uuid(g.rng)
	default:
		u = &user{name: uuid(g.rng)}
	}
	if g.signIn(u, at) != nil {
		return nil
	}
	return u
}
