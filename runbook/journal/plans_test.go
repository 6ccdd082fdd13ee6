package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jwksbot/runbook"
)

// large is a plan of many entries.
func large(n int, digest string) runbook.Plan {
	p := runbook.Plan{Target: "production", Verdict: "stale_cache", Digest: digest, Live: []string{"t1"}, Untouched: nil,
		Restore: &runbook.RestorePlan{Of: "r0"}}
	for i := range n {
		p.Entries = append(p.Entries, runbook.PlanEntry{Kids: []string{"k1"}, Thumbprints: []string{"t0"}, Meaning: fmt.Sprint(digest, i%7), Name: runbook.EntryName(fmt.Sprint("jwks:\xff", i)), Shard: fmt.Sprint("s", i%3)})
		p.Restore.Entries = append(p.Restore.Entries, runbook.RestoreEntry{Saved: fmt.Sprint(digest, i)})
	}
	return p
}

// TestAPlanOfManyEntriesIsWrittenOnce: the row of a run stays small, however
// much its plan lists, and everybody reads back the whole of it.
func TestAPlanOfManyEntriesIsWrittenOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j, other := context.Background(), open(t, url), open(t, url)
		run := pending("r1", "cache a")
		run.Plan = large(5000, "d1")
		create(t, j, run)
		holds := func(step string, want runbook.Plan, plans int) {
			t.Helper()
			for _, from := range []*Journal{j, other} {
				one, err := from.Run(ctx, "r1")
				if err != nil {
					t.Fatal(err)
				}
				all, err := from.Runs(ctx, runbook.Filter{})
				if err != nil || len(all) != 1 {
					t.Fatal(len(all), err)
				}
				if diff := cmp.Diff(want, one.Plan) + cmp.Diff(want, all[0].Plan); diff != "" {
					t.Errorf("%s: %s", step, diff)
				}
			}
			var length, n int
			if err := j.db.QueryRow(`SELECT length(CAST(body AS TEXT)), (SELECT count(*) FROM plans) FROM runs`).Scan(&length, &n); err != nil {
				t.Fatal(err)
			}
			if length > 20_000 || n != plans {
				t.Errorf("%s: the row has %d characters, and there are %d plans, want %d", step, length, n, plans)
			}
		}
		change := func(do func(*runbook.Run)) {
			t.Helper()
			if _, err := j.Change(ctx, "r1", func(r *runbook.Run) ([]runbook.AuditEntry, error) { do(r); return nil, nil }); err != nil {
				t.Fatal(err)
			}
		}
		holds("created", run.Plan, 1)
		change(func(r *runbook.Run) { r.Progress.Done = 7 })
		holds("progress", run.Plan, 1)
		change(func(r *runbook.Run) { r.Plan, r.Generation = large(3000, "d2"), r.Generation+1 })
		holds("another plan", large(3000, "d2"), 2)
		change(func(r *runbook.Run) { r.Plan = large(2000, "d3") })
		holds("another plan of the same generation", large(2000, "d3"), 2)
		small := large(3, "d4")
		change(func(r *runbook.Run) { r.Plan = small })
		holds("a small plan of the same generation", small, 1)
	})
}

// TestUpgradeOfALargePlan: a run whose plan an older program kept in its row is
// read, and written as new ones are.
func TestUpgradeOfALargePlan(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j := context.Background(), open(t, url)
		run := pending("r1", "cache a")
		run.Plan = large(500, "d1")
		create(t, j, run)
		whole, err := j.Run(ctx, "r1")
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.db.Exec(j.rebind(`UPDATE runs SET body = ?`), string(body)); err != nil {
			t.Fatal(err)
		}
		if _, err := j.db.Exec(`DELETE FROM plans`); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got, err := j.Run(ctx, "r1")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(run.Plan, got.Plan); diff != "" {
				t.Fatal(diff)
			}
			if _, err := j.Change(ctx, "r1", func(r *runbook.Run) ([]runbook.AuditEntry, error) { r.Progress.Done++; return nil, nil }); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestPlanOfAnEarlierVersion: lists that were written entry by entry are read.
func TestPlanOfAnEarlierVersion(t *testing.T) {
	ctx, j := context.Background(), open(t, sqliteURL(t))
	run := pending("r1", "cache a")
	run.Plan = large(500, "d1")
	create(t, j, run)
	body, err := json.Marshal(listsOf(run.Plan))
	if err != nil {
		t.Fatal(err)
	}
	var length int
	if err := j.db.QueryRow(`SELECT length(CAST(body AS TEXT)) FROM plans`).Scan(&length); err != nil || length > len(body)*3/4 {
		t.Errorf("%d characters, %d entry by entry, %v", length, len(body), err)
	}
	if _, err := j.db.Exec(`UPDATE plans SET body = ?`, string(body)); err != nil {
		t.Fatal(err)
	}
	got, err := j.Run(ctx, "r1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(run.Plan, got.Plan); diff != "" {
		t.Error(diff)
	}
}
