package telemetry

import "strings"

// maxPattern is the longest filter pattern that CloudWatch Logs takes
// (FilterLogEvents, filterPattern: 0 to 1024 characters).
const maxPattern = 1024

// failureTerms are the words and phrases of which every failure line has at
// least one. CloudWatch Logs compares them case-sensitively, hence the
// spellings; they are chosen so that lines about good tokens have none. A term
// with anything but letters, digits and '_' is quoted in the pattern.
var failureTerms = []string{
	// what is said of signatures
	"invalid_signature", "INVALID_SIGNATURE", "InvalidSignature", "invalid", "Invalid", "verification", "Verification", "bad_signature", "cryptographic",
	// of keys
	"not found", "not_found", "NotFound", "unknown", "Unknown", "no_key", "no_kid", "No key", "no matching", "No matching", "No KID", "no applicable", "NO_MATCHING",
	// of anything
	"Unable to", "unable to", "Could not", "could not", "ouldn't", "failed", "Failed", "fails", "JwksError", "idn't find", "doesn't", "does not", "annot", "issing", "mismatch", "empty", "be an Object",
	// of key sets and fetching them
	"contain any", "multiple", "uplicate", "etching", "to fetch", "Status code", "alidationError", "alformed", "not return", "not allowed", "oo many", "Rate Limit", "hrottled", "TIMEOUT", "Expected 200", "HTTP Error", "in cache", "cache miss", "efreshed",
	// of claims
	"expired", "Expired", "timestamp check", "not satisfied", "not active", "not yet", "used before", "accepted before", "before the nbf", "nbf has", "prior to", "Issuer", "issued by a", "claim value", "claim is not", "expected audience", "for this audience", "must be provided", "not configured",
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
