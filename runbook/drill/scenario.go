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
		setup:    func(s *settings) { s.memoryTTL = 24 * time.Hour },
	},
}

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

func rotate(r Rotation) func(context.Context, *World, time.Time) error {
	return func(_ context.Context, w *World, at time.Time) error { return w.idp.rotate(at, r) }
}

func health(h string) func(context.Context, *World, time.Time) error {
	return func(_ context.Context, w *World, _ time.Time) error {
		w.idp.setHealth(h)
		return nil
	}
}

func announce(_ context.Context, w *World, _ time.Time) error { return w.idp.announce() }

func promote(_ context.Context, w *World, at time.Time) error {
	w.idp.promote(at)
	return nil
}

func retire(_ context.Context, w *World, _ time.Time) error {
	w.idp.retire()
	return nil
}
