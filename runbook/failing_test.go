package runbook

import (
	"strings"
	"testing"
	"time"
)

// series is an hour of log up to t0 of which each minute has so many failures
// about tokens and about keys, from the given runs of minutes.
func series(class string, runs ...int) *LogEvidence {
	ev := &LogEvidence{Since: t0.Add(-time.Hour), Until: t0, Pages: 1, Classes: map[string]int{}}
	minutes := 0
	for i := 0; i < len(runs); i += 2 {
		minutes += runs[i]
	}
	at := t0.Add(-time.Duration(minutes) * time.Minute)
	for i := 0; i+1 < len(runs); i += 2 {
		for range runs[i] {
			ev.PerMinute = append(ev.PerMinute, MinuteCount{At: at, Count: runs[i+1]})
			n := 0
			if !AboutTokens(class) {
				n = runs[i+1]
			}
			ev.KeyMinutes = append(ev.KeyMinutes, MinuteCount{At: at, Count: n})
			ev.Count += runs[i+1]
			at = at.Add(time.Minute)
		}
	}
	ev.Classes[class] = ev.Count
	return ev
}

// Tokens expire wherever there are users: a trickle is no incident, and a flood
// or a rise is one.
func TestATrickleOfExpiredTokensIsOrdinary(t *testing.T) {
	busy := func(perMinute float64) *GatewayEvidence {
		g := gatewayOf(shares(60, 1), lambdaOf("jwks", "auth", ""))
		for i := range g.Points {
			g.Points[i].Requests, g.Points[i].ClientErrors = perMinute, 1
		}
		return g
	}
	for _, c := range []struct {
		name    string
		log     *LogEvidence
		gateway *GatewayEvidence
		want    VerdictID
		says    string
	}{
		{"three in five minutes", series(ClassExpired, 55, 0, 2, 0, 3, 1), nil, Healthy, "at an ordinary rate"},
		{"three a minute, all the time", series(ClassExpired, 60, 3), nil, Healthy, "ordinary rate"},
		{"one a minute, then ten", series(ClassExpired, 46, 1, 14, 10), nil, ClaimsOrClock, ""},
		{"none, then five a minute", series(ClassExpired, 46, 0, 14, 5), nil, ClaimsOrClock, ""},
		{"a flood all the time", series(ClassExpired, 60, 40), nil, ClaimsOrClock, ""},
		{"a flood, but few of the requests", series(ClassExpired, 60, 40), busy(2000), Healthy, "ordinary rate"},
		{"few, but many of the requests", series(ClassExpired, 60, 3), busy(10), ClaimsOrClock, ""},
		{"a risen trickle, few of the requests", series(ClassExpired, 46, 1, 14, 10), busy(2000), Healthy, ""},
		{"strangers of another issuer", series(ClassIssuer, 60, 1), nil, Healthy, ""},
		{"as many failures of keys are an incident", series(ClassBadSignature, 57, 0, 3, 1), nil, StaleMemory, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Diagnose(Evidence{At: t0, Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1")), Logged: c.log, Gateway: c.gateway}).Verdict
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
		log  *LogEvidence
		want time.Duration
	}{
		{"none", series(ClassUnknownKid, 60, 0), 0},
		{"14 minutes", series(ClassUnknownKid, 46, 0, 14, 5), 14 * time.Minute},
		{"with small gaps", series(ClassUnknownKid, 40, 0, 10, 5, 3, 0, 7, 5), 20 * time.Minute},
		{"an earlier incident does not count", series(ClassUnknownKid, 10, 5, 40, 0, 10, 5), 10 * time.Minute},
		{"of tokens alone", series(ClassExpired, 60, 9), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := gather(Evidence{Logged: c.log}).since(); got != c.want {
				t.Errorf("lasted %s, want %s", got, c.want)
			}
		})
	}
}
