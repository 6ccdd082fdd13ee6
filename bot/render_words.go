package bot

import (
	"strings"

	"jwksbot/runbook"
)

// titles name the verdicts in a heading; an id without one is written out.
var titles = map[runbook.VerdictID]string{
	runbook.Healthy:           "Healthy",
	runbook.StaleCache:        "Stale cache",
	runbook.RekeyedKid:        "Key replaced under the same kid",
	runbook.PoisonedCache:     "Poisoned cache",
	runbook.NegativeCache:     "Negative cache entry",
	runbook.StaleMemory:       "Stale authoriser memory",
	runbook.RetiredKeyCached:  "Retired key still cached",
	runbook.LiveUnhealthy:     "Key endpoint broken",
	runbook.LiveDisagrees:     "Key endpoints disagree",
	runbook.UnknownIssuer:     "Tokens of another issuer",
	runbook.UnknownKids:       "Made-up key ids",
	runbook.ClaimsOrClock:     "Claims or clock",
	runbook.RefetchThrottled:  "Key fetch throttled",
	runbook.UnsupportedKey:    "Unsupported kind of key",
	runbook.MetadataChanged:   "Key metadata changed",
	runbook.CacheUnreadable:   "Cache not readable",
	runbook.Inconclusive:      "Could not tell",
	runbook.RemovedTooEarly:   "Key removed too early",
	runbook.GatewayResults:    "Gateway caches old results",
	runbook.ManagedAuthoriser: "Gateway validates by itself",
	runbook.PrivatePublished:  "Private key published",
	runbook.SymmetricInSet:    "Symmetric key published",
	runbook.NoExpiryFinding:   "Entry never expires",
}

func titleOf(id runbook.VerdictID) string {
	if t := titles[id]; t != "" {
		return t
	}
	s := strings.TrimSpace(strings.ReplaceAll(string(id), "_", " "))
	if s == "" {
		return "No verdict"
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// shapeOf shows how bad a verdict is by a shape: octagon, triangle, tick, or
// question mark where nobody can tell.
func shapeOf(v runbook.Finding) string {
	switch {
	case v.ID == runbook.Inconclusive, v.ID == runbook.CacheUnreadable:
		return "❓"
	case v.Severity == runbook.SeverityCritical:
		return "🛑"
	case v.Severity == runbook.SeverityWarning:
		return "⚠️"
	}
	return "✅"
}

// severities order findings and name their severity in words.
var severities = []struct {
	severity runbook.Severity
	word     string
}{
	{runbook.SeverityCritical, "🛑 *Critical:* "},
	{runbook.SeverityWarning, "⚠️ *Warning:* "},
	{runbook.SeverityInfo, "ℹ️ "},
}

// adviceOf says in half a sentence whether a flush helps.
func adviceOf(v runbook.Verdict) string {
	flush, restart := v.Advises(runbook.FlushCache), v.Advises(runbook.RestartAuthoriser)
	switch {
	case v.Forbids():
		return "do not flush"
	case flush && restart:
		return "flush, and restart the authoriser"
	case flush:
		return "a flush will help"
	case restart:
		return "restart the authoriser, a flush will not help"
	case v.ID == runbook.Healthy:
		return "nothing to do"
	case v.ID == runbook.Inconclusive, v.ID == runbook.CacheUnreadable:
		return "not enough evidence for a flush"
	}
	return "a flush will not help"
}

// actions name the mitigations, each as an order and as something not to do.
var actions = map[runbook.Mitigation]struct{ do, dont, noNeed string }{
	runbook.FlushCache:        {"Flush the cache", "Do not flush", "No need to flush"},
	runbook.RestartAuthoriser: {"Restart the authoriser", "Do not restart the authoriser", "No need to restart the authoriser"},
	runbook.FlushGateway:      {"Flush the gateway's authoriser cache", "Do not flush the gateway's cache", "No need to flush the gateway's cache"},
}

func doText(m runbook.Mitigation) string {
	if a, ok := actions[m]; ok {
		return a.do
	}
	return quoted(string(m), limitName)
}

func dontText(m runbook.Mitigation, v runbook.Verdict) string {
	switch a, ok := actions[m]; {
	case !ok:
		return "Not " + quoted(string(m), limitName)
	case v.ID == runbook.Healthy:
		return a.noNeed
	default:
		return a.dont
	}
}
