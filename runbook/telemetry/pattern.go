package telemetry

import "strings"

// maxPattern is the longest filter pattern that CloudWatch Logs takes
// (FilterLogEvents, filterPattern: 0 to 1024 characters).
const maxPattern = 1024

// failureTerms are the words of which every failure line has at least one, and
// lines about good tokens have none (what they find besides costs pages, and is
// sorted out by the classifier). CloudWatch Logs compares them case-sensitively,
// hence the spellings. AWS does not say whether a term also matches within a
// longer word: pieces such as "ismatch" save room where it does, and whole words
// keep the messages of the libraries findable where it does not. A term with
// anything but letters, digits and '_' is quoted in the pattern.
var failureTerms = []string{
	"invalid_signature", "INVALID_SIGNATURE", "kid_not_found", "token_expired", "jwks_fetch_failed",
	// of anything, in words and in names
	"no ", "No ", "no_", "no_kid", "no_key", "unknown_kid", "no matching", "No matching", "no key", "No key", "not", "Not", "NOT", "n't", "doesn't", "cannot", "Cannot", "unable", "Unable", "failed", "Failed", "fail",
	"invalid", "Invalid", "INVALID", "unknown", "Unknown", "UNKNOWN", "missing", "Missing", "ismatch", "mpty", "ithout", "wrong", "bad", "must", "ndefined", "bsent", "required",
	"Error", "ERR", "WARN", "Exception", " error", "_error", "error ", "error:", "error_", "IDX", "expected", "Expected", "rejected", "naccepted", "nsupported", "ntrusted",
	// of signatures and keys
	"verification", "Verification", "cryptographic", "uplicate", "multiple", "Multiple", "more than", "mbiguous", "nrecogni",
	// of key sets and fetching them
	"malformed", "Malformed", "fetch", "tatus code", "429", "many", "ate limit", "ate Limit", "rate_limit", "hrottled", "ooldown", "kipp", "imed out", "imeout", "TIMEOUT", "refused", "reset", "nreach", "navail",
	"in cache", "cache miss", "cold cache", "efreshed",
	// of claims
	"expired", "Expired", "before", "Before", "prior to", "future", "skew", "different", "recent", "longer", "past", "claim value", "premature", "mmature",
}

// DefaultPattern returns the filter pattern for failure lines: any of the terms
// of known failure messages, invalid_signature first. It fits the limit of
// CloudWatch Logs.
func DefaultPattern() string { return anyOf(failureTerms) }

// anyOf writes the filter pattern that matches lines with any of the terms.
func anyOf(terms []string) string {
	var b strings.Builder
	for i, t := range terms {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteByte('?')
		if strings.ContainsFunc(t, func(r rune) bool { return r > 0x7f || !isAlnum(byte(r)) && r != '_' }) {
			b.WriteString(`"` + t + `"`)
		} else {
			b.WriteString(t)
		}
	}
	return b.String()
}
