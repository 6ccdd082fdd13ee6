package runbook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"time"
)

// Key is what may be said in public about one JSON Web Key. It never holds a
// private or symmetric value.
type Key struct {
	Kid        string   `json:"kid"`        // "" when missing, null or empty
	Thumbprint string   `json:"thumbprint"` // RFC 7638 SHA-256 over normalised numbers, base64url; "" when there is none
	Kty        string   `json:"kty"`
	Alg        string   `json:"alg"`
	Use        string   `json:"use"`
	Usable     bool     `json:"usable"`   // a mainstream verifier can check a signature with it
	Problems   []string `json:"problems"` // never nil in JSON

	// Numbers are the thumbprint's members as they were written (n, e, crv, x,
	// y), so that a re-encoded key can be told from a changed one.
	Numbers map[string]string `json:"-"`
	// Metadata are all other public members as compact JSON (use, alg, key_ops,
	// x5c, …), without kid, kty and the members of the thumbprint.
	Metadata map[string]string `json:"-"`
}

// Shapes of a document that holds keys.
const (
	ShapeSet        = "set"        // {"keys": […]}
	ShapeJWK        = "jwk"        // one bare key
	ShapeArray      = "array"      // […] of keys, without the wrapper
	ShapeString     = "string"     // JSON inside a JSON string
	ShapeEnvelope   = "envelope"   // the keys below some other member
	ShapePEM        = "pem"        // a PEM public key or certificate
	ShapeUnreadable = "unreadable" // none of these
)

// KeySet is a document that holds keys, read key by key, so that one broken
// key never hides the others.
type KeySet struct {
	Shape    string   `json:"shape"`
	Usable   int      `json:"usable"` // number of usable keys
	Keys     []Key    `json:"keys"`
	Problems []string `json:"problems"`

	// PrivatePublished and SymmetricPublished tell of leaked key material; the
	// material itself is not kept.
	PrivatePublished   bool `json:"-"`
	SymmetricPublished bool `json:"-"`
}

// ProblemEmptySet marks a readable document that holds no keys.
const ProblemEmptySet = "empty_set"

// Thumbprints returns the distinct thumbprints of the set, sorted.
func (s KeySet) Thumbprints() []string {
	seen := map[string]bool{}
	var out []string
	for _, k := range s.Keys {
		if k.Thumbprint != "" && !seen[k.Thumbprint] {
			seen[k.Thumbprint] = true
			out = append(out, k.Thumbprint)
		}
	}
	sort.Strings(out)
	return out
}

// Content says what the bytes of a cache entry turned out to be.
type Content string

// Contents of a cache entry.
const (
	ContentKeys     Content = "keys"     // at least one key was read
	ContentEmpty    Content = "empty"    // a key set without keys, or no bytes at all
	ContentPoison   Content = "poison"   // readable, but no key set: an HTML page, an error body, cut-off JSON
	ContentNegative Content = "negative" // a marker that says "this kid does not exist"
	ContentUnknown  Content = "unknown"  // no decoder fits
)

// RawEntry is one cache entry as it is stored. Values never leave the process.
type RawEntry struct {
	Name  string        // the full Redis key
	Shard string        // which primary holds it, for people ("10.0.1.7:6379" or "0002")
	Type  string        // Redis type: string, hash, set, zset, list, …
	TTL   time.Duration // time left; NoExpiry when it never expires
	Value []byte        // a string's value
	Parts []RawPart     // the fields or members of a collection
	Bytes int           // size of the stored value, also when it was not read
	// Unread says why the value was not read: "too large: 262,144,000 bytes, not
	// read"; "" when it was.
	Unread string
	// Elements are the fields or members of a collection that was not read.
	Elements int64
}

// Size is how many bytes were read.
func (e RawEntry) Size() int {
	n := len(e.Value)
	for _, p := range e.Parts {
		n += len(p.Field) + len(p.Value)
	}
	return n
}

// RawPart is one field of a hash or one member of a set, sorted set or list.
type RawPart struct {
	Field string
	Value []byte
}

// NoExpiry is the TTL of an entry that never expires.
const NoExpiry time.Duration = -1

// Reading is what a decoder made of one RawEntry.
type Reading struct {
	Format  string    // the decoder that fired, for people: "JSON key set", "gzip > JSON key set", …
	Content Content   //
	Set     KeySet    //
	Issuer  string    // the issuer that an envelope names, else ""
	Kid     string    // the kid that a per-kid key name or negative marker is about, else ""
	Written time.Time // when it was written, if the format says so
	Note    string    // what the bytes look like when they are no keys: "HTML page, 512 bytes"
	// Unread says why nobody knows what the entry holds, where no decoder was to
	// blame: it is too large, or took more than reading may cost.
	Unread string
}

// UnreadReading is the reading of an entry that was not read, or not to its end.
func UnreadReading(why, kid string) Reading {
	return Reading{Format: "unknown", Content: ContentUnknown, Kid: kid, Note: why, Unread: why,
		Set: KeySet{Shape: ShapeUnreadable, Keys: []Key{}, Problems: []string{why}}}
}

// Costs of what is kept of a key, as Go allocates it.
const (
	keptKey    = 192 // the struct and its place in a list
	keptMap    = 384 // a map of up to eight members
	keptString = 16  // the header of a string in a list
)

// Kept is about how much memory a reading holds.
func (r Reading) Kept() int {
	n := len(r.Note) + len(r.Issuer) + len(r.Kid) + texts(r.Set.Problems)
	for _, k := range r.Set.Keys {
		n += keptKey + len(k.Kid) + len(k.Thumbprint) + len(k.Kty) + len(k.Alg) + len(k.Use) + texts(k.Problems) + members(k.Numbers) + members(k.Metadata)
	}
	return n
}

func texts(list []string) (n int) {
	for _, s := range list {
		n += keptString + len(s)
	}
	return n
}

func members(m map[string]string) (n int) {
	if m == nil {
		return 0
	}
	n = keptMap * (1 + len(m)/8)
	for name, value := range m {
		n += len(name) + len(value)
	}
	return n
}

// MeaningOf identifies what a key set says (kid and thumbprint of every key),
// whatever its order, white space and encoding.
func MeaningOf(s KeySet) string {
	parts := make([]string, 0, len(s.Keys))
	for _, k := range s.Keys {
		parts = append(parts, k.Kid+"="+k.Identity())
	}
	sort.Strings(parts)
	return strings.Join(parts, "\n")
}

// Identity is the thumbprint, or what stands in for one on a key that has none.
func (k Key) Identity() string {
	if k.Thumbprint != "" {
		return k.Thumbprint
	}
	return "no thumbprint, kty " + k.Kty
}

// Digest identifies the stored bytes.
func (e RawEntry) Digest() string {
	h := sha256.New()
	h.Write([]byte(e.Type + "\x00"))
	if e.Unread != "" { // what is known of it: a collection's size depends on how the server keeps it
		fmt.Fprintf(h, "unread %d", e.Elements)
		if e.Elements == 0 {
			fmt.Fprintf(h, " %d", e.Bytes)
		}
	}
	h.Write(e.Value)
	for _, p := range e.Parts {
		h.Write([]byte("\x00" + p.Field + "\x00"))
		h.Write(p.Value)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Meaning identifies what the entry says: its keys, or its bytes if it holds none.
func (e Entry) Meaning() string {
	if e.Reading.Content == ContentKeys {
		return e.Reading.Set.Meaning()
	}
	return string(e.Reading.Content) + " " + e.Digest
}

// Meaning identifies what an entry says that holds these keys.
func (s KeySet) Meaning() string {
	sum := sha256.Sum256([]byte(MeaningOf(s)))
	return "keys " + hex.EncodeToString(sum[:16])
}
