package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/standin"
)

// gatewayOf is an hour of a gateway with the given points and authorisers.
func gatewayOf(points []runbook.GatewayPoint, authorisers ...runbook.GatewayAuthoriser) *runbook.GatewayEvidence {
	return &runbook.GatewayEvidence{GatewaySetup: standin.SetupOf(authorisers...), Since: standin.T0.Add(-time.Hour), Until: standin.T0, Points: points}
}

// deniedOf adds the counts of an access log.
func deniedOf(g *runbook.GatewayEvidence, window, now int) *runbook.GatewayEvidence {
	g.Denied, g.DeniedNow = &window, &now
	return g
}

// sighted is one key of the history, seen first and last so long ago.
func sighted(word string, first, last time.Duration) runbook.Sighting {
	k := standin.Set(word).Keys[0]
	return runbook.Sighting{Kid: k.Kid, Thumbprint: k.Thumbprint, FirstSeen: standin.T0.Add(-first), LastSeen: standin.T0.Add(-last)}
}

// rotated is the history of a rotation from a=1 to b=2, 14 minutes ago.
func rotatedHistory() []runbook.Sighting {
	return []runbook.Sighting{sighted("a=1", 72*time.Hour, 15*time.Minute), sighted("b=2", 14*time.Minute, 0)}
}

func writtenAgo(e runbook.Entry, ago time.Duration) runbook.Entry {
	e.Reading.Written = standin.T0.Add(-ago)
	return e
}

func forever(e runbook.Entry) runbook.Entry {
	e.TTL = runbook.NoExpiry
	return e
}

func keyed(word string, change func(*runbook.Key)) runbook.KeySet {
	return standin.With(standin.Set(word), change)
}

func problem(p string) func(*runbook.Key) { return func(k *runbook.Key) { k.Problems = []string{p} } }

func leaking(word string, change func(*runbook.KeySet)) runbook.KeySet {
	s := standin.Set(word)
	change(&s)
	return s
}

// rowCases are the rows of facts/jwks.md section 1, all 37, by their numbers.
// Where the bot cannot see a signature, the row says what comes out and why.
var rowCases = []struct {
	row         int
	what        string
	e           runbook.Evidence
	want        runbook.VerdictID
	recommended []runbook.Mitigation
	findings    []runbook.VerdictID // among others
	says        string              // in the summary, the evidence or what would change it
}{
	{1, "stale shared cache", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("unknown_kid:40", "b=40")},
		StaleCache, flushOnly, nil, "lacks live key `b`"},
	{2, "in-memory layer stale", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: standin.LoggedEvidence("unknown_kid:40", "b=40")},
		StaleMemory, restart, nil, "keeps old keys in memory"},
	{3, "same kid, new key", runbook.Evidence{Live: standin.Agreed("a=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("bad_signature:40")},
		RekeyedKid, flushAnd, nil, "give the new key a new kid"},
	{4, "re-encoding", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(holding("jwks", keyed("a=1", func(k *runbook.Key) { k.Numbers = map[string]string{"n": "AA1", "e": "AQAB"} }))), Logged: standin.LoggedEvidence()},
		Healthy, nothing, []runbook.VerdictID{Reencoded}, "exactly the live keys"},
	{5, "metadata change", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(holding("jwks", keyed("a=1", func(k *runbook.Key) { k.Metadata = map[string]string{"use": `"enc"`, "alg": `"RS256"`} }))), Logged: standin.LoggedEvidence()},
		MetadataChanged, nothing, nil, "only if the authoriser filters"},
	{6, "rotated out, old tokens still pass", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 b=2")), Logged: standin.LoggedEvidence()},
		RetiredKeyCached, nothing, nil, "unless that key is being revoked"},
	{6, "rotated out, the rotation known", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 b=2")), Logged: standin.LoggedEvidence(), History: rotatedHistory()},
		RetiredKeyCached, nothing, nil, "tokens signed with `a`: the last of them expires by 03:46 UTC"},
	{7, "wrong issuer", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("issuer:40", "z=40")},
		UnknownIssuer, nothing, nil, "fix the client"},
	{8, "junk-kid storm", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence(stormKids...)},
		UnknownKids, nothing, nil, "rate limit"},
	{9, "retired token still sent, its key known from history", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: standin.LoggedEvidence("unknown_kid:40", "a=40"),
		History: []runbook.Sighting{sighted("a=1", 90*time.Hour, 60*time.Hour), sighted("b=2", 59*time.Hour, 0)}}, ClaimsOrClock, nothing, nil, "expired long ago"},
	// Without history the bot cannot know how old the token is: it asks for its expiry.
	{9, "retired token still sent, its key never seen", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: standin.LoggedEvidence("unknown_kid:40", "z=40")},
		Inconclusive, nothing, nil, "expiry of one failing token"},
	{10, "key removed too early", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: standin.LoggedEvidence("unknown_kid:40", "a=40"), History: rotatedHistory()},
		RemovedTooEarly, nothing, nil, "has to publish it again"},
	{11, "edges disagree", runbook.Evidence{Live: standin.LiveEvidence(standin.Good("a=1"), standin.Good("b=2"), standin.Good("a=1")), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1"))},
		LiveDisagrees, nothing, nil, "Wait and check again"},
	{12, "the endpoint is broken", runbook.Evidence{Live: standin.LiveEvidence(standin.Bad("HTML"), standin.Bad("HTML"), standin.Bad("HTML")), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence(manyErrors...)},
		LiveUnhealthy, nothing, nil, "Do not flush"},
	{13, "poisoned cache", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "<html>")), Logged: standin.LoggedEvidence("jwks_parse:40")},
		PoisonedCache, flushOnly, nil, "an HTML page"},
	{14, "empty set cached", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys")), Logged: standin.LoggedEvidence("no_signing_keys:40")},
		PoisonedCache, flushOnly, nil, "an empty key set"},
	{15, "negative cache", runbook.Evidence{Live: standin.Agreed("a=1", "b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 b=2"), standin.Entry("jwks:negative:b", "no b"))},
		NegativeCache, flushOnly, nil, "Flush that marker"},
	{16, "unknown format", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "?? strange")), Logged: standin.LoggedEvidence(manyErrors...)},
		CacheUnreadable, nothing, nil, "strange bytes"},
	{17, "nothing cached, nothing fails", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(), Logged: standin.LoggedEvidence()},
		Healthy, nothing, []runbook.VerdictID{ColdCache}, "holds no keys right now"},
	{17, "nothing cached, failures: the memory is next", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(), Logged: standin.LoggedEvidence(manyErrors...)},
		StaleMemory, restart, []runbook.VerdictID{ColdCache}, "holds no old keys"},
	{18, "stale and without expiry", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(forever(standin.Entry("jwks", "keys a=1"))), Logged: standin.LoggedEvidence(manyErrors...)},
		StaleCache, flushOnly, []runbook.VerdictID{NoExpiryFinding}, "never expires"},
	{19, "refetch throttled, nothing cached", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(), Logged: standin.LoggedEvidence("refetch_throttled:12", "unknown_kid:20", "b=20")},
		RefetchThrottled, nothing, []runbook.VerdictID{ColdCache}, "starts the storm again"},
	{19, "refetch throttled, the live keys are cached", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: standin.LoggedEvidence("refetch_throttled:12", "unknown_kid:20", "b=20")},
		RefetchThrottled, nothing, nil, "ends by itself when the limit does"},
	{19, "refetch throttled for long, the live keys are cached", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: lasting(12, 40, "refetch_throttled:240", "unknown_kid:240", "b=240")},
		RefetchThrottled, restart, nil, "waiting has not helped for 12 min"},
	{20, "claims", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("expired:30", "audience:9", "a=39")},
		ClaimsOrClock, nothing, nil, "not for their keys"},
	{21, "clock skew", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("clock:30", "a=30")},
		ClaimsOrClock, nothing, nil, "at the clocks"},
	{22, "sig and enc share a kid", runbook.Evidence{Live: liveSet(standin.With(standin.Set("a=5", "a=1"), func(k *runbook.Key) { k.Use, k.Usable = "enc", false })), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 a=5")), Logged: standin.LoggedEvidence()},
		Healthy, nothing, []runbook.VerdictID{DuplicateKid}, ""},
	{23, "duplicate kid, the authoriser refuses the set", runbook.Evidence{Live: standin.Agreed("a=1", "a=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 a=2")), Logged: standin.LoggedEvidence("duplicate_kid:40")},
		DuplicateKid, nothing, nil, "give each key its own kid"},
	{23, "duplicate kid, nobody minds", runbook.Evidence{Live: standin.Agreed("a=1", "a=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1 a=2")), Logged: standin.LoggedEvidence()},
		Healthy, nothing, []runbook.VerdictID{DuplicateKid}, ""},
	{24, "token or key without a kid", runbook.Evidence{Live: standin.Agreed("=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys =1")), Logged: standin.LoggedEvidence("no_kid:40")},
		UnknownKids, nothing, nil, "1 live key has no kid either"},
	{25, "new kind of key, the old copy still works", runbook.Evidence{Live: liveSet(standin.With(standin.Set("pq=7", "a=1"), newKind)), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("jwks_parse:40")},
		UnsupportedKey, nothing, nil, "A flush would make it worse"},
	{25, "new kind of key, cached as it came", runbook.Evidence{Live: liveSet(standin.With(standin.Set("pq=7", "a=1"), newKind)), Cached: standin.CachedEvidence(holding("jwks", standin.With(standin.Set("pq=7", "a=1"), newKind))), Logged: standin.LoggedEvidence("jwks_parse:40")},
		UnsupportedKey, nothing, nil, "cannot parse it"},
	// Problems of a key that do not keep verifiers from using it stand in the step
	// live-keys; they explain no failure, so that nothing comes of them here.
	{26, "x5c expired", runbook.Evidence{Live: liveSet(keyed("a=1", problem("its certificate expired in 2021"))), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence()},
		Healthy, nothing, nil, ""},
	{27, "x5c of another key", runbook.Evidence{Live: liveSet(keyed("a=1", problem("x5c disagrees with n"))), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence()},
		Healthy, nothing, nil, ""},
	{28, "private key published", runbook.Evidence{Live: liveSet(leaking("a=1", func(s *runbook.KeySet) { s.PrivatePublished = true })), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence()},
		Healthy, nothing, []runbook.VerdictID{PrivatePublished}, ""},
	{29, "symmetric key cached", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(holding("jwks", leaking("a=1", func(s *runbook.KeySet) { s.SymmetricPublished = true }))), Logged: standin.LoggedEvidence()},
		Healthy, nothing, []runbook.VerdictID{SymmetricInSet}, ""},
	// The limit is the consumer's, so that only its complaint shows; the size is
	// said beside it.
	{30, "the set is too large for the consumer", runbook.Evidence{Live: probed(func(p *runbook.Probe) { p.Size = 60000 }), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("jwks_fetch:40")},
		Inconclusive, nothing, nil, "60,000 bytes"},
	{31, "the endpoint redirects", runbook.Evidence{Live: probed(func(p *runbook.Probe) { p.Redirects = []string{"https://idp.example/v2/jwks"} }), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence("jwks_fetch:40")},
		Inconclusive, nothing, nil, "the JWKS URL redirects"},
	{32, "the gateway repeats denials, by its access log", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: standin.Ended(20*time.Minute, manyErrors...),
		Gateway: deniedOf(gatewayOf(standin.Shares(40, 1, 20, 30), standin.LambdaOf("jwks", "auth", "live")), 600, 150)},
		GatewayResults, []runbook.Mitigation{runbook.FlushGateway}, nil, "150 requests were denied (HTTP 401 or 403)"},
	{32, "the gateway repeats denials, by its 4xx", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: standin.LoggedEvidence(),
		Gateway: gatewayOf(standin.Shares(40, 1, 20, 30), standin.LambdaOf("jwks", "auth", "live"))},
		GatewayResults, []runbook.Mitigation{runbook.FlushGateway}, nil, "30 % of requests are answered 4xx now, 1 % until 20 min ago"},
	{33, "built-in JWT authoriser", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence(), History: rotatedHistory(),
		Gateway: gatewayOf(standin.Shares(46, 1, 14, 30), runbook.GatewayAuthoriser{Name: "pool", Kind: runbook.ManagedJWT})},
		ManagedAuthoriser, nothing, nil, "by 04:46 UTC at the latest"},
	{34, "restarted, and wrong again", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys b=2")), Logged: standin.LoggedEvidence(manyErrors...), Flushed: standin.T0.Add(-30 * time.Minute),
		Function: &runbook.FunctionEvidence{Function: "auth", Qualifier: "live", Mode: runbook.RestartAlias, LastModified: standin.T0.Add(-20 * time.Minute)}},
		StaleMemory, nothing, nil, "baked into its package"},
	// A token cache of another service leaves no trace in keys, cache or logs: what
	// shows is the gateway's denials, which no layer explains.
	{35, "downstream rejects tokens that a proxy cached", runbook.Evidence{Live: standin.Agreed("a=1"), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence(),
		Gateway: deniedOf(gatewayOf(standin.Shares(40, 1, 20, 30), runbook.GatewayAuthoriser{Name: "jwks", Kind: runbook.LambdaAuthoriser, Function: "auth"}), 600, 150)},
		Inconclusive, nothing, nil, "tokens that it cached itself"},
	{36, "long lifetime set by the provider", runbook.Evidence{Live: probed(func(p *runbook.Probe) { p.Set, p.CacheControl = standin.Set("b=2"), "public, max-age=604800" }), Cached: standin.CachedEvidence(standin.Entry("jwks", "keys a=1")), Logged: standin.LoggedEvidence(manyErrors...)},
		StaleCache, flushOnly, nil, "keep its key set for 7 days"},
	{37, "written after the rotation, and old all the same", runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(writtenAgo(standin.Entry("jwks", "keys a=1"), 5*time.Minute)), Logged: standin.LoggedEvidence(manyErrors...), History: rotatedHistory()},
		StaleCache, flushOnly, nil, "Flush once"},
}

// lasting is a log whose failures have gone on for some minutes.
func lasting(minutes, perMinute int, words ...string) *runbook.LogEvidence {
	ev := standin.LoggedEvidence(words...)
	ev.PerMinute = nil
	for i := minutes; i > 0; i-- {
		ev.PerMinute = append(ev.PerMinute, runbook.MinuteCount{At: standin.T0.Add(-time.Duration(i) * time.Minute), Count: perMinute})
	}
	return ev
}

// probed is three equal probes of a=1 with something changed.
func probed(change func(*runbook.Probe)) *runbook.LiveEvidence {
	p := standin.Good("a=1")
	change(&p)
	return standin.LiveEvidence(p, p, p)
}

func TestEveryRowOfTheFacts(t *testing.T) {
	rows := map[int]bool{}
	for _, c := range rowCases {
		rows[c.row] = true
		c.e.At = standin.T0
		t.Run(fmt.Sprintf("row %d, %s", c.row, c.what), func(t *testing.T) {
			d := Diagnose(c.e)
			v := d.Verdict
			if v.ID != c.want || !slices.Equal(v.Recommended, c.recommended) {
				t.Fatalf("%s, recommended %v (%s), want %s, %v", v.ID, v.Recommended, v.Summary, c.want, c.recommended)
			}
			for _, id := range c.findings {
				if !d.Has(id) {
					t.Errorf("finding %s is missing among %v", id, idsOf(d.Findings))
				}
			}
			if text := v.Summary + "\n" + strings.Join(v.Because, "\n") + "\n" + v.WouldChange; !strings.Contains(text, c.says) {
				t.Errorf("nothing says %q:\n%s", c.says, text)
			}
			checkVerdict(t, d)
			checkWords(t, v)
		})
	}
	for row := 1; row <= 37; row++ {
		if !rows[row] {
			t.Errorf("row %d has no case", row)
		}
	}
}

// checkWords holds what people are promised of a verdict: a sentence, what it
// rests on, a reason for each advice, and what would change its mind.
func checkWords(t *testing.T, v runbook.Verdict) {
	t.Helper()
	if len(v.Because) == 0 {
		t.Errorf("%s rests on nothing", v.ID)
	}
	for _, line := range append([]string{v.Summary, v.WouldChange, v.HardCut}, v.Because...) {
		if strings.Contains(line, "%!") || strings.Contains(line, "  ") || strings.HasSuffix(line, " ") || strings.Contains(line, "()") {
			t.Errorf("%s says %q", v.ID, line)
		}
	}
	if len(v.Recommended)+len(v.Against) == 0 {
		t.Errorf("%s neither recommends nor advises against anything", v.ID)
	}
	for _, a := range v.Against {
		if a.Reason == "" || v.Advises(a.Mitigation) {
			t.Errorf("%s advises against %s: %q", v.ID, a.Mitigation, a.Reason)
		}
	}
	if !v.Advises(runbook.FlushCache) && !slices.ContainsFunc(v.Against, func(a runbook.Advice) bool { return a.Mitigation == runbook.FlushCache }) {
		t.Errorf("%s does not say why a flush would not help", v.ID)
	}
	if v.ID == Inconclusive && !slices.ContainsFunc([]string{runbook.StepLiveKeys, runbook.StepCachedKeys, runbook.StepLoggedKeys, runbook.StepGateway, runbook.StepAuthoriser},
		func(step string) bool { return strings.HasPrefix(v.WouldChange, step+": ") }) {
		t.Errorf("inconclusive names no check that would settle it: %q", v.WouldChange)
	}
}

// Every verdict keeps its promises in every case there is.
func TestWordsOfEveryVerdict(t *testing.T) {
	seen := map[runbook.VerdictID]bool{}
	for _, c := range verdictCases {
		v := Diagnose(c.e).Verdict
		seen[v.ID] = true
		t.Run(c.name, func(t *testing.T) { checkWords(t, v) })
	}
	for _, c := range rowCases {
		seen[Diagnose(c.e).Verdict.ID] = true
	}
	for _, id := range []runbook.VerdictID{Healthy, StaleCache, RekeyedKid, PoisonedCache, NegativeCache, StaleMemory, GatewayResults, ManagedAuthoriser, RetiredKeyCached,
		LiveUnhealthy, LiveDisagrees, RemovedTooEarly, UnknownIssuer, UnknownKids, ClaimsOrClock, RefetchThrottled, UnsupportedKey, MetadataChanged, CacheUnreadable, Inconclusive} {
		if !seen[id] {
			t.Errorf("no case reaches %s", id)
		}
	}
}
