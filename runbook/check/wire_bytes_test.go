package check_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"jwksbot/runbook"
	"jwksbot/runbook/cache"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/keys"
)

// jwk makes keys as an identity provider publishes them; the same material
// gives the same key under any kid.
type jwk struct{ x, y string }

func newJWK() jwk {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	point, err := k.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	return jwk{enc(point[1:33]), enc(point[33:])}
}

func (k jwk) as(kid string, members ...string) string {
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":%q,"x":%q,"y":%q%s}`, kid, k.x, k.y, strings.Join(append([]string{""}, members...), ","))
}

func jwks(all ...string) string { return `{"keys":[` + strings.Join(all, ",") + `]}` }

// publisher answers each request with the next of its answers, the last one
// for ever.
type publisher struct {
	mu      sync.Mutex
	answers []func(http.ResponseWriter)
	asked   atomic.Int32
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := int(p.asked.Add(1)) - 1
	p.answers[min(n, len(p.answers)-1)](w)
}

func body(status int, media, text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	}
}

func published(text string) func(http.ResponseWriter) { return body(200, "application/json", text) }

// From the bytes of an HTTP answer and of Redis values to the verdict.
func TestVerdictsFromRawBytes(t *testing.T) {
	a, b, c := newJWK(), newJWK(), newJWK()
	const alien = "https://other.example/realms/x"
	mldsa := `{"kty":"AKP","alg":"ML-DSA-44","use":"sig","kid":"pq","pub":"AAAA"}`
	symmetric := `{"kty":"oct","kid":"s","alg":"HS256","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}`
	private := c.as("c", `"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"`)
	for _, row := range []struct {
		name     string
		answers  []func(http.ResponseWriter)
		values   map[string]string
		want     runbook.VerdictID
		findings []runbook.VerdictID
	}{
		{"equal, in another order and layout", one(published(jwks(a.as("a"), b.as("b")))), held("jwks:current", `{ "keys" : [ `+b.as("b")+` , `+a.as("a")+" ] }\n"), diagnose.Healthy, nil},
		{"a number written differently", one(published(jwks(a.as("a")))), held("jwks:current", strings.Replace(jwks(a.as("a")), a.x, a.x+"=", 1)), diagnose.Healthy, []runbook.VerdictID{diagnose.Reencoded}},
		{"an array without its wrapper", one(published(jwks(a.as("a")))), held("jwks:current", "["+a.as("a")+"]"), diagnose.Healthy, nil},
		{"no entry", one(published(jwks(a.as("a")))), nil, diagnose.Healthy, []runbook.VerdictID{diagnose.ColdCache}},
		{"hard cut", one(published(jwks(b.as("b")))), held("jwks:current", jwks(a.as("a"))), diagnose.StaleCache, nil},
		{"added", one(published(jwks(a.as("a"), b.as("b")))), held("jwks:current", jwks(a.as("a"))), diagnose.StaleCache, nil},
		{"same kid, new key", one(published(jwks(b.as("a")))), held("jwks:current", jwks(a.as("a"))), diagnose.RekeyedKid, nil},
		{"a web page", one(published(jwks(a.as("a")))), held("jwks:current", "<!DOCTYPE html><html><body>503</body></html>"), diagnose.PoisonedCache, nil},
		{"an error as JSON", one(published(jwks(a.as("a")))), held("jwks:current", `{"error":"temporarily_unavailable"}`), diagnose.PoisonedCache, nil},
		{"cut off", one(published(jwks(a.as("a")))), held("jwks:current", jwks(a.as("a"))[:60]), diagnose.PoisonedCache, nil},
		{"an empty set", one(published(jwks(a.as("a")))), held("jwks:current", jwks()), diagnose.PoisonedCache, nil},
		{"retired", one(published(jwks(b.as("b")))), held("jwks:current", jwks(a.as("a"), b.as("b"))), diagnose.RetiredKeyCached, nil},
		{"HTTP 503", one(body(503, "text/plain", "down")), held("jwks:current", jwks(a.as("a"))), diagnose.LiveUnhealthy, nil},
		{"HTTP 200 with a web page", one(body(200, "text/html", "<html>maintenance</html>")), held("jwks:current", jwks(a.as("a"))), diagnose.LiveUnhealthy, nil},
		{"an empty live set", one(published(jwks())), held("jwks:current", jwks(a.as("a"))), diagnose.LiveUnhealthy, nil},
		{"live keys that are secrets", one(published(jwks(symmetric))), held("jwks:current", jwks(a.as("a"))), diagnose.LiveUnhealthy, []runbook.VerdictID{diagnose.SymmetricInSet}},
		{"edges differ", []func(http.ResponseWriter){published(jwks(a.as("a"))), published(jwks(b.as("b")))}, held("jwks:current", jwks(a.as("a"))), diagnose.LiveDisagrees, nil},
		{"one edge is down", []func(http.ResponseWriter){body(502, "text/html", "<html>"), published(jwks(b.as("b")))}, held("jwks:current", jwks(a.as("a"))), diagnose.LiveDisagrees, nil},
		{"one edge drops the connection", []func(http.ResponseWriter){hangUp, published(jwks(a.as("a")))}, held("jwks:current", jwks(a.as("a"))), diagnose.LiveDisagrees, nil},
		{"a key of a new kind", one(published(jwks(a.as("a"), mldsa))), held("jwks:current", jwks(a.as("a"))), diagnose.UnsupportedKey, nil},
		{"a negative marker", one(published(jwks(a.as("a"), b.as("b")))), map[string]string{"jwks:current": jwks(a.as("a"), b.as("b")), "jwks:negative:b": "1"}, diagnose.NegativeCache, nil},
		{"bytes that no decoder knows", one(published(jwks(a.as("a")))), held("jwks:current", "\x00\x01\x02\xff\xfe binary"), diagnose.CacheUnreadable, nil},
		{"another use", one(published(jwks(a.as("a")))), held("jwks:current", strings.Replace(jwks(a.as("a")), `"ES256"`, `"ES256K"`, 1)), diagnose.MetadataChanged, nil},
		{"a private key beside", one(published(jwks(a.as("a"), private))), held("jwks:current", jwks(a.as("a"), private)), diagnose.Healthy, []runbook.VerdictID{diagnose.PrivatePublished}},
		{"another issuer's entry beside", one(published(jwks(a.as("a")))), map[string]string{"jwks:current": jwks(a.as("a")), "jwks:" + alien: jwks(c.as("z"))}, diagnose.Healthy, nil},
		{"only another issuer's entry", one(published(jwks(a.as("a")))), held("jwks:"+alien, "<html>"), diagnose.Healthy, []runbook.VerdictID{diagnose.ColdCache}},
		{"one key per entry", one(published(jwks(a.as("a"), b.as("b")))), held("jwks:kid:a", a.as("a")), diagnose.Healthy, []runbook.VerdictID{diagnose.ColdCache}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := &publisher{answers: row.answers}
			idp := httptest.NewServer(p)
			t.Cleanup(idp.Close)
			redis := miniredis.RunT(t)
			for name, value := range row.values {
				if err := redis.Set(name, value); err != nil {
					t.Fatal(err)
				}
			}
			target := &check.Target{Name: "production", JWKSURL: idp.URL + "/jwks.json", Live: endpoint(t, idp.URL+"/jwks.json"),
				Entries: store(t, cache.Settings{URL: "redis://" + redis.Addr()}), Decode: keys.Decode}
			report := checked(t, target)
			if v := report.Diagnosis.Verdict; v.ID != row.want {
				t.Fatalf("verdict %s (%s), want %s", v.ID, v.Summary, row.want)
			}
			if p.asked.Load() != 3 {
				t.Errorf("the key set was asked for %d times", p.asked.Load())
			}
			for _, id := range row.findings {
				if !report.Diagnosis.Has(id) {
					t.Errorf("finding %s is missing among %v", id, report.Diagnosis.Findings)
				}
			}
			if len(row.values) > 0 && !report.Diagnosis.Has(diagnose.ColdCache) && !report.Diagnosis.Has(diagnose.NoExpiryFinding) {
				t.Error("an entry without expiry is not told of")
			}
			out := checkShape(t, report)
			if len(out.Keys.Cached) != len(row.values) {
				t.Errorf("%d entries printed, %d stored", len(out.Keys.Cached), len(row.values))
			}
			for _, s := range out.Steps[2:] {
				if s.Status != "skipped" {
					t.Errorf("%s: %s, nothing is configured for it", s.Name, s.Status)
				}
			}
			text := fmt.Sprintf("%+v", out)
			for _, secret := range []string{"c2VjcmV0", "870MB6gf"} {
				if strings.Contains(text, secret) {
					t.Error("the report holds a private value")
				}
			}
		})
	}
}

func one(answer func(http.ResponseWriter)) []func(http.ResponseWriter) {
	return []func(http.ResponseWriter){answer}
}

func held(name, value string) map[string]string { return map[string]string{name: value} }

// hangUp takes the request and ends the connection without an answer.
func hangUp(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// A target of which nothing is configured can be checked all the same.
func TestReportOfAnEmptyTarget(t *testing.T) {
	out := checkShape(t, checked(t, &check.Target{Name: "empty"}))
	if out.Verdict != "inconclusive" || len(out.Steps) != 6 || len(out.Keys.Live)+len(out.Keys.Cached)+len(out.Keys.Logged) != 0 {
		t.Errorf("printed %+v", out)
	}
}
