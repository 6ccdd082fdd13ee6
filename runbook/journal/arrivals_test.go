package journal

import (
	"context"
	"maps"
	"testing"

	"jwksbot/runbook"
)

// TestArrivals: every change of state is counted once, by whichever process;
// what changes nothing, and what is refused, is not.
func TestArrivals(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j := context.Background(), open(t, url)
		other := open(t, url)
		create(t, j, pending("r1", "a"))
		create(t, other, pending("r2", "b"))
		execute(t, j, forward)
		if _, err := approve(other, "r1", "U2"); err != nil {
			t.Fatal(err)
		}
		if _, err := approve(other, "r1", "U2"); err == nil {
			t.Fatal("approved twice")
		}
		if _, err := j.Change(ctx, "r2", func(r *runbook.Run) ([]runbook.AuditEntry, error) { r.Reason = "typo"; return nil, nil }); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the end", func() bool { return state(t, j, "r1") == runbook.StateDone })
		got, err := other.Arrivals(ctx)
		want := map[runbook.State]int64{runbook.StatePending: 2, runbook.StateApproved: 1, runbook.StateSnapshot: 1,
			runbook.StateFlush: 1, runbook.StateVerify: 1, runbook.StateDone: 1}
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%v, %v\nwant %v", got, err, want)
		}
	})
}
