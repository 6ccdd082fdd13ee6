package approve

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/standin"
)

// planned resolves a flush against live keys and entries.
func planned(l *runbook.LiveEvidence, override bool, entries ...runbook.Entry) runbook.Plan {
	e := runbook.Evidence{Live: l, Cached: standin.CachedEvidence(entries...)}
	return planOf(&check.Target{Name: "production", Resource: "replication group prod-cache"}, e, override)
}

// planOf resolves a flush of matching keys.
func planOf(t *check.Target, e runbook.Evidence, override bool) runbook.Plan {
	p, err := plan(context.Background(), t, check.Report{Evidence: e, Diagnosis: diagnose.Diagnose(e)}, Intent{flush: true, scope: runbook.ScopeKeys, route: runbook.RouteDirect, Meant: override})
	if err != nil {
		panic(err) // nothing of a flush is asked for over the wire
	}
	return p
}

func TestDigestCoversMeaning(t *testing.T) {
	base := func() (*runbook.LiveEvidence, []runbook.Entry) {
		return standin.Agreed("b=2", "c=3"), []runbook.Entry{standin.Entry("jwks:1", "keys a=1 z=9"), standin.Entry("jwks:2", "<html>")}
	}
	l, entries := base()
	want := planned(l, false, entries...).Digest
	if len(want) != 64 {
		t.Fatalf("digest %q", want)
	}
	for name, c := range map[string]struct {
		change func(l *runbook.LiveEvidence, e []runbook.Entry) (*runbook.LiveEvidence, []runbook.Entry)
		same   bool
	}{
		"nothing": {func(l *runbook.LiveEvidence, e []runbook.Entry) (*runbook.LiveEvidence, []runbook.Entry) { return l, e }, true},
		"order": {func(l *runbook.LiveEvidence, e []runbook.Entry) (*runbook.LiveEvidence, []runbook.Entry) {
			slices.Reverse(e)
			return standin.Agreed("c=3", "b=2"), e
		}, true},
		"TTL": {func(l *runbook.LiveEvidence, e []runbook.Entry) (*runbook.LiveEvidence, []runbook.Entry) {
			e[0].TTL, e[1].TTL = time.Second, runbook.NoExpiry
			return l, e
		}, true},
		"the bytes of a set": {func(l *runbook.LiveEvidence, e []runbook.Entry) (*runbook.LiveEvidence, []runbook.Entry) {
			e[0] = standin.Entry("jwks:1", "keys  z=9  a=1")
			return l, e
		}, true},
		"a foreign entry": {func(l *runbook.LiveEvidence, e []runbook.Entry) (*runbook.LiveEvidence, []runbook.Entry) {
			return l, append(e, standin.Foreign("f", "keys q=1"))
		}, true},
		"a current entry": {func(l *runbook.LiveEvidence, e []runbook.Entry) (*runbook.LiveEvidence, []runbook.Entry) {
			return l, append(e, standin.Entry("g", "keys b=2 c=3"))
		}, true},
		"a cached key": {func(l *runbook.LiveEvidence, e []runbook.Entry) (*runbook.LiveEvidence, []runbook.Entry) {
			e[0] = standin.Entry("jwks:1", "keys a=1 y=8")
			return l, e
		}, false},
		"a cached kid": {func(l *runbook.LiveEvidence, e []runbook.Entry) (*runbook.LiveEvidence, []runbook.Entry) {
			e[0] = standin.Entry("jwks:1", "keys a=1 y=9")
			return l, e
		}, false},
		"the poison": {func(l *runbook.LiveEvidence, e []runbook.Entry) (*runbook.LiveEvidence, []runbook.Entry) {
			e[1] = standin.Entry("jwks:2", "<body>")
			return l, e
		}, false},
		"an entry's name": {func(l *runbook.LiveEvidence, e []runbook.Entry) (*runbook.LiveEvidence, []runbook.Entry) {
			e[1] = standin.Entry("jwks:3", "<html>")
			return l, e
		}, false},
		"a further entry": {func(l *runbook.LiveEvidence, e []runbook.Entry) (*runbook.LiveEvidence, []runbook.Entry) {
			return l, append(e, standin.Entry("h", "keys a=1"))
		}, false},
		"the live keys": {func(l *runbook.LiveEvidence, e []runbook.Entry) (*runbook.LiveEvidence, []runbook.Entry) {
			return standin.Agreed("b=2", "d=4"), e
		}, false},
	} {
		l, entries := base()
		l, entries = c.change(l, entries)
		if got := planned(l, false, entries...).Digest == want; got != c.same {
			t.Errorf("%s: same digest %t, want %t", name, got, c.same)
		}
	}
}

func TestDigestLeavesOutWhatAlwaysMoves(t *testing.T) {
	p := runbook.Plan{Target: "production", Scope: runbook.ScopeKeys, Live: []string{"tp-2"}, Entries: []runbook.PlanEntry{{Name: "jwks", Meaning: "m"}}}
	seal(&p)
	q := p
	q.Others, q.Shards, q.Current, q.Foreign, q.Summary, q.Verdict, q.Untouched = 41210, 3, 2, 1, "other words", diagnose.StaleCache, []runbook.EntryName{"x"}
	seal(&q)
	if p.Digest != q.Digest {
		t.Error("counts and words are part of the digest")
	}
	for what, change := range map[string]func(*runbook.Plan){
		"target": func(p *runbook.Plan) { p.Target = "staging" }, "resource": func(p *runbook.Plan) { p.Resource = "x" }, "scope": func(p *runbook.Plan) { p.Scope = runbook.ScopeAll },
	} {
		q := p
		change(&q)
		seal(&q)
		if p.Digest == q.Digest {
			t.Errorf("the %s is no part of the digest", what)
		}
	}
}

func TestCompare(t *testing.T) {
	approved := planned(standin.Agreed("b=2"), false, standin.Entry("1", "keys a=1"), standin.Entry("2", "keys z=9"))
	for _, c := range []struct {
		name string
		now  runbook.Plan
		want Drift
		says string
	}{
		{"as it was", planned(standin.Agreed("b=2"), false, standin.Entry("1", "keys a=1"), standin.Entry("2", "keys z=9")), DriftNone, ""},
		{"one entry has gone", planned(standin.Agreed("b=2"), false, standin.Entry("2", "keys z=9")), DriftNone, ""},
		{"one entry was refilled", planned(standin.Agreed("b=2"), false, standin.Entry("1", "keys b=2"), standin.Entry("2", "keys z=9")), DriftNone, ""},
		{"all have gone", planned(standin.Agreed("b=2"), false), DriftHealed, "every planned entry is gone"},
		{"all were refilled", planned(standin.Agreed("b=2"), false, standin.Entry("1", "keys b=2"), standin.Entry("2", "keys b=2")), DriftHealed, ""},
		{"an entry holds other keys", planned(standin.Agreed("b=2"), false, standin.Entry("1", "keys c=3"), standin.Entry("2", "keys z=9")), DriftChanged, "entry `1` holds other keys"},
		{"an entry came", planned(standin.Agreed("b=2"), false, standin.Entry("1", "keys a=1"), standin.Entry("3", "keys a=1")), DriftNone, ""},
		{"all have gone and another came", planned(standin.Agreed("b=2"), false, standin.Entry("3", "keys a=1")), DriftChanged, "1 other entry holds old keys: `3`"},
		{"the live keys moved", planned(standin.Agreed("c=3"), false, standin.Entry("1", "keys a=1"), standin.Entry("2", "keys z=9")), DriftChanged, "the live keys changed"},
		{"the live keys moved and all have gone", planned(standin.Agreed("c=3"), false), DriftHealed, "every planned entry is gone"},
		{"another scope", runbook.Plan{Scope: runbook.ScopeAll, Live: approved.Live, Entries: approved.Entries}, DriftChanged, "scope"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, why := Compare(approved, c.now)
			if got != c.want || !strings.Contains(why, c.says) {
				t.Errorf("%s (%q), want %s saying %q", got, why, c.want, c.says)
			}
		})
	}
	everything := runbook.Plan{Scope: runbook.ScopeAll, Live: []string{"tp-2"}}
	if got, _ := Compare(everything, everything); got != DriftNone {
		t.Errorf("a whole flush without matching entries is %s", got)
	}
}

// What holds the live keys, belongs to others or cannot be read is left alone.
func TestPlanTouchesOnlyWhatIsOld(t *testing.T) {
	all := []runbook.Entry{
		standin.Entry("current", "keys b=2 c=3"), standin.Entry("old", "keys a=1"), standin.Entry("partly", "keys b=2"), standin.Entry("more", "keys a=1 b=2 c=3"),
		standin.Entry("rekeyed", "keys b=7 c=3"), standin.Entry("kid-live", "jwk b=2"), standin.Entry("kid-old", "jwk a=1"), standin.Entry("not-live", "no a"),
		standin.Entry("not-but-live", "no b"), standin.Entry("html", "<html>"), standin.Entry("empty", "keys"), standin.Entry("strange", "?? 1"), standin.Foreign("foreign", "keys a=1"), standin.Foreign("alien", "<html>"),
	}
	p := planned(standin.Agreed("b=2", "c=3"), false, all...)
	if got := standin.NamesOf(p); got != "empty html kid-old more not-but-live old partly rekeyed" {
		t.Errorf("planned %q", got)
	}
	if p.Foreign != 2 || p.Current != 4 || !slices.Equal(p.Untouched, []runbook.EntryName{"current", "kid-live", "not-live", "strange"}) {
		t.Errorf("%d foreign, %d current, untouched %v", p.Foreign, p.Current, p.Untouched)
	}
	p = planned(standin.Agreed("b=2", "c=3"), true, all...)
	if len(p.Entries) != len(all)-2 || p.Foreign != 2 || p.Current != 0 || strings.Contains(standin.NamesOf(p), "foreign") || strings.Contains(standin.NamesOf(p), "alien") {
		t.Errorf("with an override: %q, %d foreign", standin.NamesOf(p), p.Foreign)
	}
}

func TestPlanCarriesTheVerdict(t *testing.T) {
	p := planned(standin.Agreed("b=2"), false, standin.Entry("jwks", "keys a=1"))
	if p.Verdict != diagnose.StaleCache || p.Advice != "" || p.Summary == "" || p.Resource != "replication group prod-cache" || p.Shards != 1 {
		t.Errorf("got %+v", p)
	}
	p = planned(standin.Agreed("b=2"), false, standin.Entry("jwks", "keys a=1 b=2"))
	if p.Verdict != diagnose.RetiredKeyCached || !strings.Contains(p.Advice, "refused at once") {
		t.Errorf("got %+v", p)
	}
	if p := planned(nil, true, standin.Entry("jwks", "keys a=1")); len(p.Live) != 0 || standin.NamesOf(p) != "jwks" || p.Advice == "" {
		t.Errorf("without live keys: %+v", p)
	}
}

func TestKidsGone(t *testing.T) {
	for _, c := range []struct {
		name string
		p    runbook.Plan
		want []string
	}{
		{"a hard cut", planned(standin.Agreed("b=2"), false, standin.Entry("jwks", "keys z=9 a=1")), []string{"a", "z"}},
		{"what is live comes back", planned(standin.Agreed("b=2", "c=3"), false, standin.Entry("jwks", "keys a=1 b=2")), []string{"a"}},
		{"a rekeyed kid goes with its old key", planned(standin.Agreed("a=2"), false, standin.Entry("jwks", "keys a=1")), []string{"a"}},
		{"each once", planned(standin.Agreed("b=2"), false, standin.Entry("1", "keys a=1"), standin.Entry("2", "keys a=1")), []string{"a"}},
		{"rubbish holds none", planned(standin.Agreed("b=2"), false, standin.Entry("jwks", "<html>")), []string{}},
	} {
		if got := c.p.KidsGone(); got == nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Entries are foreign by what they say themselves: envelope first, then a pool
// or URL in the name.
func TestForeignIssuer(t *testing.T) {
	ours := &check.Target{Issuer: "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_AbCdEfGhI", JWKSURL: "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_AbCdEfGhI/.well-known/jwks.json"}
	realm := &check.Target{Issuer: "https://sso.example/realms/main"}
	for _, c := range []struct {
		t            *check.Target
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
		{&check.Target{}, "jwks:https://sso.example/realms/other", "https://x.example", false}, // nothing to compare with
	} {
		got := c.t.ForeignIssuer(runbook.Entry{Name: c.name, Reading: runbook.Reading{Issuer: c.issuer}})
		if (got != "") != c.foreign {
			t.Errorf("%q with issuer %q at %q: foreign to %q", c.name, c.issuer, c.t.Issuer, got)
		}
	}
}

// What a flush would touch does not depend on the order in which it was read.
func TestOrderDecidesNoPlan(t *testing.T) {
	target := &check.Target{Name: "production", Resource: "replication group prod-cache"}
	e := runbook.Evidence{Live: standin.Agreed("b=2"), Cached: standin.CachedEvidence(standin.Entry("jwks:1", "keys a=1"), standin.Entry("jwks:2", "keys a=1 c=3"), standin.Entry("jwks:3", "keys b=2"), standin.Entry("jwks:4", "<html>"))}
	want := planOf(target, e, false)
	if len(want.Entries) != 3 {
		t.Fatalf("the plan deletes %s", standin.NamesOf(want))
	}
	for seed := range uint64(12) {
		r := standin.NewShuffler(seed, 0)
		if got := planOf(target, r.Evidence(e), false); got.Digest != want.Digest {
			t.Errorf("seed %d: order changed the plan's digest", seed)
		}
	}
}
