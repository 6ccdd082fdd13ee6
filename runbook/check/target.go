package check

import (
	"context"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
)

// Target is one environment to look after, ready to use. A nil source makes
// the steps that need it skipped.
type Target struct {
	Name     string
	Issuer   string // the "iss" of its tokens; "" when unknown
	JWKSURL  string
	Channel  string   // where the bot posts when nobody typed a command somewhere
	Resource string   // what a flush changes: "replication group NAME"
	AllowAll bool     // a whole-group flush may be requested
	Patterns []string // names of the entries that hold its keys, as Redis globs
	// TokenLife is how long its tokens are valid, as configured; 0: not known.
	TokenLife time.Duration
	Route     runbook.Route // how a flush goes unless a request says otherwise; "" is direct
	Policy    runbook.Policy
	Watch     runbook.WatchPolicy

	Live    liveSource
	Entries entryStore
	// Decode reads an entry. Its name may only tell the kid of a key that has none:
	// otherwise equal bytes read the same under every name.
	Decode  func(runbook.RawEntry, *budget.Budget) runbook.Reading
	Logs    logSource
	Traffic trafficSource

	API       gatewayAPI
	Meter     gatewayMeter
	Access    accessLog
	Function  restarter
	Streams   streamSource
	Successes successSource
	Canary    canary
	Bridge    bridge
	Pager     pager
	Publisher publisher
}

// checks lists the target's checks, skipped ones included.
func (t *Target) checks() []Check {
	setup := &setupOnce{api: t.API}
	return []Check{
		orSkip(t.Live != nil, runbook.StepLiveKeys, "no JWKS URL: set user_pool_id or jwks_url", liveKeys{t}),
		orSkip(t.Entries != nil, runbook.StepCachedKeys, "no cache: set cache.replication_group or cache.url", cachedKeys{t}),
		orSkip(t.Logs != nil, runbook.StepLoggedKeys, "no log group: set authoriser.log_group", loggedKeys{t}),
		orSkip(t.Traffic != nil && t.Entries != nil, runbook.StepCacheTraffic, "no CloudWatch metrics: the cache is not a replication group", cacheTraffic{t}),
		orSkip(t.API != nil || t.Access != nil, runbook.StepGateway, "no gateway: set gateway.rest_api or gateway.http_api, and gateway.stage", gatewayErrors{t, setup}),
		orSkip(t.Function != nil, runbook.StepAuthoriser, "no function: set authoriser.function", authoriserState{t, setup}),
	}
}

// Steps names the checks of the target, in the order in which they are shown.
func (t *Target) Steps() []string { return names(t.checks()) }

// skipped stands for a check that is not configured.
type skipped struct{ name, why string }

func orSkip(ready bool, name, why string, c Check) Check {
	if ready {
		return c
	}
	return skipped{name, why}
}

func (s skipped) Name() string { return s.name }

func (s skipped) Run(context.Context, Question) (Result, error) {
	return Result{Status: runbook.StatusSkipped, Summary: s.why}, nil
}
