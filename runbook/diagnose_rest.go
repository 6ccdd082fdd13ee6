package runbook

import (
	"fmt"
	"strings"
	"time"
)

// cacheUnreadable: entries exist, and no decoder fits any of them.
func (f *facts) cacheUnreadable() (Verdict, bool) {
	unknown := f.unreadable()
	if len(unknown) == 0 || len(f.all()) > 0 {
		return Verdict{}, false
	}
	e := unknown[0]
	v := warning(CacheUnreadable, "Cannot tell: the cache holds %s that no decoder can read (%s is %s). A person has to look.", plural(len(unknown), "entry", "entries"), quote(e.Name), e.Reading.Note)
	v.Because = append([]string{fmt.Sprintf("entry %s: %s %s, %s", quote(e.Name), plural(e.Bytes, "byte", "bytes"), e.Type, e.Heals())}, f.failureLine()...)
	v.Against = []Advice{{FlushCache, "what the entries hold is unknown"}}
	v.WouldChange = "a decoder for this format, or a look at how the authoriser stores keys"
	return v, true
}

// unreadable lists the own entries that no decoder fits.
func (f *facts) unreadable() []Entry {
	var out []Entry
	for _, e := range f.own {
		if e.Reading.Content == ContentUnknown {
			out = append(out, e)
		}
	}
	return out
}

// refetchThrottled: the authoriser wants to ask again and may not.
func (f *facts) refetchThrottled() (Verdict, bool) {
	n := f.class(ClassRefetchThrottled)
	if _, goingOn := f.failing(); n == 0 || !goingOn || !f.nothingLacks() {
		return Verdict{}, false
	}
	v := warning(RefetchThrottled, "The authoriser may not fetch keys right now: its refetch limit answered %s. Wait a minute; every restart starts the storm again.", plural(n, "time", "times"))
	v.Because = f.failureLine()
	v.Against = []Advice{{FlushCache, "no cached key set lacks a live key"}, {RestartAuthoriser, "fresh environments would all fetch at once and be throttled again"}}
	v.WouldChange = "failures that go on for more than a few minutes"
	return v, true
}

// unknownIssuer: the tokens come from somewhere else.
func (f *facts) unknownIssuer() (Verdict, bool) {
	n := f.class(ClassIssuer)
	if _, goingOn := f.failing(); !goingOn || n*2 <= f.Logged.Count {
		return Verdict{}, false
	}
	v := warning(UnknownIssuer, "Tokens of another issuer are being rejected (%s). Neither flush nor restart helps: fix the client, or the authoriser's configured issuer.", plural(n, "failure", "failures"))
	v.Because = f.failureLine()
	for _, iss := range f.Logged.Issuers {
		v.Because = append(v.Because, "issuer named in failures: "+quote(iss))
	}
	v.Against = []Advice{{FlushCache, "keys of this issuer would not verify those tokens"}, {RestartAuthoriser, "keys of this issuer would not verify those tokens"}}
	v.WouldChange = "failures on a kid that is live"
	return v, true
}

// junkKids is from how many different unknown kids on a storm is suspected.
const junkKids = 5

// unknownKids: many kids that nobody ever published, each about once.
func (f *facts) unknownKids() (Verdict, bool) {
	if _, goingOn := f.failing(); !goingOn {
		return Verdict{}, false
	}
	strange, lines := f.strangeKids()
	if !f.liveOK || f.Cached == nil || strange < junkKids || lines > 3*strange || strange*2 <= len(f.Logged.Kids) {
		return Verdict{}, false
	}
	v := warning(UnknownKids, "Somebody sends tokens with made-up key ids: %d different unknown kids, about once each. Neither flush nor restart helps; rate limit the sender.", strange)
	v.Because = f.failureLine()
	v.Against = []Advice{{FlushCache, "no key set holds those kids"}, {RestartAuthoriser, "no key set holds those kids"}}
	v.WouldChange = "failures on a kid that is live"
	return v, true
}

// strangeKids counts the different kids in the logs that are neither live nor
// cached, and the failures that name them.
func (f *facts) strangeKids() (kids, lines int) {
	if f.Logged == nil {
		return 0, 0
	}
	for _, k := range f.Logged.Kids {
		if !f.inLive(k.Kid) && !f.inCache(k.Kid) {
			kids++
			lines += k.Count
		}
	}
	return kids, lines
}

// staleMemory: the cache lacks no live key, and the authoriser still rejects
// signatures or does not know a live kid. Expired tokens name live kids as
// well, so that failures of the signature are counted by themselves.
func (f *facts) staleMemory() (Verdict, bool) {
	recent, goingOn := f.failing()
	if !goingOn || !f.nothingLacks() {
		return Verdict{}, false
	}
	cold := len(f.all()) == 0
	if cold && f.class(ClassJWKSFetch, ClassJWKSParse, ClassNoSigningKeys) > 0 {
		return Verdict{}, false // it cannot load keys at all: a restart would not change that
	}
	signature := f.class(ClassBadSignature, ClassUnknownKid, ClassNoKey)
	if _, strange := f.strangeKids(); signature-strange <= noise {
		return Verdict{}, false
	}
	onLive := 0
	for _, k := range f.Logged.Kids {
		if f.inLive(k.Kid) {
			onLive += k.Count
		}
	}
	if onLive == 0 && (len(f.Logged.Kids) > 0 || !f.allSame() || signature*2 <= f.Logged.Count) {
		return Verdict{}, false // what fails is not live, or nothing says that it is
	}
	holds := "The cache already holds the live keys"
	if cold {
		holds = "The cache holds no old keys"
	}
	v := critical(StaleMemory, "%s, yet the authoriser still rejects tokens (%s in the last minutes): it keeps old keys in memory. Restart it; a flush would change nothing.", holds, plural(recent, "failure", "failures"))
	v.Because = f.failureLine()
	v.Recommended = []Mitigation{RestartAuthoriser}
	v.Against = []Advice{{FlushCache, "no cached key set lacks a live key"}}
	v.WouldChange = "failures that end by themselves, or a cache that differs from live"
	return v, true
}

// claimsOrClock: the tokens themselves are refused, whatever key signed them.
func (f *facts) claimsOrClock() (Verdict, bool) {
	n := f.class(ClassExpired, ClassAudience, ClassClock)
	if _, goingOn := f.failing(); !goingOn || n*2 <= f.Logged.Count {
		return Verdict{}, false
	}
	v := warning(ClaimsOrClock, "Tokens are refused for what they say (expired, audience, not yet valid), not for their keys. Neither flush nor restart helps; look at the clients and at the clocks.")
	v.Because = f.failureLine()
	v.Against = []Advice{{FlushCache, "the keys are not the cause"}, {RestartAuthoriser, "the keys are not the cause"}}
	v.WouldChange = "signature failures, or failures on a kid that is live"
	return v, true
}

// retiredKeyCached: the cache knows more than live, and lacks nothing.
func (f *facts) retiredKeyCached() (Verdict, bool) {
	for _, c := range f.all() {
		pool := c.entry.Name == "" // its missing keys are not lacking, nobody has asked for them
		if len(c.retired) == 0 || len(c.rekeyed)+len(c.renamed) > 0 || !pool && len(c.lacks()) > 0 {
			continue
		}
		kids := kidsOf(c.retired)
		v := warning(RetiredKeyCached, "Nothing live is missing. The cache also holds retired key %s, with which older tokens still pass. No flush, unless that key is being revoked.", quoteAll(kids))
		v.Because = append([]string{fmt.Sprintf("%s: %s%s", c.name(), quoteAll(kidsOf(c.set.Keys)), c.heals()), "live: " + quoteAll(kidsOf(f.live.Keys))}, f.failureLine()...)
		v.Against = []Advice{{FlushCache, "tokens signed with " + quoteAll(kids) + " that are still valid would be refused at once"}}
		v.WouldChange = "a stated revocation of the retired key"
		return v, true
	}
	return Verdict{}, false
}

// metadataChanged: the same keys, described differently.
func (f *facts) metadataChanged() (Verdict, bool) {
	for _, c := range f.sets {
		for _, k := range c.set.Keys {
			l, as := find(f.live, k)
			if as != foundSame {
				continue
			}
			if m := changedMember(l, k); m != "" {
				v := warning(MetadataChanged, "The keys are the same, but key %s is described differently (%s). A flush helps only if the authoriser filters on that.", quote(k.Kid), m)
				v.Because = append([]string{c.name() + ": " + m}, f.failureLine()...)
				v.Against = []Advice{{FlushCache, "the key material is equal; flush only if the verifier filters on " + quote(m)}}
				v.WouldChange = "an authoriser that is known to filter keys by use, alg or key_ops"
				return v, true
			}
		}
	}
	return Verdict{}, false
}

// changedMember names the first of the members that verifiers filter on that differs.
func changedMember(live, cached Key) string {
	for _, m := range []string{"use", "alg", "key_ops"} {
		if live.Metadata[m] != cached.Metadata[m] {
			return m
		}
	}
	return ""
}

// healthy: the cache was read, agrees with live (or is empty), and nothing
// fails beyond noise.
func (f *facts) healthy() (Verdict, bool) {
	_, goingOn := f.failing()
	if !f.liveOK || f.Cached == nil || f.Cached.Truncated || goingOn || f.Unread[StepLoggedKeys] != "" {
		return Verdict{}, false
	}
	v := Verdict{Finding: Finding{ID: Healthy, Severity: SeverityInfo}}
	switch {
	case len(f.all()) == 0:
		v.Summary = "Healthy: the cache holds no keys right now and fills with the live ones when the next token comes; nothing fails."
	case f.allSame():
		v.Summary = fmt.Sprintf("Healthy: the cache holds exactly the live keys (%s).", quoteAll(kidsOf(f.live.Keys)))
	default:
		v.Summary = fmt.Sprintf("Healthy: every cached key is a live one, and no key that is needed is missing (live: %s).", quoteAll(kidsOf(f.live.Keys)))
	}
	if f.Logged == nil {
		v.Summary += " The authoriser's logs are not configured, so failures were not looked for."
	} else if last, ok := f.Logged.lastFailure(); ok {
		v.Summary += fmt.Sprintf(" %s in the last %s", capital(f.Logged.CountText()), Duration(f.Logged.Until.Sub(f.Logged.Since)))
		if quiet := f.Logged.Until.Sub(last); quiet >= time.Minute {
			v.Summary += ", none in the last " + Duration(quiet)
		}
		v.Summary += "."
	}
	if ago := f.At.Sub(f.Flushed); !f.Flushed.IsZero() && ago < recentMinutes*time.Minute {
		v.Summary += fmt.Sprintf(" The cache was flushed %s ago; what failed before that is not counted.", Duration(ago))
	}
	why := "the cache holds the live keys already, so a flush would change nothing"
	if len(f.all()) == 0 {
		why = "there is nothing in the cache that a flush could change"
	}
	v.Against = []Advice{{FlushCache, why}, {RestartAuthoriser, "nothing fails"}}
	v.WouldChange = "failures in the authoriser's log"
	return v, true
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// inconclusive always fits; it says what is missing.
func (f *facts) inconclusive() (Verdict, bool) {
	v := warning(Inconclusive, "Cannot tell what is wrong from what could be read.")
	switch _, goingOn := f.failing(); {
	case f.Unread[StepLoggedKeys] != "":
		v.Summary = "Cannot tell: live and cached keys agree, but the authoriser's log could not be read, so nobody knows whether tokens are being rejected."
		v.Because = []string{"logged-keys: " + f.Unread[StepLoggedKeys]}
		v.WouldChange = "logged-keys: let the bot read the log group"
	case f.Cached.Truncated:
		v.Summary = fmt.Sprintf("Cannot tell: more entries match the patterns than can be read (%s were).", plural(len(f.Cached.Entries), "entry", "entries"))
		v.WouldChange = "cached-keys: narrower patterns in cache.keys"
	case goingOn:
		v.Summary = "Cannot tell: the authoriser rejects tokens, and neither the keys nor its log say why."
		v.Because = f.failureLine()
		v.WouldChange = "logged-keys: a kid or a token of a failing request (/jwks-check kid=…)"
	}
	v.Against = []Advice{{FlushCache, "nothing shows that the cache is at fault"}}
	return v, true
}
