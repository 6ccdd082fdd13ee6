package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"jwksbot/runbook"
)

// wrappers are the member names under which applications wrap keys, most
// telling first (facts: envelopes of Rust, Node and LTI stores).
var wrappers = []string{"jwks", "jwks_json", "jwksJson", "jwk", "key_set", "keyset", "keySet", "data", "value", "payload", "body", "result", "response", "key"}

// writtenNames are the members that say when an envelope was written.
var writtenNames = []string{"fetched_at", "fetchedAt", "uat", "cached_at", "cachedAt", "updated_at", "updatedAt", "created_at", "createdAt", "timestamp", "stored_at", "storedAt", "last_updated", "lastUpdated"}

// member is one member of an object, in the order of the text.
type member struct {
	name  string
	value []byte
}

// outline is what matters of an object that may hold keys.
type outline struct {
	keys     []byte   // the last "keys"
	spelling string   // how it is spelled, when not "keys"
	twice    bool     // "keys" appears more than once
	parts    []member // members that may hold keys
	names    []string // the first few names, for people
	isKey    bool
}

func (d *document) outline(raw []byte) outline {
	o := outline{isKey: looksLikeKey(raw)}
	members(raw, func(name string, value []byte) {
		if len(o.names) < 5 {
			o.names = append(o.names, fmt.Sprintf("%q", runbook.Clip(name, 40)))
		}
		switch {
		case name == "keys" || o.keys == nil && strings.EqualFold(name, "keys"):
			o.twice = o.twice || o.keys != nil && o.spelling == ""
			o.keys, o.spelling = value, ""
			if name != "keys" {
				o.spelling = name
			}
		case name == "issuer" || name == "iss":
			if value[0] == '"' && d.issuer == "" {
				d.issuer = runbook.Clip(unquote(value), 300)
			}
		case slices.Contains(writtenNames, name):
			d.noteWritten(value)
		case len(o.parts) < maxKeys && mayHoldKeys(name, value):
			o.parts = append(o.parts, member{name, value})
		}
	})
	return o
}

// mayHoldKeys is a cheap filter before a member is read in earnest. Something
// empty says "no keys" only under a name that is for keys.
func mayHoldKeys(name string, value []byte) bool {
	if slices.Contains(wrappers, name) {
		return strings.IndexByte(`{["`, value[0]) >= 0
	}
	switch value[0] {
	case '{', '[':
		return !isEmpty(value)
	case '"':
		return bytes.Contains(value, []byte("kty")) || bytes.Contains(value, []byte("keys")) || bytes.Contains(value, pemBegin)
	}
	return false
}

// object reads a set, a key, a map from kid to key, or an envelope.
func (d *document) object(raw []byte, depth int, kid string) error {
	if !d.budget.Steps(passes*len(raw)) || !d.budget.Bytes(2*len(raw)) {
		return errSpent
	}
	o := d.outline(raw)
	if o.keys != nil {
		return d.keysMember(o, depth)
	}
	if o.isKey {
		d.shape(runbook.ShapeJWK, depth)
		d.path, d.single = append(d.path, "JSON key"), true
		return d.key(raw, origin{index: len(d.set.Keys) + 1, kid: kid})
	}
	d.shape(runbook.ShapeEnvelope, depth)
	if d.byKid(o) || d.envelope(o, depth) {
		return nil
	}
	if d.budget.Spent() {
		return errSpent
	}
	d.nature = natureJSON
	if len(o.names) == 0 {
		return errors.New("JSON, but no keys: an object without members")
	}
	return fmt.Errorf("JSON, but no keys: an object with the members %s", strings.Join(o.names, ", "))
}

// key reads one key by itself.
func (d *document) key(raw []byte, from origin) error {
	if !affordKey(d.budget, raw) {
		return errSpent
	}
	d.add(readKey(d.budget, raw, from))
	return nil
}

// keysMember reads what is under "keys".
func (d *document) keysMember(o outline, depth int) error {
	if o.twice {
		d.problem("member keys: appears more than once, the last one counts")
	}
	if o.spelling != "" {
		d.problem("member keys: is spelled %q, which verifiers do not read", o.spelling)
	}
	switch o.keys[0] {
	case '[', 'n':
		o.keys = untyped(o.keys)
		d.shape(runbook.ShapeSet, depth)
		if o.spelling != "" {
			d.shape(runbook.ShapeEnvelope, depth)
		}
		d.path = append(d.path, "JSON key set")
		return d.elements(o.keys)
	case '{', '"':
		d.shape(runbook.ShapeEnvelope, depth)
		d.path = append(d.path, "JSON envelope (keys)")
		if depth < maxDepth {
			if err := d.value(o.keys, depth+1, ""); err != nil {
				return fmt.Errorf("member keys: %w", err)
			}
			return nil
		}
	}
	d.nature = natureJSON
	return fmt.Errorf("member keys: %s, not an array", kind(o.keys))
}

// untyped takes off the class name that Jackson writes with default typing:
// ["java.util.ArrayList", […]].
func untyped(raw []byte) []byte {
	var parts [][]byte
	elements(raw, func(v []byte) bool { parts = append(parts, v); return len(parts) < 3 })
	if len(parts) == 2 && parts[0][0] == '"' && parts[1][0] == '[' && bytes.HasPrefix(parts[0], []byte(`"java.`)) {
		return parts[1]
	}
	return raw
}

// byKid reads an object whose member names are kids and whose values are keys
// or PEM, and says whether it is one.
func (d *document) byKid(o outline) bool {
	found := false
	for _, m := range o.parts {
		switch {
		case slices.Contains(wrappers, m.name):
		case looksLikeKey(m.value):
			found = d.key(m.value, origin{index: len(d.set.Keys) + 1, kid: m.name}) == nil || found
		case m.value[0] == '"' && bytes.HasPrefix(m.value[1:], pemBegin):
			found = d.pem([]byte(unquote(m.value)), m.name) == nil || found
		}
	}
	if found {
		d.path = append(d.path, "JSON map from kid to key")
	}
	return found
}

// envelope looks for keys under each member that may hold them, and says
// whether there were any. The first known name that holds some is the only one
// that counts; under other names (a map from issuer to set, current and
// previous) all do.
func (d *document) envelope(o outline, depth int) bool {
	if depth >= maxDepth {
		return false
	}
	slices.SortStableFunc(o.parts, func(a, b member) int { return rank(a.name) - rank(b.name) })
	found := false
	for _, m := range o.parts {
		if !d.budget.Steps(partSteps) || !d.budget.Bytes(partBytes) {
			return false
		}
		before := *d
		d.path = append(slices.Clone(d.path), "JSON envelope ("+runbook.Clip(m.name, 40)+")")
		if d.value(m.value, depth+1, "") != nil {
			*d = before // what a wrong guess noted does not count
			continue
		}
		if found { // the first one names the format
			d.path, d.single = before.path, false
		}
		if found = true; rank(m.name) < len(wrappers) {
			break
		}
	}
	return found
}

func rank(name string) int {
	if i := slices.Index(wrappers, name); i >= 0 {
		return i
	}
	return len(wrappers)
}

// maxWritten is the longest text of a time.
const maxWritten = 64

// noteWritten reads a time in seconds, milliseconds or RFC 3339.
func (d *document) noteWritten(value []byte) {
	if !d.written.IsZero() || len(value) > maxWritten || len(value) == 0 {
		return
	}
	if value[0] == '"' {
		if t, err := time.Parse(time.RFC3339, unquote(value)); err == nil {
			d.written = t.UTC()
		}
		return
	}
	var seconds float64
	if json.Unmarshal(value, &seconds) != nil {
		return
	}
	if seconds > 1e11 {
		seconds /= 1000
	}
	if seconds > 1e9 && seconds < 1e10 {
		d.written = time.UnixMilli(int64(seconds * 1000)).UTC()
	}
}
