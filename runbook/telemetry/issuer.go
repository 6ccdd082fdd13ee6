package telemetry

import (
	"regexp"
	"strings"

	"jwksbot/runbook/redact"
)

// maxIssuer is the longest issuer that is reported.
const maxIssuer = 256

// issuerForms are the places where failing lines name the issuer of the token,
// the surest first. In messages that give both sides it comes first
// (aws-jwt-verify) or after a word that says so (go-oidc, ruby-jwt, jjwt). The
// hint spares the search in lines that cannot match.
var issuerForms = []struct {
	hint string
	re   func() *regexp.Regexp
}{
	{" got ", pattern(`(?i)\b(?:issuer|iss|different provider)\b.*?\bgot\s*\\*["'\[]?(https?://[^\s"'\\,;\])]+)`)},
	{"received", pattern(`(?i)\b(?:issuer|iss)\b.*?\breceived:?\s*\\*["'\[]?(https?://[^\s"'\\,;\])]+)`)},
	{"but was", pattern(`(?i)\b(?:issuer|iss)\b.*?\bbut was:?\s*\\*["'\[]?(https?://[^\s"'\\,;\])]+)`)},
	{"not allowed: ", pattern(`(?i)issuer not allowed:\s*\\*["']?([^\s"'\\,;]+)`)},
	{"IDX10205", pattern(`Issuer: '([^']+)'`)},
	{"", pattern(`\b(?:iss|issuer|token_issuer|tokenIssuer)\\*["']?\s*[:=]\s*\\*["']?(https?://[^\s"'\\,;}\])]+)`)},
}

// findIssuer returns the issuer of the token that failed: from a message that
// names it, a structured field, or the claims of a token in the line; "" when
// none is named.
func findIssuer(text string) string {
	if strings.Contains(text, "iss") || strings.Contains(text, "ssue") {
		for _, f := range issuerForms {
			if f.hint != "" && !strings.Contains(text, f.hint) {
				continue
			}
			if m := f.re().FindStringSubmatch(text); m != nil {
				return cleanIssuer(strings.TrimRight(m[1], "."))
			}
		}
	}
	var claims struct {
		Iss any `json:"iss"`
	}
	if decodeToken(text, 1, &claims) {
		iss, _ := claims.Iss.(string)
		return cleanIssuer(iss)
	}
	return ""
}

func cleanIssuer(iss string) string {
	if len(iss) > maxIssuer || redact.Text(iss) != iss || strings.ContainsFunc(iss, func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xfffd }) {
		return ""
	}
	return iss
}
