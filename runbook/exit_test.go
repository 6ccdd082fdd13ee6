package runbook

import (
	"context"
	"strings"
	"testing"
)

// What a step alone calls fine, the verdict knows to be old.
func TestStepsAreJudgedByTheVerdict(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        Status
		says        string
	}{
		{"live", "keys b=2", StatusOK, "all live"},
		{"old", "keys a=1", StatusFail, "lacks live key `b`"},
		{"rekeyed", "keys b=9", StatusFail, "another key under live kid `b`"},
		{"retired", "keys a=1 b=2", StatusWarn, "retired key `a` is still cached"},
		{"poisoned", "<html>", StatusFail, "no key set"},
		{"strange", "?? 1", StatusWarn, "it is in an unknown format"},
	} {
		target := fullTarget()
		target.Live = probeFunc(func(context.Context) Probe { return good("b=2") })
		target.Entries = newCache(map[string]string{"jwks:current": c.value})
		s := check(t, NewRunner(newClock(), nil), target, Ask{}).Steps[1]
		if s.Status != c.want || !strings.Contains(s.Summary, c.says) {
			t.Errorf("%s: %s %q", c.name, s.Status, s.Summary)
		}
	}
}

// Exit codes are an interface: 0 healthy, 1 a problem, 2 could not tell.
func TestExitCodes(t *testing.T) {
	for id, want := range map[VerdictID]int{Healthy: 0, StaleCache: 1, LiveUnhealthy: 1, ClaimsOrClock: 1, Inconclusive: 2, CacheUnreadable: 2} {
		r := Report{Diagnosis: Diagnosis{Verdict: Verdict{Finding: Finding{ID: id}}}}
		if got := r.ExitCode(); got != want {
			t.Errorf("%s: exit code %d, want %d", id, got, want)
		}
	}
}
