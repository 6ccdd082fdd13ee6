package runbook

import (
	"fmt"
	"time"
)

// denials says in words that the gateway turns clients away now, out of the
// ordinary, beyond what the authoriser itself rejects; high is false when it
// does not, or when nobody can tell.
func (f *facts) denials() (text string, high bool) {
	g := f.Gateway
	if g == nil || f.Flushed.After(g.Until.Add(-recentMinutes*time.Minute)) {
		return "", false // what was denied before the flush was judged before it
	}
	points := newest(g.Points)
	if g.DeniedNow != nil {
		n := *g.DeniedNow
		text = fmt.Sprintf("%s (HTTP 401 or 403) in the last %d min", plural(n, "request was denied", "requests were denied"), recentMinutes)
		return text, n-f.rejected() > noise && f.unusualDenials(n, requests(points))
	}
	turn, ok := g.Turn()
	if !ok || !turn.Spike {
		return "", false
	}
	now, _ := clientErrors(points)
	return fmt.Sprintf("%s of requests are answered 4xx now, %s until %s ago", percent(now), percent(turn.Before), Duration(g.Until.Sub(turn.At))), true
}

// rejected counts what the authoriser itself rejected in the newest minutes.
func (f *facts) rejected() int {
	if f.Logged == nil {
		return 0
	}
	return f.recent().all
}

// unusualDenials tells an incident from the trickle of clients without a token:
// by the share of requests where they are known, else by the rate before.
func (f *facts) unusualDenials(now int, requests float64) bool {
	if requests >= turnRequests {
		return float64(now) >= claimsShare*requests
	}
	g := f.Gateway
	before := float64(*g.Denied-now) / max(1, g.Until.Sub(g.Since).Minutes()-recentMinutes)
	return now > claimsFlood || now > claimsNoise && float64(now)/recentMinutes >= claimsRise*before
}

// managed: the gateway checks tokens itself, with a copy of the keys that
// nobody can evict. It wins over what is wrong in the cache, which this gateway
// never reads, unless the authoriser rejects tokens of somebody.
func (f *facts) managed() (Verdict, bool) {
	kept, ok := f.managedOnly()
	denied, high := f.denials()
	if _, goingOn := f.failing(); !ok || !high || goingOn {
		return Verdict{}, false
	}
	v := critical(ManagedAuthoriser, "The gateway checks tokens itself and may keep old keys for up to %s. Nobody can flush that copy: wait. Neither the cache nor the Lambda function is asked.", Duration(kept))
	v.Because = append([]string{f.Gateway.authoriserText(), denied}, f.failureLine()...)
	for _, k := range f.live.Keys {
		if first, known := f.rotated(k); known && f.At.Sub(first) < kept {
			v.Because = append(v.Because, fmt.Sprintf("%s; the gateway has it by %s UTC at the latest", f.appeared(k), first.Add(kept).UTC().Format("15:04")))
		}
	}
	const untouched = "the gateway checks tokens with its own copy of the keys"
	v.Against = []Advice{{Mitigation: FlushCache, Reason: untouched}, {Mitigation: RestartAuthoriser, Reason: untouched}, {Mitigation: FlushGateway, Reason: "a managed authoriser has no result cache, and its keys cannot be evicted"}}
	v.WouldChange = fmt.Sprintf("denials that go on more than %s after the rotation: then the identity provider has to publish the old key again", Duration(kept))
	return v, true
}

// managedOnly says that all authorisers of the gateway are managed ones, and
// how long they may keep keys.
func (f *facts) managedOnly() (kept time.Duration, ok bool) {
	if f.Gateway == nil || len(f.Gateway.Authorisers) == 0 {
		return 0, false
	}
	for _, a := range f.Gateway.Authorisers {
		if !a.managed() {
			return 0, false
		}
		kept = max(kept, a.keysKept())
	}
	return kept, true
}

// gatewayResults: cache and authoriser are in order, and the gateway repeats
// denials that it remembers.
func (f *facts) gatewayResults() (Verdict, bool) {
	denied, high := f.denials()
	_, goingOn := f.failing()
	ttl := f.resultTTL()
	if !high || goingOn || ttl == 0 || f.Logged == nil || !f.nothingLacks() {
		return Verdict{}, false
	}
	v := critical(GatewayResults, "The cache holds no old keys and the authoriser rejects nobody, yet clients are still turned away: the gateway repeats old denials. Flush the gateway's authoriser cache, or wait up to %s.", Duration(ttl))
	v.Because = append([]string{denied, f.Gateway.authoriserText()}, f.quietLines()...)
	if f.Gateway.DeniedNow == nil {
		v.Because = append(v.Because, "4xx counts every client error: set gateway.access_log_group to tell 401 and 403 apart")
	}
	v.Recommended = []Mitigation{FlushGateway}
	v.Against = []Advice{{Mitigation: FlushCache, Reason: "no cached key set lacks a live key"}, {Mitigation: RestartAuthoriser, Reason: "the authoriser rejects no token"}}
	v.WouldChange = fmt.Sprintf("denials that go on %s after the gateway's cache was flushed, or failures in the authoriser's log", Duration(ttl))
	return v, true
}

// quietLines say that the authoriser rejects nobody now, whatever it rejected
// before.
func (f *facts) quietLines() []string {
	now := "no failures"
	if n := f.rejected(); n > 0 {
		now = plural(n, "failure", "failures")
	}
	now += fmt.Sprintf(" in the last %d min", recentMinutes)
	if before := f.failureLine(); len(before) > 0 {
		return []string{before[0] + "; " + now}
	}
	return []string{"authoriser log: " + now}
}

// resultTTL is the longest time for which a Lambda authoriser's answer is
// repeated; 0 when none is, or when nobody knows.
func (f *facts) resultTTL() (ttl time.Duration) {
	if f.Gateway == nil {
		return 0
	}
	for _, a := range f.Gateway.Authorisers {
		if a.Kind == LambdaAuthoriser {
			ttl = max(ttl, a.ResultTTL)
		}
	}
	return ttl
}

// withGateway adds the flush of the gateway's result cache to a cure: it comes
// last, or remembered denials outlive the cure.
func (f *facts) withGateway(cure ...Mitigation) []Mitigation {
	if f.resultTTL() > 0 {
		return append(cure, FlushGateway)
	}
	return cure
}

// afterglow says that denials outlive the cure by the gateway's result cache.
func (f *facts) afterglow() []string {
	ttl := f.resultTTL()
	if ttl == 0 {
		return nil
	}
	return []string{fmt.Sprintf("the gateway repeats each answer of the authoriser for %s: its cache goes last, or denials outlive the cure for that long", Duration(ttl))}
}

// deniedUnexplained: clients are turned away, and no layer that was read says why.
func (f *facts) deniedUnexplained() (Verdict, bool) {
	denied, high := f.denials()
	if _, goingOn := f.failing(); !high || goingOn || !f.liveOK || f.Cached == nil {
		return Verdict{}, false
	}
	v := warning(Inconclusive, "Cannot tell: the gateway turns clients away (%s), but keys, cache and the authoriser's log show no reason.", denied)
	v.Because = append([]string{denied, f.Gateway.authoriserText()}, f.failureLine()...)
	v.Because = append(v.Because, f.Gateway.Problems...)
	v.Against = []Advice{{Mitigation: FlushCache, Reason: "nothing shows that the cache is at fault"}}
	switch {
	case f.Unread[StepLoggedKeys] != "":
		v.WouldChange = "logged-keys: let the bot read the log group (" + f.Unread[StepLoggedKeys] + ")"
	case f.Logged == nil:
		v.WouldChange = "logged-keys: set authoriser.log_group, which tells a stale memory from a remembered denial"
	case f.Gateway.DeniedNow == nil:
		v.WouldChange = "gateway-errors: set gateway.access_log_group, which tells 401 and 403 from other client errors"
	case f.resultTTL() == 0 && len(f.Gateway.Authorisers) == 0:
		v.WouldChange = "gateway-errors: let the bot read the API's authorisers, which tells whether answers are cached"
	default:
		v.WouldChange = "gateway-errors: the access log's authorizer.error and the routes that are denied; a service behind the gateway may reject tokens that it cached itself"
	}
	return v, true
}
