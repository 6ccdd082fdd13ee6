package diagnose

import (
	"fmt"
	"strings"
	"time"

	"jwksbot/runbook"
)

// standing collects the findings that can stand beside any verdict.
func (f *Facts) standing(verdict runbook.VerdictID) []runbook.Finding {
	var out []runbook.Finding
	add := func(id runbook.VerdictID, sev runbook.Severity, format string, args ...any) {
		if id != verdict {
			out = append(out, runbook.Finding{ID: id, Severity: sev, Summary: fmt.Sprintf(format, args...)})
		}
	}
	f.liveFindings(add)
	f.cacheFindings(add)
	f.gatewayFindings(add)
	return out
}

// gatewayFindings names the authorisers that keep keys of their own, whatever
// the verdict is: no mitigation reaches those.
func (f *Facts) gatewayFindings(add adder) {
	if f.Gateway == nil {
		return
	}
	var names []string
	var kept time.Duration
	for _, a := range f.Gateway.Authorisers {
		if a.Managed() {
			names = append(names, a.Label())
			kept = max(kept, a.KeysKept())
		}
	}
	if len(names) > 0 {
		add(ManagedAuthoriser, runbook.SeverityInfo, "The gateway checks tokens itself on authoriser %s and may keep old keys for up to %s after a rotation; no flush and no restart reaches that copy.", runbook.QuoteAll(names), runbook.Duration(kept))
	}
}

type adder func(id runbook.VerdictID, sev runbook.Severity, format string, args ...any)

func (f *Facts) liveFindings(add adder) {
	if f.Live != nil {
		if _, _, unreachable := f.Live.Sort(); len(unreachable) > 0 {
			add(LiveUnreachable, runbook.SeverityWarning, "%d of %d probes could not reach the JWKS URL (%s); that may be the bot's own network.", len(unreachable), len(f.Live.Probes), unreachable[0].Problem)
		}
		f.leaks(add, f.Live.Published(), "the live key set")
	}
	if !f.liveOK {
		return
	}
	seen := map[string]int{}
	for _, k := range f.LiveSet.Keys {
		if seen[k.Kid]++; k.Kid != "" && seen[k.Kid] == 2 {
			add(DuplicateKid, runbook.SeverityWarning, "Kid %s appears more than once in the live set: verifiers may pick the wrong key.", runbook.Quote(k.Kid))
		}
		for _, p := range k.Problems {
			if strings.Contains(p, "weak") {
				add(WeakKey, runbook.SeverityWarning, "Live key %s: %s.", runbook.Quote(k.Kid), p)
			}
		}
	}
}

func (f *Facts) leaks(add adder, s runbook.KeySet, where string) {
	if s.PrivatePublished {
		add(PrivatePublished, runbook.SeverityCritical, "A PRIVATE key is published in %s. Page security: whoever read it can sign tokens.", where)
	}
	if s.SymmetricPublished {
		add(SymmetricInSet, runbook.SeverityCritical, "A symmetric key is published in %s. Page security: whoever read it can sign tokens.", where)
	}
}

func (f *Facts) cacheFindings(add adder) {
	if f.Cached == nil {
		return
	}
	var forever []string
	for _, e := range f.Own {
		if e.TTL == runbook.NoExpiry {
			forever = append(forever, e.Name)
		}
		f.leaks(add, e.Reading.Set, "cache entry "+runbook.QuoteName(e.Name))
	}
	switch {
	case len(f.Own) == 0 && !f.Cached.Truncated:
		add(ColdCache, runbook.SeverityInfo, "The cache is empty: it fills when the next token comes.")
	case f.perKid != nil && len(f.sets) == 0 && len(f.perKid.missing) > 0:
		add(ColdCache, runbook.SeverityInfo, "Nobody has asked for live key %s yet: a per-kid cache fills one key at a time.", runbook.QuoteAll(KidsOf(f.perKid.missing)))
	}
	if len(forever) > 0 {
		add(NoExpiryFinding, runbook.SeverityWarning, "%s never expires: it cannot heal by itself after the next rotation.", runbook.QuoteNames(forever))
	}
	if f.Cached.Others > 0 {
		add(SharedCache, runbook.SeverityInfo, "%s that are not JWKS live in the same cache; only matching entries are ever touched.", runbook.Plural(int(f.Cached.Others), "key", "keys"))
	}
	if unknown := f.unreadable(); len(unknown) > 0 {
		add(CacheUnreadable, runbook.SeverityWarning, "%s %s (%s): what the authoriser makes of it is unknown.", runbook.Capital(runbook.Plural(len(unknown), "entry", "entries")), f.whyUnreadable(), runbook.QuoteNames(NamesOfEntries(unknown)))
	}
	for _, c := range f.All() {
		if len(c.Rekeyed) > 0 {
			add(RekeyedKid, runbook.SeverityCritical, "%s another key under live kid %s.", runbook.Capital(c.Says("holds", "hold")), runbook.Quote(c.Rekeyed[0].Kid))
			break
		}
	}
	for _, c := range f.sets {
		if c.same() && c.reencoded(f.LiveSet) {
			add(Reencoded, runbook.SeverityInfo, "%s writes a key's numbers differently; the keys are the same.", runbook.Capital(c.Name()))
		}
	}
}

// reencoded says that some key is equal and written differently.
func (d *difference) reencoded(live runbook.KeySet) bool {
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
