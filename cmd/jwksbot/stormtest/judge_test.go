package stormtest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/journal"
)

// judgeCache: everything that the other client wrote is still there, and after
// a run that is done nothing old is.
func (s *storm) judgeCache(ctx context.Context, c *bottest.Cache, id string, written []string) error {
	run, err := s.journal.Run(ctx, id)
	if err != nil {
		return err
	}
	if len(written) == 0 {
		return fmt.Errorf("%s: the other client wrote nothing: run %s proved nothing", c.Name, id)
	}
	for _, name := range written {
		value, err := c.Redis.Get(ctx, name).Bytes()
		if err != nil || !bytes.Equal(value, c.Fresh) {
			return fmt.Errorf("%s: run %s (%s): %s was written fresh and is lost: %w", c.Name, id, run.State, name, err)
		}
	}
	if run.State != runbook.StateDone {
		return nil
	}
	for i := range bottest.Entries {
		if value, _ := c.Redis.Get(ctx, bottest.EntryName(i)).Bytes(); bytes.Equal(value, c.Old) {
			return fmt.Errorf("%s: run %s is done and %s is old", c.Name, id, bottest.EntryName(i))
		}
	}
	return nil
}

// judgeEnd: the run is done, with one receipt of each step.
func (s *storm) judgeEnd(t *testing.T, id string) {
	t.Helper()
	run, err := s.journal.Run(t.Context(), id)
	if err != nil || run.State != runbook.StateDone {
		t.Fatalf("the run is %s: %s, %v", run.State, run.Outcome, err)
	}
	steps := map[string]int{}
	for _, r := range run.Receipts {
		if steps[r.Step]++; steps[r.Step] > 1 {
			t.Errorf("two receipts of %s", r.Step)
		}
	}
	if _, err := s.journal.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}

// judgeOnce: one row of the effect, and one message.
func (s *storm) judgeOnce(t *testing.T, id string) {
	t.Helper()
	effects, messages := 0, 0
	for row, err := range s.journal.AuditRows(t.Context(), journal.AuditFilter{Run: id, Kind: "effect"}) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Kind == "effect" {
			effects++
		}
	}
	for _, m := range s.Sim.Messages("C0BRIDGE") {
		if !m.InThread() && m.Metadata != nil && m.Metadata.Payload["run_id"] == id {
			messages++
		}
	}
	if effects != 1 || messages != 1 {
		t.Errorf("%d rows of the effect and %d messages, want one of each", effects, messages)
	}
}

// judge holds the journal against what was promised.
func (s *storm) judge(t *testing.T) {
	ctx := context.Background()
	if _, err := s.journal.VerifyAudit(ctx); err != nil {
		t.Errorf("the trail: %v", err)
	}
	runs, err := s.journal.Runs(ctx, runbook.Filter{Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	ends := map[runbook.State]int{}
	for _, run := range runs {
		ends[run.State]++
		rows := map[string]int{}
		for row, err := range s.journal.AuditRows(ctx, journal.AuditFilter{Run: run.ID}) {
			if err != nil {
				t.Fatal(err)
			}
			what := row.Kind
			if row.Kind == "effect" || row.Kind == "state" {
				step, _, _ := strings.Cut(row.Detail, ":")
				what += " " + step
			}
			rows[what]++
		}
		if err := judgeRun(run, rows); err != nil {
			t.Errorf("run %s (%s): %v\n%v", run.ID, run.State, err, rows)
		}
	}
	t.Logf("%d runs ended as %v", len(runs), ends)
	if got := int64(ends[runbook.StateDone]); got < s.want.runs || s.kills.Load() < s.want.kills {
		t.Errorf("only %d runs are done with %d kills in the time that there was, want %d and %d", got, s.kills.Load(), s.want.runs, s.want.kills)
	}
}

// judgeRun: one request, one decision for each plan, one row for each effect
// and each step between two states.
func judgeRun(run runbook.Run, rows map[string]int) error {
	if rows["request"] != 1 {
		return fmt.Errorf("%d requests", rows["request"])
	}
	if run.State == runbook.StateFailed {
		return fmt.Errorf("it failed: %s", run.Outcome)
	}
	perPlan := map[int]int{}
	for _, d := range run.Decisions {
		perPlan[d.Generation]++
	}
	for generation, n := range perPlan {
		if n != 1 {
			return fmt.Errorf("plan %d was decided %d times", generation, n)
		}
	}
	if n := rows["approve"] + rows["deny"]; n != len(run.Decisions) {
		return fmt.Errorf("%d rows of %d decisions", n, len(run.Decisions))
	}
	for _, what := range slices.Sorted(maps.Keys(rows)) {
		again := strings.HasPrefix(what, "effect ") || strings.HasPrefix(what, "state ") && what != "state watch to watch"
		if again && rows[what] > run.Generation {
			return fmt.Errorf("%q was recorded %d times", what, rows[what])
		}
	}
	if run.State == runbook.StateDone && rows["effect flush-cache"] != 1 {
		return fmt.Errorf("%d rows of the flush", rows["effect flush-cache"])
	}
	steps := map[string]int{}
	for _, r := range run.Receipts {
		if steps[r.Step]++; steps[r.Step] > 1 {
			return fmt.Errorf("two receipts of %s", r.Step)
		}
	}
	return nil
}
