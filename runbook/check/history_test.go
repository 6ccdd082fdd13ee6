package check

import (
	"context"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/standin"
)

// rememberer is a history in memory.
type rememberer struct {
	list    []runbook.Sighting
	flushed time.Time
}

func (m *rememberer) Seen(_ context.Context, _ string, keys []runbook.Key, at time.Time) error {
	for _, k := range keys {
		found := false
		for i := range m.list {
			if m.list[i].Thumbprint == k.Thumbprint && m.list[i].Kid == k.Kid {
				m.list[i].LastSeen, found = at, true
			}
		}
		if !found {
			m.list = append(m.list, runbook.Sighting{Kid: k.Kid, Thumbprint: k.Thumbprint, FirstSeen: at, LastSeen: at})
		}
	}
	return nil
}

func (m *rememberer) Sightings(context.Context, string) ([]runbook.Sighting, error) {
	return append([]runbook.Sighting(nil), m.list...), nil
}

func (m *rememberer) LastFlush(context.Context, string) (time.Time, error) { return m.flushed, nil }

// The runner must read what earlier checks saw before it adds its own: a key
// that appears now is new, not long known.
func TestTheRunnerRemembersLiveKeys(t *testing.T) {
	clock, memory := standin.NewClock(), &rememberer{}
	r := NewRunner(clock, nil)
	r.Remember(memory)
	live := standin.KeySet("old")
	target := &Target{Name: "production", TokenLife: 2 * time.Hour, Live: standin.ProbeFunc(func(context.Context) runbook.Probe { return runbook.Probe{Status: 200, Set: live} })}
	checked(t, r, target, Ask{Anew: true})
	clock.Advance(time.Hour)
	live = standin.KeySet("new")
	report := checked(t, r, target, Ask{Anew: true})
	if len(report.Evidence.History) != 1 || report.Evidence.History[0].Kid != "old" {
		t.Errorf("history of the second check is %v, want the first one's key alone", report.Evidence.History)
	}
	if report.Evidence.TokenLife != 2*time.Hour {
		t.Errorf("tokens live %s, the target says 2 h", report.Evidence.TokenLife)
	}
	if len(memory.list) != 2 {
		t.Errorf("remembered %v, want both keys", memory.list)
	}
	clock.Advance(14 * time.Minute)
	report = checked(t, r, target, Ask{Anew: true})
	if h := report.Evidence.History; len(h) != 2 || h[1].Kid != "new" || report.Evidence.At.Sub(h[1].FirstSeen) != 14*time.Minute {
		t.Errorf("history of the third check is %v, want the new key first seen 14 min ago", h)
	}
}

// The step must not cry fault over what the verdict calls ordinary.
func TestATrickleIsNoFaultOfTheStep(t *testing.T) {
	target := fullTarget()
	target.Logs = standin.LogsFunc(func(context.Context) (runbook.LogEvidence, error) {
		return *standin.Series(runbook.ClassExpired, 60, 1), nil
	})
	report := checked(t, NewRunner(standin.NewClock(), nil), target, Ask{})
	if s := report.Steps[2]; report.Diagnosis.Verdict.ID != diagnose.Healthy || s.Status != runbook.StatusWarn {
		t.Errorf("%s: logged-keys %s %q", report.Diagnosis.Verdict.ID, s.Status, s.Summary)
	}
}
