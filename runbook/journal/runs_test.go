package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"jwksbot/runbook"
)

func TestCreateAndRead(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j := context.Background(), open(t, url)
		create(t, j, pending("r1", "group a"))
		run, err := j.Run(ctx, "r1")
		if err != nil || run.Version != 1 || run.Requester.Name != "ann" || !run.CreatedAt.Equal(start) {
			t.Fatalf("read back %+v, %v", run, err)
		}
		if err := j.Create(ctx, pending("r1", "group a")); err == nil {
			t.Error("a second run of the same id was accepted")
		}
		if _, err := j.Run(ctx, "r9"); !errors.Is(err, runbook.ErrUnknownRun) {
			t.Errorf("unknown run: %v", err)
		}
		if _, err := approve(j, "r9", "U2"); !errors.Is(err, runbook.ErrUnknownRun) {
			t.Errorf("change of an unknown run: %v", err)
		}
		if err := j.MarkShown(ctx, "r9", 1, runbook.Post{}); !errors.Is(err, runbook.ErrUnknownRun) {
			t.Errorf("mark of an unknown run: %v", err)
		}
	})
}

func TestChangeWritesAllOrNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j := context.Background(), open(t, url)
		create(t, j, pending("r1", "group a"))
		refused := errors.New("not you")
		_, err := j.Change(ctx, "r1", func(r *runbook.Run) ([]runbook.AuditEntry, error) {
			r.State = runbook.StateDenied
			return []runbook.AuditEntry{{Kind: "deny"}}, refused
		})
		if err != refused {
			t.Errorf("the error is %v, want it as it was", err)
		}
		run, err := j.Change(ctx, "r1", func(*runbook.Run) ([]runbook.AuditEntry, error) {
			return []runbook.AuditEntry{{Kind: "refused"}}, nil
		})
		if err != nil || run.Version != 1 || run.State != runbook.StatePending {
			t.Errorf("an unchanged run became %d %s, %v", run.Version, run.State, err)
		}
		if run, err = j.Change(ctx, "r1", func(*runbook.Run) ([]runbook.AuditEntry, error) { return nil, nil }); err != nil || run.ID != "r1" {
			t.Errorf("no change: %+v, %v", run, err)
		}
		if got := kinds(t, j); fmt.Sprint(got) != "[request refused]" {
			t.Errorf("audit is %v", got)
		}
		if run, err = approve(j, "r1", "U2"); err != nil || run.Version != 2 {
			t.Errorf("approve: version %d, %v", run.Version, err)
		}
		if _, err := approve(j, "r1", "U3"); !errors.Is(err, runbook.ErrMoved) {
			t.Errorf("second approve: %v", err)
		}
	})
}

func TestOneHolderOfAResource(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j := context.Background(), open(t, url)
		create(t, j, pending("r1", "group a"))
		create(t, j, pending("r2", "group a"))
		create(t, j, pending("r3", "group b"))
		if _, err := approve(j, "r1", "U2"); err != nil {
			t.Fatal(err)
		}
		var busy *runbook.BusyError
		if _, err := approve(j, "r2", "U2"); !errors.As(err, &busy) || busy.Holder.ID != "r1" || busy.Resource != "group a" {
			t.Fatalf("second holder: %v", err)
		}
		if state(t, j, "r2") != runbook.StatePending {
			t.Error("the refused run was changed")
		}
		if _, err := approve(j, "r3", "U2"); err != nil {
			t.Errorf("another resource: %v", err)
		}
		held := pending("r4", "group a")
		held.State = runbook.StateApproved
		if err := j.Create(ctx, held); !errors.As(err, &busy) || busy.Holder.ID != "r1" {
			t.Errorf("create of a holder: %v", err)
		}
	})
}

func TestFilter(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j := context.Background(), open(t, url)
		for i := range 5 {
			r := pending(fmt.Sprintf("r%d", i), fmt.Sprintf("group %d", i))
			r.CreatedAt = start.Add(time.Duration(i) * time.Second)
			r.ExpiresAt = start.Add(time.Duration(i) * time.Minute)
			if i == 4 {
				r.Target, r.State, r.EndedAt = "staging", runbook.StateDenied, start
			}
			create(t, j, r)
		}
		for _, c := range []struct {
			name string
			f    runbook.Filter
			want string
		}{
			{"all", runbook.Filter{}, "[r4 r3 r2 r1 r0]"},
			{"limit", runbook.Filter{Limit: 2}, "[r4 r3]"},
			{"target", runbook.Filter{Target: "staging"}, "[r4]"},
			{"states", runbook.Filter{States: []runbook.State{runbook.StateDenied, runbook.StateDone}}, "[r4]"},
			{"due", runbook.Filter{DueBefore: start.Add(2 * time.Minute)}, "[r2 r1 r0]"},
			{"unshown", runbook.Filter{Unshown: true, States: []runbook.State{runbook.StatePending}}, "[r3 r2 r1 r0]"},
		} {
			if got := ids(t, j, c.f); got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
		}
		post := runbook.Post{Channel: "C1", TS: "1.2", Reminder: "1.3", Evidence: "1.4"}
		if err := j.MarkShown(ctx, "r0", 1, post); err != nil {
			t.Fatal(err)
		}
		if err := j.MarkShown(ctx, "r0", 0, post); err != nil {
			t.Fatal(err)
		}
		run, err := j.Run(ctx, "r0")
		if err != nil || run.Version != 1 || run.Shown != 1 || run.Post != post {
			t.Errorf("marked run: %+v, %v", run, err)
		}
		if got := ids(t, j, runbook.Filter{Unshown: true, States: []runbook.State{runbook.StatePending}}); got != "[r3 r2 r1]" {
			t.Errorf("unshown: %s", got)
		}
		if run, err = approve(j, "r0", "U2"); err != nil || run.Post != post || run.Shown != 1 || run.Version != 2 {
			t.Errorf("the message was forgotten by a change: %+v, %v", run, err)
		}
	})
}

// TestConcurrentApprovals: each of 100 people gets an answer, and exactly the
// quorum's approvals count.
func TestConcurrentApprovals(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		journals := []*Journal{open(t, url), open(t, url)}
		run := pending("r1", "group a")
		run.Required = 3
		create(t, journals[0], run)
		var wg sync.WaitGroup
		answers := make(chan error, 100)
		for i := range 100 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				_, err := approve(journals[i%2], "r1", fmt.Sprintf("U%d", i))
				answers <- err
			}()
		}
		wg.Wait()
		close(answers)
		won := 0
		for err := range answers {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, runbook.ErrMoved):
				t.Errorf("an answer that is none: %v", err)
			}
		}
		run, err := journals[1].Run(context.Background(), "r1")
		if err != nil || won != 3 || len(run.Decisions) != 3 || run.State != runbook.StateApproved || run.Version != 4 {
			t.Errorf("%d won; the run has %d decisions, is %s, version %d, %v", won, len(run.Decisions), run.State, run.Version, err)
		}
		if _, err := journals[0].VerifyAudit(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestSubscribe(t *testing.T) {
	j := open(t, sqliteURL(t))
	changes, end := j.Subscribe()
	create(t, j, pending("r1", "a"))
	create(t, j, pending("r2", "b"))
	<-changes
	select {
	case <-changes:
		t.Error("two changes were not told in one")
	default:
	}
	end()
	create(t, j, pending("r3", "c"))
	select {
	case <-changes:
		t.Error("told after the end of the subscription")
	default:
	}
}

func ids(t *testing.T, j *Journal, f runbook.Filter) string {
	t.Helper()
	runs, err := j.Runs(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, r := range runs {
		out = append(out, r.ID)
	}
	return fmt.Sprint(out)
}

func kinds(t *testing.T, j *Journal) []string {
	t.Helper()
	var out []string
	for row, err := range j.AuditRows(context.Background(), AuditFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, row.Kind)
	}
	return out
}
