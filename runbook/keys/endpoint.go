package keys

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
	"jwksbot/runbook/outbound"
)

const (
	// maxBody is the largest answer that is read. Consumers have lower limits
	// (Nimbus JOSE: 50 KiB), so that more than this is a fault in any case.
	maxBody = 1 << 20
	// maxRedirects is the number of redirects that are followed.
	maxRedirects = 5
	// defaultTimeout is for the whole request, from lookup to the last byte.
	defaultTimeout = 5 * time.Second
)

// Settings say where a key set is published and how to ask for it.
type Settings struct {
	URL       string         // https, or http on a loopback address
	Timeout   time.Duration  // for one whole request; 0: 5 s
	UserAgent string         // "": jwksbot
	RootCAs   *x509.CertPool // nil: the system's
	Clock     runbook.Clock  // for the time of a probe; nil: real time
}

// Endpoint is the URL where the identity provider publishes its keys.
type Endpoint struct {
	url     *url.URL
	timeout time.Duration
	agent   string
	roots   *x509.CertPool
	clock   runbook.Clock
	last    lastAnswer // of Poll
}

// NewEndpoint checks the settings; it does not touch the network.
func NewEndpoint(s Settings) (*Endpoint, error) {
	u, err := url.Parse(s.URL)
	switch {
	case err != nil:
		return nil, errors.New("jwks url: not a URL; give one like https://issuer.example/.well-known/jwks.json")
	case u.User != nil:
		return nil, fmt.Errorf("jwks url %q: holds a user or password; key sets are public, remove it", shown(u))
	case u.Hostname() == "" || !outbound.Private(u):
		return nil, fmt.Errorf("jwks url %q: must begin with https:// (http:// only on a loopback address)", shown(u))
	case s.Timeout < 0:
		return nil, fmt.Errorf("jwks url %q: timeout %s is negative", shown(u), s.Timeout)
	}
	e := &Endpoint{url: u, timeout: s.Timeout, agent: s.UserAgent, roots: s.RootCAs, clock: s.Clock}
	if e.timeout == 0 {
		e.timeout = defaultTimeout
	}
	if e.agent == "" {
		e.agent = "jwksbot"
	}
	if e.clock == nil {
		e.clock = runbook.SystemClock{}
	}
	return e, nil
}

// URL returns where the key set is published.
func (e *Endpoint) URL() string { return e.url.String() }

// shown is a URL without what may be secret in it.
func shown(u *url.URL) string {
	public := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return runbook.Clip(public.String(), 300)
}

// attempt is one probe under way. A connection may still be tried after the
// deadline ended the request, hence the atomics.
type attempt struct {
	probe     runbook.Probe
	known     validators            // of the answer that a poll knows already
	got       validators            // of this answer
	limit     time.Duration         // how long it may take
	refused   string                // why a redirect was not followed
	connected atomic.Bool           // a connection was made, TLS included
	handshake atomic.Pointer[error] // how the TLS handshake failed
}

// trace notes how far a connection came, which the error alone does not tell.
func (a *attempt) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { a.connected.Store(true) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				a.handshake.Store(&err)
			}
		},
	}
}

// Probe asks once, on a connection of its own. It always returns a probe; what
// went wrong is in it.
func (e *Endpoint) Probe(ctx context.Context) runbook.Probe {
	return e.attempt(ctx, validators{}).probe
}

// answerLimits are for one answer: several are read at once, and kept.
func answerLimits(size int) budget.Limits {
	return budget.Limits{Bytes: 4<<20 + 8*int64(size), Steps: 1_000_000 + 128*int64(size)}
}

// attempt makes one request; with validators the server may answer that nothing
// changed.
func (e *Endpoint) attempt(ctx context.Context, known validators) *attempt {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	a := &attempt{known: known, probe: runbook.Probe{At: e.clock.Now(), Set: Read(nil)}}
	start := time.Now()
	if deadline, ok := ctx.Deadline(); ok {
		a.limit = time.Until(deadline).Round(time.Millisecond) // the caller's may come first
	}
	e.ask(ctx, a)
	a.probe.Duration = time.Since(start)
	return a
}

func (e *Endpoint) ask(ctx context.Context, a *attempt) {
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, a.trace()), http.MethodGet, e.url.String(), nil)
	if err != nil {
		a.probe.Problem = fmt.Sprintf("the URL %q cannot be asked for", shown(e.url))
		return
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	req.Header.Set("Cache-Control", "no-cache") // ask the origin, not an edge that still has the old keys
	req.Header.Set("User-Agent", e.agent)
	a.known.ask(req.Header)
	transport := e.transport()
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: a.redirect}
	res, err := client.Do(req)
	if err != nil {
		e.fail(a, err)
		return
	}
	defer func() { _ = res.Body.Close() }() // nothing is left to learn from it
	e.receive(ctx, a, res)
}

// transport is new for each probe: no connection is kept, no proxy of the
// environment stands between, only HTTP/1.1 so that one probe is one connection.
func (e *Endpoint) transport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
		TLSHandshakeTimeout:    e.timeout,
		TLSClientConfig:        &tls.Config{RootCAs: e.roots, MinVersion: tls.VersionTLS12},
	}
}

// redirect follows to the same host only: anything else would let one server
// speak for another.
func (a *attempt) redirect(req *http.Request, via []*http.Request) error {
	a.probe.Redirects = append(a.probe.Redirects, shown(req.URL))
	from := via[len(via)-1].URL
	switch {
	case len(via) > maxRedirects:
		a.refused = fmt.Sprintf("it redirects more than %d times", maxRedirects)
	case !strings.EqualFold(hostPort(req.URL), hostPort(from)):
		a.refused = fmt.Sprintf("it redirects to another host, %q", runbook.Clip(req.URL.Host, 100))
	case !outbound.Private(req.URL):
		a.refused = "it redirects from https to http"
	default:
		return nil
	}
	return http.ErrUseLastResponse
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "443"}[u.Scheme] // an upgrade on one host is no other host
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// receive reads the answer and judges it.
func (e *Endpoint) receive(ctx context.Context, a *attempt, res *http.Response) {
	p := &a.probe
	p.Status = res.StatusCode
	p.ContentType = runbook.Clip(res.Header.Get("Content-Type"), 120)
	p.CacheControl = runbook.Clip(res.Header.Get("Cache-Control"), 200)
	if res.TLS != nil {
		p.TLS = tls.VersionName(res.TLS.Version)
	}
	a.got = validatorsOf(res.Header)
	if p.Status == http.StatusNotModified && a.known != (validators{}) && a.refused == "" {
		p.NotModified = true
		return
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	p.Size = len(body)
	d := readDocument(budget.New(ctx, answerLimits(len(body))), body)
	switch {
	case a.refused != "":
		p.Problem = a.refused
		return
	case err != nil:
		p.Problem = a.cutOff(err)
		return
	case len(body) > maxBody:
		p.Size, p.Problem = maxBody, "its answer is larger than 1 MiB"
		return
	}
	p.Set = d.set
	p.Problem = judgeAnswer(*p, d)
}
