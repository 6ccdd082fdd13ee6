package journal

import (
	"context"
	"errors"
	"testing"

	"jwksbot/runbook"
)

// TestLocks: a run has everything to itself that it locks, whatever comes first
// in its list, from approval until it only watches.
func TestLocks(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j := context.Background(), open(t, url)
		with := func(id, resource string, locks ...string) {
			run := pending(id, resource)
			run.Locks = append(locks, resource)
			create(t, j, run)
		}
		with("both", "cache a", "function f")
		with("function", "function f")
		with("crossed", "function f", "cache a")
		with("other", "cache b")
		if _, err := approve(j, "both", "U2"); err != nil {
			t.Fatal(err)
		}
		for id, resource := range map[string]string{"function": "function f", "crossed": "cache a"} {
			var busy *runbook.BusyError
			if _, err := approve(j, id, "U2"); !errors.As(err, &busy) || busy.Holder.ID != "both" || busy.Resource != resource {
				t.Errorf("%s: %v", id, err)
			}
		}
		if _, err := approve(j, "other", "U2"); err != nil {
			t.Errorf("another cache: %v", err)
		}
		move := func(id string, to runbook.State) {
			t.Helper()
			if _, err := j.Change(ctx, id, func(r *runbook.Run) ([]runbook.AuditEntry, error) { r.State = to; return nil, nil }); err != nil {
				t.Fatal(err)
			}
		}
		move("both", runbook.StateWatch)
		if _, err := approve(j, "function", "U2"); err != nil {
			t.Errorf("beside a watch: %v", err)
		}
		move("function", runbook.StateDone)
		if _, err := approve(j, "crossed", "U2"); err != nil {
			t.Errorf("after the end: %v", err)
		}
	})
}

// TestUpgradeOfHeldRuns: runs that an older program left in the middle hold
// their resources after the upgrade, too.
func TestUpgradeOfHeldRuns(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		j := open(t, url)
		create(t, j, pending("r1", "cache a"))
		if _, err := approve(j, "r1", "U2"); err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{ // as schema 1 left it
			`DROP TABLE locks`, `DROP TABLE audit_stream`, `DROP TABLE petitions`, `DROP TABLE arrivals`, `DROP TABLE directory`, `DROP TABLE refusals`, `DROP TABLE plans`,
			`CREATE UNIQUE INDEX runs_one_holder ON runs (resource) WHERE holds = 1`, `UPDATE journal_schema SET version = 1`,
		} {
			mustExec(t, j.db, q)
		}
		j = open(t, url)
		create(t, j, pending("r2", "cache a"))
		if _, err := approve(j, "r2", "U2"); !errors.As(err, new(*runbook.BusyError)) {
			t.Errorf("the run of before holds nothing: %v", err)
		}
	})
}
