package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"jwksbot/runbook"
)

func ask(t testing.TB, j *Journal, ids ...string) {
	t.Helper()
	for _, id := range ids {
		body := json.RawMessage(`{"b":  1, "a": "é"}`) // a proof is bound to these bytes
		if err := j.AddRemoteRequest(context.Background(), runbook.RemoteRequest{ID: id, Body: body, Proof: "signed"}); err != nil {
			t.Fatal(err)
		}
	}
}

func take(t testing.TB, j *Journal) runbook.RemoteRequest {
	t.Helper()
	p, ok, err := j.Fenced().TakeRemoteRequest(context.Background())
	if err != nil || !ok {
		t.Fatalf("took %+v, %t, %v", p, ok, err)
	}
	return p
}

// TestRemoteRequests: each is taken once, in order, by the executor alone, and its
// proof is gone with the answer.
func TestRemoteRequests(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j := context.Background(), open(t, url)
		terminal := open(t, url)
		ask(t, terminal, "p0", "p1", "p2")
		if err := terminal.AddRemoteRequest(ctx, runbook.RemoteRequest{ID: "p1", Body: json.RawMessage(`1`)}); err == nil {
			t.Error("the same request was accepted twice")
		}
		if _, _, err := j.Fenced().TakeRemoteRequest(ctx); !errors.Is(err, runbook.ErrNotExecutor) {
			t.Errorf("taken by a process that does not execute: %v", err)
		}
		execute(t, j, forward)
		eventually(t, "executing", j.Executing)
		if p := take(t, j); p.ID != "p0" || string(p.Body) != `{"b":  1, "a": "é"}` || p.Proof != "signed" || p.Takes != 1 || p.Run != "" {
			t.Fatalf("took %+v", p)
		}
		if err := j.Fenced().AnswerRemoteRequest(ctx, "p0", json.RawMessage(`{"text":"yes"}`)); err != nil {
			t.Fatal(err)
		}
		if got, err := terminal.RemoteRequest(ctx, "p0"); err != nil || got.Takes != 1 || string(got.Answer) != `{"text":"yes"}` {
			t.Errorf("read %+v, %v", got, err)
		}
		var proof string
		if err := j.db.QueryRow(`SELECT proof FROM petitions WHERE id = 'p0'`).Scan(&proof); err != nil || proof != "" {
			t.Errorf("the proof is still %q, %v", proof, err)
		}
		if _, err := terminal.RemoteRequest(ctx, "p9"); !errors.Is(err, runbook.ErrUnknownRequest) {
			t.Errorf("an unknown one: %v", err)
		}
		var taken atomic.Int64
		var hands sync.WaitGroup
		for range 6 {
			hands.Go(func() {
				if _, ok, err := j.Fenced().TakeRemoteRequest(ctx); err != nil {
					t.Error(err)
				} else if ok {
					taken.Add(1)
				}
			})
		}
		hands.Wait()
		if taken.Load() != 2 {
			t.Errorf("%d were taken, two were left", taken.Load())
		}
	})
}

// TestRemoteRequestOfAnother: what an executor left unanswered goes to the next one,
// which learns whether it was carried out; the one before can do nothing more.
func TestRemoteRequestOfAnother(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j := context.Background(), open(t, url)
		ask(t, j, "done", "open", "said")
		first, stop := asExecutor(t, url)
		for range 3 {
			take(t, first)
		}
		note := runbook.AuditEntry{Actor: "U1", Kind: "refused"}
		if err := first.Fenced().RequestTransaction("done").Create(ctx, pending("r1", "a"), note); err != nil {
			t.Fatal(err)
		}
		if err := first.Fenced().RequestTransaction("said").Note(ctx, note); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := first.Fenced().TakeRemoteRequest(ctx); ok || err != nil {
			t.Errorf("taken again in one tenure: %v", err)
		}
		old := first.executor.Load()
		stop()
		second, _ := asExecutor(t, url)
		for _, want := range []runbook.RemoteRequest{{ID: "done", Run: "r1"}, {ID: "open"}, {ID: "said"}} {
			if p := take(t, second); p.ID != want.ID || p.Run != want.Run || p.Takes != 2 || p.Proof != "signed" {
				t.Errorf("took over %+v", p)
			}
		}
		first.executor.Store(old) // a process that was stopped and does not know yet
		_, changed := first.Fenced().RequestTransaction("open").Change(ctx, "r1", func(r *runbook.Run) ([]runbook.AuditEntry, error) { r.Reason = "late"; return nil, nil })
		for what, err := range map[string]error{"change": changed, "create": first.Fenced().RequestTransaction("open").Create(ctx, pending("r2", "b")),
			"note": first.Fenced().RequestTransaction("open").Note(ctx, note), "answer": first.Fenced().AnswerRemoteRequest(ctx, "open", json.RawMessage(`1`))} {
			if !errors.Is(err, runbook.ErrNotExecutor) {
				t.Errorf("%s by the executor before: %v", what, err)
			}
		}
		first.executor.Store(nil)
		if err := second.Fenced().RequestTransaction("open").Create(ctx, pending("r2", "b")); err != nil {
			t.Error(err)
		}
		if err := second.Fenced().RequestTransaction("nobody's").Create(ctx, pending("r3", "c")); !errors.Is(err, runbook.ErrRequestOver) {
			t.Errorf("for no request: %v", err)
		}
		if runs, err := j.Runs(ctx, runbook.Filter{}); err != nil || len(runs) != 2 {
			t.Errorf("%d runs, %v", len(runs), err)
		}
	})
}

// asExecutor opens the journal as an executor of its own.
func asExecutor(t *testing.T, url string) (*Journal, func() error) {
	t.Helper()
	j := open(t, url)
	stop := execute(t, j, forward)
	eventually(t, "executing", j.Executing)
	return j, stop
}

// TestRemoteRequestTakenBack: what was taken back has no effect any more, what had
// its effect cannot be taken back.
func TestRemoteRequestTakenBack(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, terminal := context.Background(), open(t, url)
		j, _ := asExecutor(t, url)
		ask(t, terminal, "waiting", "taken", "done", "answered")
		back := func(id string, want bool) runbook.RemoteRequest {
			t.Helper()
			p, got, err := terminal.TakeBackRemoteRequest(ctx, id, json.RawMessage(`"back"`))
			if err != nil || got != want || got != (string(p.Answer) == `"back"`) {
				t.Errorf("%s: %+v, %t, %v", id, p, got, err)
			}
			return p
		}
		back("waiting", true)
		for range 3 {
			take(t, j)
		}
		back("taken", true)
		if err := j.Fenced().RequestTransaction("taken").Create(ctx, pending("r0", "z")); !errors.Is(err, runbook.ErrRequestOver) {
			t.Errorf("carried out after it was taken back: %v", err)
		}
		if err := j.Fenced().AnswerRemoteRequest(ctx, "taken", json.RawMessage(`"late"`)); err != nil {
			t.Error(err)
		}
		if p, err := terminal.RemoteRequest(ctx, "taken"); err != nil || string(p.Answer) != `"back"` {
			t.Errorf("%+v, %v", p, err)
		}
		if err := j.Fenced().RequestTransaction("done").Create(ctx, pending("r1", "a")); err != nil {
			t.Fatal(err)
		}
		if p := back("done", false); p.Run != "r1" || p.Answer != nil {
			t.Errorf("carried out: %+v", p)
		}
		if err := j.Fenced().AnswerRemoteRequest(ctx, "answered", json.RawMessage(`"no"`)); err != nil {
			t.Fatal(err)
		}
		if p := back("answered", false); string(p.Answer) != `"no"` {
			t.Errorf("answered: %+v", p)
		}
		if _, _, err := terminal.TakeBackRemoteRequest(ctx, "p9", json.RawMessage(`1`)); !errors.Is(err, runbook.ErrUnknownRequest) {
			t.Errorf("an unknown one: %v", err)
		}
	})
}

// TestRemoteRequestOfASchemaBefore: whether a program of schema 2 carried out what it
// took is not known, so it is not carried out by the next one.
func TestRemoteRequestOfASchemaBefore(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		j, _ := asExecutor(t, url)
		ask(t, j, "old", "new")
		mustExec(t, j.db, `UPDATE petitions SET taken_at = asked_at WHERE id = 'old'`)
		if p := take(t, j); p.ID != "new" {
			t.Errorf("took %q", p.ID)
		}
	})
}

// TestRemoteRequestOfAKilledExecutor ends a process with SIGKILL right after it took
// a request, and right after it carried one out: each is carried out once.
func TestRemoteRequestOfAKilledExecutor(t *testing.T) {
	for _, does := range []string{"takes", "creates"} {
		t.Run(does, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, url string) {
				ctx, terminal := context.Background(), open(t, url)
				ask(t, terminal, "p1")
				p := spawn(t, url, "", childEnv+"_REQUEST="+does)
				eventually(t, "the child has what it is killed over", func() bool {
					got, err := terminal.RemoteRequest(ctx, "p1")
					return err == nil && got.Takes == 1 && (got.Run != "") == (does == "creates")
				})
				p.kill()
				j, _ := asExecutor(t, url)
				got := take(t, j)
				if (got.Run == "r of the child") != (does == "creates") || got.Takes != 2 {
					t.Fatalf("took over %+v", got)
				}
				if got.Run == "" {
					if err := j.Fenced().RequestTransaction("p1").Create(ctx, pending("r of the next", "a"), runbook.AuditEntry{Kind: "request"}); err != nil {
						t.Fatal(err)
					}
				}
				if err := j.Fenced().AnswerRemoteRequest(ctx, "p1", json.RawMessage(`1`)); err != nil {
					t.Fatal(err)
				}
				runs, err := j.Runs(ctx, runbook.Filter{})
				if err != nil || len(runs) != 1 {
					t.Errorf("%d runs, %v", len(runs), err)
				}
				if trail := fmt.Sprint(kinds(t, j)); trail != "[request]" {
					t.Errorf("the trail is %s", trail)
				}
				if _, ok, err := j.Fenced().TakeRemoteRequest(ctx); ok || err != nil {
					t.Errorf("an answered one is taken again: %v", err)
				}
			})
		})
	}
}
