package check

import (
	"context"
	"strings"
	"testing"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/standin"
)

// What a step alone calls fine, the verdict knows to be old.
func TestStepsAreJudgedByTheVerdict(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        runbook.Status
		says        string
	}{
		{"live", "keys b=2", runbook.StatusOK, "all live"},
		{"old", "keys a=1", runbook.StatusFail, "lacks live key `b`"},
		{"rekeyed", "keys b=9", runbook.StatusFail, "another key under live kid `b`"},
		{"retired", "keys a=1 b=2", runbook.StatusWarn, "retired key `a` is still cached"},
		{"poisoned", "<html>", runbook.StatusFail, "not a key set"},
		{"strange", "?? 1", runbook.StatusWarn, "it is in an unknown format"},
	} {
		target := fullTarget()
		target.Live = standin.ProbeFunc(func(context.Context) runbook.Probe { return standin.Good("b=2") })
		target.Entries = standin.NewCache(map[string]string{"jwks:current": c.value})
		s := checked(t, NewRunner(standin.NewClock(), nil), target, Ask{}).Steps[1]
		if s.Status != c.want || !strings.Contains(s.Summary, c.says) {
			t.Errorf("%s: %s %q", c.name, s.Status, s.Summary)
		}
	}
}

// Exit codes are an interface: 0 healthy, 1 a problem, 2 could not tell.
func TestExitCodes(t *testing.T) {
	for id, want := range map[runbook.VerdictID]int{diagnose.Healthy: 0, diagnose.StaleCache: 1, diagnose.LiveUnhealthy: 1, diagnose.ClaimsOrClock: 1, diagnose.Inconclusive: 2, diagnose.CacheUnreadable: 2} {
		r := Report{Diagnosis: runbook.Diagnosis{Verdict: runbook.Verdict{Finding: runbook.Finding{ID: id}}}}
		if got := r.ExitCode(); got != want {
			t.Errorf("%s: exit code %d, want %d", id, got, want)
		}
	}
}
