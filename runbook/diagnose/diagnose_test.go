package diagnose

import (
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/standin"
)

// newKind makes a key one that mainstream verifiers cannot use.
func newKind(k *runbook.Key) {
	k.Kty, k.Alg, k.Usable, k.Thumbprint, k.Problems = "AKP", "ML-DSA-65", false, "", []string{"unknown key type"}
}

func liveSet(s runbook.KeySet) *runbook.LiveEvidence {
	p := runbook.Probe{Status: 200, Set: s}
	return standin.LiveEvidence(p, p, p)
}

func holding(name string, s runbook.KeySet) runbook.Entry {
	e := standin.Entry(name, "keys x=1")
	e.Reading.Set = s
	return e
}

var (
	flushOnly  = []runbook.Mitigation{runbook.FlushCache}
	flushAnd   = []runbook.Mitigation{runbook.FlushCache, runbook.RestartAuthoriser}
	restart    = []runbook.Mitigation{runbook.RestartAuthoriser}
	nothing    []runbook.Mitigation
	stormKids  = []string{"unknown_kid:8", "j1=1", "j2=1", "j3=1", "j4=1", "j5=1", "j6=1", "j7=1", "j8=1"}
	manyErrors = []string{"unknown_kid:40", "b=40"}
)

// verdictCases hold at least one row for each verdict, and one for each pair of
// rules that can both fit.
var verdictCases = []struct {
	name        string
	e           runbook.Evidence
	want        runbook.VerdictID
	recommended []runbook.Mitigation
	says        string // in the summary
	findings    []runbook.VerdictID
}{
	{"equal sets", runbook.Evidence{Live: standin.Agreed("a=1", "b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2 a=1")), Logged: standin.LoggedEvidence()},
		Healthy, nothing, "exactly the live keys (`a`, `b`)", nil},
	{"noise is no incident", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("bad_signature:2", "a=2")},
		Healthy, nothing, " 2 failures in the last 60 min.", nil},
	{"a few stray kids are no incident", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("unknown_kid:5", "j1=1", "j2=1", "j3=1", "j4=2")},
		Healthy, nothing, "exactly the live keys", nil},
	{"stray kids hide no other failures", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("unknown_kid:4", "bad_signature:5", "j1=1", "j2=1", "j3=1", "j4=1")},
		StaleMemory, restart, "", nil},
	{"one kid that nobody knows, again and again, is one", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("unknown_kid:5", "j1=5")},
		Inconclusive, nothing, "key id `j1`", nil},
	{"failures that ended", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: standin.Ended(9*time.Minute, manyErrors...)},
		Healthy, nothing, "none in the last 9 min", nil},
	{"logs not configured", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))},
		Healthy, nothing, "not configured", nil},
	{"empty cache", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(), Logged: standin.LoggedEvidence()},
		Healthy, nothing, "holds no keys right now", []runbook.VerdictID{ColdCache}},
	{"per-kid cache that nobody has asked", runbook.Evidence{Live: standin.Agreed("a=1", "b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks:kid:a", "jwk a=1")), Logged: standin.LoggedEvidence()},
		Healthy, nothing, "every cached key is a live one", []runbook.VerdictID{ColdCache}},
	{"only a foreign entry", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Foreign("other", "keys z=9")), Logged: standin.LoggedEvidence()},
		Healthy, nothing, "holds no keys right now", []runbook.VerdictID{ColdCache}},
	{"consumers drop encryption keys", runbook.Evidence{Live: liveSet(standin.With(standin.Set("e=5", "a=1"), func(k *runbook.Key) { k.Use, k.Usable = "enc", false })),
		Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence()}, Healthy, nothing, "", nil},

	{"hard cut", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence(manyErrors...)},
		StaleCache, flushOnly, "entry `jwks` lacks live key `b`, and the authoriser rejects tokens signed with it (40 failures)", nil},
	{"a key was added", runbook.Evidence{Live: standin.Agreed("a=1", "b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence()},
		StaleCache, flushOnly, "lacks live key `b`. A flush", nil},
	{"one of two entries is old", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks:1", "keys b=2"), standin.Entry("jwks:2", "keys a=1"))},
		StaleCache, flushOnly, "entry `jwks:2`", nil},
	{"old although failures ended", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.Ended(20*time.Minute, manyErrors...)},
		StaleCache, flushOnly, "lacks live key `b`", nil},
	{"old although the logs could not be read", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Unread: map[string]string{runbook.StepLoggedKeys: "denied"}},
		StaleCache, flushOnly, "", nil},
	{"same key, other kid", runbook.Evidence{Live: standin.Agreed("b=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))},
		StaleCache, flushOnly, "lacks live key `b`", nil},
	{"per-kid cache, a live kid fails", runbook.Evidence{Live: standin.Agreed("a=1", "b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks:kid:a", "jwk a=1")), Logged: standin.LoggedEvidence(manyErrors...)},
		StaleCache, restart, "There is nothing to flush; restart the authoriser", []runbook.VerdictID{ColdCache}},
	{"per-kid cache, a live key under another kid fails", runbook.Evidence{Live: standin.Agreed("a=1", "b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks:kid:a", "jwk a=1"), standin.Entry("jwks:kid:c", "jwk c=2")), Logged: standin.LoggedEvidence(manyErrors...)},
		StaleCache, flushOnly, "the per-kid entries lack live key `b`", nil},

	{"same kid, new key", runbook.Evidence{Live: standin.Agreed("a=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("bad_signature:9")},
		RekeyedKid, flushAnd, "Key `a` was replaced under the same kid", nil},
	{"per-kid entry with another key", runbook.Evidence{Live: standin.Agreed("a=2", "b=3"), Cached: standin.CachedEvidence(standin.Entry("jwks:kid:a", "jwk a=1"), standin.Entry("jwks:kid:b", "jwk b=3"))},
		RekeyedKid, flushAnd, "the per-kid entries still hold the old key", nil},
	{"rekeyed wins over stale", runbook.Evidence{Live: standin.Agreed("a=2", "b=3"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))},
		RekeyedKid, flushAnd, "", nil},
	{"rekeyed wins over poisoned", runbook.Evidence{Live: standin.Agreed("a=2"), Cached: standin.CachedEvidence(standin.Entry("jwks:1", "keys a=1"), standin.Entry("jwks:2", "<html>"))},
		RekeyedKid, flushAnd, "", nil},

	{"web page in the cache", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "<html>down</html>"))},
		PoisonedCache, flushOnly, "an HTML page", nil},
	{"empty set in the cache", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys"))},
		PoisonedCache, flushOnly, "an empty key set", nil},
	{"poisoned wins over stale", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks:1", "keys a=1"), standin.Entry("jwks:2", "<html>"))},
		PoisonedCache, flushOnly, "", nil},

	{"marker for a live kid", runbook.Evidence{Live: standin.Agreed("a=1", "b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 b=2"), standin.Entry("jwks:negative:b", "no b"))},
		NegativeCache, flushOnly, "`b` does not exist, but it is live", nil},
	{"marker for a kid that is not live", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"), standin.Entry("jwks:negative:z", "no z")), Logged: standin.LoggedEvidence()},
		Healthy, nothing, "", nil},

	{"new kind of key", runbook.Evidence{Live: liveSet(standin.With(standin.Set("pq=7", "a=1"), newKind)), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("jwks_parse:30")},
		UnsupportedKey, nothing, "(`AKP ML-DSA-65`)", nil},
	{"new kind of key, and an old one retired", runbook.Evidence{Live: liveSet(standin.With(standin.Set("pq=7", "b=2"), newKind)), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 b=2"))},
		UnsupportedKey, nothing, "", nil},
	{"a usable key is missing as well", runbook.Evidence{Live: liveSet(standin.With(standin.Set("pq=7", "b=2"), newKind)), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))},
		StaleCache, flushOnly, "", nil},

	{"signatures fail on a live and cached kid", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: standin.LoggedEvidence("unknown_kid:40", "b=40")},
		StaleMemory, restart, "already holds the live keys", nil},
	{"signatures fail without a kid", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: standin.LoggedEvidence("bad_signature:40")},
		StaleMemory, restart, "", nil},
	{"memory is old, the cache empty", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(), Logged: standin.LoggedEvidence(manyErrors...)},
		StaleMemory, restart, "holds no old keys", []runbook.VerdictID{ColdCache}},
	{"memory is old, a retired key is cached as well", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 b=2")), Logged: standin.LoggedEvidence(manyErrors...)},
		StaleMemory, restart, "", nil},
	{"memory is old, and somebody sends junk", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: standin.LoggedEvidence("unknown_kid:48", "b=40", "j1=1", "j2=1", "j3=1", "j4=1", "j5=1", "j6=1", "j7=1", "j8=1")},
		StaleMemory, restart, "", nil},
	{"the cache is empty because keys cannot be fetched", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(), Logged: standin.LoggedEvidence("unknown_kid:40", "jwks_fetch:40", "b=40")},
		Inconclusive, nothing, "", []runbook.VerdictID{ColdCache}},

	{"retired key cached", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 b=2")), Logged: standin.LoggedEvidence()},
		RetiredKeyCached, nothing, "retired key `a`", nil},
	{"retired key in a per-kid cache", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks:kid:a", "jwk a=1")), Logged: standin.LoggedEvidence()},
		RetiredKeyCached, nothing, "retired key `a`", []runbook.VerdictID{ColdCache}},

	{"error page", runbook.Evidence{Live: standin.LiveEvidence(standin.Bad("it answers HTTP 503"), standin.Bad("it answers HTTP 503"), standin.Bad("it answers HTTP 503")), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence(manyErrors...)},
		LiveUnhealthy, nothing, "it answers HTTP 503", nil},
	{"error page for those who could connect", runbook.Evidence{Live: standin.LiveEvidence(standin.Unreachable("timeout"), standin.Bad("it answers HTTP 503"), standin.Unreachable("timeout")), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))},
		LiveUnhealthy, nothing, "", []runbook.VerdictID{LiveUnreachable}},
	{"unhealthy wins over a poisoned cache", runbook.Evidence{Live: standin.LiveEvidence(standin.Bad("HTML"), standin.Bad("HTML"), standin.Bad("HTML")), Cached: standin.CachedEvidence(standin.Entry("jwks", "<html>"))},
		LiveUnhealthy, nothing, "", nil},
	{"unhealthy although the cache could not be read", runbook.Evidence{Live: standin.LiveEvidence(standin.Bad("HTML"), standin.Bad("HTML"), standin.Bad("HTML")), Unread: map[string]string{runbook.StepCachedKeys: "denied"}},
		LiveUnhealthy, nothing, "", nil},

	{"edges disagree", runbook.Evidence{Live: standin.LiveEvidence(standin.Good("a=1"), standin.Good("b=2"), standin.Good("a=1")), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence(manyErrors...)},
		LiveDisagrees, nothing, "3 probes brought different key sets", nil},
	{"one edge is broken", runbook.Evidence{Live: standin.LiveEvidence(standin.Good("a=1"), standin.Bad("it answers HTTP 503"), standin.Good("a=1")), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))},
		LiveDisagrees, nothing, "1 of 3 probes answered badly", nil},
	{"disagreement wins over a rekeyed kid", runbook.Evidence{Live: standin.LiveEvidence(standin.Good("a=1"), standin.Good("a=2"), standin.Good("a=1")), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=3"))},
		LiveDisagrees, nothing, "", nil},
	{"one probe did not connect", runbook.Evidence{Live: standin.LiveEvidence(standin.Good("a=1"), standin.Unreachable("timeout"), standin.Good("a=1")), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence()},
		Healthy, nothing, "", []runbook.VerdictID{LiveUnreachable}},

	{"tokens of another issuer", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("issuer:30", "expired:4")},
		UnknownIssuer, nothing, "another issuer", nil},
	{"storm of unknown kids", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence(stormKids...)},
		UnknownKids, nothing, "8 different unknown kids", nil},
	{"expired tokens", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("expired:30", "audience:3")},
		ClaimsOrClock, nothing, "", nil},
	{"expired tokens that name a live kid", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("expired:30", "a=30")},
		ClaimsOrClock, nothing, "", nil},
	{"refetches are throttled", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("refetch_throttled:12", "unknown_kid:20", "a=20")},
		RefetchThrottled, nothing, "12 times", nil},
	{"refetches are throttled, the cache is empty", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(), Logged: standin.LoggedEvidence("refetch_throttled:12", "unknown_kid:20", "a=20")},
		RefetchThrottled, nothing, "", []runbook.VerdictID{ColdCache}},
	{"one throttled refetch beside other failures is not the cause", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("refetch_throttled:1", "bad_signature:200", "a=200")},
		StaleMemory, restart, "keeps old keys in memory", nil},
	{"stale wins over throttled refetches", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("refetch_throttled:12", "unknown_kid:20", "b=20")},
		StaleCache, flushOnly, "", nil},

	{"another use", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(holding("jwks", standin.With(standin.Set("a=1"), func(k *runbook.Key) { k.Metadata = map[string]string{"use": `"enc"`, "alg": `"RS256"`} }))), Logged: standin.LoggedEvidence()},
		MetadataChanged, nothing, "(use)", nil},

	{"no decoder fits", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "?? strange")), Logged: standin.LoggedEvidence()},
		CacheUnreadable, nothing, "no decoder can read", nil},
	{"a strange entry beside an old one", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"), standin.Entry("jwks:lock", "?? 1"))},
		StaleCache, flushOnly, "", []runbook.VerdictID{CacheUnreadable}},
	{"a strange entry beside the live keys", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"), standin.Entry("jwks:lock", "?? 1")), Logged: standin.LoggedEvidence()},
		Healthy, nothing, "", []runbook.VerdictID{CacheUnreadable}},

	{"live not reached", runbook.Evidence{Live: standin.LiveEvidence(standin.Unreachable("no connection"), standin.Unreachable("no connection"), standin.Unreachable("no connection")), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence(manyErrors...)},
		Inconclusive, nothing, "the live keys could not be read", []runbook.VerdictID{LiveUnreachable}},
	{"live not configured", runbook.Evidence{Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))},
		Inconclusive, nothing, "the live keys could not be read", nil},
	{"a poisoned cache cannot be refilled when live is not reached", runbook.Evidence{Live: standin.LiveEvidence(standin.Unreachable("no connection")), Cached: standin.CachedEvidence(standin.Entry("jwks", "<html>"))},
		Inconclusive, nothing, "", []runbook.VerdictID{LiveUnreachable}},
	{"cache not read", runbook.Evidence{Live: standin.Agreed("a=1"), Logged: standin.LoggedEvidence(), Unread: map[string]string{runbook.StepCachedKeys: "redis: connection refused"}},
		Inconclusive, nothing, "the cache could not be read", nil},
	{"cache not read, failures on a live kid", runbook.Evidence{Live: standin.Agreed("b=2"), Logged: standin.LoggedEvidence(manyErrors...), Unread: map[string]string{runbook.StepCachedKeys: "refused"}},
		Inconclusive, nothing, "the cache could not be read", nil},
	{"cache not read, the logs explain it", runbook.Evidence{Live: standin.Agreed("a=1"), Logged: standin.LoggedEvidence("issuer:30"), Unread: map[string]string{runbook.StepCachedKeys: "refused"}},
		UnknownIssuer, nothing, "", nil},
	{"live not reached, the logs explain it", runbook.Evidence{Live: standin.LiveEvidence(standin.Unreachable("timeout")), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("expired:30")},
		ClaimsOrClock, nothing, "", []runbook.VerdictID{LiveUnreachable}},
	{"logs not read", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Unread: map[string]string{runbook.StepLoggedKeys: "denied"}},
		Inconclusive, nothing, "log could not be read", nil},
	{"more entries than can be read", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: &runbook.CacheEvidence{Entries: []runbook.Entry{standin.Entry("jwks", "keys a=1")}, Truncated: true}, Logged: standin.LoggedEvidence()},
		Inconclusive, nothing, "more entries match", nil},
	{"failures on one kid that nobody knows", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("unknown_kid:40", "z=40")},
		Inconclusive, nothing, "key id `z`, which is neither live nor cached", nil},
	{"nothing at all", runbook.Evidence{}, Inconclusive, nothing, "", nil},
}

func TestDiagnose(t *testing.T) {
	seen := map[runbook.VerdictID]bool{}
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
	for _, id := range []runbook.VerdictID{Healthy, StaleCache, RekeyedKid, PoisonedCache, NegativeCache, StaleMemory, RetiredKeyCached, LiveUnhealthy, LiveDisagrees,
		UnknownIssuer, UnknownKids, ClaimsOrClock, RefetchThrottled, UnsupportedKey, MetadataChanged, CacheUnreadable, Inconclusive} {
		if !seen[id] {
			t.Errorf("no case reaches %s", id)
		}
	}
}

// checkVerdict holds what must be true of every diagnosis.
func checkVerdict(t *testing.T, d runbook.Diagnosis) {
	t.Helper()
	v := d.Verdict
	if d.Findings[0] != v.Finding {
		t.Errorf("the first finding is %+v, not the verdict's", d.Findings[0])
	}
	if v.WouldChange == "" || v.Summary == "" || v.Severity == "" {
		t.Errorf("verdict without summary, severity or what would change it: %+v", v)
	}
	for _, m := range []runbook.Mitigation{runbook.FlushCache, runbook.RestartAuthoriser} {
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

func idsOf(findings []runbook.Finding) []runbook.VerdictID {
	var out []runbook.VerdictID
	for _, f := range findings {
		out = append(out, f.ID)
	}
	return out
}

func TestForbids(t *testing.T) {
	for _, c := range verdictCases {
		v := Diagnose(c.e).Verdict
		if want := v.ID == LiveUnhealthy || v.ID == LiveDisagrees; Forbids(v) != want {
			t.Errorf("%s: forbids a flush is %t", v.ID, Forbids(v))
		}
		if Forbids(v) && v.Objection(runbook.RestartAuthoriser) == "" {
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
		noLogs.Logged, noLogs.Unread = nil, map[string]string{runbook.StepLoggedKeys: "denied"}
		for what, e := range map[string]runbook.Evidence{"cache": noCache, "logs": noLogs, "live keys": noLive} {
			if v := Diagnose(e).Verdict; v.ID == Healthy {
				t.Errorf("%s, without %s: healthy (%s)", c.name, what, v.Summary)
			}
		}
	}
}

// A key without a kid may be any live one of the same material, whatever their
// names and order.
func TestHowACachedKeyIsDescribed(t *testing.T) {
	described := func(kid, alg string) runbook.Key {
		return runbook.Key{Kid: kid, Thumbprint: "print", Metadata: map[string]string{"use": "sig", "alg": alg}}
	}
	for name, c := range map[string]struct {
		cached runbook.Key
		want   string
	}{
		"without a kid, as one of them": {described("", "RS256"), ""},
		"without a kid, as none":        {described("", "PS256"), "alg"},
		"of the same kid":               {described("b", "RS256"), ""},
		"as the one of another kid":     {described("a", "RS256"), "alg"},
		"of another kid":                {described("c", "PS256"), ""},
	} {
		for _, live := range []runbook.KeySet{{Keys: []runbook.Key{described("a", "RS512"), described("b", "RS256")}}, {Keys: []runbook.Key{described("b", "RS256"), described("a", "RS512")}}} {
			if got := redescribed(live, c.cached); got != c.want {
				t.Errorf("%s, live %v: %q, want %q", name, KidsOf(live.Keys), got, c.want)
			}
		}
	}
}
