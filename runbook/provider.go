package runbook

import (
	"regexp"
	"time"
)

// ProviderDefaults is what is assumed of the identity provider where a target
// does not say.
type ProviderDefaults struct {
	Name         string
	TokenLife    time.Duration // of most tokens after they were signed
	LongestToken time.Duration // that can be configured
	pool         *regexp.Regexp
}

// Cognito is the provider that is assumed.
var Cognito = ProviderDefaults{Name: "Cognito", TokenLife: time.Hour, LongestToken: 24 * time.Hour,
	pool: regexp.MustCompile(`\b[a-z]{2}(?:-[a-z]+)+-\d_[A-Za-z0-9]+`)}

// Pool finds the provider's own name of an issuer, such as a user pool id, in the
// name of an entry or in a URL; "" when there is none.
func (p ProviderDefaults) Pool(s string) string { return p.pool.FindString(s) }
