package keys

import (
	"context"
	"net/http"
	"sync"
	"time"

	"jwksbot/runbook"
)

const (
	// trusted is how long a server is believed that nothing changed. Some answer
	// so for ever, from a copy of their own: after this time the whole key set
	// is asked for again.
	trusted = time.Hour
	// maxValidator is the longest validator that is remembered.
	maxValidator = 1024
)

// validators name one version of an answer (RFC 9110 section 8.8).
type validators struct{ etag, modified string }

func validatorsOf(h http.Header) validators {
	v := validators{h.Get("ETag"), h.Get("Last-Modified")}
	if len(v.etag) > maxValidator || len(v.modified) > maxValidator {
		return validators{}
	}
	return v
}

// ask makes a request conditional.
func (v validators) ask(h http.Header) {
	if v.etag != "" {
		h.Set("If-None-Match", v.etag)
	}
	if v.modified != "" {
		h.Set("If-Modified-Since", v.modified)
	}
}

// lastAnswer is the last whole key set that a poll got.
type lastAnswer struct {
	mu    sync.Mutex
	known validators
	set   runbook.KeySet
	at    time.Time
}

// recall returns what a request at this time may be conditional on.
func (l *lastAnswer) recall(now time.Time) (validators, runbook.KeySet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if age := now.Sub(l.at); age < 0 || age >= trusted {
		return validators{}, runbook.KeySet{}
	}
	return l.known, l.set
}

// keep remembers a whole answer. One that clients cannot use is asked for again
// in full.
func (l *lastAnswer) keep(p runbook.Probe, got validators) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !p.Healthy() {
		got = validators{}
	}
	l.known, l.set, l.at = got, p.Set, p.At
}

// Poll is Probe for somebody who asks again and again: it tells the server
// which version of the key set it knows. When nothing changed the probe says
// so (NotModified, status 304), and its set is the one of the answer before.
// Checks use Probe, since a server that is wrong about its own version is one
// of the faults that they look for.
func (e *Endpoint) Poll(ctx context.Context) runbook.Probe {
	known, set := e.last.recall(e.clock.Now())
	a := e.attempt(ctx, known)
	if a.probe.NotModified {
		a.probe.Set = set
	} else {
		e.last.keep(a.probe, a.got)
	}
	return a.probe
}
