package redact

import (
	"encoding/base64"
	"regexp"
	"strings"
)

// Names in front of a secret. Each ends where the value (or its opening quote)
// begins; values are found by hand, because quotes may be escaped any number
// of times (JSON inside JSON) and a cut-off line has no closing one.
var (
	authorizationKey = pattern(`(?i)(?:proxy-)?authori[sz]ation(?:[_-]?header)?[\\"']{0,8}\s*(?:[:=]|%3[ad])>?\s*`)
	bearerWord       = pattern(`(?i)bearer(?:\s+|%20|\+)`)
	basicWord        = pattern(`(?i)basic(?:\s+|%20|\+)`)
	passwordKey      = pattern(`(?i)(?:pass(?:word|wd|phrase)|pwd|secret(?:[ _-]?access)?(?:[ _-]?key)?|api[ _-]?key|private[ _-]?key|credentials?|` +
		`(?:session|access|refresh|id|auth|security|bearer|bot|app|csrf|user)[_-]?token|(?:routing|pagerduty|audit|encryption|integration)[_-]?key|` +
		`x-amz-(?:signature|credential)|(?:set-)?cookie|requirepass|masterauth|rediscli_auth)[\\"']{0,8}(?:\s*(?:[:=]|%3[ad])>?\s*)` +
		`|--pass(?:word)?\s+|\bpass(?:word|phrase)\s+is:?\s+`)
	opaqueTokenKey = pattern(`(?i)token(?:[\\"']{1,8}\s*:\s*|[\\"']{0,8}\s*(?:=|%3d)>?\s*)`)
	privateMember  = pattern(`[\\"']{1,8}(?:d|k|p|q|dp|dq|qi)[\\"']{1,8}\s*(?:[:=]|=>)\s*|\b(?:d|k|p|q|dp|dq|qi)\s*:\s*`)
)

// namedSecrets are recognised by the name in front of them. A pass is made only
// over a text that contains one of its hints in any case, since most lines
// contain none and the search for names is dear.
var namedSecrets = []struct {
	hints []string
	key   func() *regexp.Regexp
	value judge
}{
	{[]string{"authori"}, authorizationKey, authorizationValue},
	{[]string{"bearer"}, bearerWord, bearerValue},
	{[]string{"basic"}, basicWord, basicValue},
	{[]string{"pass", "pwd", "secret", "key", "credential", "token", "x-amz-", "cookie", "masterauth", "_auth"}, passwordKey, passwordValue},
	{[]string{"token"}, opaqueTokenKey, passwordValue},
	{[]string{`d"`, `k"`, `p"`, `q"`, `i"`, `d'`, `k'`, `p'`, `q'`, `i'`, `d\`, `k\`, `p\`, `q\`, `i\`, "d:", "k:", "p:", "q:", "i:", "d :", "k :"}, privateMember, memberValue},
}

// containsAny says whether one of words is in s.
func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// A judge looks at the text after a name and returns how much of it is the
// secret, with what to write instead; n = 0 leaves the text alone.
type judge func(name, after string) (skip, n int, mark string)

// redactValues replaces the values behind the names that key finds.
func redactValues(s string, key *regexp.Regexp, value judge) string {
	var out strings.Builder
	done := 0
	for _, loc := range key.FindAllStringIndex(s, -1) {
		if loc[0] < done {
			continue // inside a value that was replaced
		}
		skip, n, mark := value(s[loc[0]:loc[1]], s[loc[1]:])
		if n == 0 {
			continue
		}
		at := loc[1] + skip
		if isMark(s[at : at+n]) {
			continue
		}
		out.WriteString(s[done:at])
		out.WriteString(mark)
		done = at + n
	}
	if done == 0 {
		return s
	}
	out.WriteString(s[done:])
	return out.String()
}

func passwordValue(name, after string) (skip, n int, mark string) {
	if strings.Contains(strings.ToLower(name), "cookie") && openingQuote(after) == "" {
		// A cookie header is a list that goes on to the end of the line.
		if n = strings.IndexAny(after, "\r\n"); n < 0 {
			n = len(after)
		}
		return 0, n, markPassword
	}
	skip, n = valueIn(after, quotedName(name))
	return skip, n, markPassword
}

// authorizationValue hides the whole header value: to the closing quote, or
// scheme and credential, or to the end of the line for schemes with parameters.
func authorizationValue(_, after string) (skip, n int, mark string) {
	if strings.HasPrefix(after, "[") && markAt(after) == 0 {
		// Go prints header values as lists.
		if strings.HasPrefix(after[1:], "[") {
			return 0, 0, ""
		}
		skip, n, mark = authorizationValue("", after[1:])
		return skip + 1, n, mark
	}
	if q := openingQuote(after); q != "" {
		skip, n = valueIn(after, false)
		return skip, n, markCredential
	}
	scheme := authScheme().FindString(after)
	rest := after[len(scheme):]
	if scheme != "" && parameterScheme().MatchString(scheme) {
		n = strings.IndexAny(rest, "\r\n")
		if n < 0 {
			n = len(rest)
		}
		return 0, len(scheme) + n, markCredential
	}
	skip, n = valueIn(rest, false)
	if n == 0 {
		return 0, 0, ""
	}
	return 0, len(scheme) + skip + n, markCredential
}

var (
	authScheme      = pattern(`(?i)^(?:bearer|basic|digest|negotiate|ntlm|token|apikey|dpop|aws4-hmac-sha256|hawk)(?:\s+|%20|\+)`)
	parameterScheme = pattern(`(?i)^(?:digest|aws4|hawk)`)
)

// bearerValue hides what follows the word Bearer, unless it is the next word
// of a sentence about bearer tokens.
func bearerValue(_, after string) (skip, n int, mark string) {
	skip, n = valueIn(after, false)
	word := strings.ToLower(strings.Trim(after[skip:skip+n], ".,:;()!?"))
	if len(word) < 4 || bearerProse[word] {
		return 0, 0, ""
	}
	return skip, n, markToken
}

var bearerProse = map[string]bool{
	"token": true, "tokens": true, "auth": true, "authentication": true, "authorization": true, "authorisation": true,
	"scheme": true, "header": true, "headers": true, "prefix": true, "realm": true, "format": true, "missing": true,
	"with": true, "from": true, "must": true, "that": true, "only": true, "credential": true, "credentials": true,
	"jwt": true, "jwts": true, "invalid": true, "value": true, "schema": true, "type": true, "required": true,
	"expected": true, "string": true, "keyword": true, "authenticator": true, "realm=": true,
}

// basicValue hides base64 of user:password after the word Basic.
func basicValue(_, after string) (skip, n int, mark string) {
	end := 0
	for end < len(after) && (isTokenByte(after[end]) || after[end] == '+' || after[end] == '/') {
		end++
	}
	if end < 4 {
		return 0, 0, ""
	}
	word := after[:end]
	b, err := base64.RawStdEncoding.DecodeString(word)
	if err != nil {
		b, err = base64.RawURLEncoding.DecodeString(word)
	}
	if err != nil || !strings.Contains(string(b), ":") {
		return 0, 0, ""
	}
	for end < len(after) && after[end] == '=' {
		end++
	}
	return 0, end, markCredential
}

// memberValue hides private members of a JWK: d and k always when they are
// quoted members, the others and unquoted names only with a value as long as
// key material.
func memberValue(name, after string) (skip, n int, mark string) {
	if openingQuote(after) == "" {
		return 0, 0, ""
	}
	skip, n = valueIn(after, true)
	member := strings.Trim(name, "\\\"':=> \t\r\n")
	always := quotedName(name) && (member == "d" || member == "k")
	if !always && (n < 20 || strings.ContainsAny(after[skip:skip+n], " \t\n")) {
		return 0, 0, ""
	}
	return skip, n, markKey
}

// quotedName says whether a name stands in quotes, as JSON members do.
func quotedName(name string) bool { return strings.ContainsAny(name, `"'`) }

// valueIn finds the value at the beginning of s: inside quotes of any level of
// escaping, else up to a blank or the next name of a list. quoted names end an
// unquoted value at a comma or bracket (JSON numbers and literals).
func valueIn(s string, member bool) (skip, n int) {
	if q := openingQuote(s); q != "" {
		return len(q), quotedLen(s[len(q):], q)
	}
	for i := 0; i < len(s); {
		if m := markAt(s[i:]); m > 0 {
			i += m
			continue
		}
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '"' || c == '\'' || c == '`':
			return 0, i
		case member && (c == ',' || c == '}' || c == ']'):
			return 0, i
		case (c == '&' || c == ',' || c == ';') && namesNext(s[i+1:]):
			return 0, i
		}
		i++
	}
	return 0, len(s)
}

// openingQuote returns the quote at the beginning of s with its backslashes.
func openingQuote(s string) string {
	i := 0
	for i < len(s) && i < 8 && s[i] == '\\' {
		i++
	}
	if i < len(s) && (s[i] == '"' || s[i] == '\'' || s[i] == '`') {
		return s[:i+1]
	}
	return ""
}

// quotedLen is the length of what stands before the closing quote q; without
// one, the rest of the line.
func quotedLen(s, q string) int {
	escapes, c := len(q)-1, q[len(q)-1]
	run := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			run++
			continue
		case s[i] == c && run <= escapes:
			return i - run
		}
		run = 0
	}
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		return i
	}
	return len(s)
}

// namesNext says whether s goes on with name= or name:.
func namesNext(s string) bool {
	i := 0
	for i < len(s) && s[i] == ' ' {
		i++
	}
	from := i
	for i < len(s) && i-from < 64 && (isTokenByte(s[i]) || s[i] == '.') {
		i++
	}
	return i > from && i < len(s) && (s[i] == '=' || s[i] == ':')
}

// markAt returns the length of the replacement word at the beginning of s.
func markAt(s string) int {
	if !strings.HasPrefix(s, "[redacted ") {
		return 0
	}
	for _, m := range marks {
		if strings.HasPrefix(s, m) {
			return len(m)
		}
	}
	return 0
}

func isMark(s string) bool { return markAt(s) == len(s) && s != "" }
