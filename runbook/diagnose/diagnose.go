package diagnose

import (
	"fmt"
	"strings"

	"jwksbot/runbook"
)

// Diagnose draws findings and one verdict from the evidence. It is a pure
// function: the same evidence gives the same answer, in whatever order keys,
// entries and lines come and however numbers are written.
//
// Rules are asked in the order of precedence, and the first that fits is the
// verdict; the package comment says what wins when two fit, and why.
func Diagnose(e runbook.Evidence) runbook.Diagnosis {
	f := Gather(e)
	var d runbook.Diagnosis
	for _, rule := range rules {
		if v, ok := rule(f); ok {
			d.Verdict = v
			break
		}
	}
	f.hardCut(&d.Verdict)
	d.Findings = append([]runbook.Finding{d.Verdict.Finding}, f.standing(d.Verdict.ID)...)
	return d
}

func critical(id runbook.VerdictID, format string, args ...any) runbook.Verdict {
	return runbook.Verdict{Finding: runbook.Finding{ID: id, Severity: runbook.SeverityCritical, Summary: fmt.Sprintf(format, args...)}}
}

func warning(id runbook.VerdictID, format string, args ...any) runbook.Verdict {
	v := critical(id, format, args...)
	v.Severity = runbook.SeverityWarning
	return v
}

const lastCopy = "the live key set is not sound: a flush would throw away the last good copy of the keys"

// liveUnhealthy: the endpoint answers, and every answer is wrong.
func (f *Facts) liveUnhealthy() (runbook.Verdict, bool) {
	if f.Live == nil {
		return runbook.Verdict{}, false
	}
	healthy, unhealthy, _ := f.Live.Sort()
	if len(healthy) > 0 || len(unhealthy) == 0 {
		return runbook.Verdict{}, false
	}
	v := critical(LiveUnhealthy, "The identity provider's key endpoint is broken: %s. Do not flush: the cache may hold the last good copy.", unhealthy[0].Problem)
	v.Because = probeLines(f.Live)
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: lastCopy}, {Mitigation: runbook.RestartAuthoriser, Reason: "a fresh authoriser would have to fetch keys from the broken endpoint"}}
	v.WouldChange = "three probes in a row that bring the same key set"
	return v, true
}

// liveDisagrees: the probes do not tell one story.
func (f *Facts) liveDisagrees() (runbook.Verdict, bool) {
	if f.Live == nil {
		return runbook.Verdict{}, false
	}
	healthy, unhealthy, _ := f.Live.Sort()
	if len(healthy) == 0 || (len(unhealthy) == 0 && f.Live.Agree()) {
		return runbook.Verdict{}, false
	}
	what := fmt.Sprintf("%d probes brought different key sets", len(healthy))
	if len(unhealthy) > 0 {
		what = fmt.Sprintf("%d of %d probes answered badly (%s)", len(unhealthy), len(f.Live.Probes), unhealthy[0].Problem)
	}
	v := critical(LiveDisagrees, "The identity provider's edges disagree: %s. Wait and check again; a flush now could fetch the wrong set.", what)
	v.Because = probeLines(f.Live)
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "the cache could be refilled from an edge that is behind"}, {Mitigation: runbook.RestartAuthoriser, Reason: "the memory could be refilled from an edge that is behind"}}
	v.WouldChange = "three probes in a row that bring the same key set"
	return v, true
}

func probeLines(live *runbook.LiveEvidence) []string {
	var out []string
	for i, p := range live.Probes {
		switch {
		case p.Problem != "":
			out = append(out, fmt.Sprintf("probe %d: %s", i+1, p.Problem))
		default:
			out = append(out, fmt.Sprintf("probe %d: HTTP %d, keys %s", i+1, p.Status, runbook.QuoteAll(KidsOf(p.Set.Keys))))
		}
	}
	return out
}

// liveUnknown: nothing can be compared without the live keys.
func (f *Facts) liveUnknown() (runbook.Verdict, bool) {
	if f.liveOK {
		return runbook.Verdict{}, false
	}
	v := warning(Inconclusive, "Cannot tell: the live keys could not be read from here, so there is nothing to compare the cache with.")
	v.Because = []string{"live-keys: " + f.whyNoLive()}
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "nobody knows whether the identity provider serves good keys now"}}
	v.WouldChange = "live-keys: open the JWKS URL from another network, or let the bot reach it"
	return v, true
}

func (f *Facts) whyNoLive() string {
	if f.Live != nil {
		if _, _, unreachable := f.Live.Sort(); len(unreachable) > 0 {
			return unreachable[0].Problem
		}
	}
	return f.unread(runbook.StepLiveKeys, "not read")
}

// cacheUnknown: without the cache's content nobody can say healthy, and a
// flush would be blind.
func (f *Facts) cacheUnknown() (runbook.Verdict, bool) {
	if f.Cached != nil {
		return runbook.Verdict{}, false
	}
	v := warning(Inconclusive, "Cannot tell: the cache could not be read, so nobody knows which keys it serves.")
	v.Because = append([]string{"cached-keys: " + f.unread(runbook.StepCachedKeys, "not read")}, f.failureLine()...)
	if kids := f.liveFailing(); len(kids) > 0 {
		v.Summary += fmt.Sprintf(" The authoriser rejects tokens signed with live key %s: either the cache is old, and a flush helps, or the authoriser's memory is, and only a restart does.", runbook.QuoteAll(KidsOf(kids)))
		for _, k := range kids {
			if line := f.appeared(k); line != "" {
				v.Because = append(v.Because, line)
			}
		}
	}
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "what would be deleted is unknown"}}
	v.WouldChange = "cached-keys: let the bot read the cache (jwksbot doctor names what is missing), or read an entry by hand and compare it with jwksbot keys diff"
	return v, true
}

// liveFailing lists the live keys that failures name, if failures go on.
func (f *Facts) liveFailing() (out []runbook.Key) {
	if _, goingOn := f.failing(); !goingOn {
		return nil
	}
	for _, k := range f.LiveSet.Keys {
		if f.failsOn(k.Kid) > noise {
			out = append(out, k)
		}
	}
	return out
}

func (f *Facts) unread(step, otherwise string) string {
	if why := f.Unread[step]; why != "" {
		return why
	}
	return otherwise
}

// rekeyedKid: one kid, two keys. A verifier that looks keys up by kid never
// asks again, so memory has to go as well.
func (f *Facts) rekeyedKid() (runbook.Verdict, bool) {
	for _, c := range f.All() {
		if len(c.Rekeyed) == 0 {
			continue
		}
		r := c.Rekeyed[0]
		v := critical(RekeyedKid, "Key %s was replaced under the same kid: %s. Flush and restart the authoriser, then have the owner give the new key a new kid.", runbook.Quote(r.Kid), c.Says("still holds the old key", "still hold the old key"))
		v.Because = append(rekeyLines(c), f.cacheLine(c, nil)...)
		v.Because = append(append(v.Because, f.failureLine()...), f.afterglow()...)
		v.Recommended = f.withGateway(runbook.FlushCache, runbook.RestartAuthoriser)
		v.WouldChange = "equal thumbprints for every kid that is both live and cached"
		return v, true
	}
	return runbook.Verdict{}, false
}

func rekeyLines(c comparison) (out []string) {
	for _, r := range c.Rekeyed {
		out = append(out, fmt.Sprintf("kid %s: live thumbprint %s, cached %s", runbook.Quote(r.Kid), runbook.Quote(short(r.Live)), runbook.Quote(short(r.Cached))))
	}
	return out
}

// poisonedCache: what lies there is no key set at all.
func (f *Facts) poisonedCache() (runbook.Verdict, bool) {
	if !f.liveOK {
		return runbook.Verdict{}, false // a flush could not be refilled
	}
	for _, e := range f.Own {
		if c := e.Reading.Content; c != runbook.ContentPoison && (c != runbook.ContentEmpty || perKid(e.Reading)) {
			continue
		}
		v := critical(PoisonedCache, "The cache holds garbage instead of keys: entry %s holds no key set (%s). The identity provider is fine, a flush will help.", runbook.QuoteName(e.Name), e.Reading.Note)
		v.Because = append([]string{fmt.Sprintf("entry %s: %s (%s)", runbook.QuoteName(e.Name), e.Reading.Note, e.Heals())}, f.failureLine()...)
		v.Recommended = f.withGateway(runbook.FlushCache)
		v.WouldChange = "an entry that holds the live keys"
		return v, true
	}
	return runbook.Verdict{}, false
}

// negativeCache: somebody remembered that a live kid does not exist.
func (f *Facts) negativeCache() (runbook.Verdict, bool) {
	for _, e := range f.Own {
		if e.Reading.Content != runbook.ContentNegative || !f.inLive(e.Reading.Kid) {
			continue
		}
		v := critical(NegativeCache, "The cache remembers that key %s does not exist, but it is live: entry %s is a negative marker. Flush that marker.", runbook.Quote(e.Reading.Kid), runbook.QuoteName(e.Name))
		v.Because = append([]string{fmt.Sprintf("entry %s: a negative marker (%s)", runbook.QuoteName(e.Name), e.Heals())}, f.failureLine()...)
		v.Recommended = f.withGateway(runbook.FlushCache)
		v.WouldChange = "the marker gone"
		return v, true
	}
	return runbook.Verdict{}, false
}

func (f *Facts) failingText(lost []runbook.Key) string {
	n := 0
	for _, k := range lost {
		n += f.failsOn(k.Kid)
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and the authoriser rejects tokens signed with it (%s)", runbook.Plural(n, "failure", "failures"))
}

// failureLine sums up what the logs say, if they say anything.
func (f *Facts) failureLine() []string {
	if f.Logged == nil || f.Logged.Count == 0 {
		return nil
	}
	return []string{fmt.Sprintf("authoriser log: %s in the last %s%s", f.Logged.CountText(), runbook.Duration(f.Logged.Until.Sub(f.Logged.Since)), f.Logged.KidsText())}
}

func short(thumbprint string) string {
	if len(thumbprint) > 12 && !strings.Contains(thumbprint, " ") {
		return thumbprint[:12] + "…"
	}
	return thumbprint
}
