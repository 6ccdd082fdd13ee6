package config

import (
	"jwksbot/runbook/cache"
	"jwksbot/runbook/identity"
	"jwksbot/runbook/journal"
	"jwksbot/runbook/telemetry"
)

// rules are those of the adapters that the program uses.
var rules = Rules{
	Journal:  journal.CheckURL,
	Personal: identity.Personal,
	Pattern:  func(p LogPattern) error { return telemetry.Pattern(p).Validate() },
	Cache: func(c Cache) error {
		_, err := cache.New(cache.Settings{URL: c.URL.Reveal(), Auth: c.Auth, Username: c.Username, Password: c.Password, Patterns: []string{"jwks:*"}})
		return err
	},
}
