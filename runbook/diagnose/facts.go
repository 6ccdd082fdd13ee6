package diagnose

import (
	"sort"

	"jwksbot/runbook"
)

// Facts are the evidence, brought into the terms of the verdicts' table: L are
// the live keys, C the cached ones, K the kids that fail.
type Facts struct {
	runbook.Evidence
	LiveSet runbook.KeySet // L, if liveOK
	liveOK  bool           // the probes agree on a healthy set
	Own     []runbook.Entry
	sets    []comparison // own whole-key-set entries against L
	perKid  *comparison  // own single-key entries, pooled, against L

	known Memo[KeyList, *difference]
}

// comparison is one cached key set held against the live one. Entries that say
// the same share a difference: a cache may hold ten thousand.
type comparison struct {
	Entry *runbook.Entry // the zero Entry for the pool of single-key entries
	*difference
}

// difference is how a cached key set stands to the live one.
type difference struct {
	set     runbook.KeySet
	missing []runbook.Key // live, not cached
	Retired []runbook.Key // cached, not live
	Rekeyed []Rekey       // same kid, other key
	renamed []runbook.Key // live, cached under another kid only
}

// Rekey is one kid that stands for two different keys.
type Rekey struct {
	Kid    string `json:"kid"`
	Live   string `json:"live"`   // thumbprint
	Cached string `json:"cached"` // thumbprint
}

// same says that live and cached set hold the same keys under the same kids.
func (d *difference) same() bool {
	return len(d.missing)+len(d.Retired)+len(d.Rekeyed)+len(d.renamed) == 0
}

// Name says which part of the cache was compared.
func (c comparison) Name() string {
	if c.Entry.Name == "" {
		return "the per-kid entries"
	}
	return "entry " + runbook.QuoteName(c.Entry.Name)
}

// Says puts a verb after the name: one entry "lacks", several "lack".
func (c comparison) Says(one, many string) string {
	if c.Entry.Name == "" {
		return c.Name() + " " + many
	}
	return c.Name() + " " + one
}

// Gather puts the evidence into order and works out what the rules look at.
func Gather(e runbook.Evidence) *Facts {
	e = canonical(e)
	f := &Facts{Evidence: e}
	f.LiveSet, f.liveOK = e.Live.Set()
	if e.Cached == nil {
		return f
	}
	f.Own, _ = e.Cached.Own()
	if !f.liveOK {
		return f
	}
	pool := runbook.KeySet{}
	f.sets = make([]comparison, 0, len(f.Own))
	for i := range f.Own {
		entry := &f.Own[i]
		if entry.Reading.Content != runbook.ContentKeys {
			continue
		}
		if perKid(entry.Reading) {
			pool.Keys = append(pool.Keys, entry.Reading.Set.Keys...)
			continue
		}
		f.sets = append(f.sets, comparison{entry, f.differs(entry)})
	}
	if len(pool.Keys) > 0 {
		f.perKid = &comparison{&runbook.Entry{}, compare(f.LiveSet, pool)}
	}
	return f
}

// differs holds an entry with keys against the live ones.
func (f *Facts) differs(e *runbook.Entry) *difference {
	set := e.Reading.Set
	return f.known.Remember(ListOf(set), func() *difference { return compare(f.LiveSet, set) })
}

// KeyList is the identity of a list of keys: entries that were read as the same
// share one (see reader).
type KeyList struct {
	first *runbook.Key
	len   int
}

// ListOf is the identity of the keys: sets of one list are equal.
func ListOf(s runbook.KeySet) KeyList {
	if len(s.Keys) == 0 {
		return KeyList{}
	}
	return KeyList{&s.Keys[0], len(s.Keys)}
}

// perKid says that the entry is one key of a cache that keeps one entry a kid.
func perKid(r runbook.Reading) bool {
	return len(r.Set.Keys) == 1 && (r.Set.Shape == runbook.ShapeJWK || r.Set.Shape == runbook.ShapePEM)
}

// compare matches keys by kid and thumbprint; keys without a kid by thumbprint
// alone.
func compare(live, cached runbook.KeySet) *difference {
	c := &difference{set: cached}
	for _, k := range live.Keys {
		switch cachedAs, found := find(cached, k); {
		case found == foundSame:
		case found == foundKid:
			c.Rekeyed = append(c.Rekeyed, Rekey{Kid: k.Kid, Live: k.Identity(), Cached: cachedAs.Identity()})
		case found == foundPrint:
			c.renamed = append(c.renamed, k)
		default:
			c.missing = append(c.missing, k)
		}
	}
	for _, k := range cached.Keys {
		if _, found := find(live, k); found == foundNothing {
			c.Retired = append(c.Retired, k)
		}
	}
	return c
}

type foundAs int

const (
	foundNothing foundAs = iota
	foundPrint           // the same key under another kid
	foundKid             // another key under the same kid
	foundSame
)

// find looks a key up in a set; the best match wins, so that a duplicate kid
// never hides an equal key.
func find(s runbook.KeySet, k runbook.Key) (runbook.Key, foundAs) {
	best, at := foundNothing, runbook.Key{}
	for _, c := range s.Keys {
		as := foundNothing
		samePrint := c.Identity() == k.Identity()
		switch {
		case samePrint && (c.Kid == k.Kid || c.Kid == "" || k.Kid == ""):
			as = foundSame
		case c.Kid == k.Kid && k.Kid != "":
			as = foundKid
		case samePrint && k.Thumbprint != "":
			as = foundPrint
		}
		if as > best {
			best, at = as, c
		}
	}
	return at, best
}

// All lists the comparisons, the pool of per-kid entries last.
func (f *Facts) All() []comparison {
	if f.perKid == nil {
		return f.sets
	}
	return append(append([]comparison(nil), f.sets...), *f.perKid)
}

// AllSame says that something was compared and every cached set is the live one.
func (f *Facts) AllSame() bool {
	all := f.All()
	for _, c := range all {
		if !c.same() {
			return false
		}
	}
	return len(all) > 0
}

// nothingLacks says that live keys and cache were read in full, and that no
// cached set lacks a live key. An empty cache, or a single key that nobody has
// asked for, lacks nothing yet.
func (f *Facts) nothingLacks() bool {
	if !f.liveOK || f.Cached == nil || f.Cached.Truncated {
		return false
	}
	if f.notRead() > 0 {
		return false
	}
	for _, c := range f.All() {
		if len(c.Rekeyed)+len(c.renamed) > 0 || c.Entry.Name != "" && len(c.lacks()) > 0 {
			return false
		}
	}
	return true
}

// lacks lists the live keys that are not cached and that a signature could be
// checked with. Many consumers drop encryption keys before they cache a set.
func (d *difference) lacks() []runbook.Key {
	var out []runbook.Key
	for _, k := range d.missing {
		if k.Use != "enc" {
			out = append(out, k)
		}
	}
	return out
}

// failsOn says how often failures name the kid.
func (f *Facts) failsOn(kid string) int {
	if f.Logged == nil || kid == "" {
		return 0
	}
	for _, k := range f.Logged.Kids {
		if k.Kid == kid {
			return k.Count
		}
	}
	return 0
}

// class counts failures of the classes.
func (f *Facts) class(names ...string) int {
	if f.Logged == nil {
		return 0
	}
	n := 0
	for _, name := range names {
		n += f.Logged.Classes[name]
	}
	return n
}

// inLive and inCache look a kid up.
func (f *Facts) inLive(kid string) bool { return hasKid(f.LiveSet, kid) }

func (f *Facts) inCache(kid string) bool {
	for _, e := range f.Own {
		if hasKid(e.Reading.Set, kid) {
			return true
		}
	}
	return false
}

func hasKid(s runbook.KeySet, kid string) bool {
	for _, k := range s.Keys {
		if k.Kid == kid && kid != "" {
			return true
		}
	}
	return false
}

// KidsOf lists the kids of keys for people, shortest useful form.
func KidsOf(keys []runbook.Key) []string {
	seen := map[string]bool{}
	var out []string
	for _, k := range keys {
		name := k.Kid
		if name == "" {
			name = "(no kid) " + k.Identity()
		}
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}

// Current says that the entry holds live keys only, and all of them if it is a
// whole key set.
func (f *Facts) Current(e runbook.Entry) bool {
	if !f.liveOK {
		return false
	}
	switch e.Reading.Content {
	case runbook.ContentKeys:
		c := f.differs(&e)
		if perKid(e.Reading) {
			return len(c.Retired)+len(c.Rekeyed)+len(c.renamed) == 0
		}
		return c.same()
	case runbook.ContentNegative:
		return !f.inLive(e.Reading.Kid)
	case runbook.ContentUnknown:
		// Nobody knows what it is; only an override touches it.
		return true
	}
	return false
}

// NamesOfEntries are their names, in order.
func NamesOfEntries(entries []runbook.Entry) []string {
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.Name
	}
	return out
}
