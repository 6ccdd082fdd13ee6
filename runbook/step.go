package runbook

import (
	"context"
	"fmt"
	"time"
)

// Names of the checks, in the order in which they are shown.
const (
	StepLiveKeys     = "live-keys"
	StepCachedKeys   = "cached-keys"
	StepLoggedKeys   = "logged-keys"
	StepCacheTraffic = "cache-traffic"
	StepGateway      = "gateway-errors"
	StepAuthoriser   = "authoriser"
)

// Question is what a check is asked about: a window of time and, if somebody
// named one, a single kid.
type Question struct {
	Since, Until time.Time
	Kid          string
}

// Check is one read-only step. It changes nothing, honours the context,
// returns what it has also when it fails, and never logs.
type Check interface {
	Name() string
	Run(ctx context.Context, q Question) (Result, error)
}

// Result is what one check has to say.
type Result struct {
	Step     string
	Status   Status
	Summary  string // one line for people
	Duration time.Duration
	Evidence Evidence
}

// Reporter follows a check as it proceeds. Its methods are called one at a time.
type Reporter interface {
	// Started gets the names of the steps that will run.
	Started(target string, steps []string)
	// Step gets each result as it comes.
	Step(r Result)
}

// Silent is a Reporter that ignores everything.
type Silent struct{}

// Started ignores the plan.
func (Silent) Started(string, []string) {}

// Step ignores the result.
func (Silent) Step(Result) {}

// liveSource asks the JWKS URL once, on a fresh connection.
type liveSource interface {
	Probe(ctx context.Context) Probe
}

// entryStore is the cache that the authoriser reads.
type entryStore interface {
	// List hands every entry that matches to read, one at a time, and forgets its
	// value.
	List(ctx context.Context, read func(RawEntry) Entry) (Listing, error)
	Nodes(ctx context.Context) ([]string, error)
	Snapshot(ctx context.Context, names []string) ([]Saved, error)
	// Take is Snapshot in pages.
	Take(ctx context.Context, names []string, page func([]Saved) error) error
	// Delete deletes the entries that are as they were saved, and sends nothing
	// without the lease.
	Delete(ctx context.Context, saved []Saved, lease Lease, done func([]EntryFate) error) error
	Compare(ctx context.Context, saved []Saved) ([]EntryFate, error)
	// Purge deletes by name alone what matches the target's patterns and meant
	// agrees to. It sends nothing without the lease.
	Purge(ctx context.Context, lease Lease, meant func(name string) bool, progress func(deleted int64)) (int64, error)
	// FlushAll empties every primary, keys of other owners included.
	FlushAll(ctx context.Context) error
	// Restore writes saved entries back with what is left of their TTL; over a
	// value that exists only with force.
	Restore(ctx context.Context, saved []Saved, force bool, now time.Time) ([]EntryFate, error)
}

// logSource reads the authoriser's failures in a window; kid narrows it.
type logSource interface {
	Failures(ctx context.Context, since, until time.Time, kid string) (LogEvidence, error)
}

// trafficSource reads the hits and misses of cache nodes.
type trafficSource interface {
	Traffic(ctx context.Context, nodes []string, since, until time.Time) (TrafficEvidence, error)
}

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
	Route     Route // how a flush goes unless a request says otherwise; "" is direct
	Policy    Policy
	Watch     WatchPolicy

	Live    liveSource
	Entries entryStore
	// Decode reads an entry. Its name may only tell the kid of a key that has none:
	// otherwise equal bytes read the same under every name.
	Decode  func(RawEntry, *Budget) Reading
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
		orSkip(t.Live != nil, StepLiveKeys, "no JWKS URL: set user_pool_id or jwks_url", liveKeys{t}),
		orSkip(t.Entries != nil, StepCachedKeys, "no cache: set cache.replication_group or cache.url", cachedKeys{t}),
		orSkip(t.Logs != nil, StepLoggedKeys, "no log group: set authoriser.log_group", loggedKeys{t}),
		orSkip(t.Traffic != nil && t.Entries != nil, StepCacheTraffic, "no CloudWatch metrics: the cache is no replication group", cacheTraffic{t}),
		orSkip(t.API != nil || t.Access != nil, StepGateway, "no gateway: set gateway.rest_api or gateway.http_api, and gateway.stage", gatewayErrors{t, setup}),
		orSkip(t.Function != nil, StepAuthoriser, "no function: set authoriser.function", authoriserState{t, setup}),
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
	return Result{Status: StatusSkipped, Summary: s.why}, nil
}

// plural writes a count with its noun: "1 entry", "3 entries".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%s %s", Thousands(int64(n)), many)
}

// Thousands writes a number with separators: 41,210.
func Thousands(n int64) string {
	s := fmt.Sprintf("%d", n)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Duration writes a time span as people say it: "43 min", "2 h 5 min", "40 s".
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	case d < 48*time.Hour:
		m := int(d.Round(time.Minute).Minutes())
		if m%60 == 0 {
			return fmt.Sprintf("%d h", m/60)
		}
		return fmt.Sprintf("%d h %d min", m/60, m%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
