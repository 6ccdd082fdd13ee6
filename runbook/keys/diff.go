package keys

import (
	"cmp"
	"encoding/json"
	"slices"

	"jwksbot/runbook"
)

// Verdicts of a comparison, in the order in which they are tried.
const (
	diffUnreadable      = "unreadable"
	diffRekeyed         = "rekeyed"          // a kid names another key
	diffReplaced        = "replaced"         // every key is another one
	diffRenamed         = "renamed"          // a key has another kid
	diffAdded           = "added"            // live has keys that the cache lacks
	diffRemoved         = "removed"          // the cache has keys that live lacks
	diffMetadataChanged = "metadata_changed" // a member beside the numbers differs
	diffReencoded       = "reencoded"        // a number is written differently
	diffSame            = "same"
)

// Diff is how a cached (older) key set differs from the live (newer) one; it
// marshals to the JSON of `keys diff`.
type Diff struct {
	Verdict  string         `json:"verdict"`
	Added    []DiffKey      `json:"added"`   // only in live
	Removed  []DiffKey      `json:"removed"` // only in cached
	Rekeyed  []DiffThumb    `json:"rekeyed"` // same kid, other thumbprint
	Renamed  []DiffKid      `json:"renamed"` // same thumbprint, other kid
	Metadata []DiffMetadata `json:"metadata"`
}

// DiffKey is a key that one side has.
type DiffKey struct {
	Kid        string `json:"kid"`
	Thumbprint string `json:"thumbprint"`
}

// DiffThumb is a kid with the thumbprint that each side has for it.
type DiffThumb struct {
	Kid    string `json:"kid"`
	Live   string `json:"live"`
	Cached string `json:"cached"`
}

// DiffKid is a thumbprint with the kid that each side has for it.
type DiffKid struct {
	Thumbprint string `json:"thumbprint"`
	Live       string `json:"live"`
	Cached     string `json:"cached"`
}

// DiffMetadata is a member that differs between two copies of one key: a
// string's text, or compact JSON; "" where it is absent.
type DiffMetadata struct {
	Kid    string `json:"kid"`
	Member string `json:"member"`
	Live   string `json:"live"`
	Cached string `json:"cached"`
}

// meanings say for people what follows from a verdict.
var meanings = map[string]string{
	diffRekeyed:         "A kid names another key: verifiers that look a kid up in their cache keep the wrong key and refuse valid tokens. Give the new key a new kid.",
	diffReplaced:        "Every key is another one: tokens of the old keys are refused from now on, and new tokens wherever the old set is cached. Publish both for the lifetime of a token.",
	diffRenamed:         "A key has another kid: tokens that name the old kid are refused.",
	diffAdded:           "There are new keys, and every old one stays: no token is stranded.",
	diffRemoved:         "Keys go away: tokens that they signed are refused from now on.",
	diffMetadataChanged: "The same keys with other members: no token is stranded, unless a verifier goes by them.",
	diffReencoded:       "The same keys, a number is written differently: no token is stranded.",
	diffSame:            "The same keys.",
}

// Meaning is the verdict in a sentence, "" where there is none to give.
func (d Diff) Meaning() string {
	if d.Verdict == diffAdded && len(d.Removed) > 0 {
		return "There are new keys, and some of the old ones go away: tokens that those signed are refused from now on."
	}
	return meanings[d.Verdict]
}

// Stranded says that tokens signed with a key of the older set would no longer
// be accepted under their kid.
func (d Diff) Stranded() bool {
	return len(d.Rekeyed)+len(d.Removed)+len(d.Renamed) > 0
}

// ExitCode is that of `keys diff`: 0 when no token is stranded, 1 when some
// are, 2 when a side could not be read.
func (d Diff) ExitCode() int {
	switch {
	case d.Verdict == diffUnreadable:
		return 2
	case d.Stranded():
		return 1
	}
	return 0
}

// ExitCode is that of `keys inspect`: 0 when at least one key is usable, every
// key that is meant for signatures is, and nothing is leaked; 2 when the
// document could not be read; 1 otherwise.
func ExitCode(set runbook.KeySet) int {
	switch {
	case set.Shape == runbook.ShapeUnreadable:
		return 2
	case set.Usable == 0 || set.PrivatePublished || set.SymmetricPublished:
		return 1
	}
	for _, k := range set.Keys {
		if !k.Usable && !isEncryption(k) {
			return 1
		}
	}
	return 0
}

// comparison is two key sets on the way to a Diff. Keys leave the lists as
// their counterpart is found.
type comparison struct {
	Diff
	live, cached []runbook.Key
	reencoded    bool
}

// Compare says how cached differs from live. Keys are matched by kid and
// thumbprint, then by kid, then by thumbprint; order and white space do not
// count.
func Compare(live, cached runbook.KeySet) Diff {
	c := &comparison{live: slices.Clone(live.Keys), cached: slices.Clone(cached.Keys)}
	c.Diff = Diff{Added: []DiffKey{}, Removed: []DiffKey{}, Rekeyed: []DiffThumb{}, Renamed: []DiffKid{}, Metadata: []DiffMetadata{}}
	if live.Shape == runbook.ShapeUnreadable || cached.Shape == runbook.ShapeUnreadable {
		c.Verdict = diffUnreadable
		return c.Diff
	}
	slices.SortStableFunc(c.live, byName)
	slices.SortStableFunc(c.cached, byName)
	c.pair(func(k runbook.Key) string { return k.Kid + "\x00" + k.Thumbprint }, c.sameKey)
	c.pair(func(k runbook.Key) string { return k.Kid }, func(l, o runbook.Key) {
		c.Rekeyed = append(c.Rekeyed, DiffThumb{l.Kid, l.Thumbprint, o.Thumbprint})
	})
	c.pair(func(k runbook.Key) string { return k.Thumbprint }, func(l, o runbook.Key) {
		c.Renamed = append(c.Renamed, DiffKid{l.Thumbprint, l.Kid, o.Kid})
		c.sameKey(l, o)
	})
	for _, k := range c.live {
		c.Added = append(c.Added, DiffKey{k.Kid, k.Thumbprint})
	}
	for _, k := range c.cached {
		c.Removed = append(c.Removed, DiffKey{k.Kid, k.Thumbprint})
	}
	c.Verdict = c.verdict(live, cached)
	return c.Diff
}

func byName(a, b runbook.Key) int {
	return cmp.Or(cmp.Compare(a.Kid, b.Kid), cmp.Compare(a.Thumbprint, b.Thumbprint))
}

// pair takes out the keys of both sides that agree in what of gives, unless
// that is nothing, and hands them to found.
func (c *comparison) pair(of func(runbook.Key) string, found func(live, cached runbook.Key)) {
	waiting := map[string][]int{}
	for i, k := range c.cached {
		waiting[of(k)] = append(waiting[of(k)], i)
	}
	gone := map[int]bool{}
	var live, cached []runbook.Key
	for _, k := range c.live {
		id := of(k)
		if list := waiting[id]; id != "" && len(list) > 0 {
			waiting[id] = list[1:]
			gone[list[0]] = true
			found(k, c.cached[list[0]])
			continue
		}
		live = append(live, k)
	}
	for i, k := range c.cached {
		if !gone[i] {
			cached = append(cached, k)
		}
	}
	c.live, c.cached = live, cached
}

// sameKey compares the rest of two copies of one key.
func (c *comparison) sameKey(live, cached runbook.Key) {
	names := map[string]bool{}
	for name := range live.Metadata {
		names[name] = true
	}
	for name := range cached.Metadata {
		names[name] = true
	}
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	for _, name := range sorted {
		if l, o := live.Metadata[name], cached.Metadata[name]; l != o {
			c.Metadata = append(c.Metadata, DiffMetadata{live.Kid, name, plain(l), plain(o)})
		}
	}
	for name, l := range live.Numbers {
		if o, ok := cached.Numbers[name]; ok && l != o {
			c.reencoded = true
		}
	}
}

// plain is the text of a JSON string, and any other JSON as it is.
func plain(value string) string {
	var s string
	if json.Unmarshal([]byte(value), &s) == nil {
		return s
	}
	return value
}

func (c *comparison) verdict(live, cached runbook.KeySet) string {
	switch {
	case len(c.Rekeyed) > 0:
		return diffRekeyed
	case len(c.Added) > 0 && len(c.Removed) > 0 && !overlap(live.Thumbprints(), cached.Thumbprints()):
		return diffReplaced
	case len(c.Renamed) > 0:
		return diffRenamed
	case len(c.Added) > 0:
		return diffAdded
	case len(c.Removed) > 0:
		return diffRemoved
	case len(c.Metadata) > 0:
		return diffMetadataChanged
	case c.reencoded:
		return diffReencoded
	}
	return diffSame
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(t string) bool { return slices.Contains(b, t) })
}
