package telemetry

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"

	"jwksbot/runbook/redact"
)

// maxKid is the longest kid that is reported. Kids in the wild have 6 to 90
// letters; what is longer was made by somebody who tries things.
const maxKid = 256

// findKid returns the kid that a failing line names, "" for none: a field named
// kid, then a field named key id, then the sentences that quote a kid, then the
// header of the first token in the line.
func findKid(text string) string {
	if kid := scanKid(text, "kid", true); kid != "" {
		return kid
	}
	if kid := scanKid(text, "id", true); kid != "" {
		return kid
	}
	if kid := quotedKid(text); kid != "" {
		return kid
	}
	if kid := scanKid(text, "kid", false); kid != "" {
		return kid
	}
	if kid := scanKid(text, "id", false); kid != "" {
		return kid
	}
	return tokenKid(text)
}

// scanKid looks for names that end with the given word (kid; or id, of key id
// in any spelling) and returns the first usable value behind one. A field has
// : or = between name and value, a sentence only a blank.
func scanKid(text, word string, field bool) string {
	for i := len(word); i <= len(text); i++ {
		if text[i-1]|0x20 != 'd' || text[i-2]|0x20 != 'i' || len(word) == 3 && text[i-3]|0x20 != 'k' {
			continue
		}
		start := i - len(word)
		if word == "id" {
			if start = keyWord(text, start); start < 0 {
				continue
			}
		}
		if !wholeWord(text, start, i) || otherKey(text[:start]) {
			continue
		}
		if kid := valueAfter(text[:start], text[i:], field); kid != "" {
			return kid
		}
	}
	return ""
}

// keyWord returns where the "key" of key_id, key-id, "key id", keyId or keyid
// begins, given where the id begins; -1 when it is the id of something else.
func keyWord(text string, id int) int {
	end := id
	if end > 0 && (text[end-1] == '_' || text[end-1] == '-' || text[end-1] == ' ') {
		end--
	}
	if end < 3 || !strings.EqualFold(text[end-3:end], "key") {
		return -1
	}
	return end - 3
}

// otherKey says whether the words before "key id" make it the id of another
// kind of key: AWS access keys, KMS keys, API keys.
func otherKey(before string) bool {
	before = strings.TrimRight(before, "_- .")
	if len(before) > 6 {
		before = before[len(before)-6:]
	}
	before = strings.ToLower(before)
	return strings.HasSuffix(before, "access") || strings.HasSuffix(before, "kms") || strings.HasSuffix(before, "api")
}

// valueAfter reads the value behind a name: quotes of any level, a bracket, or
// nothing around it.
func valueAfter(before, s string, field bool) string {
	i := 0
	for i < len(s) && (s[i] == '"' || s[i] == '\'' || s[i] == '\\' || s[i] == ']') { // PHP prints [kid] => …
		i++
	}
	if strings.HasPrefix(s[i:], " is:") {
		i += len(" is")
	}
	separated := false
	for i < len(s) && (s[i] == ' ' || s[i] == ':' || s[i] == '=' || s[i] == '>') {
		separated = separated || s[i] != ' '
		i++
	}
	if i == 0 || separated != field {
		return ""
	}
	if strings.HasPrefix(s[i:], "Some(") { // Rust's Option
		i += len("Some(")
	}
	opened := false
	for i < len(s) && (s[i] == '"' || s[i] == '\'' || s[i] == '\\' || s[i] == '[' || s[i] == '(' || s[i] == '<' || s[i] == '`') {
		if s[i] == '\\' && !escapedQuote(s[i:]) {
			return "" // "\n" of JSON: the line ends here
		}
		opened = true
		i++
	}
	end := i
	for end < len(s) && end-i <= maxKid && isKidByte(s[end]) {
		end++
	}
	kid := s[i:end]
	if !opened {
		kid = strings.TrimRight(kid, ".:")
		if !field && !likeKid(kid) && !sureKid().MatchString(before[max(0, len(before)-12):]) || prose[strings.ToLower(kid)] {
			return ""
		}
	}
	return cleanKid(kid)
}

// escapedQuote says that backslashes belong to a quote, however deep in JSON.
func escapedQuote(s string) bool {
	rest := strings.TrimLeft(s, `\`)
	return rest != "" && (rest[0] == '"' || rest[0] == '\'')
}

// sureKid are the words before "kid" after which a kid follows, whatever it
// looks like.
var sureKid = pattern(`(?i)\b(?:for|with|find|unknown|missing|retrieve) $`)

// likeKid tells a kid from the next word of a sentence: it has a digit, a
// symbol, or capitals within.
func likeKid(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z') && (i > 0 || !isUpper(c)) {
			return true
		}
	}
	return false
}

// prose are words that follow "kid:" or "kid" in sentences about kids.
var prose = map[string]bool{
	"could": true, "cannot": true, "can": true, "not": true, "no": true, "the": true, "is": true, "was": true, "failed": true,
	"unable": true, "invalid": true, "empty": true, "required": true, "must": true, "expected": true, "string": true, "error": true,
	"does": true, "did": true, "header": true, "a": true, "an": true, "token": true, "signature": true, "in": true, "or": true, "and": true,
	"claim": true, "from": true, "for": true, "of": true, "that": true, "which": true, "has": true, "found": true, "matches": true, "match": true,
	"matching": true, "value": true, "field": true, "parameter": true, "mismatch": true, "on": true, "to": true, "with": true, "but": true, "given": true,
}

// isKidByte says what a kid in a message may hold: base64 of both alphabets,
// and what thumbprint URIs and readable names use.
func isKidByte(c byte) bool {
	return isAlnum(c) || strings.IndexByte("+/=_.-:~@#", c) >= 0
}

// cleanKid refuses what is no kid: the words for nothing, what is too long or
// cannot be printed, and secrets.
func cleanKid(kid string) string {
	switch strings.ToLower(kid) {
	case "", "none", "null", "undefined", "nil", "n/a", "missing", "unknown", "-", "=", "kid", "id":
		return ""
	}
	if !strings.ContainsFunc(kid, isLetterOrDigit) {
		return "" // what stands between two quotes that do not belong together
	}
	if len(kid) > maxKid || strings.ContainsFunc(kid, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
		return ""
	}
	if redact.Text(kid) != kid {
		return ""
	}
	return kid
}

func isLetterOrDigit(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// Sentences that quote a kid without calling it one. The quotes are of one kind:
// those of a sentence that was cut off do not go with those of its wrapping.
var (
	matchesKid = pattern(`(?i)(?:signing|matching) key that matches:?\s*(?:\\*'([\w+/=.~:@#-][^"'\\]*)\\*'|\\*"([\w+/=.~:@#-][^"'\\]*)\\*")`)
	keyQuoted  = pattern(`(?i)\bkey (?:with id |id )?(?:\\*'([^"'\\\s]+)\\*'|\\*"([^"'\\\s]+)\\*") (?:was |is |could )?not (?:be )?found`)
	keyNamed   = pattern(`(?i)\bkey (?:with id )?([\w+/=.~-]+) (?:was |is )?not (?:found )?in (?:the )?(?:jwks|jwk|json web key|key set)`)
)

func quotedKid(text string) string {
	if strings.Contains(text, "hat matches") {
		if m := matchesKid().FindStringSubmatch(text); m != nil {
			return cleanKid(m[1] + m[2])
		}
	}
	if !strings.Contains(text, "not ") {
		return ""
	}
	for _, re := range []*regexp.Regexp{keyQuoted(), keyNamed()} {
		if m := re.FindStringSubmatch(text); m != nil {
			if kid := cleanKid(strings.Join(m[1:], "")); kid != "" && (re == keyQuoted() || likeKid(kid)) {
				return kid
			}
		}
	}
	return ""
}

// tokenKid returns the kid of the first token in the text.
func tokenKid(text string) string {
	var header struct {
		Kid any `json:"kid"`
	}
	if !decodeToken(text, 0, &header) {
		return ""
	}
	kid, _ := header.Kid.(string)
	return cleanKid(kid)
}

// decodeToken decodes one segment of the first token in the text.
func decodeToken(text string, segment int, into any) bool {
	start, end, ok := redact.FindToken(text)
	if !ok {
		return false
	}
	parts := strings.SplitN(text[start:end], ".", segment+2)
	if segment >= len(parts) {
		return false
	}
	b, err := redact.DecodeSegment(parts[segment])
	return err == nil && json.Unmarshal(b, into) == nil
}
