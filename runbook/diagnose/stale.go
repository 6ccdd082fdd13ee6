package diagnose

import (
	"fmt"
	"strings"

	"jwksbot/runbook"
)

// unsupportedKey: the key that is live and not cached is of a kind that the
// authoriser does not understand; it rejects the whole set when it refetches.
// Or it has cached the set as it came, and says that it cannot parse it.
func (f *Facts) unsupportedKey() (runbook.Verdict, bool) {
	_, goingOn := f.failing()
	for _, c := range f.sets {
		strange := c.lacks()
		fact := c.Says("lacks only ", "lack only ") + runbook.QuoteAll(KidsOf(strange))
		if len(strange) == 0 && goingOn && f.class(runbook.ClassJWKSParse) > noise {
			strange = f.unusable()
			fact = c.Name() + " holds it as well, and the authoriser cannot parse it: " + runbook.QuoteAll(KidsOf(strange))
		}
		if len(strange) == 0 || len(c.renamed) > 0 || !allUnusable(strange) {
			continue
		}
		v := critical(UnsupportedKey, "A new kind of key appeared in the live set (%s), and the authoriser cannot read it. A flush would make it worse: the copy that still works would be lost. Fix the consumer.", kindsOf(strange))
		if f.Logged != nil && !goingOn {
			v = warning(UnsupportedKey, "A new kind of key appeared in the live set (%s); nothing fails yet. Do not flush: an authoriser that cannot read it would lose the copy that works. Fix the consumer first.", kindsOf(strange))
		}
		v.Because = append(append([]string{fact}, rekeyLines(c)...), f.failureLine()...)
		v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "the authoriser would fetch a set that it cannot parse"}, {Mitigation: runbook.RestartAuthoriser, Reason: "the authoriser would fetch a set that it cannot parse"}}
		v.WouldChange = "the new key withdrawn, or an authoriser that skips keys it does not know"
		return v, true
	}
	return runbook.Verdict{}, false
}

// unusable lists the live keys that are meant for signatures and that
// mainstream verifiers cannot use.
func (f *Facts) unusable() (out []runbook.Key) {
	for _, k := range f.LiveSet.Keys {
		if !k.Usable && k.Use != "enc" {
			out = append(out, k)
		}
	}
	return out
}

func allUnusable(keys []runbook.Key) bool {
	for _, k := range keys {
		if k.Usable {
			return false
		}
	}
	return true
}

func kindsOf(keys []runbook.Key) string {
	var out []string
	for _, k := range keys {
		out = append(out, strings.TrimSpace(k.Kty+" "+k.Alg))
	}
	return runbook.QuoteAll(out)
}

// staleCache: a cached key set lacks a live key, or one has it under another kid.
func (f *Facts) staleCache() (runbook.Verdict, bool) {
	for _, c := range f.sets {
		if lost := c.Lost(); len(lost) > 0 {
			return f.stale(c, lost), true
		}
	}
	if f.perKid == nil {
		return runbook.Verdict{}, false
	}
	for _, k := range f.perKid.renamed {
		if f.failsOn(k.Kid) > 0 {
			return f.stale(*f.perKid, []runbook.Key{k}), true
		}
	}
	return runbook.Verdict{}, false
}

// Lost are the live keys that a verifier does not find by their kid.
func (d *difference) Lost() []runbook.Key {
	return append(d.lacks(), d.renamed...)
}

func (f *Facts) stale(c comparison, lost []runbook.Key) runbook.Verdict {
	v := critical(StaleCache, "The cache still serves an old key set: %s live key %s%s. A flush will help.", c.Says("lacks", "lack"), runbook.QuoteAll(KidsOf(lost)), f.failingText(lost))
	v.WouldChange = "the missing key in the cache"
	if f.writtenAfter(*c.Entry, lost) {
		v.Summary = fmt.Sprintf("%s was filled after the rotation and still lacks live key %s%s: whoever filled it read an old copy. Flush once; if it comes back old, the identity provider has to look at its edges.",
			runbook.Capital(c.Name()), runbook.QuoteAll(KidsOf(lost)), f.failingText(lost))
		v.WouldChange = "an entry that lacks the key again after the flush: then escalate to the identity provider, and flush no more"
	}
	v.Because = append([]string{"live: " + runbook.QuoteAll(KidsOf(f.LiveSet.Keys))}, f.cacheLine(c, lost)...)
	for _, k := range lost {
		if line := f.appeared(k); line != "" {
			v.Because = append(v.Because, line)
		}
	}
	if line := f.maxAge(); line != "" {
		v.Because = append(v.Because, line)
	}
	v.Because = append(append(v.Because, f.failureLine()...), f.afterglow()...)
	v.Recommended = f.withGateway(runbook.FlushCache)
	v.Against = []runbook.Advice{{Mitigation: runbook.RestartAuthoriser, Reason: "a restarted authoriser would read the same old entry; restart only if failures go on after the flush"}}
	return v
}

// cacheLine says what a cached set holds, since when and for how long.
func (f *Facts) cacheLine(c comparison, missing []runbook.Key) []string {
	line := c.Name() + ": " + runbook.QuoteAll(KidsOf(c.set.Keys))
	var notes []string
	if c.Entry.Name != "" {
		expiry := c.Entry.Expires()
		if len(c.Lost())+len(c.Rekeyed) > 0 {
			expiry = c.Entry.Heals()
		}
		notes = append(notes, expiry)
	}
	if at := f.cachedAt(*c.Entry, missing); at != "" {
		notes = append(notes, at)
	}
	if len(notes) > 0 {
		line += " (" + strings.Join(notes, ", ") + ")"
	}
	return []string{line}
}

// notAskedFor: a per-kid cache holds no entry for a live kid that fails. There
// is nothing that a flush could delete: the authoriser never asks for the key.
func (f *Facts) notAskedFor() (runbook.Verdict, bool) {
	_, goingOn := f.failing()
	if f.perKid == nil || !goingOn || f.cannotLoad() || !f.nothingLacks() {
		return runbook.Verdict{}, false
	}
	for _, k := range f.perKid.missing {
		if f.failsOn(k.Kid) == 0 {
			continue
		}
		v := critical(StaleCache, "No per-kid entry holds live key %s%s, and the authoriser does not ask for it. There is nothing to flush; restart the authoriser.", runbook.Quote(k.Kid), f.failingText([]runbook.Key{k}))
		v.Because = append([]string{"live: " + runbook.QuoteAll(KidsOf(f.LiveSet.Keys))}, f.cacheLine(*f.perKid, nil)...)
		v.Because = append(append(v.Because, f.failureLine()...), f.functionLines()...)
		v.Recommended = f.withGateway(runbook.RestartAuthoriser)
		v.Against = []runbook.Advice{{Mitigation: runbook.FlushCache, Reason: "no entry of that key exists that a flush could delete"}}
		v.WouldChange = "an entry for the key, which appears as soon as the authoriser asks for it"
		return v, true
	}
	return runbook.Verdict{}, false
}

// cannotLoad says that the authoriser fails to load keys at all: with an empty
// memory it would fail as well.
func (f *Facts) cannotLoad() bool {
	return f.class(runbook.ClassJWKSFetch, runbook.ClassJWKSParse, runbook.ClassNoSigningKeys) > 0
}
