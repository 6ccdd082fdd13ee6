package runbook

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// entry is one cache entry, decoded as the tests write values.
func entry(name, value string) Entry {
	raw := RawEntry{Name: name, Shard: "s1", Type: "string", TTL: 43 * time.Minute, Value: []byte(value), Bytes: len(value)}
	return Entry{Name: name, Shard: "s1", Type: raw.Type, TTL: raw.TTL, Bytes: raw.Bytes, Reading: decode(raw, nil), Digest: raw.digest()}
}

// cached is a cache that holds the entries.
func cached(entries ...Entry) *CacheEvidence {
	return &CacheEvidence{Shards: []Shard{{Name: "s1"}}, Entries: entries}
}

// live is what the probes answered.
func live(probes ...Probe) *LiveEvidence {
	return &LiveEvidence{URL: "https://idp.example/jwks.json", Probes: probes}
}

// agreed is three probes that bring the same keys.
func agreed(words ...string) *LiveEvidence {
	return live(good(words...), good(words...), good(words...))
}

// logged is an hour of log, with "class:n" and "kid=n" words, that goes on
// until the newest minute.
func logged(words ...string) *LogEvidence {
	ev := &LogEvidence{Since: t0.Add(-time.Hour), Until: t0, Pages: 1, Classes: map[string]int{}}
	for _, w := range words {
		if kid, n, ok := strings.Cut(w, "="); ok {
			ev.Kids = append(ev.Kids, KidCount{Kid: kid, Count: atoi(n)})
			continue
		}
		class, n, _ := strings.Cut(w, ":")
		ev.Classes[class] = atoi(n)
		ev.Count += atoi(n)
	}
	ev.PerMinute = []MinuteCount{{At: t0.Add(-2 * time.Minute), Count: ev.Count / 2}, {At: t0.Add(-time.Minute), Count: ev.Count - ev.Count/2}}
	return ev
}

func atoi(s string) (n int) {
	fmt.Sscan(s, &n)
	return n
}

// ended is the same log, whose last failure is some time ago.
func ended(ago time.Duration, words ...string) *LogEvidence {
	ev := logged(words...)
	ev.PerMinute = []MinuteCount{{At: t0.Add(-ago - time.Minute), Count: ev.Count}, {At: t0.Add(-time.Minute)}}
	return ev
}

// with changes the first key of a set.
func with(s KeySet, change func(*Key)) KeySet {
	s.Keys = slices.Clone(s.Keys)
	change(&s.Keys[0])
	s.Usable = 0
	for _, k := range s.Keys {
		if k.Usable {
			s.Usable++
		}
	}
	return s
}

// newKind makes a key one that mainstream verifiers cannot use.
func newKind(k *Key) {
	k.Kty, k.Alg, k.Usable, k.Thumbprint, k.Problems = "AKP", "ML-DSA-65", false, "", []string{"unknown key type"}
}

func liveSet(s KeySet) *LiveEvidence {
	p := Probe{Status: 200, Set: s}
	return live(p, p, p)
}

func holding(name string, s KeySet) Entry {
	e := entry(name, "keys x=1")
	e.Reading.Set = s
	return e
}

var (
	flushOnly  = []Mitigation{FlushCache}
	flushAnd   = []Mitigation{FlushCache, RestartAuthoriser}
	restart    = []Mitigation{RestartAuthoriser}
	nothing    []Mitigation
	stormKids  = []string{"unknown_kid:8", "j1=1", "j2=1", "j3=1", "j4=1", "j5=1", "j6=1", "j7=1", "j8=1"}
	manyErrors = []string{"unknown_kid:40", "b=40"}
)

// verdictCases hold at least one row for each verdict, and one for each pair of
// rules that can both fit.
var verdictCases = []struct {
	name        string
	e           Evidence
	want        VerdictID
	recommended []Mitigation
	says        string // in the summary
	findings    []VerdictID
}{
	{"equal sets", Evidence{Live: agreed("a=1", "b=2"), Cached: cached(entry("jwks", "keys b=2 a=1")), Logged: logged()},
		Healthy, nothing, "exactly the live keys (`a`, `b`)", nil},
	{"noise is no incident", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged("bad_signature:2", "a=2")},
		Healthy, nothing, " 2 failures in the last 60 min.", nil},
	{"a few stray kids are no incident", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged("unknown_kid:5", "j1=1", "j2=1", "j3=1", "j4=2")},
		Healthy, nothing, "exactly the live keys", nil},
	{"stray kids hide no other failures", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged("unknown_kid:4", "bad_signature:5", "j1=1", "j2=1", "j3=1", "j4=1")},
		StaleMemory, restart, "", nil},
	{"one kid that nobody knows, again and again, is one", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged("unknown_kid:5", "j1=5")},
		Inconclusive, nothing, "key id `j1`", nil},
	{"failures that ended", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks", "keys b=2")), Logged: ended(9*time.Minute, manyErrors...)},
		Healthy, nothing, "none in the last 9 min", nil},
	{"logs not configured", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1"))},
		Healthy, nothing, "not configured", nil},
	{"empty cache", Evidence{Live: agreed("a=1"), Cached: cached(), Logged: logged()},
		Healthy, nothing, "holds no keys right now", []VerdictID{ColdCache}},
	{"per-kid cache that nobody has asked", Evidence{Live: agreed("a=1", "b=2"), Cached: cached(entry("jwks:kid:a", "jwk a=1")), Logged: logged()},
		Healthy, nothing, "every cached key is a live one", []VerdictID{ColdCache}},
	{"only a foreign entry", Evidence{Live: agreed("a=1"), Cached: cached(foreign("other", "keys z=9")), Logged: logged()},
		Healthy, nothing, "holds no keys right now", []VerdictID{ColdCache}},
	{"consumers drop encryption keys", Evidence{Live: liveSet(with(set("e=5", "a=1"), func(k *Key) { k.Use, k.Usable = "enc", false })),
		Cached: cached(entry("jwks", "keys a=1")), Logged: logged()}, Healthy, nothing, "", nil},

	{"hard cut", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged(manyErrors...)},
		StaleCache, flushOnly, "entry `jwks` lacks live key `b`, and the authoriser rejects tokens signed with it (40 failures)", nil},
	{"a key was added", Evidence{Live: agreed("a=1", "b=2"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged()},
		StaleCache, flushOnly, "lacks live key `b`. A flush", nil},
	{"one of two entries is old", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks:1", "keys b=2"), entry("jwks:2", "keys a=1"))},
		StaleCache, flushOnly, "entry `jwks:2`", nil},
	{"old although failures ended", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks", "keys a=1")), Logged: ended(20*time.Minute, manyErrors...)},
		StaleCache, flushOnly, "lacks live key `b`", nil},
	{"old although the logs could not be read", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks", "keys a=1")), Unread: map[string]string{StepLoggedKeys: "denied"}},
		StaleCache, flushOnly, "", nil},
	{"same key, other kid", Evidence{Live: agreed("b=1"), Cached: cached(entry("jwks", "keys a=1"))},
		StaleCache, flushOnly, "lacks live key `b`", nil},
	{"per-kid cache, a live kid fails", Evidence{Live: agreed("a=1", "b=2"), Cached: cached(entry("jwks:kid:a", "jwk a=1")), Logged: logged(manyErrors...)},
		StaleCache, restart, "There is nothing to flush; restart the authoriser", []VerdictID{ColdCache}},
	{"per-kid cache, a live key under another kid fails", Evidence{Live: agreed("a=1", "b=2"), Cached: cached(entry("jwks:kid:a", "jwk a=1"), entry("jwks:kid:c", "jwk c=2")), Logged: logged(manyErrors...)},
		StaleCache, flushOnly, "the per-kid entries lack live key `b`", nil},

	{"same kid, new key", Evidence{Live: agreed("a=2"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged("bad_signature:9")},
		RekeyedKid, flushAnd, "Key `a` was replaced under the same kid", nil},
	{"per-kid entry with another key", Evidence{Live: agreed("a=2", "b=3"), Cached: cached(entry("jwks:kid:a", "jwk a=1"), entry("jwks:kid:b", "jwk b=3"))},
		RekeyedKid, flushAnd, "the per-kid entries still hold the old key", nil},
	{"rekeyed wins over stale", Evidence{Live: agreed("a=2", "b=3"), Cached: cached(entry("jwks", "keys a=1"))},
		RekeyedKid, flushAnd, "", nil},
	{"rekeyed wins over poisoned", Evidence{Live: agreed("a=2"), Cached: cached(entry("jwks:1", "keys a=1"), entry("jwks:2", "<html>"))},
		RekeyedKid, flushAnd, "", nil},

	{"web page in the cache", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "<html>down</html>"))},
		PoisonedCache, flushOnly, "an HTML page", nil},
	{"empty set in the cache", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys"))},
		PoisonedCache, flushOnly, "an empty key set", nil},
	{"poisoned wins over stale", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks:1", "keys a=1"), entry("jwks:2", "<html>"))},
		PoisonedCache, flushOnly, "", nil},

	{"marker for a live kid", Evidence{Live: agreed("a=1", "b=2"), Cached: cached(entry("jwks", "keys a=1 b=2"), entry("jwks:negative:b", "no b"))},
		NegativeCache, flushOnly, "`b` does not exist, but it is live", nil},
	{"marker for a kid that is not live", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1"), entry("jwks:negative:z", "no z")), Logged: logged()},
		Healthy, nothing, "", nil},

	{"new kind of key", Evidence{Live: liveSet(with(set("pq=7", "a=1"), newKind)), Cached: cached(entry("jwks", "keys a=1")), Logged: logged("jwks_parse:30")},
		UnsupportedKey, nothing, "(`AKP ML-DSA-65`)", nil},
	{"new kind of key, and an old one retired", Evidence{Live: liveSet(with(set("pq=7", "b=2"), newKind)), Cached: cached(entry("jwks", "keys a=1 b=2"))},
		UnsupportedKey, nothing, "", nil},
	{"a usable key is missing as well", Evidence{Live: liveSet(with(set("pq=7", "b=2"), newKind)), Cached: cached(entry("jwks", "keys a=1"))},
		StaleCache, flushOnly, "", nil},

	{"signatures fail on a live and cached kid", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks", "keys b=2")), Logged: logged("unknown_kid:40", "b=40")},
		StaleMemory, restart, "already holds the live keys", nil},
	{"signatures fail without a kid", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks", "keys b=2")), Logged: logged("bad_signature:40")},
		StaleMemory, restart, "", nil},
	{"memory is old, the cache empty", Evidence{Live: agreed("b=2"), Cached: cached(), Logged: logged(manyErrors...)},
		StaleMemory, restart, "holds no old keys", []VerdictID{ColdCache}},
	{"memory is old, a retired key is cached as well", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks", "keys a=1 b=2")), Logged: logged(manyErrors...)},
		StaleMemory, restart, "", nil},
	{"memory is old, and somebody sends junk", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks", "keys b=2")), Logged: logged("unknown_kid:48", "b=40", "j1=1", "j2=1", "j3=1", "j4=1", "j5=1", "j6=1", "j7=1", "j8=1")},
		StaleMemory, restart, "", nil},
	{"the cache is empty because keys cannot be fetched", Evidence{Live: agreed("b=2"), Cached: cached(), Logged: logged("unknown_kid:40", "jwks_fetch:40", "b=40")},
		Inconclusive, nothing, "", []VerdictID{ColdCache}},

	{"retired key cached", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks", "keys a=1 b=2")), Logged: logged()},
		RetiredKeyCached, nothing, "retired key `a`", nil},
	{"retired key in a per-kid cache", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks:kid:a", "jwk a=1")), Logged: logged()},
		RetiredKeyCached, nothing, "retired key `a`", []VerdictID{ColdCache}},

	{"error page", Evidence{Live: live(bad("it answers HTTP 503"), bad("it answers HTTP 503"), bad("it answers HTTP 503")), Cached: cached(entry("jwks", "keys a=1")), Logged: logged(manyErrors...)},
		LiveUnhealthy, nothing, "it answers HTTP 503", nil},
	{"error page for those who could connect", Evidence{Live: live(unreachable("timeout"), bad("it answers HTTP 503"), unreachable("timeout")), Cached: cached(entry("jwks", "keys a=1"))},
		LiveUnhealthy, nothing, "", []VerdictID{LiveUnreachable}},
	{"unhealthy wins over a poisoned cache", Evidence{Live: live(bad("HTML"), bad("HTML"), bad("HTML")), Cached: cached(entry("jwks", "<html>"))},
		LiveUnhealthy, nothing, "", nil},
	{"unhealthy although the cache could not be read", Evidence{Live: live(bad("HTML"), bad("HTML"), bad("HTML")), Unread: map[string]string{StepCachedKeys: "denied"}},
		LiveUnhealthy, nothing, "", nil},

	{"edges disagree", Evidence{Live: live(good("a=1"), good("b=2"), good("a=1")), Cached: cached(entry("jwks", "keys a=1")), Logged: logged(manyErrors...)},
		LiveDisagrees, nothing, "3 probes brought different key sets", nil},
	{"one edge is broken", Evidence{Live: live(good("a=1"), bad("it answers HTTP 503"), good("a=1")), Cached: cached(entry("jwks", "keys a=1"))},
		LiveDisagrees, nothing, "1 of 3 probes answered badly", nil},
	{"disagreement wins over a rekeyed kid", Evidence{Live: live(good("a=1"), good("a=2"), good("a=1")), Cached: cached(entry("jwks", "keys a=3"))},
		LiveDisagrees, nothing, "", nil},
	{"one probe did not connect", Evidence{Live: live(good("a=1"), unreachable("timeout"), good("a=1")), Cached: cached(entry("jwks", "keys a=1")), Logged: logged()},
		Healthy, nothing, "", []VerdictID{LiveUnreachable}},

	{"tokens of another issuer", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged("issuer:30", "expired:4")},
		UnknownIssuer, nothing, "another issuer", nil},
	{"storm of unknown kids", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged(stormKids...)},
		UnknownKids, nothing, "8 different unknown kids", nil},
	{"expired tokens", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged("expired:30", "audience:3")},
		ClaimsOrClock, nothing, "", nil},
	{"expired tokens that name a live kid", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged("expired:30", "a=30")},
		ClaimsOrClock, nothing, "", nil},
	{"refetches are throttled", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged("refetch_throttled:12", "unknown_kid:20", "a=20")},
		RefetchThrottled, nothing, "12 times", nil},
	{"refetches are throttled, the cache is empty", Evidence{Live: agreed("a=1"), Cached: cached(), Logged: logged("refetch_throttled:12", "unknown_kid:20", "a=20")},
		RefetchThrottled, nothing, "", []VerdictID{ColdCache}},
	{"one throttled refetch beside other failures is not the cause", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged("refetch_throttled:1", "bad_signature:200", "a=200")},
		StaleMemory, restart, "keeps old keys in memory", nil},
	{"stale wins over throttled refetches", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged("refetch_throttled:12", "unknown_kid:20", "b=20")},
		StaleCache, flushOnly, "", nil},

	{"another use", Evidence{Live: agreed("a=1"), Cached: cached(holding("jwks", with(set("a=1"), func(k *Key) { k.Metadata = map[string]string{"use": `"enc"`, "alg": `"RS256"`} }))), Logged: logged()},
		MetadataChanged, nothing, "(use)", nil},

	{"no decoder fits", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "?? strange")), Logged: logged()},
		CacheUnreadable, nothing, "no decoder can read", nil},
	{"a strange entry beside an old one", Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks", "keys a=1"), entry("jwks:lock", "?? 1"))},
		StaleCache, flushOnly, "", []VerdictID{CacheUnreadable}},
	{"a strange entry beside the live keys", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1"), entry("jwks:lock", "?? 1")), Logged: logged()},
		Healthy, nothing, "", []VerdictID{CacheUnreadable}},

	{"live not reached", Evidence{Live: live(unreachable("no connection"), unreachable("no connection"), unreachable("no connection")), Cached: cached(entry("jwks", "keys a=1")), Logged: logged(manyErrors...)},
		Inconclusive, nothing, "the live keys could not be read", []VerdictID{LiveUnreachable}},
	{"live not configured", Evidence{Cached: cached(entry("jwks", "keys a=1"))},
		Inconclusive, nothing, "the live keys could not be read", nil},
	{"a poisoned cache cannot be refilled when live is not reached", Evidence{Live: live(unreachable("no connection")), Cached: cached(entry("jwks", "<html>"))},
		Inconclusive, nothing, "", []VerdictID{LiveUnreachable}},
	{"cache not read", Evidence{Live: agreed("a=1"), Logged: logged(), Unread: map[string]string{StepCachedKeys: "redis: connection refused"}},
		Inconclusive, nothing, "the cache could not be read", nil},
	{"cache not read, failures on a live kid", Evidence{Live: agreed("b=2"), Logged: logged(manyErrors...), Unread: map[string]string{StepCachedKeys: "refused"}},
		Inconclusive, nothing, "the cache could not be read", nil},
	{"cache not read, the logs explain it", Evidence{Live: agreed("a=1"), Logged: logged("issuer:30"), Unread: map[string]string{StepCachedKeys: "refused"}},
		UnknownIssuer, nothing, "", nil},
	{"live not reached, the logs explain it", Evidence{Live: live(unreachable("timeout")), Cached: cached(entry("jwks", "keys a=1")), Logged: logged("expired:30")},
		ClaimsOrClock, nothing, "", []VerdictID{LiveUnreachable}},
	{"logs not read", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1")), Unread: map[string]string{StepLoggedKeys: "denied"}},
		Inconclusive, nothing, "log could not be read", nil},
	{"more entries than can be read", Evidence{Live: agreed("a=1"), Cached: &CacheEvidence{Entries: []Entry{entry("jwks", "keys a=1")}, Truncated: true}, Logged: logged()},
		Inconclusive, nothing, "more entries match", nil},
	{"failures on one kid that nobody knows", Evidence{Live: agreed("a=1"), Cached: cached(entry("jwks", "keys a=1")), Logged: logged("unknown_kid:40", "z=40")},
		Inconclusive, nothing, "key id `z`, which is neither live nor cached", nil},
	{"nothing at all", Evidence{}, Inconclusive, nothing, "", nil},
}

// foreign is an entry of another issuer.
func foreign(name, value string) Entry {
	e := entry(name, value)
	e.Foreign = "https://other.example"
	return e
}

func TestDiagnose(t *testing.T) {
	seen := map[VerdictID]bool{}
	for _, c := range verdictCases {
		t.Run(c.name, func(t *testing.T) {
			d := Diagnose(c.e)
			v := d.Verdict
			seen[v.ID] = true
			if v.ID != c.want {
				t.Fatalf("verdict %s (%s), want %s", v.ID, v.Summary, c.want)
			}
			if !slices.Equal(v.Recommended, c.recommended) {
				t.Errorf("recommended %v, want %v", v.Recommended, c.recommended)
			}
			if !strings.Contains(v.Summary, c.says) {
				t.Errorf("summary %q does not say %q", v.Summary, c.says)
			}
			checkVerdict(t, d)
			got := idsOf(d.Findings[1:])
			if !slices.Equal(got, c.findings) {
				t.Errorf("findings beside the verdict: %v, want %v", got, c.findings)
			}
		})
	}
	for _, id := range []VerdictID{Healthy, StaleCache, RekeyedKid, PoisonedCache, NegativeCache, StaleMemory, RetiredKeyCached, LiveUnhealthy, LiveDisagrees,
		UnknownIssuer, UnknownKids, ClaimsOrClock, RefetchThrottled, UnsupportedKey, MetadataChanged, CacheUnreadable, Inconclusive} {
		if !seen[id] {
			t.Errorf("no case reaches %s", id)
		}
	}
}

// checkVerdict holds what must be true of every diagnosis.
func checkVerdict(t *testing.T, d Diagnosis) {
	t.Helper()
	v := d.Verdict
	if d.Findings[0] != v.Finding {
		t.Errorf("the first finding is %+v, not the verdict's", d.Findings[0])
	}
	if v.WouldChange == "" || v.Summary == "" || v.Severity == "" {
		t.Errorf("verdict without summary, severity or what would change it: %+v", v)
	}
	for _, m := range []Mitigation{FlushCache, RestartAuthoriser} {
		if v.Advises(m) == (v.Objection(m) != "") {
			t.Errorf("%s: advised is %t and the objection %q", m, v.Advises(m), v.Objection(m))
		}
	}
	if v.ID != Healthy && v.ID != Inconclusive && len(v.Because) == 0 && v.ID != UnknownIssuer {
		t.Errorf("%s rests on nothing", v.ID)
	}
	ids := idsOf(d.Findings)
	slices.Sort(ids)
	if v.ID == Healthy && (d.Has(StaleCache) || d.Has(PoisonedCache)) {
		t.Errorf("healthy beside %v", ids)
	}
}

func idsOf(findings []Finding) []VerdictID {
	var out []VerdictID
	for _, f := range findings {
		out = append(out, f.ID)
	}
	return out
}

func TestForbids(t *testing.T) {
	for _, c := range verdictCases {
		v := Diagnose(c.e).Verdict
		if want := v.ID == LiveUnhealthy || v.ID == LiveDisagrees; v.Forbids() != want {
			t.Errorf("%s: forbids a flush is %t", v.ID, v.Forbids())
		}
		if v.Forbids() && v.Objection(RestartAuthoriser) == "" {
			t.Errorf("%s has nothing against a restart", v.ID)
		}
	}
}

// Whatever the rest of the evidence says: what was not read is never healthy.
func TestNeverHealthyWithoutReading(t *testing.T) {
	for _, c := range verdictCases {
		noCache, noLogs, noLive := c.e, c.e, c.e
		noCache.Cached = nil
		noLive.Live = nil
		noLogs.Logged, noLogs.Unread = nil, map[string]string{StepLoggedKeys: "denied"}
		for what, e := range map[string]Evidence{"cache": noCache, "logs": noLogs, "live keys": noLive} {
			if v := Diagnose(e).Verdict; v.ID == Healthy {
				t.Errorf("%s, without %s: healthy (%s)", c.name, what, v.Summary)
			}
		}
	}
}

// A key without a kid may be any live one of the same material, whatever their
// names and order.
func TestHowACachedKeyIsDescribed(t *testing.T) {
	described := func(kid, alg string) Key {
		return Key{Kid: kid, Thumbprint: "print", Metadata: map[string]string{"use": "sig", "alg": alg}}
	}
	for name, c := range map[string]struct {
		cached Key
		want   string
	}{
		"without a kid, as one of them": {described("", "RS256"), ""},
		"without a kid, as none":        {described("", "PS256"), "alg"},
		"of the same kid":               {described("b", "RS256"), ""},
		"as the one of another kid":     {described("a", "RS256"), "alg"},
		"of another kid":                {described("c", "PS256"), ""},
	} {
		for _, live := range []KeySet{{Keys: []Key{described("a", "RS512"), described("b", "RS256")}}, {Keys: []Key{described("b", "RS256"), described("a", "RS512")}}} {
			if got := redescribed(live, c.cached); got != c.want {
				t.Errorf("%s, live %v: %q, want %q", name, kidsOf(live.Keys), got, c.want)
			}
		}
	}
}
