package journal

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"jwksbot/runbook"
)

// TestTenureRefuses: what a step of a replaced executor, or of a process that
// never executed, writes to the journal is refused as a whole.
func TestTenureRefuses(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j := context.Background(), open(t, url)
		create(t, j, pending("r1", "a"))
		one := saved("one", "value")
		one.At = time.Now() // an old one would be pruned
		if err := j.SaveSnapshot(ctx, "r1", []runbook.Saved{one}); err != nil {
			t.Fatal(err)
		}
		tries := func(tenure FencedJournal) map[string]error {
			_, changed := tenure.Change(ctx, "r1", func(r *runbook.Run) ([]runbook.AuditEntry, error) {
				r.Progress.Done = 7
				return []runbook.AuditEntry{{Kind: "effect"}}, nil
			})
			return map[string]error{
				"change":   changed,
				"create":   tenure.Create(ctx, pending("r2", "b")),
				"note":     tenure.Note(ctx, runbook.AuditEntry{Kind: "effect"}),
				"fates":    tenure.MarkFates(ctx, "r1", []runbook.EntryFate{{Name: "one", Shard: "0001", Fate: runbook.FateDeleted}}),
				"snapshot": tenure.SaveSnapshot(ctx, "r1", []runbook.Saved{saved("two", "value")}),
			}
		}
		refused := func(when string) {
			t.Helper()
			for what, err := range tries(j.Fenced()) {
				if !errors.Is(err, runbook.ErrNotExecutor) {
					t.Errorf("%s: %s gave %v", when, what, err)
				}
			}
		}
		refused("never executed")
		stop := execute(t, j, forward)
		eventually(t, "executing", j.Executing)
		other := open(t, url)
		if err := other.Fenced().Note(ctx, runbook.AuditEntry{Kind: "effect"}); !errors.Is(err, runbook.ErrNotExecutor) {
			t.Errorf("another process beside the executor: %v", err)
		}
		if err := j.Fenced().Note(ctx, runbook.AuditEntry{Kind: "view"}); err != nil {
			t.Errorf("the executor itself: %v", err)
		}
		if _, err := other.takeOver(ctx); err != nil {
			t.Fatal(err)
		}
		refused("replaced")
		stop()
		if got := fmt.Sprint(kinds(t, j)); got != "[request view]" {
			t.Errorf("the trail is %s", got)
		}
		if run, err := j.Run(ctx, "r1"); err != nil || run.Progress.Done != 0 {
			t.Errorf("the run was changed: %+v, %v", run.Progress, err)
		}
		if kept, err := j.Snapshot(ctx, "r1"); err != nil || len(kept) != 1 || kept[0].Name != "one" {
			t.Errorf("the snapshot was replaced: %v, %v", kept, err)
		}
	})
}
