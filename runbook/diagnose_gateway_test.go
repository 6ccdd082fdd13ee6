package runbook

import (
	"strings"
	"testing"
	"time"
)

// The verdicts that rest on the gateway are believed only while no other layer
// explains the denials, and only where the gateway can be at fault.
func TestGatewayVerdicts(t *testing.T) {
	lambda := lambdaOf("jwks", "auth", "live")
	uncached := GatewayAuthoriser{Name: "jwks", Kind: LambdaAuthoriser, Function: "auth"}
	managed := GatewayAuthoriser{Name: "pool", Kind: ManagedJWT}
	pool := GatewayAuthoriser{Name: "pool", Kind: ManagedUserPool}
	spike := shares(40, 1, 20, 30)
	in := func(g *GatewayEvidence) Evidence {
		return Evidence{At: t0, Live: agreed("b=2"), Cached: cached(entry("jwks", "keys b=2")), Logged: logged(), Gateway: g}
	}
	change := func(e Evidence, how func(*Evidence)) Evidence {
		how(&e)
		return e
	}
	for _, c := range []struct {
		name string
		e    Evidence
		want VerdictID
		says string
	}{
		{"results are cached", in(gatewayOf(spike, lambda)), GatewayResults, "wait up to 5 min"},
		{"with a retired key in the cache", change(in(gatewayOf(spike, lambda)), func(e *Evidence) { e.Cached = cached(entry("jwks", "keys a=1 b=2")) }), GatewayResults, ""},
		{"nothing in the cache", change(in(gatewayOf(spike, lambda)), func(e *Evidence) { e.Cached = cached() }), GatewayResults, ""},
		{"results are not cached", in(gatewayOf(spike, uncached)), Inconclusive, "gateway-errors: set gateway.access_log_group"},
		{"the authorisers could not be read", in(gatewayOf(spike)), Inconclusive, "set gateway.access_log_group"},
		{"the authorisers could not be read, denials are sure", in(deniedOf(gatewayOf(spike), 600, 150)), Inconclusive, "let the bot read the API's authorisers"},
		{"the log is not configured", change(in(gatewayOf(spike, lambda)), func(e *Evidence) { e.Logged = nil }), Inconclusive, "set authoriser.log_group"},
		{"the log could not be read", change(in(gatewayOf(spike, lambda)), func(e *Evidence) { e.Logged, e.Unread = nil, map[string]string{StepLoggedKeys: "denied"} }), Inconclusive, "let the bot read the log group (denied)"},
		{"the authoriser still rejects", change(in(gatewayOf(spike, lambda)), func(e *Evidence) { e.Logged = logged(manyErrors...) }), StaleMemory, "repeats each answer of the authoriser for 5 min"},
		{"the cache is stale", change(in(gatewayOf(spike, lambda)), func(e *Evidence) { e.Live = agreed("c=3") }), StaleCache, "its cache goes last"},
		{"flushed two minutes ago", change(in(gatewayOf(spike, lambda)), func(e *Evidence) { e.Flushed = t0.Add(-2 * time.Minute) }), Healthy, ""},
		{"no spike", in(gatewayOf(shares(60, 30), lambda)), Healthy, ""},
		{"4xx spike, but few of them are denials", in(deniedOf(gatewayOf(spike, lambda), 20, 2)), Healthy, ""},
		{"denials as ever", in(deniedOf(gatewayOf(shares(60, 3), lambda), 180, 15)), Healthy, ""},
		{"denials without metrics, risen", in(deniedOf(gatewayOf(nil, lambda), 60, 40)), GatewayResults, "40 requests"},
		{"denials without metrics, as ever", in(deniedOf(gatewayOf(nil, lambda), 360, 30)), Healthy, ""},
		// Every rejected token is a denial: what the authoriser says itself is no
		// mystery of the gateway.
		{"expired tokens", change(in(deniedOf(gatewayOf(shares(40, 1, 20, 30), lambda), 600, 150)), func(e *Evidence) { e.Logged = series(ClassExpired, 40, 0, 20, 30) }), ClaimsOrClock, ""},

		{"managed", in(gatewayOf(spike, managed)), ManagedAuthoriser, "up to 2 h"},
		{"managed by a user pool", in(gatewayOf(spike, pool)), ManagedAuthoriser, "up to 60 min"},
		{"managed, and a stale cache that it never reads", change(in(gatewayOf(spike, managed)), func(e *Evidence) { e.Live = agreed("c=3") }), ManagedAuthoriser, ""},
		{"managed, nobody is denied", in(gatewayOf(shares(60, 1), managed)), Healthy, ""},
		{"managed, nobody is denied, a stale cache", change(in(gatewayOf(shares(60, 1), managed)), func(e *Evidence) { e.Live = agreed("c=3") }), StaleCache, ""},
		{"managed, and the Lambda rejects", change(in(gatewayOf(spike, managed)), func(e *Evidence) { e.Live, e.Logged = agreed("c=3"), logged("unknown_kid:40", "c=40") }), StaleCache, ""},
		{"managed, the identity provider is not reached from here", change(in(gatewayOf(spike, managed)), func(e *Evidence) { e.Live = live(unreachable("timeout")) }), ManagedAuthoriser, ""},
		{"managed and Lambda on one API", in(gatewayOf(spike, managed, lambda)), GatewayResults, ""},
		{"managed, the identity provider is broken", change(in(gatewayOf(spike, managed)), func(e *Evidence) { e.Live = live(bad("HTML"), bad("HTML"), bad("HTML")) }), LiveUnhealthy, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Diagnose(c.e)
			v := d.Verdict
			if text := v.Summary + strings.Join(v.Because, "\n") + v.WouldChange; v.ID != c.want || !strings.Contains(text, c.says) {
				t.Errorf("%s: %s", v.ID, text)
			}
			checkVerdict(t, d)
			checkWords(t, v)
			if hasManaged := c.e.Gateway.Authorisers != nil && c.e.Gateway.Authorisers[0].managed(); d.Has(ManagedAuthoriser) != hasManaged {
				t.Errorf("findings %v", idsOf(d.Findings))
			}
			if v.ID == ManagedAuthoriser && v.Objection(FlushGateway) == "" {
				t.Error("nothing is said against flushing a cache that does not exist")
			}
		})
	}
}

// A restart that came after the flush and did not help is not recommended again.
func TestStaleMemoryWithTheFunctionsState(t *testing.T) {
	e := func(flushed, changed time.Duration, refusal string) Evidence {
		out := Evidence{At: t0, Live: agreed("b=2"), Cached: cached(entry("jwks", "keys b=2")), Logged: logged("unknown_kid:40", "b=40"),
			Function: &FunctionEvidence{Function: "auth", Qualifier: "live", Mode: RestartAlias, LastModified: t0.Add(-changed), Refusal: refusal}}
		if flushed > 0 {
			out.Flushed = t0.Add(-flushed)
		}
		return out
	}
	for _, c := range []struct {
		name    string
		e       Evidence
		restart bool
		says    string
	}{
		{"changed before the flush", e(20*time.Minute, time.Hour, ""), true, "authoriser `auth:live`, last changed 60 min ago: a restart would publish"},
		{"changed after the flush", e(30*time.Minute, 20*time.Minute, ""), false, "Build and deploy it anew"},
		{"changed a minute ago: old environments may still answer", e(30*time.Minute, time.Minute, ""), true, "keeps old keys in memory"},
		{"changed, nobody knows when it was flushed", e(0, 20*time.Minute, ""), true, "keeps old keys in memory"},
		{"a restart would be refused", e(20*time.Minute, time.Hour, "$LATEST differs from version 7"), true, "a restart would be refused as things stand"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Diagnose(c.e)
			v := d.Verdict
			if text := v.Summary + strings.Join(v.Because, "\n"); v.ID != StaleMemory || v.Advises(RestartAuthoriser) != c.restart || !strings.Contains(text, c.says) {
				t.Errorf("%s, %v: %s", v.ID, v.Recommended, text)
			}
			checkVerdict(t, d)
		})
	}
}
