package diagnose

import "jwksbot/runbook"

// Marks of a cached or missing key, held against the live set.
const (
	MarkSame    = "same"    // live, under the same kid
	MarkMissing = "missing" // live, and not in the entry
	MarkRetired = "retired" // in the entry, and not live any more
	MarkRekeyed = "rekeyed" // its kid stands for another key in the live set
	MarkRenamed = "renamed" // live, under another kid
)

// KeyMark says how one key stands to the live set.
type KeyMark struct {
	Key  runbook.Key
	Mark string
}

// MarkedEntry is a cache entry held against the live keys, for people to see.
type MarkedEntry struct {
	runbook.Entry
	Marks []KeyMark // what the entry holds in its order, then what it lacks; nil when nothing could be compared
	Old   bool      // a flush of the matching keys would delete it
}

// Expiry says what the end of the entry's life means: it heals what is old.
func (m MarkedEntry) Expiry() string {
	if m.Old {
		return m.Heals()
	}
	return m.Expires()
}

// Marked holds every cache entry against the live keys, in the order of the
// listing. Entries of other issuers are never compared.
func Marked(e runbook.Evidence) []MarkedEntry {
	if e.Cached == nil {
		return nil
	}
	f := Gather(e)
	out := make([]MarkedEntry, 0, len(e.Cached.Entries))
	for _, entry := range e.Cached.Entries {
		m := MarkedEntry{Entry: entry}
		if entry.Foreign == "" && f.liveOK {
			m.Old = !f.Current(entry)
			m.Marks = f.marks(entry)
		}
		out = append(out, m)
	}
	return out
}

// marks judges the keys of one entry; an entry that holds no keys has none.
func (f *Facts) marks(e runbook.Entry) []KeyMark {
	if e.Reading.Content != runbook.ContentKeys {
		return nil
	}
	var out []KeyMark
	for _, k := range e.Reading.Set.Keys {
		_, as := find(f.LiveSet, k)
		out = append(out, KeyMark{k, map[foundAs]string{
			foundSame: MarkSame, foundKid: MarkRekeyed, foundPrint: MarkRenamed, foundNothing: MarkRetired}[as]})
	}
	if !perKid(e.Reading) {
		for _, k := range f.differs(&e).missing {
			out = append(out, KeyMark{k, MarkMissing})
		}
	}
	return out
}
