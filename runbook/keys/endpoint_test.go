package keys

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jwksbot/runbook"
)

// fixedClock is a clock that stands still.
type fixedClock struct {
	runbook.SystemClock
	at time.Time
}

func (c fixedClock) Now() time.Time { return c.at }

func endpoint(t *testing.T, s Settings) *Endpoint {
	t.Helper()
	e, err := NewEndpoint(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "public, max-age=300")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestProbeAnswers(t *testing.T) {
	two := set(good("a"), ecKey("b"))
	for _, c := range []struct {
		name, contentType, body string
		status                  int
		problem                 string // a part of it; "": healthy
	}{
		{"good", "application/json", two, 200, ""},
		{"wrong content type", "text/html", two, 200, ""},
		{"one key of an unknown type", "application/json", set(good("a"), good("b").with("kty", "NEW")), 200, ""},
		{"503 with keys", "application/json", two, 503, "HTTP 503 Service Unavailable"},
		{"404", "text/plain", "not found", 404, "HTTP 404"},
		{"created", "application/json", two, 201, "HTTP 201"},
		{"html", "text/html", "<html><body>Maintenance</body></html>", 200, "web page of 37 bytes"},
		{"html as json", "application/json", "\n<!doctype html>", 200, "web page"},
		{"error body", "application/json", `{"message":"no"}`, 200, `without a key set: JSON, but no keys: an object with the members "message"`},
		{"bare key", "application/json", good("a").String(), 200, `shape "jwk"`},
		{"string", "application/json", inString(two), 200, `shape "string"`},
		{"pem", "text/plain", publicPEM(), 200, `shape "pem"`},
		{"empty set", "application/json", `{"keys":[]}`, 200, "empty"},
		{"null set", "application/json", `{"keys":null}`, 200, "empty"},
		{"nothing", "application/json", "", 200, "without a key set: empty"},
		{"cut off", "application/json", two[:100], 200, "the text ends where"},
		{"trailing", "application/json", two + "x", 200, "not valid JSON"},
		{"encryption only", "application/json", set(good("a").with("use", "enc")), 200, "none of its 1 keys can check a signature"},
		{"unusable only", "application/json", set(good("a").with("e", "AQ")), 200, "exponent is 1"},
		{"too large", "application/json", `{"keys":[` + strings.Repeat(" ", maxBody) + good("a").String() + `]}`, 200, "larger than 1 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, answer(c.status, c.contentType, c.body))
			at := time.Date(2026, 2, 14, 3, 0, 0, 0, time.UTC)
			e := endpoint(t, Settings{URL: s.URL + "/jwks.json", Clock: fixedClock{at: at}})
			p := e.Probe(t.Context())
			if (c.problem == "") != p.Healthy() || !strings.Contains(p.Problem, c.problem) || p.Unreachable {
				t.Errorf("problem %q (unreachable %v), want %q", p.Problem, p.Unreachable, c.problem)
			}
			if p.Status != c.status || p.ContentType != c.contentType || p.CacheControl != "public, max-age=300" || p.TLS != "" || !p.At.Equal(at) || p.Duration <= 0 {
				t.Errorf("%+v", p)
			}
			if p.Size != min(len(c.body), maxBody) {
				t.Errorf("size %d, want %d", p.Size, len(c.body))
			}
		})
	}
}

// TestProbeOpensItsOwnConnection: three probes must be able to reach three
// backends, so no connection is kept, and the environment's proxy is not asked.
func TestProbeOpensItsOwnConnection(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	var connections, requests atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.UserAgent() != "probe/1" || r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("headers %v", r.Header)
		}
		_, _ = io.WriteString(w, set(good("a")))
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	e := endpoint(t, Settings{URL: s.URL, UserAgent: "probe/1"})
	for range 3 {
		if p := e.Probe(t.Context()); !p.Healthy() {
			t.Fatalf("%+v", p)
		}
	}
	if connections.Load() != 3 || requests.Load() != 3 || e.URL() != s.URL {
		t.Errorf("%d connections, %d requests", connections.Load(), requests.Load())
	}
}

func TestProbeRedirects(t *testing.T) {
	var asked atomic.Bool
	other := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Store(true)
		_, _ = io.WriteString(w, set(good("a")))
	})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, "/keys?token=hidden", http.StatusFound)
		case "/other":
			http.Redirect(w, r, other.URL+"/keys", http.StatusMovedPermanently)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/keys":
			_, _ = io.WriteString(w, set(good("a")))
		}
	})
	p := endpoint(t, Settings{URL: s.URL + "/same"}).Probe(t.Context())
	if !p.Healthy() || len(p.Redirects) != 1 || p.Redirects[0] != s.URL+"/keys" {
		t.Errorf("same host: %+v", p)
	}
	p = endpoint(t, Settings{URL: s.URL + "/other"}).Probe(t.Context())
	if p.Healthy() || p.Unreachable || !strings.Contains(p.Problem, "redirects to another host") || p.Status != 301 || len(p.Redirects) != 1 || asked.Load() {
		t.Errorf("other host: %+v", p)
	}
	p = endpoint(t, Settings{URL: s.URL + "/loop"}).Probe(t.Context())
	if p.Healthy() || !strings.Contains(p.Problem, "more than 5 times") || len(p.Redirects) != maxRedirects+1 {
		t.Errorf("loop: %+v", p)
	}
}

func TestProbeTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(answer(200, "application/json", set(good("a"))))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are the point
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())

	p := endpoint(t, Settings{URL: s.URL, RootCAs: roots}).Probe(t.Context())
	if !p.Healthy() || p.TLS != "TLS 1.3" {
		t.Errorf("trusted: %+v", p)
	}
	p = endpoint(t, Settings{URL: s.URL, RootCAs: x509.NewCertPool()}).Probe(t.Context())
	if p.Unreachable || p.Healthy() || !strings.Contains(p.Problem, "authority that is not trusted") || p.Status != 0 {
		t.Errorf("unknown authority: %+v", p)
	}
	p = endpoint(t, Settings{URL: strings.Replace(s.URL, "127.0.0.1", "localhost", 1), RootCAs: roots}).Probe(t.Context())
	if p.Unreachable || !strings.Contains(p.Problem, `not for "localhost"`) {
		t.Errorf("other name: %+v", p)
	}
	plain := serve(t, answer(200, "application/json", set(good("a"))))
	p = endpoint(t, Settings{URL: strings.Replace(plain.URL, "http://", "https://", 1)}).Probe(t.Context())
	if p.Unreachable || !strings.Contains(p.Problem, "does not speak TLS") {
		t.Errorf("no TLS: %+v", p)
	}
}

func TestProbeUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := l.Addr().String()
	_ = l.Close()
	p := endpoint(t, Settings{URL: "https://" + refused + "/keys?token=hidden"}).Probe(t.Context())
	if !p.Unreachable || p.Healthy() || !strings.Contains(p.Problem, "connection refused") || strings.Contains(p.Problem, "hidden") {
		t.Errorf("refused: %+v", p)
	}
	p = endpoint(t, Settings{URL: "https://no-such-host.invalid/"}).Probe(t.Context())
	if !p.Unreachable || !strings.Contains(p.Problem, "no-such-host.invalid") {
		t.Errorf("no such name: %+v", p)
	}
	reset := tcpServer(t, func(c net.Conn) {})
	if p = endpoint(t, Settings{URL: "https://" + reset}).Probe(t.Context()); !p.Unreachable || !strings.Contains(p.Problem, "no connection") {
		t.Errorf("closed before TLS: %+v", p)
	}
	silent := tcpServer(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	if p = endpoint(t, Settings{URL: "http://" + silent, Timeout: 50 * time.Millisecond}).Probe(t.Context()); !p.Unreachable || !strings.Contains(p.Problem, "no answer") {
		t.Errorf("silent: %+v", p)
	}
	if p = endpoint(t, Settings{URL: "https://" + silent, Timeout: 50 * time.Millisecond}).Probe(t.Context()); !p.Unreachable || !strings.Contains(p.Problem, "no answer") {
		t.Errorf("silent in the handshake: %+v", p)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if p = endpoint(t, Settings{URL: "http://" + silent}).Probe(ctx); !p.Unreachable || !strings.Contains(p.Problem, "cancelled") {
		t.Errorf("cancelled: %+v", p)
	}
}

// TestProbeBrokenAnswers: what began to answer is not unreachable.
func TestProbeBrokenAnswers(t *testing.T) {
	noHTTP := tcpServer(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 smtp ready\r\n") })
	if p := endpoint(t, Settings{URL: "http://" + noHTTP}).Probe(t.Context()); p.Unreachable || !strings.Contains(p.Problem, "no valid HTTP answer") {
		t.Errorf("no HTTP: %+v", p)
	}
	short := tcpServer(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"keys\":")
	})
	if p := endpoint(t, Settings{URL: "http://" + short}).Probe(t.Context()); p.Unreachable || !strings.Contains(p.Problem, "broke off after 8 bytes") || p.Status != 200 {
		t.Errorf("short: %+v", p)
	}
	done := make(chan struct{})
	slow := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"keys":[`)
		_ = http.NewResponseController(w).Flush()
		<-done
	})
	t.Cleanup(func() { close(done) }) // runs before the server's own Close
	if p := endpoint(t, Settings{URL: slow.URL, Timeout: time.Second}).Probe(t.Context()); p.Unreachable || !strings.Contains(p.Problem, "was not complete after") {
		t.Errorf("slow: %+v", p)
	}
}

// tcpServer accepts connections, waits for the first bytes of each, and hands
// them to talk, after which it closes them.
func tcpServer(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = c.Read(make([]byte, 4096))
				talk(c)
			}()
		}
	}()
	return l.Addr().String()
}

func TestNewEndpointRefuses(t *testing.T) {
	for _, c := range []struct{ url, say string }{
		{"", "must begin with https"},
		{"http://issuer.example/jwks", "must begin with https"},
		{"ftp://issuer.example/jwks", "must begin with https"},
		{"https:///jwks", "must begin with https"},
		{"https://user:hidden@issuer.example/", "holds a user or password"},
		{"https://issuer.example/\x00hidden", "not a URL"},
		{"http://127.0.0.1.example/", "must begin with https"},
	} {
		if _, err := NewEndpoint(Settings{URL: c.url}); err == nil || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: %v, want %q", c.url, err, c.say)
		}
	}
	if _, err := NewEndpoint(Settings{URL: "https://issuer.example", Timeout: -1}); err == nil {
		t.Error("a negative timeout is taken")
	}
	for _, url := range []string{"https://issuer.example/jwks", "http://localhost:1/", "http://127.0.0.1:1", "http://[::1]:1/"} {
		if _, err := NewEndpoint(Settings{URL: url}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestCognito(t *testing.T) {
	for _, c := range [][3]string{
		{"eu-west-2", "eu-west-2_AbC", "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_AbC"},
		{"cn-north-1", "cn-north-1_AbC", "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_AbC"},
	} {
		if got := CognitoIssuer(c[0], c[1]); got != c[2] {
			t.Errorf("issuer %s, want %s", got, c[2])
		}
		if got, want := CognitoURL(c[0], c[1]), fmt.Sprint(c[2], "/.well-known/jwks.json"); got != want {
			t.Errorf("URL %s, want %s", got, want)
		}
	}
}
