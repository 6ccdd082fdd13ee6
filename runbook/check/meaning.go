package check

import (
	"net/url"
	"strings"

	"jwksbot/runbook"
)

// ForeignIssuer names the other issuer that an entry belongs to, or "". It
// trusts the envelope first, then a pool id or URL in the key name.
func (t *Target) ForeignIssuer(e runbook.Entry) string {
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
		ours := runbook.Cognito.Pool(t.Issuer + " " + t.JWKSURL)
		if pool := runbook.Cognito.Pool(name); pool != "" && ours != "" && pool != ours {
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

// OwnName says that nothing in the name of an entry tells of another issuer.
func (t *Target) OwnName(name string) bool {
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
