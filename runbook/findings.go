package runbook

import (
	"fmt"
	"strings"
	"time"
)

// standing collects the findings that can stand beside any verdict.
func (f *facts) standing(verdict VerdictID) []Finding {
	var out []Finding
	add := func(id VerdictID, sev Severity, format string, args ...any) {
		if id != verdict {
			out = append(out, Finding{ID: id, Severity: sev, Summary: fmt.Sprintf(format, args...)})
		}
	}
	f.liveFindings(add)
	f.cacheFindings(add)
	f.gatewayFindings(add)
	return out
}

// gatewayFindings names the authorisers that keep keys of their own, whatever
// the verdict is: no mitigation reaches those.
func (f *facts) gatewayFindings(add adder) {
	if f.Gateway == nil {
		return
	}
	var names []string
	var kept time.Duration
	for _, a := range f.Gateway.Authorisers {
		if a.managed() {
			names = append(names, a.label())
			kept = max(kept, a.keysKept())
		}
	}
	if len(names) > 0 {
		add(ManagedAuthoriser, SeverityInfo, "The gateway checks tokens itself on authoriser %s and may keep old keys for up to %s after a rotation; no flush and no restart reaches that copy.", quoteAll(names), Duration(kept))
	}
}

type adder func(id VerdictID, sev Severity, format string, args ...any)

func (f *facts) liveFindings(add adder) {
	if f.Live != nil {
		if _, _, unreachable := f.Live.sort(); len(unreachable) > 0 {
			add(LiveUnreachable, SeverityWarning, "%d of %d probes could not reach the JWKS URL (%s); that may be the bot's own network.", len(unreachable), len(f.Live.Probes), unreachable[0].Problem)
		}
		f.leaks(add, f.Live.published(), "the live key set")
	}
	if !f.liveOK {
		return
	}
	seen := map[string]int{}
	for _, k := range f.live.Keys {
		if seen[k.Kid]++; k.Kid != "" && seen[k.Kid] == 2 {
			add(DuplicateKid, SeverityWarning, "Kid %s stands more than once in the live set: verifiers may pick the wrong key.", quote(k.Kid))
		}
		for _, p := range k.Problems {
			if strings.Contains(p, "weak") {
				add(WeakKey, SeverityWarning, "Live key %s: %s.", quote(k.Kid), p)
			}
		}
	}
}

// published says what any probe leaked: a set that is unusable, or differs from
// the next one, is public all the same.
func (ev *LiveEvidence) published() (all KeySet) {
	for _, p := range ev.Probes {
		all.PrivatePublished = all.PrivatePublished || p.Set.PrivatePublished
		all.SymmetricPublished = all.SymmetricPublished || p.Set.SymmetricPublished
	}
	return all
}

func (f *facts) leaks(add adder, s KeySet, where string) {
	if s.PrivatePublished {
		add(PrivatePublished, SeverityCritical, "A PRIVATE key is published in %s. Page security: whoever read it can sign tokens.", where)
	}
	if s.SymmetricPublished {
		add(SymmetricInSet, SeverityCritical, "A symmetric key is published in %s. Page security: whoever read it can sign tokens.", where)
	}
}

func (f *facts) cacheFindings(add adder) {
	if f.Cached == nil {
		return
	}
	var forever []string
	for _, e := range f.own {
		if e.TTL == NoExpiry {
			forever = append(forever, e.Name)
		}
		f.leaks(add, e.Reading.Set, "cache entry "+quoteName(e.Name))
	}
	switch {
	case len(f.own) == 0 && !f.Cached.Truncated:
		add(ColdCache, SeverityInfo, "The cache is empty: it fills when the next token comes.")
	case f.perKid != nil && len(f.sets) == 0 && len(f.perKid.missing) > 0:
		add(ColdCache, SeverityInfo, "Nobody has asked for live key %s yet: a per-kid cache fills one key at a time.", quoteAll(kidsOf(f.perKid.missing)))
	}
	if len(forever) > 0 {
		add(NoExpiryFinding, SeverityWarning, "%s never expires: it cannot heal by itself after the next rotation.", quoteNames(forever))
	}
	if f.Cached.Others > 0 {
		add(SharedCache, SeverityInfo, "%s that are not JWKS live in the same cache; only matching entries are ever touched.", plural(int(f.Cached.Others), "key", "keys"))
	}
	if unknown := f.unreadable(); len(unknown) > 0 {
		add(CacheUnreadable, SeverityWarning, "%s %s (%s): what the authoriser makes of it is unknown.", capital(plural(len(unknown), "entry", "entries")), f.whyUnreadable(), quoteNames(namesOfEntries(unknown)))
	}
	for _, c := range f.all() {
		if len(c.rekeyed) > 0 {
			add(RekeyedKid, SeverityCritical, "%s another key under live kid %s.", capital(c.says("holds", "hold")), quote(c.rekeyed[0].Kid))
			break
		}
	}
	for _, c := range f.sets {
		if c.same() && c.reencoded(f.live) {
			add(Reencoded, SeverityInfo, "%s writes a key's numbers differently; the keys are the same.", capital(c.name()))
		}
	}
}

// reencoded says that some key is equal and written differently.
func (d *difference) reencoded(live KeySet) bool {
	for _, k := range d.set.Keys {
		l, as := find(live, k)
		if as != foundSame {
			continue
		}
		for m, v := range l.Numbers {
			if k.Numbers[m] != v {
				return true
			}
		}
	}
	return false
}
