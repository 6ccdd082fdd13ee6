package runbook

import (
	"sort"
	"strings"
	"unicode"
)

// facts are the evidence, brought into the terms of the verdicts' table: L are
// the live keys, C the cached ones, K the kids that fail.
type facts struct {
	Evidence
	live   KeySet // L, if liveOK
	liveOK bool   // the probes agree on a healthy set
	own    []Entry
	sets   []comparison // own whole-key-set entries against L
	perKid *comparison  // own single-key entries, pooled, against L

	known memo[keyList, *difference]
}

// comparison is one cached key set held against the live one. Entries that say
// the same share a difference: a cache may hold ten thousand.
type comparison struct {
	entry *Entry // the zero Entry for the pool of single-key entries
	*difference
}

// difference is how a cached key set stands to the live one.
type difference struct {
	set     KeySet
	missing []Key   // live, not cached
	retired []Key   // cached, not live
	rekeyed []Rekey // same kid, other key
	renamed []Key   // live, cached under another kid only
}

// Rekey is one kid that stands for two different keys.
type Rekey struct {
	Kid    string `json:"kid"`
	Live   string `json:"live"`   // thumbprint
	Cached string `json:"cached"` // thumbprint
}

// same says that live and cached set hold the same keys under the same kids.
func (d *difference) same() bool {
	return len(d.missing)+len(d.retired)+len(d.rekeyed)+len(d.renamed) == 0
}

// name says which part of the cache was compared.
func (c comparison) name() string {
	if c.entry.Name == "" {
		return "the per-kid entries"
	}
	return "entry " + quoteName(c.entry.Name)
}

// says puts a verb after the name: one entry "lacks", several "lack".
func (c comparison) says(one, many string) string {
	if c.entry.Name == "" {
		return c.name() + " " + many
	}
	return c.name() + " " + one
}

// gather puts the evidence into order and works out what the rules look at.
func gather(e Evidence) *facts {
	e = canonical(e)
	f := &facts{Evidence: e}
	f.live, f.liveOK = e.Live.Set()
	if e.Cached == nil {
		return f
	}
	f.own, _ = e.Cached.own()
	if !f.liveOK {
		return f
	}
	pool := KeySet{}
	f.sets = make([]comparison, 0, len(f.own))
	for i := range f.own {
		entry := &f.own[i]
		if entry.Reading.Content != ContentKeys {
			continue
		}
		if entry.Reading.perKid() {
			pool.Keys = append(pool.Keys, entry.Reading.Set.Keys...)
			continue
		}
		f.sets = append(f.sets, comparison{entry, f.differs(entry)})
	}
	if len(pool.Keys) > 0 {
		f.perKid = &comparison{&Entry{}, compare(f.live, pool)}
	}
	return f
}

// differs holds an entry with keys against the live ones.
func (f *facts) differs(e *Entry) *difference {
	set := e.Reading.Set
	return f.known.remember(set.list(), func() *difference { return compare(f.live, set) })
}

// keyList is the identity of a list of keys: entries that were read as the same
// share one (see reader).
type keyList struct {
	first *Key
	len   int
}

// list is the identity of the keys: sets of one list are equal.
func (s KeySet) list() keyList {
	if len(s.Keys) == 0 {
		return keyList{}
	}
	return keyList{&s.Keys[0], len(s.Keys)}
}

// perKid says that the entry is one key of a cache that keeps one entry a kid.
func (r Reading) perKid() bool {
	return len(r.Set.Keys) == 1 && (r.Set.Shape == ShapeJWK || r.Set.Shape == ShapePEM)
}

// compare matches keys by kid and thumbprint; keys without a kid by thumbprint
// alone.
func compare(live, cached KeySet) *difference {
	c := &difference{set: cached}
	for _, k := range live.Keys {
		switch cachedAs, found := find(cached, k); {
		case found == foundSame:
		case found == foundKid:
			c.rekeyed = append(c.rekeyed, Rekey{Kid: k.Kid, Live: k.identity(), Cached: cachedAs.identity()})
		case found == foundPrint:
			c.renamed = append(c.renamed, k)
		default:
			c.missing = append(c.missing, k)
		}
	}
	for _, k := range cached.Keys {
		if _, found := find(live, k); found == foundNothing {
			c.retired = append(c.retired, k)
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
func find(s KeySet, k Key) (Key, foundAs) {
	best, at := foundNothing, Key{}
	for _, c := range s.Keys {
		as := foundNothing
		samePrint := c.identity() == k.identity()
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

// all lists the comparisons, the pool of per-kid entries last.
func (f *facts) all() []comparison {
	if f.perKid == nil {
		return f.sets
	}
	return append(append([]comparison(nil), f.sets...), *f.perKid)
}

// allSame says that something was compared and every cached set is the live one.
func (f *facts) allSame() bool {
	all := f.all()
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
func (f *facts) nothingLacks() bool {
	if !f.liveOK || f.Cached == nil || f.Cached.Truncated {
		return false
	}
	if f.notRead() > 0 {
		return false
	}
	for _, c := range f.all() {
		if len(c.rekeyed)+len(c.renamed) > 0 || c.entry.Name != "" && len(c.lacks()) > 0 {
			return false
		}
	}
	return true
}

// lacks lists the live keys that are not cached and that a signature could be
// checked with. Many consumers drop encryption keys before they cache a set.
func (d *difference) lacks() []Key {
	var out []Key
	for _, k := range d.missing {
		if k.Use != "enc" {
			out = append(out, k)
		}
	}
	return out
}

// failsOn says how often failures name the kid.
func (f *facts) failsOn(kid string) int {
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
func (f *facts) class(names ...string) int {
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
func (f *facts) inLive(kid string) bool { return hasKid(f.live, kid) }

func (f *facts) inCache(kid string) bool {
	for _, e := range f.own {
		if hasKid(e.Reading.Set, kid) {
			return true
		}
	}
	return false
}

func hasKid(s KeySet, kid string) bool {
	for _, k := range s.Keys {
		if k.Kid == kid && kid != "" {
			return true
		}
	}
	return false
}

// kidsOf lists the kids of keys for people, shortest useful form.
func kidsOf(keys []Key) []string {
	seen := map[string]bool{}
	var out []string
	for _, k := range keys {
		name := k.Kid
		if name == "" {
			name = "(no kid) " + k.identity()
		}
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}

// maxQuoted is the length in runes beyond which a quoted name is cut.
const maxQuoted = 120

// quote puts names into code marks, as both Slack and Markdown show them. What
// would end the marks or the line is replaced.
func quote(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '`':
			return '\''
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxQuoted {
		s = string(r[:maxQuoted]) + "…"
	}
	return "`" + s + "`"
}

// quoteAll quotes a few names and counts the rest.
func quoteAll(list []string) string {
	const shown = 4
	out := make([]string, 0, shown)
	for i, s := range list {
		if i == shown {
			return strings.Join(out, ", ") + " and " + plural(len(list)-shown, "more", "more")
		}
		out = append(out, quote(s))
	}
	return strings.Join(out, ", ")
}
