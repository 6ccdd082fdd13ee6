package diagnose

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"jwksbot/runbook"
)

// unknownIssuer: the tokens come from somewhere else.
func (f *Facts) unknownIssuer() (runbook.Verdict, bool) {
	n := f.class(runbook.ClassIssuer)
	if _, goingOn := f.failing(); !goingOn || n*2 <= f.Logged.Count {
		return runbook.Verdict{}, false
	}
	v := warning(UnknownIssuer, "Tokens of another issuer are being rejected (%s). Neither flush nor restart helps: fix the client, or the authoriser's configured issuer.", runbook.Plural(n, "failure", "failures"))
	v.Because = f.failureLine()
	for _, iss := range f.Logged.Issuers {
		v.Because = append(v.Because, "issuer named in failures: "+runbook.Quote(iss))
	}
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "keys of this issuer would not verify those tokens"}, {Mitigation: runbook.RestartAuthoriser, Reason: "keys of this issuer would not verify those tokens"}}
	v.WouldChange = "failures on a kid that is live"
	return v, true
}

// junkKids is from how many different unknown kids on a storm is suspected.
const junkKids = 5

// unknownKids: many kids that nobody ever published, each about once.
func (f *Facts) unknownKids() (runbook.Verdict, bool) {
	if _, goingOn := f.failing(); !goingOn {
		return runbook.Verdict{}, false
	}
	strange, lines := f.strangeKids()
	if !f.liveOK || f.Cached == nil || strange < junkKids || lines > 3*strange || strange*2 <= len(f.Logged.Kids) {
		return runbook.Verdict{}, false
	}
	v := warning(UnknownKids, "Somebody sends tokens with made-up key ids: %d different unknown kids, about once each. Neither flush nor restart helps; rate limit the sender.", strange)
	v.Because = f.failureLine()
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "no key set holds those kids"}, {Mitigation: runbook.RestartAuthoriser, Reason: "no key set holds those kids"}}
	v.WouldChange = "failures on a kid that is live"
	return v, true
}

// noKid: tokens or keys without a kid cannot be matched by an authoriser that
// looks keys up by kid.
func (f *Facts) noKid() (runbook.Verdict, bool) {
	n := f.class(runbook.ClassNoKid)
	if _, goingOn := f.failing(); !goingOn || n*2 <= f.Logged.Count {
		return runbook.Verdict{}, false
	}
	v := warning(UnknownKids, "Tokens without a key id are being rejected (%s). Neither flush nor restart helps: fix the client that sends them.", runbook.Plural(n, "failure", "failures"))
	v.Because = f.failureLine()
	if nameless := f.nameless(); nameless > 0 {
		v.Because = append(v.Because, runbook.Capital(runbook.Plural(nameless, "live key has", "live keys have"))+" no kid either: the identity provider publishes keys that cannot be looked up by kid")
	}
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "no key can be looked up without a kid"}, {Mitigation: runbook.RestartAuthoriser, Reason: "no key can be looked up without a kid"}}
	v.WouldChange = "failures on a kid that is live"
	return v, true
}

func (f *Facts) nameless() (n int) {
	for _, k := range f.LiveSet.Keys {
		if k.Kid == "" {
			n++
		}
	}
	return n
}

// ambiguousKid: the authoriser refuses a set in which a kid stands twice.
func (f *Facts) ambiguousKid() (runbook.Verdict, bool) {
	n := f.class(runbook.ClassDuplicateKid)
	if _, goingOn := f.failing(); !goingOn || n*2 <= f.Logged.Count {
		return runbook.Verdict{}, false
	}
	v := critical(DuplicateKid, "The authoriser refuses the key set because a kid stands in it more than once (%s). Neither flush nor restart helps: the identity provider has to give each key its own kid.", runbook.Plural(n, "failure", "failures"))
	v.Because = append([]string{"live: " + runbook.QuoteAll(KidsOf(f.LiveSet.Keys))}, f.failureLine()...)
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "the same set would be fetched again"}, {Mitigation: runbook.RestartAuthoriser, Reason: "the same set would be fetched again"}}
	v.WouldChange = "a live set in which each kid stands once"
	return v, true
}

// strangeKids counts the different kids in the logs that are neither live nor
// cached, and the failures that name them.
func (f *Facts) strangeKids() (kids, lines int) {
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
func (f *Facts) claimsOrClock() (runbook.Verdict, bool) {
	n := f.class(runbook.ClassExpired, runbook.ClassAudience, runbook.ClassClock)
	if _, goingOn := f.failing(); !goingOn || n*2 <= f.Logged.Count {
		return runbook.Verdict{}, false
	}
	v := warning(ClaimsOrClock, "Tokens are refused for what they say (expired, audience, not yet valid), not for their keys. Neither flush nor restart helps; look at the clients and at the clocks.")
	v.Because = append(f.failureLine(), f.classLine())
	v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "the keys are not the cause"}, {Mitigation: runbook.RestartAuthoriser, Reason: "the keys are not the cause"}}
	v.WouldChange = "signature failures, or failures on a kid that is live"
	return v, true
}

// classLine says what the failures are about, most frequent first.
func (f *Facts) classLine() string {
	classes := slices.SortedFunc(maps.Keys(f.Logged.Classes), func(a, b string) int {
		return cmp.Or(cmp.Compare(f.Logged.Classes[b], f.Logged.Classes[a]), cmp.Compare(a, b))
	})
	var out []string
	for _, c := range classes {
		if n := f.Logged.Classes[c]; n > 0 {
			out = append(out, fmt.Sprintf("%s %s", strings.ReplaceAll(c, "_", " "), runbook.Thousands(int64(n))))
		}
	}
	return "what they are about: " + strings.Join(out, ", ")
}
