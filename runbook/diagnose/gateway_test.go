package diagnose

import (
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/standin"
)

// The verdicts that rest on the gateway are believed only while no other layer
// explains the denials, and only where the gateway can be at fault.
func TestGatewayVerdicts(t *testing.T) {
	lambda := standin.LambdaOf("jwks", "auth", "live")
	uncached := runbook.GatewayAuthoriser{Name: "jwks", Kind: runbook.LambdaAuthoriser, Function: "auth"}
	managed := runbook.GatewayAuthoriser{Name: "pool", Kind: runbook.ManagedJWT}
	pool := runbook.GatewayAuthoriser{Name: "pool", Kind: runbook.ManagedUserPool}
	spike := standin.Shares(40, 1, 20, 30)
	in := func(g *runbook.GatewayEvidence) runbook.Evidence {
		return runbook.Evidence{At: standin.T0, Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: standin.LoggedEvidence(), Gateway: g}
	}
	change := func(e runbook.Evidence, how func(*runbook.Evidence)) runbook.Evidence {
		how(&e)
		return e
	}
	for _, c := range []struct {
		name string
		e    runbook.Evidence
		want runbook.VerdictID
		says string
	}{
		{"results are cached", in(gatewayOf(spike, lambda)), GatewayResults, "wait up to 5 min"},
		{"with a retired key in the cache", change(in(gatewayOf(spike, lambda)), func(e *runbook.Evidence) { e.Cached = standin.CachedEvidence(standin.Entry("jwks", "keys a=1 b=2")) }), GatewayResults, ""},
		{"nothing in the cache", change(in(gatewayOf(spike, lambda)), func(e *runbook.Evidence) { e.Cached = standin.CachedEvidence() }), GatewayResults, ""},
		{"results are not cached", in(gatewayOf(spike, uncached)), Inconclusive, "gateway-errors: set gateway.access_log_group"},
		{"the authorisers could not be read", in(gatewayOf(spike)), Inconclusive, "set gateway.access_log_group"},
		{"the authorisers could not be read, denials are sure", in(deniedOf(gatewayOf(spike), 600, 150)), Inconclusive, "let the bot read the API's authorisers"},
		{"the log is not configured", change(in(gatewayOf(spike, lambda)), func(e *runbook.Evidence) { e.Logged = nil }), Inconclusive, "set authoriser.log_group"},
		{"the log could not be read", change(in(gatewayOf(spike, lambda)), func(e *runbook.Evidence) {
			e.Logged, e.Unread = nil, map[string]string{runbook.StepLoggedKeys: "denied"}
		}), Inconclusive, "let the bot read the log group (denied)"},
		{"the authoriser still rejects", change(in(gatewayOf(spike, lambda)), func(e *runbook.Evidence) { e.Logged = standin.LoggedEvidence(manyErrors...) }), StaleMemory, "repeats each answer of the authoriser for 5 min"},
		{"the cache is stale", change(in(gatewayOf(spike, lambda)), func(e *runbook.Evidence) { e.Live = standin.Agreed("c=3") }), StaleCache, "its cache goes last"},
		{"flushed two minutes ago", change(in(gatewayOf(spike, lambda)), func(e *runbook.Evidence) { e.Flushed = standin.T0.Add(-2 * time.Minute) }), Healthy, ""},
		{"no spike", in(gatewayOf(standin.Shares(60, 30), lambda)), Healthy, ""},
		{"4xx spike, but few of them are denials", in(deniedOf(gatewayOf(spike, lambda), 20, 2)), Healthy, ""},
		{"denials as ever", in(deniedOf(gatewayOf(standin.Shares(60, 3), lambda), 180, 15)), Healthy, ""},
		{"denials without metrics, risen", in(deniedOf(gatewayOf(nil, lambda), 60, 40)), GatewayResults, "40 requests"},
		{"denials without metrics, as ever", in(deniedOf(gatewayOf(nil, lambda), 360, 30)), Healthy, ""},
		// Every rejected token is a denial: what the authoriser says itself is no
		// mystery of the gateway.
		{"expired tokens", change(in(deniedOf(gatewayOf(standin.Shares(40, 1, 20, 30), lambda), 600, 150)), func(e *runbook.Evidence) { e.Logged = standin.Series(runbook.ClassExpired, 40, 0, 20, 30) }), ClaimsOrClock, ""},

		{"managed", in(gatewayOf(spike, managed)), ManagedAuthoriser, "up to 2 h"},
		{"managed by a user pool", in(gatewayOf(spike, pool)), ManagedAuthoriser, "up to 60 min"},
		{"managed, and a stale cache that it never reads", change(in(gatewayOf(spike, managed)), func(e *runbook.Evidence) { e.Live = standin.Agreed("c=3") }), ManagedAuthoriser, ""},
		{"managed, nobody is denied", in(gatewayOf(standin.Shares(60, 1), managed)), Healthy, ""},
		{"managed, nobody is denied, a stale cache", change(in(gatewayOf(standin.Shares(60, 1), managed)), func(e *runbook.Evidence) { e.Live = standin.Agreed("c=3") }), StaleCache, ""},
		{"managed, and the Lambda rejects", change(in(gatewayOf(spike, managed)), func(e *runbook.Evidence) {
			e.Live, e.Logged = standin.Agreed("c=3"), standin.LoggedEvidence("unknown_kid:40", "c=40")
		}), StaleCache, ""},
		{"managed, the identity provider is not reached from here", change(in(gatewayOf(spike, managed)), func(e *runbook.Evidence) { e.Live = standin.LiveEvidence(standin.Unreachable("timeout")) }), ManagedAuthoriser, ""},
		{"managed and Lambda on one API", in(gatewayOf(spike, managed, lambda)), GatewayResults, ""},
		{"managed, the identity provider is broken", change(in(gatewayOf(spike, managed)), func(e *runbook.Evidence) {
			e.Live = standin.LiveEvidence(standin.Bad("HTML"), standin.Bad("HTML"), standin.Bad("HTML"))
		}), LiveUnhealthy, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Diagnose(c.e)
			v := d.Verdict
			if text := v.Summary + strings.Join(v.Because, "\n") + v.WouldChange; v.ID != c.want || !strings.Contains(text, c.says) {
				t.Errorf("%s: %s", v.ID, text)
			}
			checkVerdict(t, d)
			checkWords(t, v)
			if hasManaged := c.e.Gateway.Authorisers != nil && c.e.Gateway.Authorisers[0].Managed(); d.Has(ManagedAuthoriser) != hasManaged {
				t.Errorf("findings %v", idsOf(d.Findings))
			}
			if v.ID == ManagedAuthoriser && v.Objection(runbook.FlushGateway) == "" {
				t.Error("nothing is said against flushing a cache that does not exist")
			}
		})
	}
}

// A restart that came after the flush and did not help is not recommended again.
func TestStaleMemoryWithTheFunctionsState(t *testing.T) {
	e := func(flushed, changed time.Duration, refusal string) runbook.Evidence {
		out := runbook.Evidence{At: standin.T0, Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: standin.LoggedEvidence("unknown_kid:40", "b=40"),
			Function: &runbook.FunctionEvidence{Function: "auth", Qualifier: "live", Mode: runbook.RestartAlias, LastModified: standin.T0.Add(-changed), Refusal: refusal}}
		if flushed > 0 {
			out.Flushed = standin.T0.Add(-flushed)
		}
		return out
	}
	for _, c := range []struct {
		name    string
		e       runbook.Evidence
		restart bool
		says    string
	}{
		{"changed before the flush", e(20*time.Minute, time.Hour, ""), true, "authoriser `auth:live`, last changed 60 min ago: a restart publishes"},
		{"changed after the flush", e(30*time.Minute, 20*time.Minute, ""), false, "Rebuild and redeploy it"},
		{"changed a minute ago: old environments may still answer", e(30*time.Minute, time.Minute, ""), true, "keeps old keys in memory"},
		{"changed, nobody knows when it was flushed", e(0, 20*time.Minute, ""), true, "keeps old keys in memory"},
		{"a restart would be refused", e(20*time.Minute, time.Hour, "$LATEST differs from version 7"), true, "a restart would be refused as things stand"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Diagnose(c.e)
			v := d.Verdict
			if text := v.Summary + strings.Join(v.Because, "\n"); v.ID != StaleMemory || v.Advises(runbook.RestartAuthoriser) != c.restart || !strings.Contains(text, c.says) {
				t.Errorf("%s, %v: %s", v.ID, v.Recommended, text)
			}
			checkVerdict(t, d)
		})
	}
}
