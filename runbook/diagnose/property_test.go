package diagnose

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/standin"
)

// inventor makes up evidence: any mixture of keys, entries, failures, gateways
// and pasts, sensible or not.
type inventor struct{ standin.Shuffler }

func (r inventor) one(of ...string) string { return of[r.IntN(len(of))] }

func (r inventor) yes(percent int) bool { return r.IntN(100) < percent }

func (r inventor) key() runbook.Key {
	k := standin.Key(r.one("k0", "k1", "k2", "k3", ""), r.one("1", "2", "3", "4"))
	switch r.IntN(12) {
	case 0:
		newKind(&k)
	case 1:
		k.Use, k.Usable = "enc", false
	case 2:
		k.Metadata = map[string]string{"use": `"sig"`, "alg": `"RS512"`}
	}
	return k
}

func (r inventor) keys(most int) runbook.KeySet {
	s := runbook.KeySet{Shape: runbook.ShapeSet, Keys: []runbook.Key{}, Problems: []string{}}
	for range 1 + r.IntN(most) {
		s.Keys = append(s.Keys, r.key())
	}
	for _, k := range s.Keys {
		if k.Usable {
			s.Usable++
		}
	}
	return s
}

func (r inventor) live() *runbook.LiveEvidence {
	p := runbook.Probe{Status: 200, Set: r.keys(3)}
	out := standin.LiveEvidence(p, p, p)
	switch r.IntN(12) {
	case 0:
		out.Probes[1] = standin.Bad("it answers HTTP 503")
	case 1:
		out.Probes = []runbook.Probe{standin.Bad("HTML"), standin.Bad("HTML"), standin.Bad("HTML")}
	case 2:
		out.Probes[2].Set = r.keys(3)
	case 3:
		out.Probes[0] = standin.Unreachable("timeout")
	}
	return out
}

func (r inventor) entry(i int, live runbook.KeySet) runbook.Entry {
	name := fmt.Sprintf("e%d", i)
	e := standin.Entry(name, r.one("keys", "<html>", "?? odd", "no k0", "no k1"))
	if r.yes(75) {
		e = holding(name, r.keys(3))
		if r.yes(50) && len(live.Keys) > 0 {
			e.Reading.Set = live
		}
		if r.yes(40) {
			e.Reading.Set.Keys = e.Reading.Set.Keys[:1]
			e.Reading.Set.Shape, e.Reading.Kid = runbook.ShapeJWK, e.Reading.Set.Keys[0].Kid
		}
	}
	if r.yes(30) {
		e.Reading.Written = standin.T0.Add(-time.Duration(r.IntN(120)) * time.Minute)
	}
	if r.yes(10) {
		e.Foreign = "https://other.example"
	}
	return e
}

func (r inventor) log() *runbook.LogEvidence {
	var words []string
	for _, class := range []string{runbook.ClassUnknownKid, runbook.ClassBadSignature, runbook.ClassExpired, runbook.ClassIssuer, runbook.ClassRefetchThrottled, runbook.ClassJWKSParse, runbook.ClassNoKid, runbook.ClassDuplicateKid} {
		if r.yes(20) {
			words = append(words, fmt.Sprintf("%s:%d", class, 1+r.IntN(60)))
		}
	}
	for _, kid := range []string{"k0", "k1", "k2", "k3", "j1", "j2", "j3", "j4", "j5", "j6"} {
		if r.yes(25) {
			words = append(words, fmt.Sprintf("%s=%d", kid, 1+r.IntN(3)*r.IntN(20)))
		}
	}
	if r.yes(20) {
		return standin.Ended(time.Duration(r.IntN(30))*time.Minute, words...)
	}
	return standin.LoggedEvidence(words...)
}

func (r inventor) gateway() *runbook.GatewayEvidence {
	a := standin.LambdaOf("one", "auth", "live")
	if r.yes(40) {
		a = runbook.GatewayAuthoriser{Name: "two", Kind: runbook.ManagedJWT}
	}
	g := gatewayOf(standin.Shares(40, r.IntN(10), 20, r.IntN(60)), a)
	if r.yes(50) {
		now := r.IntN(200)
		deniedOf(g, now+r.IntN(500), now)
	}
	return g
}

func (r inventor) evidence() runbook.Evidence {
	e := runbook.Evidence{At: standin.T0, Live: r.live(), Cached: standin.CachedEvidence()}
	set, _ := e.Live.Set()
	for i := range r.IntN(4) {
		e.Cached.Entries = append(e.Cached.Entries, r.entry(i, set))
	}
	if r.yes(85) {
		e.Logged = r.log()
	}
	if r.yes(50) {
		e.Gateway = r.gateway()
	}
	for range r.IntN(4) {
		k, first := r.key(), time.Duration(r.IntN(90))*time.Hour
		e.History = append(e.History, runbook.Sighting{Kid: k.Kid, Thumbprint: k.Thumbprint, FirstSeen: standin.T0.Add(-first), LastSeen: standin.T0.Add(-first / 2)})
	}
	if r.yes(30) {
		e.TokenLife = time.Duration(1+r.IntN(48)) * time.Hour
	}
	if r.yes(20) {
		e.Flushed = standin.T0.Add(-time.Duration(r.IntN(60)) * time.Minute)
	}
	return e
}

// renamer gives every kid and every entry another name, the same each time.
type renamer struct {
	kids, entries map[string]string
}

func (r inventor) renamer() renamer {
	out := renamer{map[string]string{"": ""}, map[string]string{}}
	fresh := r.Perm(1000)
	for i, kid := range []string{"k0", "k1", "k2", "k3", "j1", "j2", "j3", "j4", "j5", "j6"} {
		out.kids[kid] = fmt.Sprintf("kid+/%03d=", fresh[i])
	}
	for i := range 4 {
		out.entries[fmt.Sprintf("e%d", i)] = fmt.Sprintf("jwks:%03d", fresh[20+i])
	}
	return out
}

func (n renamer) set(s runbook.KeySet) runbook.KeySet {
	s.Keys = slices.Clone(s.Keys)
	for i := range s.Keys {
		s.Keys[i].Kid = n.kids[s.Keys[i].Kid]
	}
	return s
}

func (n renamer) evidence(e runbook.Evidence) runbook.Evidence {
	l := *e.Live
	l.Probes = slices.Clone(l.Probes)
	for i := range l.Probes {
		l.Probes[i].Set = n.set(l.Probes[i].Set)
	}
	c := *e.Cached
	c.Entries = slices.Clone(c.Entries)
	for i := range c.Entries {
		at := &c.Entries[i]
		at.Name, at.Reading.Kid, at.Reading.Set = n.entries[at.Name], n.kids[at.Reading.Kid], n.set(at.Reading.Set)
	}
	e.Live, e.Cached = &l, &c
	if e.Logged != nil {
		g := *e.Logged
		g.Kids = slices.Clone(g.Kids)
		for i := range g.Kids {
			g.Kids[i].Kid = n.kids[g.Kids[i].Kid]
		}
		e.Logged = &g
	}
	e.History = slices.Clone(e.History)
	for i := range e.History {
		e.History[i].Kid = n.kids[e.History[i].Kid]
	}
	return e
}

// reencoded stores the same keys in another way: numbers with a leading zero,
// another wrapping, other bytes, another decoder.
func (r inventor) reencoded(e runbook.Evidence) runbook.Evidence {
	c := *e.Cached
	c.Entries = slices.Clone(c.Entries)
	for i := range c.Entries {
		at := &c.Entries[i]
		at.Bytes, at.Digest, at.Reading.Format = at.Bytes+7, "other"+at.Digest, "gzip > "+at.Reading.Format
		s := at.Reading.Set
		switch s.Shape {
		case runbook.ShapeJWK:
			s.Shape = runbook.ShapePEM
		case runbook.ShapeSet:
			s.Shape = r.one(runbook.ShapeSet, runbook.ShapeArray, runbook.ShapeString, runbook.ShapeEnvelope)
		}
		s.Keys = slices.Clone(s.Keys)
		for j := range s.Keys {
			s.Keys[j].Numbers = map[string]string{"n": "AA" + s.Keys[j].Numbers["n"], "e": "AAEAAQ"}
		}
		at.Reading.Set = s
	}
	e.Cached = &c
	return e
}

// essence is what must not change: the verdict, its advice, whom it strands, and
// the findings beside it. That numbers are written differently is a finding of
// its own, and the only one that may come.
func essence(d runbook.Diagnosis, name func(string) string) string {
	v := d.Verdict
	var against, stranded []string
	for _, a := range v.Against {
		against = append(against, string(a.Mitigation))
	}
	for _, kid := range v.Stranded {
		stranded = append(stranded, name(kid))
	}
	slices.Sort(stranded)
	ids := idsOf(d.Findings)
	ids = slices.DeleteFunc(ids, func(id runbook.VerdictID) bool { return id == Reencoded })
	slices.Sort(ids)
	return fmt.Sprintf("%s %s, do %v, do not %v, strands %q, beside %v", v.ID, v.Severity, v.Recommended, against, stranded, ids)
}

// Whatever the evidence: in another order, under other names, stored in another
// way, it says the same.
func TestOrderNamesAndEncodingDecideNothing(t *testing.T) {
	base := *standin.Seed
	if base == 0 {
		base = uint64(time.Now().UnixNano())
	}
	seen := map[runbook.VerdictID]int{}
	for i := range uint64(2000) {
		r := inventor{standin.NewShuffler(base, i)}
		e, names := r.evidence(), r.renamer()
		d := Diagnose(e)
		seen[d.Verdict.ID]++
		same := func(kid string) string { return kid }
		renamed := func(kid string) string {
			if new, ok := names.kids[kid]; ok {
				return new
			}
			return kid
		}
		want := essence(d, same)
		for what, got := range map[string]string{
			"order":    essence(Diagnose(r.Shuffler.Evidence(e)), same),
			"encoding": essence(Diagnose(r.reencoded(e)), same),
		} {
			if got != want {
				t.Fatalf("-seed %d, evidence %d: %s changed the verdict\n got %s\nwant %s\n%+v", base, i, what, got, want, shallow(e))
			}
		}
		if got, want := essence(Diagnose(names.evidence(r.Shuffler.Evidence(e))), same), essence(d, renamed); got != want {
			t.Fatalf("-seed %d, evidence %d: names changed the verdict\n got %s\nwant %s\n%+v", base, i, got, want, shallow(e))
		}
		if again := essence(Diagnose(e), same); again != want {
			t.Fatalf("-seed %d, evidence %d: the second answer is another\n got %s\nwant %s", base, i, again, want)
		}
	}
	if len(seen) < 15 {
		t.Errorf("-seed %d: only %d verdicts were reached: %v", base, len(seen), seen)
	}
	t.Logf("seed %d: %v", base, seen)
}
