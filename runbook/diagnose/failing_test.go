package diagnose

import (
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/standin"
)

// Tokens expire wherever there are users: a trickle is no incident, and a flood
// or a rise is one.
func TestATrickleOfExpiredTokensIsOrdinary(t *testing.T) {
	busy := func(perMinute float64) *runbook.GatewayEvidence {
		g := gatewayOf(standin.Shares(60, 1), standin.LambdaOf("jwks", "auth", ""))
		for i := range g.Points {
			g.Points[i].Requests, g.Points[i].ClientErrors = perMinute, 1
		}
		return g
	}
	for _, c := range []struct {
		name    string
		log     *runbook.LogEvidence
		gateway *runbook.GatewayEvidence
		want    runbook.VerdictID
		says    string
	}{
		{"three in five minutes", standin.Series(runbook.ClassExpired, 55, 0, 2, 0, 3, 1), nil, Healthy, "at an ordinary rate"},
		{"three a minute, all the time", standin.Series(runbook.ClassExpired, 60, 3), nil, Healthy, "ordinary rate"},
		{"one a minute, then ten", standin.Series(runbook.ClassExpired, 46, 1, 14, 10), nil, ClaimsOrClock, ""},
		{"none, then five a minute", standin.Series(runbook.ClassExpired, 46, 0, 14, 5), nil, ClaimsOrClock, ""},
		{"a flood all the time", standin.Series(runbook.ClassExpired, 60, 40), nil, ClaimsOrClock, ""},
		{"a flood, but few of the requests", standin.Series(runbook.ClassExpired, 60, 40), busy(2000), Healthy, "ordinary rate"},
		{"few, but many of the requests", standin.Series(runbook.ClassExpired, 60, 3), busy(10), ClaimsOrClock, ""},
		{"a risen trickle, few of the requests", standin.Series(runbook.ClassExpired, 46, 1, 14, 10), busy(2000), Healthy, ""},
		{"strangers of another issuer", standin.Series(runbook.ClassIssuer, 60, 1), nil, Healthy, ""},
		{"as many failures of keys are an incident", standin.Series(runbook.ClassBadSignature, 57, 0, 3, 1), nil, StaleMemory, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Diagnose(runbook.Evidence{At: standin.T0, Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: c.log, Gateway: c.gateway}).Verdict
			if v.ID != c.want || !strings.Contains(v.Summary, c.says) {
				t.Errorf("%s: %s, want %s", v.ID, v.Summary, c.want)
			}
		})
	}
}

// How long failures have lasted decides whether waiting is still advised.
func TestHowLongFailuresHaveLasted(t *testing.T) {
	for _, c := range []struct {
		name string
		log  *runbook.LogEvidence
		want time.Duration
	}{
		{"none", standin.Series(runbook.ClassUnknownKid, 60, 0), 0},
		{"14 minutes", standin.Series(runbook.ClassUnknownKid, 46, 0, 14, 5), 14 * time.Minute},
		{"with small gaps", standin.Series(runbook.ClassUnknownKid, 40, 0, 10, 5, 3, 0, 7, 5), 20 * time.Minute},
		{"an earlier incident does not count", standin.Series(runbook.ClassUnknownKid, 10, 5, 40, 0, 10, 5), 10 * time.Minute},
		{"of tokens alone", standin.Series(runbook.ClassExpired, 60, 9), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Gather(runbook.Evidence{Logged: c.log}).since(); got != c.want {
				t.Errorf("lasted %s, want %s", got, c.want)
			}
		})
	}
}
