package render

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
)

// titles name the verdicts in a heading; an id without one is written out.
var titles = map[runbook.VerdictID]string{
	diagnose.Healthy:           "Healthy",
	diagnose.StaleCache:        "Stale cache",
	diagnose.RekeyedKid:        "Key replaced under the same kid",
	diagnose.PoisonedCache:     "Poisoned cache",
	diagnose.NegativeCache:     "Negative cache entry",
	diagnose.StaleMemory:       "Stale authoriser memory",
	diagnose.RetiredKeyCached:  "Retired key still cached",
	diagnose.LiveUnhealthy:     "Key endpoint broken",
	diagnose.LiveDisagrees:     "Key endpoints disagree",
	diagnose.UnknownIssuer:     "Tokens of another issuer",
	diagnose.UnknownKids:       "Unknown key ids",
	diagnose.ClaimsOrClock:     "Claims or clock",
	diagnose.RefetchThrottled:  "Key fetch throttled",
	diagnose.UnsupportedKey:    "Unsupported kind of key",
	diagnose.MetadataChanged:   "Key metadata changed",
	diagnose.CacheUnreadable:   "Cache not readable",
	diagnose.Inconclusive:      "Could not tell",
	diagnose.RemovedTooEarly:   "Key removed too early",
	diagnose.GatewayResults:    "Gateway caches old results",
	diagnose.ManagedAuthoriser: "Gateway validates by itself",
	diagnose.ColdCache:         "Cold cache",
	diagnose.LiveUnreachable:   "Key endpoint not reachable from here",
	diagnose.DuplicateKid:      "Duplicate kid",
	diagnose.WeakKey:           "Weak key",
	diagnose.SharedCache:       "Shared cache",
	diagnose.Reencoded:         "Same keys, written differently",
	diagnose.PrivatePublished:  "Private key published",
	diagnose.SymmetricInSet:    "Symmetric key published",
	diagnose.NoExpiryFinding:   "Entry never expires",
}

// titleOf names a verdict in a heading; it is not escaped.
func titleOf(id runbook.VerdictID) string {
	if t := titles[id]; t != "" {
		return t
	}
	s := strings.TrimSpace(strings.ReplaceAll(string(id), "_", " "))
	if s == "" {
		return "No verdict"
	}
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// phraseOf names a verdict within a sentence, as finished markup.
func phraseOf(id runbook.VerdictID) string {
	return Quoted(lower(titleOf(id)), LimitName)
}

func lower(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}

// shapeOf shows how bad a verdict is by a shape: light, triangle, tick, or
// question mark where nobody can tell.
func shapeOf(v runbook.Finding) string {
	switch {
	case v.ID == diagnose.Inconclusive, v.ID == diagnose.CacheUnreadable:
		return "❓"
	case v.Severity == runbook.SeverityCritical:
		return "🚨"
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
	{runbook.SeverityCritical, "🚨 *Critical:* "},
	{runbook.SeverityWarning, "⚠️ *Warning:* "},
	{runbook.SeverityInfo, "ℹ️ "},
}

// adviceOf says in half a sentence whether a flush helps.
func adviceOf(v runbook.Verdict) string {
	flush, restart, gateway := v.Advises(runbook.FlushCache), v.Advises(runbook.RestartAuthoriser), v.Advises(runbook.FlushGateway)
	switch {
	case diagnose.Forbids(v):
		return "do not flush"
	case flush && restart:
		return "flush, and restart the authoriser"
	case flush:
		return "a flush will help"
	case restart:
		return "restart the authoriser, a flush will not help"
	case gateway:
		return "flush the gateway's authoriser cache, a flush of the key cache will not help"
	case v.ID == diagnose.ManagedAuthoriser:
		return "nothing can be flushed; it recovers by itself"
	case v.ID == diagnose.Healthy:
		return "nothing to do"
	case v.ID == diagnose.Inconclusive, v.ID == diagnose.CacheUnreadable:
		return "not enough evidence for a flush"
	}
	return "a flush will not help"
}

// actions name the mitigations, each as an order and as something not to do.
var actions = map[runbook.Mitigation]struct{ do, dont string }{
	runbook.FlushCache:        {"Flush the cache", "Do not flush"},
	runbook.RestartAuthoriser: {"Restart the authoriser", "Do not restart the authoriser"},
	runbook.FlushGateway:      {"Flush the gateway's authoriser cache", "Do not flush the gateway's cache"},
}

func doText(m runbook.Mitigation) string {
	return cmp.Or(actions[m].do, Quoted(string(m), LimitName))
}

func dontText(m runbook.Mitigation) string {
	return cmp.Or(actions[m].dont, "Not "+Quoted(string(m), LimitName))
}

// elsewhere says what helps where no mitigation of ours does.
var elsewhere = map[runbook.VerdictID]string{
	diagnose.LiveUnhealthy:     "*Call the owner of the identity provider.* Whoever still signs in does so with the cached copy.",
	diagnose.RemovedTooEarly:   "*Call the owner of the identity provider:* the key has to stay published until the last token signed with it has expired.",
	diagnose.UnsupportedKey:    "*Call the owner of the identity provider:* the new key has to be withdrawn until the authoriser can read it.",
	diagnose.DuplicateKid:      "*Call the owner of the identity provider:* each key needs a kid of its own.",
	diagnose.ManagedAuthoriser: "*Wait.* The gateway fetches the keys again by itself.",
	diagnose.LiveDisagrees:     "*Wait a few minutes and check again.* A rotation may still be spreading over the provider's edges.",
	diagnose.RefetchThrottled:  "*Wait a few minutes and check again.*",
	diagnose.UnknownIssuer:     "*Find the client* in the gateway's access log; the sample lines in the thread are its requests.",
	diagnose.UnknownKids:       "*Find the sender* in the gateway's access log; the sample lines in the thread are its requests.",
	diagnose.ClaimsOrClock:     "*Find the client* in the gateway's access log; the sample lines in the thread say what is wrong with its tokens.",
	diagnose.CacheUnreadable:   "*Ask the authoriser's developers* how it writes its cache entries; the thread shows their shape.",
	diagnose.RetiredKeyCached:  "*Nothing,* unless the key is being revoked.",
	diagnose.MetadataChanged:   "*Nothing,* unless tokens are refused: then ask the authoriser's developers whether it filters keys by that.",
}
