package runbook

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

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
	v.Against = []Advice{{Mitigation: FlushCache, Reason: "keys of this issuer would not verify those tokens"}, {Mitigation: RestartAuthoriser, Reason: "keys of this issuer would not verify those tokens"}}
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
	v.Against = []Advice{{Mitigation: FlushCache, Reason: "no key set holds those kids"}, {Mitigation: RestartAuthoriser, Reason: "no key set holds those kids"}}
	v.WouldChange = "failures on a kid that is live"
	return v, true
}

// noKid: tokens or keys without a kid cannot be matched by an authoriser that
// looks keys up by kid.
func (f *facts) noKid() (Verdict, bool) {
	n := f.class(ClassNoKid)
	if _, goingOn := f.failing(); !goingOn || n*2 <= f.Logged.Count {
		return Verdict{}, false
	}
	v := warning(UnknownKids, "Tokens without a key id are being rejected (%s). Neither flush nor restart helps: fix the client that sends them.", plural(n, "failure", "failures"))
	v.Because = f.failureLine()
	if nameless := f.nameless(); nameless > 0 {
		v.Because = append(v.Because, capital(plural(nameless, "live key has", "live keys have"))+" no kid either: the identity provider publishes keys that cannot be looked up by kid")
	}
	v.Against = []Advice{{Mitigation: FlushCache, Reason: "no key can be looked up without a kid"}, {Mitigation: RestartAuthoriser, Reason: "no key can be looked up without a kid"}}
	v.WouldChange = "failures on a kid that is live"
	return v, true
}

func (f *facts) nameless() (n int) {
	for _, k := range f.live.Keys {
		if k.Kid == "" {
			n++
		}
	}
	return n
}

// ambiguousKid: the authoriser refuses a set in which a kid stands twice.
func (f *facts) ambiguousKid() (Verdict, bool) {
	n := f.class(ClassDuplicateKid)
	if _, goingOn := f.failing(); !goingOn || n*2 <= f.Logged.Count {
		return Verdict{}, false
	}
	v := critical(DuplicateKid, "The authoriser refuses the key set because a kid stands in it more than once (%s). Neither flush nor restart helps: the identity provider has to give each key its own kid.", plural(n, "failure", "failures"))
	v.Because = append([]string{"live: " + quoteAll(kidsOf(f.live.Keys))}, f.failureLine()...)
	v.Against = []Advice{{Mitigation: FlushCache, Reason: "the same set would be fetched again"}, {Mitigation: RestartAuthoriser, Reason: "the same set would be fetched again"}}
	v.WouldChange = "a live set in which each kid stands once"
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

// claimsOrClock: the tokens themselves are refused, whatever key signed them.
func (f *facts) claimsOrClock() (Verdict, bool) {
	n := f.class(ClassExpired, ClassAudience, ClassClock)
	if _, goingOn := f.failing(); !goingOn || n*2 <= f.Logged.Count {
		return Verdict{}, false
	}
	v := warning(ClaimsOrClock, "Tokens are refused for what they say (expired, audience, not yet valid), not for their keys. Neither flush nor restart helps; look at the clients and at the clocks.")
	v.Because = append(f.failureLine(), f.classLine())
	v.Against = []Advice{{Mitigation: FlushCache, Reason: "the keys are not the cause"}, {Mitigation: RestartAuthoriser, Reason: "the keys are not the cause"}}
	v.WouldChange = "signature failures, or failures on a kid that is live"
	return v, true
}

// classLine says what the failures are about, most frequent first.
func (f *facts) classLine() string {
	classes := slices.SortedFunc(maps.Keys(f.Logged.Classes), func(a, b string) int {
		return cmp.Or(cmp.Compare(f.Logged.Classes[b], f.Logged.Classes[a]), cmp.Compare(a, b))
	})
	var out []string
	for _, c := range classes {
		if n := f.Logged.Classes[c]; n > 0 {
			out = append(out, fmt.Sprintf("%s %s", strings.ReplaceAll(c, "_", " "), Thousands(int64(n))))
		}
	}
	return "what they are about: " + strings.Join(out, ", ")
}
