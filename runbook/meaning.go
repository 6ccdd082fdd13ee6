package runbook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"sort"
	"strings"
)

// meaningOf identifies what a key set says (kid and thumbprint of every key),
// whatever its order, white space and encoding.
func meaningOf(s KeySet) string {
	parts := make([]string, 0, len(s.Keys))
	for _, k := range s.Keys {
		parts = append(parts, k.Kid+"="+k.identity())
	}
	sort.Strings(parts)
	return strings.Join(parts, "\n")
}

// identity is the thumbprint, or what stands in for one on a key that has none.
func (k Key) identity() string {
	if k.Thumbprint != "" {
		return k.Thumbprint
	}
	return "no thumbprint, kty " + k.Kty
}

// digest identifies the stored bytes.
func (e RawEntry) digest() string {
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

// meaning identifies what the entry says: its keys, or its bytes if it holds none.
func (e Entry) meaning() string {
	if e.Reading.Content == ContentKeys {
		return e.Reading.Set.meaning()
	}
	return string(e.Reading.Content) + " " + e.Digest
}

// meaning identifies what an entry says that holds these keys.
func (s KeySet) meaning() string {
	sum := sha256.Sum256([]byte(meaningOf(s)))
	return "keys " + hex.EncodeToString(sum[:16])
}

// cognitoPool finds a user pool id, as it stands in key names and issuers.
var cognitoPool = regexp.MustCompile(`\b[a-z]{2}(?:-[a-z]+)+-\d_[A-Za-z0-9]+`)

// foreignIssuer names the other issuer that an entry belongs to, or "". It
// trusts the envelope first, then a pool id or URL in the key name.
func (t *Target) foreignIssuer(e Entry) string {
	if t.Issuer == "" && t.JWKSURL == "" {
		return ""
	}
	if iss := e.Reading.Issuer; iss != "" {
		if sameIssuer(iss, t.Issuer) || sameIssuer(iss, t.JWKSURL) {
			return ""
		}
		return iss
	}
	return t.foreignName(e.Name)
}

// foreignName names the other issuer that the name of an entry tells of, or "".
func (t *Target) foreignName(name string) string {
	if strings.Contains(name, "_") { // a flush by name asks of a million names
		ours := cognitoPool.FindString(t.Issuer + " " + t.JWKSURL)
		if pool := cognitoPool.FindString(name); pool != "" && ours != "" && pool != ours {
			return pool
		}
	}
	if i := strings.Index(name, "https://"); i >= 0 {
		if u := name[i:]; !below(u, t.Issuer) && !below(u, t.JWKSURL) {
			return u
		}
	}
	return ""
}

// ownName says that nothing in the name of an entry tells of another issuer.
func (t *Target) ownName(name string) bool {
	return t.Issuer == "" && t.JWKSURL == "" || t.foreignName(name) == ""
}

// sameIssuer compares issuers as people write them: a trailing slash and the
// well-known path do not make another issuer.
func sameIssuer(a, b string) bool { return b != "" && trimIssuer(a) == trimIssuer(b) }

func trimIssuer(s string) string {
	s, _, _ = strings.Cut(s, "/.well-known/")
	return strings.TrimRight(s, "/")
}

// below says whether the URL names ours or something under it: realms of one
// host are different issuers.
func below(u, ours string) bool {
	a, errA := url.Parse(trimIssuer(u))
	b, errB := url.Parse(trimIssuer(ours))
	if errA != nil || errB != nil || b.Host == "" || !strings.EqualFold(a.Host, b.Host) {
		return false
	}
	rest, ok := strings.CutPrefix(a.Path, b.Path)
	return a.Path == "" || ok && (rest == "" || rest[0] == '/')
}
