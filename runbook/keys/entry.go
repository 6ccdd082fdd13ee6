package keys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"jwksbot/runbook"
)

// kidMarks stand before the kid in the names of entries that hold one key each.
var kidMarks = []string{":negative:", ":kid:", ":key:", ":jwk:", ":pem:"}

// noKids are last parts of entry names that say what is in the entry, not which
// key.
var noKids = []string{"jwks", "jwk", "keys", "key", "keyset", "key_set", "pem", "current", "public", "cache", "cached", "default", "all", "latest", "set", "directory", "value", "data", "certs", "jwks.json"}

// kidOf returns the kid that the name of a per-kid entry ends in, "" when it
// does not look like one. A kid may contain "+", "/", "=", ".", ":"; nothing is
// ever split at "/".
func kidOf(name string) string {
	if _, kid, ok := strings.Cut(name, "#"); ok {
		return kid // lua-resty-openidc: jwks_uri#kid
	}
	for _, mark := range kidMarks {
		if _, kid, ok := strings.Cut(":"+name, mark); ok {
			return kid
		}
	}
	i := strings.LastIndexByte(name, ':')
	if i < 0 {
		return ""
	}
	last := name[i+1:]
	if strings.HasPrefix(last, "//") || slices.Contains(noKids, strings.ToLower(last)) {
		return ""
	}
	return last
}

// negativeTokens are values that say that something does not exist.
var negativeTokens = []string{"negative", "not_found", "notfound", "not-found", "not found", "missing", "unknown_kid", "kid_not_found", "no_key", "absent", "none"}

// negative says whether an entry is a marker that a kid does not exist, by its
// name or by its small value, and about which kid.
func negative(name string, value []byte, kid string) (bool, string) {
	value = bytes.TrimSpace(value)
	marker := slices.ContainsFunc(strings.FieldsFunc(strings.ToLower(name), isSeparator), func(part string) bool {
		return part == "negative" || part == "neg" || part == "notfound" || part == "missing"
	})
	marker = marker && len(value) <= 256
	if len(value) <= 256 {
		said, about := negativeValue(value)
		marker = marker || said
		if kid == "" {
			kid = about
		}
	}
	return marker, kid
}

func isSeparator(r rune) bool { return strings.ContainsRune(":|#_-.", r) }

// negativeValue reads a token, or an object with a member that says it.
func negativeValue(value []byte) (said bool, kid string) {
	token := strings.ToLower(strings.Trim(string(value), `"`))
	if slices.Contains(negativeTokens, token) {
		return true, ""
	}
	var object map[string]any
	if json.Unmarshal(value, &object) != nil {
		return false, ""
	}
	for name, v := range object {
		switch strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name)) {
		case "negative", "notfound", "missing", "absent", "unknownkid":
			said = said || v == true
		case "found", "exists":
			said = said || v == false
		case "kid":
			kid, _ = v.(string)
		case "status", "error", "state", "result":
			text, _ := v.(string)
			said = said || slices.Contains(negativeTokens, strings.ToLower(text)) && object["kid"] != nil
		}
	}
	return said, kid
}

// collection reads the parts of a hash, set, sorted set or list.
func (d *document) collection(e runbook.RawEntry) error {
	field := func(name string) []byte {
		for _, part := range e.Parts {
			if part.Field == name {
				return part.Value
			}
		}
		return nil
	}
	d.set.Shape = runbook.ShapeEnvelope
	switch {
	case e.Type == "hash" && field("data") != nil && (field("absexp") != nil || field("sldexp") != nil):
		// Microsoft.Extensions.Caching.StackExchangeRedis
		d.path = append(d.path, ".NET cache hash")
		return d.stored(field("data"), 1, 1, kidOf(e.Name))
	case e.Type == "hash" && field("kty") != nil:
		d.path = append(d.path, "hash with the members of a key")
		d.set.Shape = runbook.ShapeJWK
		d.single = true
		if !d.budget.Nodes(4*len(e.Parts)) || !d.budget.Bytes(fieldBytes*e.Size()) {
			return errSpent
		}
		return d.key(fieldsToJSON(e.Parts), origin{index: 1, kid: kidOf(e.Name)})
	case e.Type == "hash":
		d.path = append(d.path, "hash from kid to key")
	case e.Type == "set", e.Type == "zset", e.Type == "list":
		d.set.Shape = runbook.ShapeArray
		d.path = append(d.path, e.Type+" of keys")
	default:
		d.nature = natureBinary
		return fmt.Errorf("a value of the Redis type %q, which holds no keys in any known way", runbook.Clip(e.Type, 40))
	}
	return d.parts(e)
}

// parts reads each part as a document of its own; one that holds no key is a
// problem of the whole and hides no other.
func (d *document) parts(e runbook.RawEntry) error {
	path := d.path
	var first error
	for i, part := range e.Parts {
		if !d.budget.Steps(partSteps) || !d.budget.Bytes(partBytes) {
			return errSpent
		}
		if e.Type == "hash" && d.aside(part) {
			continue
		}
		place, kid, value := fmt.Sprintf("member %d", i+1), "", part.Value
		if e.Type == "hash" {
			place, kid = fmt.Sprintf("field %q", runbook.Clip(part.Field, 80)), part.Field
		} else if len(value) == 0 {
			value = []byte(part.Field)
		}
		err := d.stored(value, 1, 1, kid)
		if err != nil {
			d.problem("%s: %s", place, err)
			if first == nil {
				first = fmt.Errorf("%s: %w", place, err)
			}
		}
		if i == 0 && err == nil {
			path = d.path
		}
	}
	d.path, d.single = path, false
	if len(d.set.Keys) == 0 && first != nil {
		return first
	}
	return nil
}

// aside reads the fields of a hash that stand beside its keys.
func (d *document) aside(part runbook.RawPart) bool {
	switch {
	case slices.Contains(writtenNames, part.Field):
		text := part.Value
		if len(text) <= maxWritten && !json.Valid(text) {
			text = []byte(quote(string(text)))
		}
		d.noteWritten(text)
	case part.Field == "issuer" || part.Field == "iss":
		d.issuer = runbook.Clip(string(bytes.Trim(part.Value, `"`)), 300)
	default:
		return false
	}
	return true
}

// fieldBytes is the memory for each byte of a hash that is read as one key.
const fieldBytes = 16

// fieldsToJSON writes the fields of a hash as an object of strings.
func fieldsToJSON(parts []runbook.RawPart) []byte {
	object := make(map[string]any, len(parts))
	for _, part := range parts {
		object[part.Field] = string(part.Value)
		if len(part.Value) > 0 && part.Value[0] == '[' && json.Valid(part.Value) {
			object[part.Field] = json.RawMessage(part.Value)
		}
	}
	b, err := json.Marshal(object)
	if err != nil {
		return []byte("{}")
	}
	return b
}
