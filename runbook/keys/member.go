package keys

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
)

const (
	// maxMembers is the number of members of one key that are looked at; real
	// keys have about ten.
	maxMembers = 256
	// maxMetadata is the longest value that is kept as it is; a longer one is
	// kept as its digest, which is enough to compare.
	maxMetadata = 512
)

// privateNames are the members that hold private material: RFC 7518 sections
// 6.2.2 and 6.3.2, and "priv" of the AKP type (ML-DSA).
var privateNames = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "priv"}

// meaningful are the members that the reader goes by.
var meaningful = []string{"kid", "kty", "use", "alg", "key_ops", "n", "e", "crv", "x", "y", "x5c", "pub"}

// numberNames are the members that a thumbprint is made of, besides kty.
var numberNames = []string{"n", "e", "crv", "x", "y"}

// rawKey is one key as text, member by member, without the values of private
// and symmetric members.
type rawKey struct {
	members []member // the last value of each name
	twice   []string // names that appear more than once
	private []string // private members that hold something
	hollow  []string // private members that are there and empty
	secret  bool     // a symmetric value is there
	more    bool     // there are more members than maxMembers
}

func splitKey(raw []byte) rawKey {
	k := rawKey{members: make([]member, 0, 8)}
	members(raw, k.add)
	return k
}

// get returns the raw value of a member, nil when it is absent.
func (k *rawKey) get(name string) []byte {
	if i := k.index(name); i >= 0 {
		return k.members[i].value
	}
	return nil
}

func (k *rawKey) index(name string) int {
	for i := range k.members {
		if k.members[i].name == name {
			return i
		}
	}
	return -1
}

func (k *rawKey) add(name string, value []byte) {
	switch {
	case strings.EqualFold(name, "k"):
		k.secret = k.secret || !isEmpty(value)
	case isPrivate(name):
		list := &k.private
		if isEmpty(value) {
			if strings.EqualFold(name, "oth") {
				return // no further primes: nothing is said by it
			}
			list = &k.hollow
		}
		if !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	default:
		k.put(name, value)
	}
}

// put keeps the last value of a name. Beyond maxMembers only the members that
// mean something are looked at.
func (k *rawKey) put(name string, value []byte) {
	if i := k.index(name); i >= 0 {
		k.members[i].value = value
		if !slices.Contains(k.twice, name) {
			k.twice = append(k.twice, name)
		}
		return
	}
	if len(k.members) >= maxMembers && !slices.Contains(meaningful, name) {
		k.more = true
		return
	}
	k.members = append(k.members, member{name, value})
}

// isPrivate ignores case, as some libraries do when they read members.
func isPrivate(name string) bool {
	return len(name) <= 4 && slices.ContainsFunc(privateNames, func(p string) bool { return strings.EqualFold(p, name) })
}

// text returns a member that should be a string, and what is wrong with it.
func (k *rawKey) text(name string) (value, problem string) {
	raw := k.get(name)
	switch {
	case len(raw) == 0 || raw[0] == 'n':
		return "", ""
	case raw[0] != '"':
		return "", fmt.Sprintf("member %s: %s, not a string", name, kind(raw))
	}
	return runbook.Clip(unquote(raw), 120), ""
}

// metadata returns the members that are neither numbers nor names, in a form
// that can be compared and shown.
func (k *rawKey) metadata(b *budget.Budget) map[string]string {
	var out map[string]string
	for _, m := range k.members {
		if m.name == "kid" || m.name == "kty" || slices.Contains(numberNames, m.name) {
			continue
		}
		if out == nil {
			out = make(map[string]string, 2)
		}
		out[runbook.Clip(m.name, 60)] = compactValue(b, m.name, m.value)
	}
	return out
}

// compactValue is the canonical JSON text of a member, or its digest when it is
// long or may hold a secret in some way that no standard names.
func compactValue(budget *budget.Budget, name string, raw []byte) string {
	if raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && len(raw) <= maxMetadata && !secretive(name, raw) {
		return string(raw)
	}
	text := raw
	if len(raw) <= maxCompact && budget.Bytes(compactBytes*nodesOf(raw)+6*len(raw)) && budget.Steps(compactSteps*len(raw)) {
		var v any
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if d.Decode(&v) == nil {
			if b, err := json.Marshal(v); err == nil {
				text = b
			}
		}
	}
	if len(text) <= maxMetadata && !secretive(name, text) {
		return string(text)
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf(`"sha256:%s (%d bytes)"`, hex.EncodeToString(sum[:8]), len(text))
}

const (
	// maxCompact is the longest value that is brought into a canonical form.
	maxCompact = 64 << 10
	// compactBytes and compactSteps are what that costs for each value and byte.
	compactBytes, compactSteps = 256, 32
)

// nodesOf is at least the number of values in a JSON text.
func nodesOf(raw []byte) (n int) {
	for _, c := range raw {
		switch c {
		case '[', '{', ',', ':':
			n++
		}
	}
	return n + 1
}

// secretive says that a member of no standard looks like a secret: by its name,
// by PEM text, or by a private member in an object inside it.
func secretive(name string, text []byte) bool {
	if slices.Contains(meaningful, name) && text[0] == '"' {
		return false
	}
	lower := strings.ToLower(name)
	for _, word := range []string{"secret", "priv", "passw", "token", "seed"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	if bytes.Contains(text, []byte("PRIVATE KEY")) {
		return true
	}
	if text[0] == '"' {
		return bytes.Contains(text, []byte(`\"`)) // JSON inside a string
	}
	return bytes.IndexByte(text, '{') >= 0
}
