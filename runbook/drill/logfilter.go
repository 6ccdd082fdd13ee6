package drill

import (
	"net/http"
	"strings"
)

// maxPattern is CloudWatch Logs's limit for a filter pattern.
const maxPattern = 1024

// logFilter is a term pattern of CloudWatch Logs: all of some terms, any of
// others, none of a third kind. Terms match anywhere in the message and respect
// case. Any-terms count only when there is no other kind, as AWS documents.
type logFilter struct {
	all, any, none []string
}

// parseFilter reads a pattern. A bare term consists of letters, digits and
// underscores; everything else needs double quotes. JSON, column and regular
// expression patterns are refused.
func parseFilter(pattern string) (logFilter, error) {
	var f logFilter
	if len(pattern) > maxPattern {
		return f, invalidParameter("1 validation error detected: Value at 'filterPattern' failed to satisfy constraint: Member must have length less than or equal to 1024")
	}
	for rest := strings.TrimLeft(pattern, " \t\n"); rest != ""; rest = strings.TrimLeft(rest, " \t\n") {
		into := &f.all
		switch rest[0] {
		case '?':
			into, rest = &f.any, rest[1:]
		case '-':
			into, rest = &f.none, rest[1:]
		}
		var term string
		var ok bool
		if strings.HasPrefix(rest, `"`) {
			term, rest, ok = quotedTerm(rest[1:])
		} else {
			term, rest, ok = bareTerm(rest)
		}
		if !ok || term == "" {
			return logFilter{}, invalidParameter("Invalid filter pattern")
		}
		*into = append(*into, term)
	}
	return f, nil
}

// quotedTerm reads up to the closing quote; a backslash protects the next
// character.
func quotedTerm(s string) (term, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

func bareTerm(s string) (term, rest string, ok bool) {
	end := strings.IndexAny(s, " \t\n")
	if end < 0 {
		end = len(s)
	}
	for _, r := range s[:end] {
		if r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return "", "", false
		}
	}
	return s[:end], s[end:], true
}

func (f logFilter) matches(message string) bool {
	for _, t := range f.none {
		if strings.Contains(message, t) {
			return false
		}
	}
	for _, t := range f.all {
		if !strings.Contains(message, t) {
			return false
		}
	}
	if len(f.any) == 0 || len(f.all)+len(f.none) > 0 {
		return true
	}
	for _, t := range f.any {
		if strings.Contains(message, t) {
			return true
		}
	}
	return false
}

func invalidParameter(message string) apiError {
	return apiError{http.StatusBadRequest, "InvalidParameterException", message}
}
