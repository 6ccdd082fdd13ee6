package approve

import (
	"strings"
	"testing"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
)

// The marks that people see must agree with what a plan would delete.
func TestMarkedAgreesWithThePlan(t *testing.T) {
	key := func(kid, print string) runbook.Key {
		return runbook.Key{Kid: kid, Thumbprint: print, Kty: "RSA", Usable: true}
	}
	set := func(keys ...runbook.Key) runbook.KeySet {
		return runbook.KeySet{Shape: runbook.ShapeSet, Keys: keys, Usable: len(keys)}
	}
	entry := func(name, foreign string, s runbook.KeySet) runbook.Entry {
		return runbook.Entry{Name: name, Foreign: foreign, Reading: runbook.Reading{Content: runbook.ContentKeys, Set: s}}
	}
	live := set(key("a", "A"), key("b", "B"))
	e := runbook.Evidence{
		Live: &runbook.LiveEvidence{Probes: []runbook.Probe{{Set: live}}},
		Cached: &runbook.CacheEvidence{Entries: []runbook.Entry{
			entry("current", "", live),
			entry("foreign", "https://other", set(key("x", "X"))),
			entry("old", "", set(key("a", "A"), key("z", "Z"))),
			entry("rekeyed", "", set(key("a", "other"), key("c", "B"))),
			{Name: "rubbish", Reading: runbook.Reading{Content: runbook.ContentPoison}},
		}},
	}
	want := map[string]string{
		"current": "a same, b same", "foreign": "", "old": "a same, z retired, b missing",
		"rekeyed": "a rekeyed, c renamed", "rubbish": "",
	}
	target := &check.Target{Name: "t", Issuer: "https://ours"}
	planned := map[string]bool{}
	for _, p := range PlanFlush(target, check.Report{Evidence: e, Diagnosis: diagnose.Diagnose(e)}, runbook.ScopeKeys, false).Entries {
		planned[string(p.Name)] = true
	}
	for _, m := range diagnose.Marked(e) {
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
	if e.Live = nil; diagnose.Marked(e)[0].Marks != nil || diagnose.Marked(e)[0].Old {
		t.Error("without live keys nothing can be compared, yet an entry was judged")
	}
}
