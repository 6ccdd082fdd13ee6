package runbook

import (
	"fmt"
	"slices"
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

// StepHistory is the name under which an unreadable history is told.
const StepHistory = "history"

// Evidence is what the checks read, as plain data. A nil part was not obtained.
type Evidence struct {
	Live     *LiveEvidence
	Cached   *CacheEvidence
	Logged   *LogEvidence
	Traffic  *TrafficEvidence
	Gateway  *GatewayEvidence
	Function *FunctionEvidence
	History  []Sighting // live keys of earlier checks
	At       time.Time  // when the checks began
	Flushed  time.Time  // when jwksbot last flushed this cache; zero if it never did
	// TokenLife is how long the target's tokens are valid; 0 when nobody said.
	TokenLife time.Duration
	// Unread says why a configured step could not read, by its name. Steps that
	// are not configured are not in it.
	Unread map[string]string
}

// Merge takes over the parts that other has.
func (e *Evidence) Merge(other Evidence) {
	if other.Live != nil {
		e.Live = other.Live
	}
	if other.Cached != nil {
		e.Cached = other.Cached
	}
	if other.Logged != nil {
		e.Logged = other.Logged
	}
	if other.Traffic != nil {
		e.Traffic = other.Traffic
	}
	if other.Gateway != nil {
		e.Gateway = other.Gateway
	}
	if other.Function != nil {
		e.Function = other.Function
	}
}

// LiveEvidence is what the JWKS URL answered.
type LiveEvidence struct {
	URL    string
	Probes []Probe
}

// Probe is one request for the key set on a fresh connection.
type Probe struct {
	At           time.Time
	Duration     time.Duration
	Status       int      // HTTP status, 0 when there was no answer
	ContentType  string   //
	Size         int      // bytes of the body that were read
	TLS          string   // "TLS 1.3", "" over plain HTTP
	Redirects    []string // where it was sent, in order
	CacheControl string   //
	Set          KeySet   //
	Unreachable  bool     // no connection at all: DNS, timeout, refused
	Problem      string   // what is wrong, one sentence for people; "" when the answer is a good key set
	NotModified  bool     // the watcher's conditional request: nothing changed since the last poll
}

// Healthy says that the probe brought a key set that clients can use.
func (p Probe) Healthy() bool { return p.Problem == "" && !p.Unreachable }

// CacheEvidence is what lies in the cache.
type CacheEvidence struct {
	Shards  []Shard // the primaries that were read
	Entries []Entry // every entry that matches the target's patterns
	Matched int64   // how many names match, also those that are not listed
	Others  int64   // keys in the same cache that do not match
	// Truncated says that the listing stopped at its limit: there are more
	// matching entries than are listed.
	Truncated bool
}

// Shard is one primary of the cache.
type Shard struct {
	Name    string // node group id or address
	Address string
	Keys    int64 // DBSIZE
}

// Entry is one cache entry, read.
type Entry struct {
	Name    string
	Shard   string
	Type    string
	TTL     time.Duration // NoExpiry: never
	Bytes   int
	Reading Reading
	// Foreign names the other issuer that the entry belongs to; such an entry
	// is shown and never compared, touched or counted against the target.
	Foreign string
	// Digest identifies the stored bytes, without revealing them.
	Digest string
}

// Error classes of authoriser log lines.
const (
	ClassUnknownKid       = "unknown_kid"
	ClassBadSignature     = "bad_signature"
	ClassNoKid            = "no_kid"
	ClassDuplicateKid     = "duplicate_kid"
	ClassNoKey            = "no_key"
	ClassNoSigningKeys    = "no_signing_keys"
	ClassJWKSFetch        = "jwks_fetch"
	ClassJWKSParse        = "jwks_parse"
	ClassRefetchThrottled = "refetch_throttled"
	ClassColdCache        = "cold_cache"
	ClassExpired          = "expired"
	ClassClock            = "clock"
	ClassIssuer           = "issuer"
	ClassAudience         = "audience"
	ClassRefreshed        = "refreshed"
)

// AboutTokens says that a class is about what a token says, whichever key signed
// it. A trickle of such failures is ordinary: tokens expire.
func AboutTokens(class string) bool {
	switch class {
	case ClassExpired, ClassClock, ClassIssuer, ClassAudience:
		return true
	}
	return false
}

// LogEvidence is what the authoriser logged in a window.
type LogEvidence struct {
	Group        string
	Since, Until time.Time
	Pattern      string         // the filter pattern that was used
	Pages        int            // pages that were read
	Count        int            // lines of a failure class
	AtLeast      bool           // reading stopped at its cap: Count is a lower bound
	Classes      map[string]int // failures by class
	Kids         []KidCount     // kids that failures name, most frequent first
	PerMinute    []MinuteCount  // failures, oldest first, gaps are zero
	KeyMinutes   []MinuteCount  // of them those that are about keys and signatures; nil when they were not told apart
	Newest       time.Time      // of the last failure; zero when it is not known to the second
	Samples      []LogSample    // newest first, redacted
	Issuers      []string       // issuers that failing tokens or messages name
}

// KidCount is how often failures named a kid.
type KidCount struct {
	Kid   string `json:"kid"`
	Count int    `json:"count"`
}

// MinuteCount is a count for the minute that begins At.
type MinuteCount struct {
	At    time.Time
	Count int
}

// LogSample is one redacted log line.
type LogSample struct {
	At    time.Time
	Class string
	Kid   string
	Text  string // redacted and shortened; safe to post
}

// TrafficEvidence is hits and misses of the cache, summed over its nodes.
type TrafficEvidence struct {
	Nodes  []string
	Points []TrafficPoint // one a minute, oldest first; a minute without data is absent
}

// TrafficPoint is one minute of cache traffic.
type TrafficPoint struct {
	At           time.Time
	Hits, Misses float64
}

// Sort tells the probes apart: good ones, wrong answers, and no answers.
func (ev *LiveEvidence) Sort() (healthy, unhealthy, unreachable []Probe) {
	for _, p := range ev.Probes {
		switch {
		case p.Unreachable:
			unreachable = append(unreachable, p)
		case p.Healthy():
			healthy = append(healthy, p)
		default:
			unhealthy = append(unhealthy, p)
		}
	}
	return healthy, unhealthy, unreachable
}

// Agree says whether all healthy probes brought the same keys.
func (ev *LiveEvidence) Agree() bool {
	healthy, _, _ := ev.Sort()
	for _, p := range healthy {
		if MeaningOf(p.Set) != MeaningOf(healthy[0].Set) {
			return false
		}
	}
	return true
}

// Set returns the live key set, if the probes agree on a healthy one.
func (ev *LiveEvidence) Set() (KeySet, bool) {
	if ev == nil {
		return KeySet{}, false
	}
	healthy, unhealthy, _ := ev.Sort()
	if len(healthy) == 0 || len(unhealthy) > 0 || !ev.Agree() {
		return KeySet{}, false
	}
	return healthy[0].Set, true
}

// Own separates the entries of this target from those of other issuers.
func (ev CacheEvidence) Own() (own, foreign []Entry) {
	if !slices.ContainsFunc(ev.Entries, func(e Entry) bool { return e.Foreign != "" }) {
		return slices.Clip(ev.Entries), nil
	}
	for _, e := range ev.Entries {
		if e.Foreign != "" {
			foreign = append(foreign, e)
		} else {
			own = append(own, e)
		}
	}
	return own, foreign
}

// Heals says when an entry that is at fault ends by itself.
func (e Entry) Heals() string {
	if e.TTL == NoExpiry {
		return "never expires"
	}
	return "heals by itself in " + Duration(e.TTL)
}

// Expires says the same of an entry that is in order, or of which nobody knows.
func (e Entry) Expires() string {
	if e.TTL == NoExpiry {
		return "never expires"
	}
	return "expires in " + Duration(e.TTL)
}

// CountText writes the count of failures, with "at least" when it is capped.
func (ev LogEvidence) CountText() string {
	s := Plural(ev.Count, "failure", "failures")
	if ev.AtLeast {
		return "at least " + s
	}
	return s
}

// KidsText says on which kids the failures were, as far as they name any.
func (ev LogEvidence) KidsText() string {
	named := 0
	for _, k := range ev.Kids {
		named += k.Count
	}
	switch {
	case named == 0:
		return ""
	case named*2 < ev.Count:
		return fmt.Sprintf(", %s of them with a kid", Thousands(int64(named)))
	case len(ev.Kids) > 1 && ev.Kids[0].Count*2 <= ev.Count:
		return fmt.Sprintf(", on %d kids, at most %s on each", len(ev.Kids), Thousands(int64(ev.Kids[0].Count)))
	case len(ev.Kids) > 1:
		return fmt.Sprintf(", on %d kids, most on %s (%s)", len(ev.Kids), Quote(ev.Kids[0].Kid), Thousands(int64(ev.Kids[0].Count)))
	case named < ev.Count:
		return fmt.Sprintf(", %s of them on kid %s", Thousands(int64(named)), Quote(ev.Kids[0].Kid))
	}
	return ", all on kid " + Quote(ev.Kids[0].Kid)
}

// LastFailure returns the end of the newest minute that has a failure.
func (ev LogEvidence) LastFailure() (time.Time, bool) {
	for i := len(ev.PerMinute) - 1; i >= 0; i-- {
		if ev.PerMinute[i].Count > 0 {
			return ev.PerMinute[i].At.Add(time.Minute), true
		}
	}
	return time.Time{}, false
}

// Published says what any probe leaked: a set that is unusable, or differs from
// the next one, is public all the same.
func (ev *LiveEvidence) Published() (all KeySet) {
	for _, p := range ev.Probes {
		all.PrivatePublished = all.PrivatePublished || p.Set.PrivatePublished
		all.SymmetricPublished = all.SymmetricPublished || p.Set.SymmetricPublished
	}
	return all
}

// Sighting is when a key was seen in a target's live set.
type Sighting struct {
	Kid        string
	Thumbprint string
	FirstSeen  time.Time
	LastSeen   time.Time
}
