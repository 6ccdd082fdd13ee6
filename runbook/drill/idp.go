package drill

import (
	"context"
	"crypto/rsa"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Health of the identity provider's JWKS endpoint. Token issuing goes on in
// all of them.
const (
	IDPHealthy     = "healthy"
	IDPUnavailable = "503"      // answers 503 with a short JSON error
	IDPHTML        = "html"     // answers 200 with a maintenance page
	IDPFlapping    = "flapping" // every other answer is a 503
	IDPDisagreeing = "edges"    // every other answer comes from an edge that still has the keys before the last rotation
)

// provider is an identity provider in the manner of a Cognito user pool.
type provider struct {
	issuer string // set once, before the first request

	mu        sync.Mutex
	health    string
	published keySet
	previous  keySet // what was published before the last rotation
	signing   signingKey
	rotatedAt time.Time
	answers   int
	past      []publication // until the present, earliest first

	spares  chan spareKey // one key is made ahead, so that a rotation is instant
	stopped chan struct{} // closed when no more keys are made
	made    []*rsa.PrivateKey
}

// spareKey is a key that has been made, or why it could not be.
type spareKey struct {
	key signingKey
	err error
}

func newProvider() *provider {
	return &provider{health: IDPHealthy, spares: make(chan spareKey), stopped: make(chan struct{})}
}

// makeKeys makes one key ahead of need until ctx ends.
func (p *provider) makeKeys(ctx context.Context) {
	defer close(p.stopped)
	for ctx.Err() == nil {
		key, err := takeSigningKey()
		if err == nil {
			p.made = append(p.made, key.private)
		}
		select {
		case p.spares <- spareKey{key, err}:
		case <-ctx.Done():
		}
	}
}

// takeSpare returns the next key.
func (p *provider) takeSpare() (signingKey, error) {
	select {
	case s := <-p.spares:
		return s.key, s.err
	case <-p.stopped:
		return signingKey{}, errors.New("take signing key: the drill is closed")
	}
}

// open makes the first key sign and publishes it.
func (p *provider) open() error {
	key, err := p.takeSpare()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signing, p.published = key, keySet{key}
	return nil
}

// Rotation says how keys are changed. The zero value is a hard cut: the old
// keys are gone in the moment in which the new one appears.
type Rotation struct {
	Overlap bool // keep publishing the old keys beside the new one
	SameKid bool // give the new key the old key's kid: what must never be done
}

// rotate makes a new key sign. It publishes the old ones no longer, or with an
// overlap.
func (p *provider) rotate(at time.Time, r Rotation) error {
	next, err := p.takeSpare()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.SameKid {
		next.kid = p.signing.kid
	}
	p.previous = p.published
	p.published = keySet{next}
	if r.Overlap {
		p.published = append(p.published, p.previous...)
	}
	p.signing, p.rotatedAt = next, at
	return nil
}

// announce publishes a further key that does not sign yet.
func (p *provider) announce() error {
	next, err := p.takeSpare()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published = append(keySet{next}, p.published...)
	return nil
}

// announceNewKind publishes a further key of a kind that is new.
func (p *provider) announceNewKind() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published = append(keySet{newKindOfKey()}, p.published...)
}

// describeLess publishes the same keys without their alg.
func (p *provider) describeLess() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published = slices.Clone(p.published)
	for i := range p.published {
		p.published[i].noAlg = true
	}
}

// signEarly makes a new key sign that is not published yet.
func (p *provider) signEarly(at time.Time) error {
	next, err := p.takeSpare()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signing, p.rotatedAt = next, at
	return nil
}

// promote makes the announced key sign.
func (p *provider) promote(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signing, p.rotatedAt = p.published[0], at
}

// retire stops publishing every key but the one that signs.
func (p *provider) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.previous, p.published = p.published, keySet{p.signing}
}

func (p *provider) setHealth(h string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.health = h
}

// providerState is a consistent view for the panel and the token maker.
type providerState struct {
	health    string
	kids      []string
	signing   signingKey
	rotatedAt time.Time
}

func (p *provider) state() providerState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return providerState{health: p.health, kids: p.published.kids(), signing: p.signing, rotatedAt: p.rotatedAt}
}

// rotatedSince says whether another key signs since then.
func (p *provider) rotatedSince(at time.Time) bool { return p.state().rotatedAt.After(at) }

func (p *provider) jwksURL() string { return p.issuer + "/.well-known/jwks.json" }

// ServeHTTP answers the JWKS path and nothing else.
func (p *provider) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/"+UserPoolID+"/.well-known/jwks.json" {
		http.NotFound(rw, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		rw.Header().Set("Allow", "GET, HEAD")
		http.Error(rw, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	status, contentType, body := p.answer()
	rw.Header().Set("Content-Type", contentType)
	rw.WriteHeader(status)
	_, _ = rw.Write(body) // the client may have gone
}

const maintenancePage = `<!DOCTYPE html>
<html><head><title>We'll be back soon</title></head>
<body><h1>Scheduled maintenance</h1><p>The service is temporarily unavailable.</p></body></html>
`

// currentDocument is the published key set, whatever the endpoint's health.
func (p *provider) currentDocument() []byte {
	p.mu.Lock()
	set := slices.Clone(p.published)
	p.mu.Unlock()
	return set.document()
}

// answer is one response of the endpoint in its present health.
func (p *provider) answer() (status int, contentType string, body []byte) {
	p.mu.Lock()
	health, set := p.health, slices.Clone(p.published)
	odd := p.answers%2 == 1
	p.answers++
	if health == IDPDisagreeing && odd && len(p.previous) > 0 {
		set = slices.Clone(p.previous)
	}
	p.mu.Unlock()
	switch {
	case health == IDPHTML:
		return http.StatusOK, "text/html; charset=utf-8", []byte(maintenancePage)
	case health == IDPUnavailable, health == IDPFlapping && odd:
		return http.StatusServiceUnavailable, "application/json", []byte(`{"message":"Service Unavailable"}`)
	}
	return http.StatusOK, "application/json", set.document()
}
