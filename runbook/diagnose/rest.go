package diagnose

import (
	"fmt"
	"slices"
	"time"

	"jwksbot/runbook"
)

// cacheUnreadable: entries exist, and no decoder fits any of them.
func (f *Facts) cacheUnreadable() (runbook.Verdict, bool) {
	unknown := f.unreadable()
	if len(unknown) == 0 || len(f.All()) > 0 {
		return runbook.Verdict{}, false
	}
	v := warning(CacheUnreadable, "Cannot tell: the cache holds %s %s. A person has to look.", runbook.Plural(len(unknown), "entry", "entries"), f.whyUnreadable())
	for i, e := range unknown {
		if i == shownEntries {
			v.Because = append(v.Because, runbook.Plural(len(unknown)-shownEntries, "more entry", "more entries")+" like these")
			break
		}
		v.Because = append(v.Because, fmt.Sprintf("entry %s: %s (%s, %s)", runbook.QuoteName(e.Name), e.Reading.Note, e.Type, e.Expires()))
	}
	v.Because = append(v.Because, f.failureLine()...)
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "what the entries hold is unknown"}}
	v.WouldChange = "a decoder for this format, or a look at how the authoriser stores keys"
	return v, true
}

const shownEntries = 3

// notRead counts the own entries that nobody looked into.
func (f *Facts) notRead() (n int) {
	for _, e := range f.Own {
		if e.Reading.Unread != "" {
			n++
		}
	}
	return n
}

// whyUnreadable says of unreadable entries what is wrong with them.
func (f *Facts) whyUnreadable() string {
	switch f.notRead() {
	case 0:
		return "that no decoder can read"
	case len(f.unreadable()):
		return "too large or too costly to read"
	}
	return "that no decoder can read, or that are too large or too costly to read"
}

// unreadable lists the own entries of which nobody knows what they hold.
func (f *Facts) unreadable() []runbook.Entry {
	var out []runbook.Entry
	for _, e := range f.Own {
		if e.Reading.Content == runbook.ContentUnknown {
			out = append(out, e)
		}
	}
	return out
}

// refetchThrottled: the authoriser wants to ask again and may not. Where the
// cache holds the live keys, fresh environments read them there and need not
// ask the provider, so a restart is safe once waiting did not help.
func (f *Facts) refetchThrottled() (runbook.Verdict, bool) {
	n := f.class(runbook.ClassRefetchThrottled)
	if _, goingOn := f.failing(); n == 0 || !goingOn || !f.nothingLacks() {
		return runbook.Verdict{}, false
	}
	if n <= noise && n*2 <= f.Logged.Count {
		return runbook.Verdict{}, false // a stray token was told to wait; that is not why the others fail
	}
	v := warning(RefetchThrottled, "The authoriser may not fetch keys right now: its refetch limit answered %s. Wait a minute; every restart starts the storm again.", runbook.Plural(n, "time", "times"))
	v.Because = append(f.failureLine(), f.functionLines()...)
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "no cached key set lacks a live key"}}
	v.WouldChange = "failures that go on for more than a few minutes"
	lasts := f.since()
	switch {
	case len(f.sets) == 0:
		v.Against = append(v.Against, runbook.Advice{Mitigation: runbook.RestartAuthoriser, Reason: "fresh environments would all fetch at once and be throttled again"})
	case lasts > throttleOver:
		v.Summary = fmt.Sprintf("The authoriser may not fetch keys: its refetch limit answered %s, and waiting has not helped for %s. Restart it: fresh environments read the live keys from the cache and need not fetch.", runbook.Plural(n, "time", "times"), runbook.Duration(lasts))
		v.Recommended = f.withGateway(runbook.RestartAuthoriser)
		v.WouldChange = "failures that end by themselves"
	default:
		v.Summary = fmt.Sprintf("The authoriser may not fetch keys right now: its refetch limit answered %s. Wait a few minutes: it ends by itself when the limit does.", runbook.Plural(n, "time", "times"))
		v.Against = append(v.Against, runbook.Advice{Mitigation: runbook.RestartAuthoriser, Reason: "the limit ends by itself within minutes; if it does not, a restart helps, since the cache holds the live keys"})
	}
	return v, true
}

// throttleOver is when waiting for a refetch limit has had its time: the longest
// window that is common is a minute, and one library waits for 15.
const throttleOver = 5 * time.Minute

// retiredKeyCached: the cache knows more than live, and lacks nothing.
func (f *Facts) retiredKeyCached() (runbook.Verdict, bool) {
	for _, c := range f.All() {
		pool := c.Entry.Name == "" // its missing keys are not lacking, nobody has asked for them
		if len(c.Retired) == 0 || len(c.Rekeyed)+len(c.renamed) > 0 || !pool && len(c.lacks()) > 0 {
			continue
		}
		kids := KidsOf(c.Retired)
		v := warning(RetiredKeyCached, "Nothing live is missing. The cache also holds retired key %s, with which older tokens still pass. No flush, unless that key is being revoked.", runbook.QuoteAll(kids))
		v.Because = append(append(f.cacheLine(c, nil), "live: "+runbook.QuoteAll(KidsOf(f.LiveSet.Keys))), f.failureLine()...)
		v.Because = append(v.Because, f.stillPass(c.Retired)...)
		v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "tokens signed with " + runbook.QuoteAll(kids) + " that are still valid would be refused at once"}}
		v.WouldChange = "a stated revocation of the retired key"
		return v, true
	}
	return runbook.Verdict{}, false
}

// metadataChanged: the same keys, described differently.
func (f *Facts) metadataChanged() (runbook.Verdict, bool) {
	for _, c := range f.sets {
		for _, k := range c.set.Keys {
			if m := redescribed(f.LiveSet, k); m != "" {
				v := warning(MetadataChanged, "The keys are the same, but key %s is described differently (%s). A flush helps only if the authoriser filters on that.", runbook.Quote(k.Kid), m)
				v.Because = append([]string{c.Name() + ": " + m}, f.failureLine()...)
				v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "the key material is equal; flush only if the verifier filters on " + runbook.Quote(m)}}
				v.WouldChange = "an authoriser that is known to filter keys by use, alg or key_ops"
				return v, true
			}
		}
	}
	return runbook.Verdict{}, false
}

// filteredOn are the members by which verifiers choose among keys.
var filteredOn = []string{"use", "alg", "key_ops"}

// redescribed names the first member that verifiers filter on in which the key
// differs from the live key that it is. A key without a kid may be any of several
// live ones; it is described as before if one of them agrees.
func redescribed(live runbook.KeySet, cached runbook.Key) string {
	changed := len(filteredOn)
	for _, l := range live.Keys {
		if _, as := find(runbook.KeySet{Keys: []runbook.Key{l}}, cached); as != foundSame {
			continue
		}
		differs := slices.IndexFunc(filteredOn, func(m string) bool { return l.Metadata[m] != cached.Metadata[m] })
		if differs < 0 {
			return ""
		}
		changed = min(changed, differs)
	}
	if changed == len(filteredOn) {
		return ""
	}
	return filteredOn[changed]
}

// healthy: the cache was read, agrees with live (or is empty), and nothing
// fails beyond noise.
func (f *Facts) healthy() (runbook.Verdict, bool) {
	_, goingOn := f.failing()
	if !f.liveOK || f.Cached == nil || f.Cached.Truncated || goingOn || f.Unread[runbook.StepLoggedKeys] != "" {
		return runbook.Verdict{}, false
	}
	v := runbook.Verdict{Finding: runbook.Finding{ID: Healthy, Severity: runbook.SeverityInfo}}
	switch {
	case len(f.All()) == 0:
		v.Summary = "Healthy: the cache holds no keys right now and fills with the live ones when the next token comes; nothing fails."
	case f.AllSame():
		v.Summary = fmt.Sprintf("Healthy: the cache holds exactly the live keys (%s).", runbook.QuoteAll(KidsOf(f.LiveSet.Keys)))
	default:
		v.Summary = fmt.Sprintf("Healthy: every cached key is a live one, and no key that is needed is missing (live: %s).", runbook.QuoteAll(KidsOf(f.LiveSet.Keys)))
	}
	if f.Logged == nil {
		v.Summary += " The authoriser's logs are not configured, so failures were not looked for."
	} else if last, ok := f.Logged.LastFailure(); ok {
		v.Summary += fmt.Sprintf(" %s in the last %s", runbook.Capital(f.Logged.CountText()), runbook.Duration(f.Logged.Until.Sub(f.Logged.Since)))
		if quiet := f.Logged.Until.Sub(last); quiet >= time.Minute {
			v.Summary += ", none in the last " + runbook.Duration(quiet)
		}
		v.Summary += "."
		if r := f.recent(); r.all > noise && r.keys <= noise {
			v.Summary += " They are about the tokens themselves (expired, other audience or issuer), at an ordinary rate."
		}
	}
	if n := f.notRead(); n > 0 {
		v.Summary += fmt.Sprintf(" %s too large or too costly to read: what they hold is not known.", runbook.Capital(runbook.Plural(n, "entry was", "entries were")))
	}
	if ago := f.At.Sub(f.Flushed); !f.Flushed.IsZero() && ago < RecentMinutes*time.Minute {
		v.Summary += fmt.Sprintf(" The cache was flushed %s ago; what failed before that is not counted.", runbook.Duration(ago))
	}
	why := "the cache holds the live keys already, so a flush would change nothing"
	if len(f.All()) == 0 {
		why = "there is nothing in the cache that a flush could change"
	}
	v.Because = f.inOrder()
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: why}, {Mitigation: runbook.RestartAuthoriser, Reason: "nothing fails"}}
	v.WouldChange = "failures in the authoriser's log"
	return v, true
}

// inOrder are the facts that "healthy" rests on.
func (f *Facts) inOrder() []string {
	out := []string{"live: " + runbook.QuoteAll(KidsOf(f.LiveSet.Keys))}
	for i, c := range f.All() {
		if i == shownEntries {
			out = append(out, runbook.Plural(len(f.All())-shownEntries, "more entry", "more entries")+" with live keys")
			break
		}
		out = append(out, f.cacheLine(c, nil)...)
	}
	if f.Logged != nil && f.Logged.Count == 0 {
		return append(out, "authoriser log: no failures in the last "+runbook.Duration(f.Logged.Until.Sub(f.Logged.Since)))
	}
	return append(out, f.failureLine()...)
}

// inconclusive always fits; it says what is missing.
func (f *Facts) inconclusive() (runbook.Verdict, bool) {
	v := warning(Inconclusive, "Cannot tell what is wrong from what could be read.")
	switch _, goingOn := f.failing(); {
	case f.Unread[runbook.StepLoggedKeys] != "":
		v.Summary = "Cannot tell: live and cached keys agree, but the authoriser's log could not be read, so nobody knows whether tokens are being rejected."
		v.Because = []string{"logged-keys: " + f.Unread[runbook.StepLoggedKeys]}
		v.WouldChange = "logged-keys: let the bot read the log group"
	case f.Cached.Truncated:
		v.Summary = fmt.Sprintf("Cannot tell: more entries match the patterns than can be read (%s were).", runbook.Plural(len(f.Cached.Entries), "entry", "entries"))
		v.Because = append([]string{"cached-keys: " + runbook.Plural(len(f.Cached.Entries), "entry was", "entries were") + " read before the limit"}, f.failureLine()...)
		v.WouldChange = "cached-keys: narrower patterns in cache.keys"
	case f.Logged != nil && f.class(runbook.ClassJWKSFetch, runbook.ClassJWKSParse, runbook.ClassNoSigningKeys, runbook.ClassNoKey)*2 > f.Logged.Count:
		f.cannotLoadKeys(&v)
	case goingOn && len(f.Logged.Kids) > 0 && !f.inLive(f.Logged.Kids[0].Kid):
		kid := runbook.Quote(f.Logged.Kids[0].Kid)
		v.Summary = fmt.Sprintf("Cannot tell: the authoriser rejects tokens with key id %s, which is neither live nor cached, and %s.", kid, f.lastSeenText(f.Logged.Kids[0].Kid))
		v.Because = f.failureLine()
		v.WouldChange = "logged-keys: the issuer, issue time and expiry of one failing token with " + kid + " (a past expiry: an old token; another issuer: a wrong client)"
	case goingOn:
		v.Summary = "Cannot tell: the authoriser rejects tokens, and neither the keys nor its log say why."
		v.Because = f.failureLine()
		v.WouldChange = "logged-keys: a kid or a token of a failing request, which a check can be given"
	default:
		v.WouldChange = "logged-keys: a failing request, with the time at which it failed"
	}
	if why := f.Unread[runbook.StepHistory]; why != "" {
		v.Because = append(v.Because, "what earlier checks saw could not be read: "+why)
	}
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "nothing shows that the cache is at fault"}}
	return v, true
}

// bigSet is from how many bytes on a key set is refused by a common library
// (Nimbus reads 51,200).
const bigSet = 51200

// cannotLoadKeys: the authoriser gets no key set, although the bot does.
func (f *Facts) cannotLoadKeys(v *runbook.Verdict) {
	v.Summary = "Cannot tell why, but the authoriser cannot load keys from the identity provider, while jwksbot can. A flush would take away what it still has."
	v.Because = f.failureLine()
	for _, p := range f.Live.Probes {
		if p.Size > bigSet {
			v.Because = append(v.Because, fmt.Sprintf("the live key set has %s bytes: some libraries refuse more than %s", runbook.Thousands(int64(p.Size)), runbook.Thousands(bigSet)))
			break
		}
		if len(p.Redirects) > 0 {
			v.Because = append(v.Because, "the JWKS URL redirects: some libraries refuse to follow")
			break
		}
	}
	v.WouldChange = "logged-keys: the reason in the sample lines; then the JWKS URL as seen from the function's own network"
}
