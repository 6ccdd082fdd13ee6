package diagnose

import (
	"fmt"
	"time"

	"jwksbot/runbook"
)

// denials says in words that the gateway turns clients away now, out of the
// ordinary, beyond what the authoriser itself rejects; high is false when it
// does not, or when nobody can tell.
func (f *Facts) denials() (text string, high bool) {
	g := f.Gateway
	if g == nil || f.Flushed.After(g.Until.Add(-RecentMinutes*time.Minute)) {
		return "", false // what was denied before the flush was judged before it
	}
	points := Newest(g.Points)
	if g.DeniedNow != nil {
		n := *g.DeniedNow
		text = fmt.Sprintf("%s (HTTP 401 or 403) in the last %d min", runbook.Plural(n, "request was denied", "requests were denied"), RecentMinutes)
		return text, n-f.rejected() > noise && f.unusualDenials(n, requests(points))
	}
	turn, ok := FindChangePoint(g)
	if !ok || !turn.Spike {
		return "", false
	}
	now, _ := ClientErrors(points)
	return fmt.Sprintf("%s of requests are answered 4xx now, %s until %s ago", runbook.Percent(now), runbook.Percent(turn.Before), runbook.Duration(g.Until.Sub(turn.At))), true
}

// rejected counts what the authoriser itself rejected in the newest minutes.
func (f *Facts) rejected() int {
	if f.Logged == nil {
		return 0
	}
	return f.recent().all
}

// unusualDenials tells an incident from the trickle of clients without a token:
// by the share of requests where they are known, else by the rate before.
func (f *Facts) unusualDenials(now int, requests float64) bool {
	if requests >= turnRequests {
		return float64(now) >= claimsShare*requests
	}
	g := f.Gateway
	before := float64(*g.Denied-now) / max(1, g.Until.Sub(g.Since).Minutes()-RecentMinutes)
	return now > claimsFlood || now > claimsNoise && float64(now)/RecentMinutes >= claimsRise*before
}

// managed: the gateway checks tokens itself, with a copy of the keys that
// nobody can evict. It wins over what is wrong in the cache, which this gateway
// never reads, unless the authoriser rejects tokens of somebody.
func (f *Facts) managed() (runbook.Verdict, bool) {
	kept, ok := f.managedOnly()
	denied, high := f.denials()
	if _, goingOn := f.failing(); !ok || !high || goingOn {
		return runbook.Verdict{}, false
	}
	v := critical(ManagedAuthoriser, "The gateway checks tokens itself and may keep old keys for up to %s. Nobody can flush that copy: wait. Neither the cache nor the Lambda function is asked.", runbook.Duration(kept))
	v.Because = append([]string{f.Gateway.AuthoriserText(), denied}, f.failureLine()...)
	for _, k := range f.LiveSet.Keys {
		if first, known := f.rotated(k); known && f.At.Sub(first) < kept {
			v.Because = append(v.Because, fmt.Sprintf("%s; the gateway has it by %s UTC at the latest", f.appeared(k), first.Add(kept).UTC().Format("15:04")))
		}
	}
	const untouched = "the gateway checks tokens with its own copy of the keys"
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: untouched}, {Mitigation: runbook.RestartAuthoriser, Reason: untouched}, {Mitigation: runbook.FlushGateway, Reason: "a managed authoriser has no result cache, and its keys cannot be evicted"}}
	v.WouldChange = fmt.Sprintf("denials that go on more than %s after the rotation: then the identity provider has to publish the old key again", runbook.Duration(kept))
	return v, true
}

// managedOnly says that all authorisers of the gateway are managed ones, and
// how long they may keep keys.
func (f *Facts) managedOnly() (kept time.Duration, ok bool) {
	if f.Gateway == nil || len(f.Gateway.Authorisers) == 0 {
		return 0, false
	}
	for _, a := range f.Gateway.Authorisers {
		if !a.Managed() {
			return 0, false
		}
		kept = max(kept, a.KeysKept())
	}
	return kept, true
}

// gatewayResults: cache and authoriser are in order, and the gateway repeats
// denials that it remembers.
func (f *Facts) gatewayResults() (runbook.Verdict, bool) {
	denied, high := f.denials()
	_, goingOn := f.failing()
	ttl := f.ResultTTL()
	if !high || goingOn || ttl == 0 || f.Logged == nil || !f.nothingLacks() {
		return runbook.Verdict{}, false
	}
	v := critical(GatewayResults, "The cache holds no old keys and the authoriser rejects nobody, yet clients are still turned away: the gateway repeats old denials. Flush the gateway's authoriser cache, or wait up to %s.", runbook.Duration(ttl))
	v.Because = append([]string{denied, f.Gateway.AuthoriserText()}, f.quietLines()...)
	if f.Gateway.DeniedNow == nil {
		v.Because = append(v.Because, "4xx counts every client error: set gateway.access_log_group to tell 401 and 403 apart")
	}
	v.Recommended = []runbook.Mitigation{runbook.FlushGateway}
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "no cached key set lacks a live key"}, {Mitigation: runbook.RestartAuthoriser, Reason: "the authoriser rejects no token"}}
	v.WouldChange = fmt.Sprintf("denials that go on %s after the gateway's cache was flushed, or failures in the authoriser's log", runbook.Duration(ttl))
	return v, true
}

// quietLines say that the authoriser rejects nobody now, whatever it rejected
// before.
func (f *Facts) quietLines() []string {
	now := "no failures"
	if n := f.rejected(); n > 0 {
		now = runbook.Plural(n, "failure", "failures")
	}
	now += fmt.Sprintf(" in the last %d min", RecentMinutes)
	if before := f.failureLine(); len(before) > 0 {
		return []string{before[0] + "; " + now}
	}
	return []string{"authoriser log: " + now}
}

// ResultTTL is the longest time for which a Lambda authoriser's answer is
// repeated; 0 when none is, or when nobody knows.
func (f *Facts) ResultTTL() (ttl time.Duration) {
	if f.Gateway == nil {
		return 0
	}
	for _, a := range f.Gateway.Authorisers {
		if a.Kind == runbook.LambdaAuthoriser {
			ttl = max(ttl, a.ResultTTL)
		}
	}
	return ttl
}

// withGateway adds the flush of the gateway's result cache to a cure: it comes
// last, or remembered denials outlive the cure.
func (f *Facts) withGateway(cure ...runbook.Mitigation) []runbook.Mitigation {
	if f.ResultTTL() > 0 {
		return append(cure, runbook.FlushGateway)
	}
	return cure
}

// afterglow says that denials outlive the cure by the gateway's result cache.
func (f *Facts) afterglow() []string {
	ttl := f.ResultTTL()
	if ttl == 0 {
		return nil
	}
	return []string{fmt.Sprintf("the gateway repeats each answer of the authoriser for %s: its cache goes last, or denials outlive the cure for that long", runbook.Duration(ttl))}
}

// deniedUnexplained: clients are turned away, and no layer that was read says why.
func (f *Facts) deniedUnexplained() (runbook.Verdict, bool) {
	denied, high := f.denials()
	if _, goingOn := f.failing(); !high || goingOn || !f.liveOK || f.Cached == nil {
		return runbook.Verdict{}, false
	}
	v := warning(Inconclusive, "Cannot tell: the gateway turns clients away (%s), but keys, cache and the authoriser's log show no reason.", denied)
	v.Because = append([]string{denied, f.Gateway.AuthoriserText()}, f.failureLine()...)
	v.Because = append(v.Because, f.Gateway.Problems...)
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "nothing shows that the cache is at fault"}}
	switch {
	case f.Unread[runbook.StepLoggedKeys] != "":
		v.WouldChange = "logged-keys: let the bot read the log group (" + f.Unread[runbook.StepLoggedKeys] + ")"
	case f.Logged == nil:
		v.WouldChange = "logged-keys: set authoriser.log_group, which tells a stale memory from a remembered denial"
	case f.Gateway.DeniedNow == nil:
		v.WouldChange = "gateway-errors: set gateway.access_log_group, which tells 401 and 403 from other client errors"
	case f.ResultTTL() == 0 && len(f.Gateway.Authorisers) == 0:
		v.WouldChange = "gateway-errors: let the bot read the API's authorisers, which tells whether answers are cached"
	default:
		v.WouldChange = "gateway-errors: the access log's authorizer.error and the routes that are denied; a service behind the gateway may reject tokens that it cached itself"
	}
	return v, true
}
