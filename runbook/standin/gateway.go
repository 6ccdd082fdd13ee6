package standin

import (
	"time"

	"jwksbot/runbook"
)

// SetupOf is an API with the authorisers.
func SetupOf(authorisers ...runbook.GatewayAuthoriser) runbook.GatewaySetup {
	return runbook.GatewaySetup{Kind: runbook.RestAPI, ID: "a1b2c3", Name: "shop", Stage: "prod", Authorisers: authorisers}
}

// LambdaOf is a Lambda authoriser.
func LambdaOf(name, function, qualifier string) runbook.GatewayAuthoriser {
	return runbook.GatewayAuthoriser{ID: "id-" + name, Name: name, Kind: runbook.LambdaAuthoriser, Function: function, Qualifier: qualifier, ResultTTL: 5 * time.Minute}
}

// Shares makes a point a minute of 100 requests until t0, with so many 4xx.
func Shares(runs ...int) (out []runbook.GatewayPoint) {
	n := 0
	for i := 0; i < len(runs); i += 2 {
		n += runs[i]
	}
	at := T0.Add(-time.Duration(n) * time.Minute)
	for i := 0; i+1 < len(runs); i += 2 {
		for range runs[i] {
			out = append(out, runbook.GatewayPoint{At: at, Requests: 100, ClientErrors: float64(runs[i+1])})
			at = at.Add(time.Minute)
		}
	}
	return out
}
