package redact

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
)

// What stands where a secret was. The words say what was there, so that a
// reader of a log line still understands it.
const (
	markToken      = "[redacted token]"
	markKey        = "[redacted key]"
	markPassword   = "[redacted password]"
	markCredential = "[redacted credential]"
	markSlack      = "[redacted Slack token]"
)

var marks = []string{markToken, markKey, markPassword, markCredential, markSlack}

// Text replaces every secret in s with words in brackets: signed, unsecured
// and encrypted JSON Web Tokens, Authorization headers and Bearer and Basic
// credentials, AWS access keys, Slack tokens and webhooks, passwords and other
// secrets in key=value pairs, JSON members and URLs, private keys in PEM and
// in JWK. It is meant for text that leaves the program: log lines of others
// and what people type. It errs on the side of hiding too much, takes time
// linear in the length of s, and redacting twice changes nothing more.
func Text(s string) string {
	// Later passes may uncover what an earlier one could not see (the end of
	// one secret is the beginning of another), hence once more until nothing
	// changes; text in practice is done after the first round.
	for range 4 {
		r := redactOnce(s)
		if r == s {
			break
		}
		s = r
	}
	return s
}

func redactOnce(s string) string {
	s = redactPEM(s)
	s = redactUserinfo(s)
	s = redactTokens(s)
	// Marks hold hints too, yet never a name in front of a value.
	lower := strings.ToLower(s)
	for _, p := range plainSecrets {
		if containsAny(lower, p.hints) {
			s = p.re().ReplaceAllString(s, p.with)
		}
	}
	for _, p := range namedSecrets {
		if containsAny(lower, p.hints) {
			s = redactValues(s, p.key(), p.value)
		}
	}
	return s
}

// pattern is a regular expression that is compiled when it is first needed.
// Compiled at the start, those for redaction and for log lines would cost a
// tenth of the time to the first acknowledgement, and idle memory.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// plainSecrets are recognised by their own shape, whatever stands around them.
var plainSecrets = []struct {
	hints []string // in lower case
	re    func() *regexp.Regexp
	with  string
}{
	{[]string{"xox", "xapp-", "xwfp-"}, pattern(`xoxe\.xox[a-z]-[A-Za-z0-9._-]+|xox[a-z][-.][A-Za-z0-9._-]+|xapp-[A-Za-z0-9._-]+|xwfp-[A-Za-z0-9._-]+`), markSlack},
	{[]string{"hooks.slack"}, pattern(`(?i)(hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/)[A-Za-z0-9/_-]+`), "${1}" + markSlack},
	{[]string{"?ticket="}, pattern(`(?i)(slack(?:-gov)?\.com/link/?\?ticket=)[^\s"'&\[]+`), "${1}" + markSlack},
	{[]string{"code=", "assertion=", "samlresponse="}, pattern(`(?i)([?&](?:code|client_assertion|assertion|samlresponse)=)[^\s"'&\[]+`), "${1}" + markCredential},
	{[]string{"akia", "asia"}, pattern(`(?:AKIA|ASIA)[A-Z0-9]{12,}`), markKey},
	{[]string{"gh", "github_pat_"}, pattern(`gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}`), markKey},
	{[]string{"redis-cli"}, pattern(`(?i)(redis-cli\b[^\n|;]{0,200}?\s-a\s+)[^\s\[]\S*`), "${1}" + markPassword},
}

// redactPEM hides private keys from BEGIN to END, or to the end of the text
// when the END was cut off.
func redactPEM(s string) string {
	var out strings.Builder
	for {
		loc := pemBegin().FindStringIndex(s)
		if loc == nil {
			break
		}
		out.WriteString(s[:loc[0]])
		out.WriteString(markKey)
		end := pemEnd().FindStringIndex(s[loc[1]:])
		if end == nil {
			return out.String()
		}
		s = s[loc[1]+end[1]:]
	}
	if out.Len() == 0 {
		return s
	}
	out.WriteString(s)
	return out.String()
}

var (
	pemBegin = pattern(`-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----`)
	pemEnd   = pattern(`-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----`)
)

// redactUserinfo hides the password (or a lone user, which then is a token) of
// URLs like redis://user:password@host.
func redactUserinfo(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	var out strings.Builder
	for {
		i := strings.Index(s, "://")
		if i < 0 {
			break
		}
		before := s[:i]
		out.WriteString(s[:i+3])
		s = s[i+3:]
		// Another URL may follow without a blank between.
		end := strings.Index(s, "://")
		if end < 0 {
			end = len(s)
		}
		if stop := strings.IndexAny(s[:end], endsOfURL(before)); stop >= 0 {
			end = stop
		}
		user, rest, ok := userinfo(s[:end])
		if ok {
			if name, _, has := strings.Cut(user, ":"); has {
				out.WriteString(name)
				out.WriteByte(':')
			}
			out.WriteString(markPassword)
		}
		s = s[end-len(rest):]
	}
	out.WriteString(s)
	return out.String()
}

// endsOfURL are the letters of which the first ends a URL. In quotes, as net/url
// quotes what it cannot read, it may hold blanks.
func endsOfURL(before string) string {
	if quoted := strings.TrimRight(before, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-"); strings.HasSuffix(quoted, `"`) {
		return "\"\r\n"
	}
	return " \t\r\n\"'<>`"
}

// userinfo splits what follows "://" before the last @ that can belong to the
// authority; rest begins with that @.
func userinfo(u string) (user, rest string, ok bool) {
	authority := u
	if i := strings.IndexAny(u, "/?#"); i >= 0 {
		authority = u[:i]
	}
	at := strings.LastIndexByte(authority, '@')
	if at < 0 && !portOnly(authority) && strings.Contains(authority, ":") {
		// A raw slash inside the password: everything up to the @ is hidden.
		at = strings.IndexByte(u, '@')
	}
	if at <= 0 {
		return "", u, false
	}
	return u[:at], u[at:], true
}

// portOnly says whether host:port is all that an authority holds.
func portOnly(authority string) bool {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 {
		return false
	}
	return strings.Trim(authority[i+1:], "0123456789") == ""
}

// FindToken returns where the first JSON Web Token of s lies: two or more
// base64url segments with dots between, of which the first decodes to a JSON
// object. That covers signed (three segments), unsecured (an empty or missing
// third) and encrypted tokens (five), also ones that were cut off at the end.
func FindToken(s string) (start, end int, ok bool) {
	for i := 0; i < len(s); {
		if !isTokenByte(s[i]) {
			i++
			continue
		}
		run := i
		for run < len(s) && (isTokenByte(s[run]) || s[run] == '.') {
			run++
		}
		if a, b, found := tokenInRun(s[i:run]); found {
			return i + a, i + b, true
		}
		i = run
	}
	return 0, 0, false
}

// tokenInRun looks for a token in a run of base64url letters and dots.
func tokenInRun(run string) (start, end int, ok bool) {
	for at := 0; at < len(run); {
		dot := strings.IndexByte(run[at:], '.')
		if dot < 0 {
			return 0, 0, false
		}
		if dot+at+1 < len(run) {
			if off := headerIn(run[at : at+dot]); off >= 0 {
				return at + off, len(strings.TrimRight(run, ".")), true
			}
		}
		at += dot + 1
	}
	return 0, 0, false
}

// headerIn returns where in a segment an encoded JSON object begins, -1 when
// none does. A segment is decoded as a whole once; inside of it (a token glued
// to the word before it, as in %3DeyJ…) only a beginning of fixed length is.
func headerIn(seg string) int {
	if isHeader(seg) {
		return 0
	}
	for from := 0; ; {
		i := strings.Index(seg[from:], "ey")
		if i < 0 {
			return -1
		}
		if looksLikeHeader(seg[from+i:]) {
			return from + i
		}
		from += i + 2
	}
}

// isHeader says whether a segment is base64url of a JSON object.
func isHeader(seg string) bool {
	b, err := DecodeSegment(seg)
	if err != nil {
		return false
	}
	t := strings.TrimLeft(string(b), " \t\r\n")
	return strings.HasPrefix(t, "{") && json.Valid(b)
}

// looksLikeHeader judges by the first 16 decoded bytes: {"name.
func looksLikeHeader(seg string) bool {
	if len(seg) < 12 {
		return false
	}
	n := min(len(seg), 24) &^ 3
	b, err := DecodeSegment(seg[:n])
	if err != nil || b[0] != '{' {
		return false
	}
	t := strings.TrimLeft(string(b[1:]), " \t\r\n")
	if !strings.HasPrefix(t, `"`) {
		return false
	}
	for i := 1; i < len(t); i++ {
		if t[i] < ' ' || t[i] > '~' {
			return false
		}
		if t[i] == '"' {
			return i > 1
		}
	}
	return true
}

// DecodeSegment decodes one segment of a token, padded or not, in the
// base64url or the plain base64 alphabet.
func DecodeSegment(seg string) ([]byte, error) {
	seg = strings.TrimRight(seg, "=")
	if strings.ContainsAny(seg, "+/") {
		return base64.RawStdEncoding.DecodeString(seg)
	}
	return base64.RawURLEncoding.DecodeString(seg)
}

func isTokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

func redactTokens(s string) string {
	start, end, ok := FindToken(s)
	if !ok {
		return s
	}
	var out strings.Builder
	for ok {
		out.WriteString(s[:start])
		out.WriteString(markToken)
		s = s[end:]
		start, end, ok = FindToken(s)
	}
	out.WriteString(s)
	return out.String()
}
