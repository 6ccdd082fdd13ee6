package drill

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"jwksbot/runbook"
)

// TestScenarios holds every row to what its summary says, read from outside:
// the endpoint, the cache, the traffic of the last five minutes, the log.
func TestScenarios(t *testing.T) {
	type world struct {
		state  State
		failed float64 // share of requests in the five finished minutes before now
		live   [2]string
		errors string // the error lines of the last five minutes
	}
	sameKids := func(w world) bool { return slices.Equal(w.state.LiveKids, w.state.CachedKids) }
	tests := map[string]func(w world) bool{
		"stale": func(w world) bool {
			return w.failed > 0.7 && w.failed < 1 && !sameKids(w) && strings.Contains(w.errors, `KidNotFoundInJwksError: JWK for kid "`+w.state.LiveKids[0]+`" not found in the JWKS`)
		},
		"healthy":  func(w world) bool { return w.failed == 0 && sameKids(w) },
		"idp-down": func(w world) bool { return w.failed > 0.7 && w.live[0] == "503 application/json" },
		"rekeyed": func(w world) bool {
			return w.failed > 0.7 && sameKids(w) && strings.Contains(w.errors, "invalid_signature") && strings.Contains(w.errors, w.state.LiveKids[0])
		},
		"poisoned": func(w world) bool {
			return w.failed == 1 && w.state.CacheNote == "not a key set" && strings.HasPrefix(w.live[0], "200 application/json")
		},
		"retired": func(w world) bool {
			return w.failed == 0 && len(w.state.CachedKids) == 2 && slices.Contains(w.state.CachedKids, w.state.LiveKids[0]) && len(w.state.LiveKids) == 1
		},
		"disagree": func(w world) bool { return w.failed > 0.7 && w.live[0] != w.live[1] },
		"cold":     func(w world) bool { return w.failed == 0 && w.state.CacheNote == "no entry" },
		"per-kid": func(w world) bool {
			return w.failed == 0 && len(w.state.LiveKids) == 2 && slices.Equal(w.state.LiveKids[1:], w.state.CachedKids) && w.state.CacheKey == "jwks:kid:*"
		},
		"memory": func(w world) bool {
			return w.failed > 0.7 && sameKids(w) && strings.Contains(w.errors, `KidNotFoundInJwksError: JWK for kid "`+w.state.LiveKids[0]+`"`)
		},
		"memory-alias":   func(w world) bool { return w.failed > 0.7 && sameKids(w) },
		"env-error":      func(w world) bool { return w.failed > 0.7 && sameKids(w) },
		"latest-differs": func(w world) bool { return w.failed > 0.7 && sameKids(w) },
		"persistent":     func(w world) bool { return w.failed > 0.7 && !sameKids(w) },
		"gateway-results": func(w world) bool {
			return w.failed > 0.4 && w.failed < 0.75 && sameKids(w) && w.errors == ""
		},
		"managed-jwt": func(w world) bool { return w.failed > 0.7 && sameKids(w) && w.errors == "" },
		"bridge":      func(w world) bool { return w.failed > 0.7 && !sameKids(w) },
		"bridge-lies": func(w world) bool { return w.failed > 0.7 && !sameKids(w) },
		"metadata":    func(w world) bool { return w.failed == 0 && sameKids(w) && !strings.Contains(w.live[0], "RS256") },
		"removed": func(w world) bool {
			return w.failed > 0.2 && w.failed < 0.6 && sameKids(w) && len(w.state.LiveKids) == 1 && !strings.Contains(w.errors, w.state.LiveKids[0])
		},
		"quiet": func(w world) bool {
			return w.failed > 0.5 && !sameKids(w) && w.state.RequestsPerMinute == 1
		},
		"expired": func(w world) bool {
			return w.failed > 0.15 && w.failed < 0.5 && sameKids(w) && strings.Contains(w.errors, "JwtExpiredError: Token expired at ")
		},
		"wrong-issuer": func(w world) bool {
			return w.failed > 0.15 && w.failed < 0.5 && sameKids(w) && strings.Contains(w.errors, "JwtInvalidIssuerError: Issuer not allowed: "+otherIssuer+". Expected: ")
		},
		"junk-kids": func(w world) bool {
			return w.failed > 0.03 && w.failed < 0.3 && sameKids(w) && strings.Count(w.errors, "KidNotFoundInJwksError") > 5 && !strings.Contains(w.errors, w.state.LiveKids[0])
		},
		"throttled": func(w world) bool {
			return w.failed > 0.7 && sameKids(w) && strings.Contains(w.errors, "WaitPeriodNotYetEndedJwkError: Not allowed to fetch JWKS yet")
		},
		"negative": func(w world) bool {
			return w.failed > 0.7 && sameKids(w) && strings.Contains(w.errors, w.state.LiveKids[0])
		},
		"foreign": func(w world) bool { return w.failed > 0.7 && w.failed < 1 && !sameKids(w) },
		"new-key-type": func(w world) bool {
			return w.failed > 0 && w.failed < 0.2 && len(w.state.LiveKids) == 2 && slices.Equal(w.state.LiveKids[1:], w.state.CachedKids) && strings.Contains(w.errors, `JwksValidationError: JWK "`+w.state.LiveKids[0])
		},
		"shut-out":   func(w world) bool { return w.failed > 0.7 && w.failed < 1 && !sameKids(w) },
		"unreadable": func(w world) bool { return w.failed > 0.7 && w.state.CacheNote == "not a key set" },
	}
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			holds, ok := tests[s.Name]
			if !ok {
				t.Fatal("no expectation for this scenario")
			}
			w := startWorld(t, Options{Scenario: s.Name, RequestsPerMinute: 60, Clock: runbook.SystemClock{}})
			got := world{state: w.State(), live: [2]string{probe(t, w), probe(t, w)}}
			var all, failed int
			for _, m := range got.state.Minutes[54:59] {
				all, failed = all+m.OK+m.Failed, failed+m.Failed
			}
			got.failed = float64(failed) / float64(all)
			now := w.clock.Now().UnixMilli()
			for _, e := range w.record.window(now-5*60_000, now) {
				if strings.Contains(e.message, "\tERROR\t") {
					got.errors += e.message
				}
			}
			if !holds(got) {
				t.Errorf("not as the summary says: failed %.2f, live %q, cached %q (%s), probes %.60q, errors %.300s",
					got.failed, got.state.LiveKids, got.state.CachedKids, got.state.CacheNote, got.live, got.errors)
			}
			if first := got.state.Minutes[1]; first.OK < min(59, got.state.RequestsPerMinute) || first.Failed > 0 {
				t.Errorf("an hour ago: %+v, want healthy traffic", first)
			}
		})
	}
}

// probe returns status, content type and, when it is JSON, the key set.
func probe(t *testing.T, w *World) string {
	t.Helper()
	resp, err := http.Get(w.JWKSURL())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		return "503 " + resp.Header.Get("Content-Type")
	}
	return "200 " + resp.Header.Get("Content-Type") + " " + string(body)
}
