package runbook

import (
	"strings"
	"testing"
)

// The marks that people see must agree with what a plan would delete.
func TestMarkedAgreesWithThePlan(t *testing.T) {
	key := func(kid, print string) Key { return Key{Kid: kid, Thumbprint: print, Kty: "RSA", Usable: true} }
	set := func(keys ...Key) KeySet { return KeySet{Shape: ShapeSet, Keys: keys, Usable: len(keys)} }
	entry := func(name, foreign string, s KeySet) Entry {
		return Entry{Name: name, Foreign: foreign, Reading: Reading{Content: ContentKeys, Set: s}}
	}
	live := set(key("a", "A"), key("b", "B"))
	e := Evidence{
		Live: &LiveEvidence{Probes: []Probe{{Set: live}}},
		Cached: &CacheEvidence{Entries: []Entry{
			entry("current", "", live),
			entry("foreign", "https://other", set(key("x", "X"))),
			entry("old", "", set(key("a", "A"), key("z", "Z"))),
			entry("rekeyed", "", set(key("a", "other"), key("c", "B"))),
			{Name: "rubbish", Reading: Reading{Content: ContentPoison}},
		}},
	}
	want := map[string]string{
		"current": "a same, b same", "foreign": "", "old": "a same, z retired, b missing",
		"rekeyed": "a rekeyed, c renamed", "rubbish": "",
	}
	target := &Target{Name: "t", Issuer: "https://ours"}
	planned := map[string]bool{}
	for _, p := range target.planFlush(Report{Evidence: e, Diagnosis: Diagnose(e)}, ScopeKeys, false).Entries {
		planned[string(p.Name)] = true
	}
	for _, m := range e.Marked() {
		var got []string
		for _, k := range m.Marks {
			got = append(got, k.Key.Kid+" "+k.Mark)
		}
		if s := strings.Join(got, ", "); s != want[m.Name] {
			t.Errorf("%s: marks %q, want %q", m.Name, s, want[m.Name])
		}
		if m.Old != planned[m.Name] {
			t.Errorf("%s: old is %v, but the plan deletes it: %v", m.Name, m.Old, planned[m.Name])
		}
	}
	if e.Live = nil; e.Marked()[0].Marks != nil || e.Marked()[0].Old {
		t.Error("without live keys nothing can be compared, yet an entry was judged")
	}
}
