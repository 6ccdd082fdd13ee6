package runbook

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

// planned resolves a flush against live keys and entries.
func planned(l *LiveEvidence, override bool, entries ...Entry) Plan {
	e := Evidence{Live: l, Cached: cached(entries...)}
	return planOf(&Target{Name: "production", Resource: "replication group prod-cache"}, e, override)
}

// planOf resolves a flush of matching keys.
func planOf(t *Target, e Evidence, override bool) Plan {
	p, err := t.plan(context.Background(), Report{Evidence: e, Diagnosis: Diagnose(e)}, wish{flush: true, scope: ScopeKeys, route: RouteDirect, meant: override})
	if err != nil {
		panic(err) // nothing of a flush is asked for over the wire
	}
	return p
}

// namesOf are the entries of a plan.
func namesOf(p Plan) string {
	var out []string
	for _, e := range p.Entries {
		out = append(out, string(e.Name))
	}
	return strings.Join(out, " ")
}

func TestDigestCoversMeaning(t *testing.T) {
	base := func() (*LiveEvidence, []Entry) {
		return agreed("b=2", "c=3"), []Entry{entry("jwks:1", "keys a=1 z=9"), entry("jwks:2", "<html>")}
	}
	l, entries := base()
	want := planned(l, false, entries...).Digest
	if len(want) != 64 {
		t.Fatalf("digest %q", want)
	}
	for name, c := range map[string]struct {
		change func(l *LiveEvidence, e []Entry) (*LiveEvidence, []Entry)
		same   bool
	}{
		"nothing": {func(l *LiveEvidence, e []Entry) (*LiveEvidence, []Entry) { return l, e }, true},
		"order": {func(l *LiveEvidence, e []Entry) (*LiveEvidence, []Entry) {
			slices.Reverse(e)
			return agreed("c=3", "b=2"), e
		}, true},
		"TTL": {func(l *LiveEvidence, e []Entry) (*LiveEvidence, []Entry) {
			e[0].TTL, e[1].TTL = time.Second, NoExpiry
			return l, e
		}, true},
		"the bytes of a set": {func(l *LiveEvidence, e []Entry) (*LiveEvidence, []Entry) {
			e[0] = entry("jwks:1", "keys  z=9  a=1")
			return l, e
		}, true},
		"a foreign entry": {func(l *LiveEvidence, e []Entry) (*LiveEvidence, []Entry) {
			return l, append(e, foreign("f", "keys q=1"))
		}, true},
		"a current entry": {func(l *LiveEvidence, e []Entry) (*LiveEvidence, []Entry) {
			return l, append(e, entry("g", "keys b=2 c=3"))
		}, true},
		"a cached key": {func(l *LiveEvidence, e []Entry) (*LiveEvidence, []Entry) {
			e[0] = entry("jwks:1", "keys a=1 y=8")
			return l, e
		}, false},
		"a cached kid": {func(l *LiveEvidence, e []Entry) (*LiveEvidence, []Entry) {
			e[0] = entry("jwks:1", "keys a=1 y=9")
			return l, e
		}, false},
		"the poison": {func(l *LiveEvidence, e []Entry) (*LiveEvidence, []Entry) {
			e[1] = entry("jwks:2", "<body>")
			return l, e
		}, false},
		"an entry's name": {func(l *LiveEvidence, e []Entry) (*LiveEvidence, []Entry) {
			e[1] = entry("jwks:3", "<html>")
			return l, e
		}, false},
		"a further entry": {func(l *LiveEvidence, e []Entry) (*LiveEvidence, []Entry) { return l, append(e, entry("h", "keys a=1")) }, false},
		"the live keys":   {func(l *LiveEvidence, e []Entry) (*LiveEvidence, []Entry) { return agreed("b=2", "d=4"), e }, false},
	} {
		l, entries := base()
		l, entries = c.change(l, entries)
		if got := planned(l, false, entries...).Digest == want; got != c.same {
			t.Errorf("%s: same digest %t, want %t", name, got, c.same)
		}
	}
}

func TestDigestLeavesOutWhatAlwaysMoves(t *testing.T) {
	p := Plan{Target: "production", Scope: ScopeKeys, Live: []string{"tp-2"}, Entries: []PlanEntry{{Name: "jwks", Meaning: "m"}}}
	p.seal()
	q := p
	q.Others, q.Shards, q.Current, q.Foreign, q.Summary, q.Verdict, q.Untouched = 41210, 3, 2, 1, "other words", StaleCache, []EntryName{"x"}
	q.seal()
	if p.Digest != q.Digest {
		t.Error("counts and words are part of the digest")
	}
	for what, change := range map[string]func(*Plan){
		"target": func(p *Plan) { p.Target = "staging" }, "resource": func(p *Plan) { p.Resource = "x" }, "scope": func(p *Plan) { p.Scope = ScopeAll },
	} {
		q := p
		change(&q)
		q.seal()
		if p.Digest == q.Digest {
			t.Errorf("the %s is no part of the digest", what)
		}
	}
}

func TestCompare(t *testing.T) {
	approved := planned(agreed("b=2"), false, entry("1", "keys a=1"), entry("2", "keys z=9"))
	for _, c := range []struct {
		name string
		now  Plan
		want Drift
		says string
	}{
		{"as it was", planned(agreed("b=2"), false, entry("1", "keys a=1"), entry("2", "keys z=9")), DriftNone, ""},
		{"one entry has gone", planned(agreed("b=2"), false, entry("2", "keys z=9")), DriftNone, ""},
		{"one entry was refilled", planned(agreed("b=2"), false, entry("1", "keys b=2"), entry("2", "keys z=9")), DriftNone, ""},
		{"all have gone", planned(agreed("b=2"), false), DriftHealed, "every planned entry is gone"},
		{"all were refilled", planned(agreed("b=2"), false, entry("1", "keys b=2"), entry("2", "keys b=2")), DriftHealed, ""},
		{"an entry holds other keys", planned(agreed("b=2"), false, entry("1", "keys c=3"), entry("2", "keys z=9")), DriftChanged, "entry `1` holds other keys"},
		{"an entry came", planned(agreed("b=2"), false, entry("1", "keys a=1"), entry("3", "keys a=1")), DriftNone, ""},
		{"all have gone and another came", planned(agreed("b=2"), false, entry("3", "keys a=1")), DriftChanged, "1 other entry holds old keys: `3`"},
		{"the live keys moved", planned(agreed("c=3"), false, entry("1", "keys a=1"), entry("2", "keys z=9")), DriftChanged, "the live keys changed"},
		{"the live keys moved and all have gone", planned(agreed("c=3"), false), DriftHealed, "every planned entry is gone"},
		{"another scope", Plan{Scope: ScopeAll, Live: approved.Live, Entries: approved.Entries}, DriftChanged, "scope"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, why := approved.Compare(c.now)
			if got != c.want || !strings.Contains(why, c.says) {
				t.Errorf("%s (%q), want %s saying %q", got, why, c.want, c.says)
			}
		})
	}
	everything := Plan{Scope: ScopeAll, Live: []string{"tp-2"}}
	if got, _ := everything.Compare(everything); got != DriftNone {
		t.Errorf("a whole flush without matching entries is %s", got)
	}
}

// What holds the live keys, belongs to others or cannot be read is left alone.
func TestPlanTouchesOnlyWhatIsOld(t *testing.T) {
	all := []Entry{
		entry("current", "keys b=2 c=3"), entry("old", "keys a=1"), entry("partly", "keys b=2"), entry("more", "keys a=1 b=2 c=3"),
		entry("rekeyed", "keys b=7 c=3"), entry("kid-live", "jwk b=2"), entry("kid-old", "jwk a=1"), entry("not-live", "no a"),
		entry("not-but-live", "no b"), entry("html", "<html>"), entry("empty", "keys"), entry("strange", "?? 1"), foreign("foreign", "keys a=1"), foreign("alien", "<html>"),
	}
	p := planned(agreed("b=2", "c=3"), false, all...)
	if got := namesOf(p); got != "empty html kid-old more not-but-live old partly rekeyed" {
		t.Errorf("planned %q", got)
	}
	if p.Foreign != 2 || p.Current != 4 || !slices.Equal(p.Untouched, []EntryName{"current", "kid-live", "not-live", "strange"}) {
		t.Errorf("%d foreign, %d current, untouched %v", p.Foreign, p.Current, p.Untouched)
	}
	p = planned(agreed("b=2", "c=3"), true, all...)
	if len(p.Entries) != len(all)-2 || p.Foreign != 2 || p.Current != 0 || strings.Contains(namesOf(p), "foreign") || strings.Contains(namesOf(p), "alien") {
		t.Errorf("with an override: %q, %d foreign", namesOf(p), p.Foreign)
	}
}

func TestPlanCarriesTheVerdict(t *testing.T) {
	p := planned(agreed("b=2"), false, entry("jwks", "keys a=1"))
	if p.Verdict != StaleCache || p.Advice != "" || p.Summary == "" || p.Resource != "replication group prod-cache" || p.Shards != 1 {
		t.Errorf("got %+v", p)
	}
	p = planned(agreed("b=2"), false, entry("jwks", "keys a=1 b=2"))
	if p.Verdict != RetiredKeyCached || !strings.Contains(p.Advice, "refused at once") {
		t.Errorf("got %+v", p)
	}
	if p := planned(nil, true, entry("jwks", "keys a=1")); len(p.Live) != 0 || namesOf(p) != "jwks" || p.Advice == "" {
		t.Errorf("without live keys: %+v", p)
	}
}

func TestKidsGone(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Plan
		want []string
	}{
		{"a hard cut", planned(agreed("b=2"), false, entry("jwks", "keys z=9 a=1")), []string{"a", "z"}},
		{"what is live comes back", planned(agreed("b=2", "c=3"), false, entry("jwks", "keys a=1 b=2")), []string{"a"}},
		{"a rekeyed kid goes with its old key", planned(agreed("a=2"), false, entry("jwks", "keys a=1")), []string{"a"}},
		{"each once", planned(agreed("b=2"), false, entry("1", "keys a=1"), entry("2", "keys a=1")), []string{"a"}},
		{"rubbish holds none", planned(agreed("b=2"), false, entry("jwks", "<html>")), []string{}},
	} {
		if got := c.p.KidsGone(); got == nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Entries are foreign by what they say themselves: envelope first, then a pool
// or URL in the name.
func TestForeignIssuer(t *testing.T) {
	ours := &Target{Issuer: "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_AbCdEfGhI", JWKSURL: "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_AbCdEfGhI/.well-known/jwks.json"}
	realm := &Target{Issuer: "https://sso.example/realms/main"}
	for _, c := range []struct {
		t            *Target
		name, issuer string
		foreign      bool
	}{
		{ours, "jwks:current", "", false},
		{ours, "jwks:eu-west-2_AbCdEfGhI", "", false},
		{ours, "jwks:eu-west-2_OtherPool", "", true},
		{ours, "jwks:current", ours.Issuer + "/", false},
		{ours, "jwks:current", ours.JWKSURL, false},
		{ours, "jwks:current", "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_OtherPool", true},
		{ours, "jwks:eu-west-2_OtherPool", ours.Issuer, false}, // the envelope knows better
		{ours, "jwks:" + ours.JWKSURL, "", false},
		{ours, "jwks:https://sso.example/realms/main", "", true},
		{realm, "jwks:https://sso.example/realms/main/protocol/openid-connect/certs", "", false},
		{realm, "jwks:https://sso.example/realms/mainly", "", true},
		{realm, "jwks:https://sso.example/realms/other", "", true},
		{realm, "jwks:https://SSO.example", "", false},
		{&Target{}, "jwks:https://sso.example/realms/other", "https://x.example", false}, // nothing to compare with
	} {
		got := c.t.foreignIssuer(Entry{Name: c.name, Reading: Reading{Issuer: c.issuer}})
		if (got != "") != c.foreign {
			t.Errorf("%q with issuer %q at %q: foreign to %q", c.name, c.issuer, c.t.Issuer, got)
		}
	}
}

// What a flush would touch does not depend on the order in which it was read.
func TestOrderDecidesNoPlan(t *testing.T) {
	target := &Target{Name: "production", Resource: "replication group prod-cache"}
	e := Evidence{Live: agreed("b=2"), Cached: cached(entry("jwks:1", "keys a=1"), entry("jwks:2", "keys a=1 c=3"), entry("jwks:3", "keys b=2"), entry("jwks:4", "<html>"))}
	want := planOf(target, e, false)
	if len(want.Entries) != 3 {
		t.Fatalf("the plan deletes %s", namesOf(want))
	}
	for seed := range uint64(12) {
		r := newShuffler(seed, 0)
		if got := planOf(target, r.evidence(e), false); got.Digest != want.Digest {
			t.Errorf("seed %d: order changed the plan's digest", seed)
		}
	}
}
