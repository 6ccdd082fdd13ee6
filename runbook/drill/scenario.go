package drill

import (
	"context"
	"strings"
	"time"
)

// DefaultScenario is the incident that the runbook is about.
const DefaultScenario = "stale"

// Scenario is one way in which the world can be broken.
type Scenario struct {
	Name    string
	Summary string // one sentence for people
	Verdict string // the verdict id that a check must reach
}

// Scenarios lists all scenarios, the default first.
func Scenarios() []Scenario {
	var all []Scenario
	for _, s := range scenarios {
		all = append(all, s.Scenario)
	}
	return all
}

// settings are the ways in which worlds differ that are no events.
type settings struct {
	cachedAgo    time.Duration // before the present, the cached set was fetched last
	cacheTTL     time.Duration // of the cache entry
	memoryTTL    time.Duration // of the set that each execution environment keeps
	environments int           // Lambda execution environments
	returning    float64       // share of requests with a token issued earlier
	refetchWait  time.Duration // after a refetch for an unknown kid was in vain; 0: there are no refetches
	negativeTTL  time.Duration // of markers that a kid does not exist; 0: there are none
	careful      bool          // a key set is cached only if it can be parsed
	sealed       bool          // the cache entry is encrypted
	shut         bool          // the cache's security group lets the authoriser in, and not the bot
	perKid       bool          // each key has an entry of its own, made when it is asked for

	alias           bool // the gateway invokes an alias instead of $LATEST
	provisioned     int  // execution environments that are kept ready for the alias
	hiddenVariables bool // the function's environment variables cannot be decrypted for who asks
	unreleased      bool // $LATEST has code that the alias's version has not

	resultTTL  time.Duration // for which the gateway repeats an answer of the authoriser
	stubborn   bool          // who comes back does so with the same token, also when it was refused
	managed    bool          // an HTTP API checks tokens itself, without the authoriser
	bridge     bool          // flushes are meant to go through the portal
	bridgeLies bool          // which says "flushed" and does nothing
	perMinute  int           // requests, instead of what the options say
}

func defaultSettings() settings {
	return settings{
		cachedAgo:    17 * time.Minute,
		cacheTTL:     time.Hour,
		memoryTTL:    5 * time.Second,
		environments: 3,
		returning:    0.15,
	}
}

// event is something that happened in the past of a world.
type event struct {
	ago time.Duration // before the present; more than pastLength: before the first request
	do  func(ctx context.Context, w *World, at time.Time) error
}

// scenario is a row of the table: the difference in settings, and what
// happened.
type scenario struct {
	Scenario
	setup  func(*settings)
	events []event // earliest first
}

// scenarios is the whole of what can be staged. To add one, add a row; to make
// it possible, add a setting or an event.
var scenarios = []scenario{
	{
		Scenario: Scenario{"stale", "keys were rotated 14 minutes ago in a hard cut; the cache was filled 17 minutes ago and keeps the old ones", "stale_cache"},
		events:   []event{{14 * time.Minute, rotate(Rotation{})}},
	},
	{
		Scenario: Scenario{"healthy", "nothing is wrong", "healthy"},
	},
	{
		Scenario: Scenario{"idp-down", "keys were rotated 14 minutes ago, and the JWKS endpoint has answered 503 since; the cache holds the last good copy", "live_unhealthy"},
		events: []event{
			{14 * time.Minute, rotate(Rotation{})},
			{13 * time.Minute, health(IDPUnavailable)},
		},
	},
	{
		Scenario: Scenario{"rekeyed", "14 minutes ago a new key was put under the old kid", "rekeyed_kid"},
		events:   []event{{14 * time.Minute, rotate(Rotation{SameKid: true})}},
	},
	{
		Scenario: Scenario{"poisoned", "the JWKS endpoint showed a maintenance page for a moment, and the authoriser cached it as the key set", "poisoned_cache"},
		setup:    func(s *settings) { s.cachedAgo = 12 * time.Minute },
		events: []event{
			{12*time.Minute + 30*time.Second, health(IDPHTML)},
			{11 * time.Minute, health(IDPHealthy)},
		},
	},
	{
		Scenario: Scenario{"retired", "an orderly rotation ended 5 minutes ago; the cache still holds the retired key, and nobody is refused", "retired_key_cached"},
		events: []event{
			{65 * time.Minute, announce},
			{45 * time.Minute, promote},
			{5 * time.Minute, retire},
		},
	},
	{
		Scenario: Scenario{"disagree", "keys were rotated 14 minutes ago, and one of two edges of the identity provider still publishes the old ones", "live_disagrees"},
		events: []event{
			{14 * time.Minute, rotate(Rotation{})},
			{14 * time.Minute, health(IDPDisagreeing)},
		},
	},
	{
		Scenario: Scenario{"cold", "the cache entry has expired while every environment still holds the keys in memory; nobody is refused", "healthy"},
		setup:    keepInMemory,
	},
	{
		Scenario: Scenario{"per-kid", "the authoriser caches each key in an entry of its own; the next key was published 10 minutes ago and signs nothing yet, so that nobody has asked for it", "healthy"},
		setup:    func(s *settings) { s.perKid, s.cacheTTL = true, 24*time.Hour },
		events:   []event{{10 * time.Minute, announce}},
	},
	{
		Scenario: Scenario{"memory", "keys were rotated 14 minutes ago and the shared cache was refilled with the new ones 12 minutes ago, but every environment keeps the old ones in memory", "stale_memory"},
		setup:    keepInMemory,
		events: []event{
			{14 * time.Minute, rotate(Rotation{})},
			{12 * time.Minute, refill},
		},
	},
	{
		Scenario: Scenario{"memory-alias", "as memory, but the gateway invokes an alias with provisioned concurrency: the restart has to publish a version and move the alias", "stale_memory"},
		setup: func(s *settings) {
			keepInMemory(s)
			s.alias, s.provisioned = true, 2
		},
		events: []event{
			{14 * time.Minute, rotate(Rotation{})},
			{12 * time.Minute, refill},
		},
	},
	{
		Scenario: Scenario{"env-error", "as memory, but Lambda cannot decrypt the function's environment variables for the bot: a restart is refused", "stale_memory"},
		setup: func(s *settings) {
			keepInMemory(s)
			s.hiddenVariables = true
		},
		events: []event{
			{14 * time.Minute, rotate(Rotation{})},
			{12 * time.Minute, refill},
		},
	},
	{
		Scenario: Scenario{"latest-differs", "as memory-alias, but $LATEST holds code that was never released: a restart is refused", "stale_memory"},
		setup: func(s *settings) {
			keepInMemory(s)
			s.alias, s.unreleased = true, true
		},
		events: []event{
			{14 * time.Minute, rotate(Rotation{})},
			{12 * time.Minute, refill},
		},
	},
	{
		Scenario: Scenario{"persistent", "keys were rotated 14 minutes ago; the cache and the memory of every environment hold the old ones, so that a flush alone heals nothing", "stale_cache"},
		setup:    keepInMemory,
		events: []event{
			{16 * time.Minute, refill},
			{14 * time.Minute, rotate(Rotation{})},
		},
	},
	{
		Scenario: Scenario{"gateway-results", "keys were rotated 14 minutes ago and the cache was flushed 12 minutes ago; the authoriser is in order, but the gateway repeats for an hour what it had denied meanwhile", "gateway_result_cache"},
		setup: func(s *settings) {
			s.resultTTL, s.returning, s.stubborn = time.Hour, 0.6, true
		},
		events: []event{
			{14 * time.Minute, rotate(Rotation{})},
			{13*time.Minute + 50*time.Second, everybodySignsIn},
			{12 * time.Minute, refill},
		},
	},
	{
		Scenario: Scenario{"managed-jwt", "keys were rotated 14 minutes ago; an HTTP API checks tokens itself and keeps its copy of the old keys for two hours", "managed_jwt_authoriser"},
		setup:    func(s *settings) { s.managed = true },
		events: []event{
			{14 * time.Minute, rotate(Rotation{})},
			{14 * time.Minute, refill},
		},
	},
	{
		Scenario: Scenario{"bridge", "as stale, and the flush goes through the portal's button, which works", "stale_cache"},
		setup:    func(s *settings) { s.bridge = true },
		events:   []event{{14 * time.Minute, rotate(Rotation{})}},
	},
	{
		Scenario: Scenario{"bridge-lies", "as bridge, but the portal answers \"flushed\" and does nothing", "stale_cache"},
		setup:    func(s *settings) { s.bridge, s.bridgeLies = true, true },
		events:   []event{{14 * time.Minute, rotate(Rotation{})}},
	},
	{
		Scenario: Scenario{"metadata", "5 minutes ago the identity provider stopped publishing the alg of its keys, which are the same; nobody is refused", "metadata_changed"},
		events: []event{{5 * time.Minute, func(_ context.Context, w *World, _ time.Time) error {
			w.idp.describeLess()
			return nil
		}}},
	},
	{
		Scenario: Scenario{"removed", "an orderly rotation went wrong: 12 minutes ago the new key took over, and 6 minutes ago the old one was taken away, although tokens signed with it live for an hour", "removed_too_early"},
		setup:    func(s *settings) { s.returning, s.stubborn = 0.4, true },
		events: []event{
			{45 * time.Minute, announce},
			{12 * time.Minute, promote},
			{6 * time.Minute, retire},
			{5 * time.Minute, refill},
		},
	},
	{
		Scenario: Scenario{"quiet", "as stale, in the dead of night: one request a minute, too few to tell how a mitigation works", "stale_cache"},
		setup:    func(s *settings) { s.perMinute = 1 },
		events:   []event{{14 * time.Minute, rotate(Rotation{})}},
	},
	{
		Scenario: Scenario{"expired", "14 minutes ago an app was released that goes on using its tokens when they have expired", "claims_or_clock"},
		events:   []event{{14 * time.Minute, oddly(0.3, expiredTokens)}},
	},
	{
		Scenario: Scenario{"wrong-issuer", "for 14 minutes an app has been sending tokens of another user pool", "unknown_issuer"},
		events:   []event{{14 * time.Minute, oddly(0.3, otherPoolTokens)}},
	},
	{
		Scenario: Scenario{"junk-kids", "for 14 minutes somebody has been sending tokens with made-up key ids", "unknown_kids"},
		events:   []event{{14 * time.Minute, oddly(0.15, junkTokens)}},
	},
	{
		Scenario: Scenario{"throttled", "keys were rotated 14 minutes ago and the shared cache holds the new ones, but a stray token had just used up the refetch that the authoriser allows itself in half an hour", "refetch_throttled"},
		setup: func(s *settings) {
			keepInMemory(s)
			s.refetchWait = 30 * time.Minute
		},
		events: []event{
			{15 * time.Minute, stray},
			{14 * time.Minute, rotate(Rotation{})},
			{12 * time.Minute, refill},
		},
	},
	{
		Scenario: Scenario{"negative", "14 minutes ago a new key signed a minute before it was published, and the authoriser has remembered since that it does not exist", "negative_cache"},
		setup: func(s *settings) {
			s.cacheTTL, s.memoryTTL = 10*time.Minute, 30*time.Second
			s.refetchWait, s.negativeTTL = 10*time.Second, time.Hour
		},
		events: []event{
			{14 * time.Minute, signEarly},
			{13 * time.Minute, retire},
		},
	},
	{
		Scenario: Scenario{"foreign", "as stale, and another user pool's key set lies in the same cache", "stale_cache"},
		events: []event{
			{30 * time.Minute, cacheOtherPool},
			{14 * time.Minute, rotate(Rotation{})},
		},
	},
	{
		Scenario: Scenario{"new-key-type", "a key of a new kind was published 14 minutes ago; the authoriser cannot parse the set and keeps the old one, and users of the new key are refused", "unsupported_key"},
		setup:    func(s *settings) { s.careful, s.refetchWait = true, 10*time.Second },
		events: []event{
			{14 * time.Minute, announceNewKind},
			{14 * time.Minute, oddly(0.08, newKindTokens)},
		},
	},
	{
		Scenario: Scenario{"unreadable", "as stale, but the authoriser encrypts its cache entry", "cache_unreadable"},
		setup:    func(s *settings) { s.sealed = true },
		events:   []event{{14 * time.Minute, rotate(Rotation{})}},
	},
	{
		Scenario: Scenario{"shut-out", "as stale, but the cache's security group does not let the bot in: nobody can say whether the cache or a memory is old", "inconclusive"},
		setup:    func(s *settings) { s.shut = true },
		events:   []event{{14 * time.Minute, rotate(Rotation{})}},
	},
}

// keepInMemory lets a key set that was read once be used for a day.
func keepInMemory(s *settings) { s.memoryTTL = 24 * time.Hour }

func findScenario(name string) (scenario, bool) {
	for _, s := range scenarios {
		if s.Name == name {
			return s, true
		}
	}
	return scenario{}, false
}

func scenarioNames() string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}
