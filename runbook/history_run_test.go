package runbook

import (
	"context"
	"testing"
	"time"
)

// rememberer is a history in memory.
type rememberer struct {
	list    []Sighting
	flushed time.Time
}

func (m *rememberer) Seen(_ context.Context, _ string, keys []Key, at time.Time) error {
	for _, k := range keys {
		found := false
		for i := range m.list {
			if m.list[i].Thumbprint == k.Thumbprint && m.list[i].Kid == k.Kid {
				m.list[i].LastSeen, found = at, true
			}
		}
		if !found {
			m.list = append(m.list, Sighting{Kid: k.Kid, Thumbprint: k.Thumbprint, FirstSeen: at, LastSeen: at})
		}
	}
	return nil
}

func (m *rememberer) Sightings(context.Context, string) ([]Sighting, error) {
	return append([]Sighting(nil), m.list...), nil
}

func (m *rememberer) LastFlush(context.Context, string) (time.Time, error) { return m.flushed, nil }

// The runner must read what earlier checks saw before it adds its own: a key
// that appears now is new, not long known.
func TestTheRunnerRemembersLiveKeys(t *testing.T) {
	clock, memory := newClock(), &rememberer{}
	r := NewRunner(clock, nil)
	r.Remember(memory)
	live := keySet("old")
	target := &Target{Name: "production", TokenLife: 2 * time.Hour, Live: probeFunc(func(context.Context) Probe { return Probe{Status: 200, Set: live} })}
	check(t, r, target, Ask{Anew: true})
	clock.advance(time.Hour)
	live = keySet("new")
	report := check(t, r, target, Ask{Anew: true})
	if len(report.Evidence.History) != 1 || report.Evidence.History[0].Kid != "old" {
		t.Errorf("history of the second check is %v, want the first one's key alone", report.Evidence.History)
	}
	if report.Evidence.TokenLife != 2*time.Hour {
		t.Errorf("tokens live %s, the target says 2 h", report.Evidence.TokenLife)
	}
	if len(memory.list) != 2 {
		t.Errorf("remembered %v, want both keys", memory.list)
	}
	clock.advance(14 * time.Minute)
	report = check(t, r, target, Ask{Anew: true})
	if h := report.Evidence.History; len(h) != 2 || h[1].Kid != "new" || report.Evidence.At.Sub(h[1].FirstSeen) != 14*time.Minute {
		t.Errorf("history of the third check is %v, want the new key first seen 14 min ago", h)
	}
}

// The step must not cry fault over what the verdict calls ordinary.
func TestATrickleIsNoFaultOfTheStep(t *testing.T) {
	target := fullTarget()
	target.Logs = logsFunc(func(context.Context) (LogEvidence, error) { return *series(ClassExpired, 60, 1), nil })
	report := check(t, NewRunner(newClock(), nil), target, Ask{})
	if s := report.Steps[2]; report.Diagnosis.Verdict.ID != Healthy || s.Status != StatusWarn {
		t.Errorf("%s: logged-keys %s %q", report.Diagnosis.Verdict.ID, s.Status, s.Summary)
	}
}
