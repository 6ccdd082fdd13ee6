package remote

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/journal"
)

// approval is a request of its own for each caller.
func approval() Request {
	return Request{Decide: &approve.Click{Run: "r1", Kind: runbook.DecideApprove, By: "U0LEAD", Via: runbook.ViaSlack}}
}

func flush() Request {
	return Request{Open: &approve.Request{Target: "production", By: "U0LEAD", Via: runbook.ViaSlack}}
}

// Who asks is what was proven, whatever a request says; the answer comes back,
// and the record says whose machine looked at the proof.
func TestARequestIsAnswered(t *testing.T) {
	r := newRoom(t)
	var asked []string
	r.service.open = func(tx journal.RequestTransaction, req approve.Request) (runbook.Run, error) {
		asked = append(asked, req.By+" "+string(req.Via))
		run := runbook.Run{ID: "r1", Target: req.Target, State: runbook.StatePending, Required: 1}
		return run, tx.Create(t.Context(), run)
	}
	r.service.decide = func(_ journal.RequestTransaction, c approve.Click) (approve.Answer, error) {
		asked = append(asked, c.By+" "+string(c.Via))
		return approve.Answer{Text: "Approved."}, nil
	}
	r.serves(t)
	for _, who := range []*Client{nil, r.client, NewClient(r.journal, nil)} {
		r.server.Client = who
		if got, err := r.client.Do(t.Context(), approval()); err != nil || got.Text != "Approved." || got.Run != "r1" {
			t.Errorf("%+v, %v", got, err)
		}
	}
	r.server.Client = r.client
	if got, err := r.client.Do(t.Context(), flush()); err != nil || got.Run != "r1" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := r.client.Do(t.Context(), approval()); err != nil {
		t.Error(err)
	}
	if want := slices.Repeat([]string{"U0ROBIN terminal"}, 5); !slices.Equal(asked, want) {
		t.Errorf("asked by %q", asked)
	}
	if want := []string{"", byApprover, byAnother, byRequester, byRequester}; !slices.Equal(r.begun, want) {
		t.Errorf("verified %q, want %q", r.begun, want)
	}
}

// Somebody whose proof does not hold is refused, and the trail has it once.
func TestWithoutAProofNothingIsDone(t *testing.T) {
	r := newRoom(t)
	r.client.prove = func(context.Context, []byte) (string, error) { return "robin|of another request", nil }
	r.serves(t)
	for _, want := range []Request{approval(), approval(), flush()} {
		got, err := r.client.Do(t.Context(), want)
		var refusal *runbook.Refusal
		if !errors.As(err, &refusal) || refusal.Text != "could not be proven" || got.Run != "" {
			t.Errorf("%+v, %v", got, err)
		}
	}
	var rows []string
	for row, err := range r.journal.AuditRows(t.Context(), journal.AuditFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row.Actor+" "+row.Kind+": "+row.Detail)
	}
	if want := []string{"somebody refused: approve of run r1: could not be proven", "somebody refused: request for production: could not be proven"}; !slices.Equal(rows, want) {
		t.Errorf("%q", rows)
	}
}

// What a build after this one may ask for is answered, too.
func TestAnUnknownRequestIsAnswered(t *testing.T) {
	r := newRoom(t)
	r.serves(t)
	if _, err := r.client.Do(t.Context(), Request{}); err == nil || !strings.Contains(err.Error(), "asks for nothing that this version of jwksbot knows") {
		t.Error(err)
	}
}

// What an executor had done before it ended is not done again; the answer of
// the next one tells what came of it.
func TestWhatWasCarriedOutIsAnswered(t *testing.T) {
	decided := func(n int, to runbook.State) func(*runbook.Run) {
		return func(r *runbook.Run) {
			for range n {
				r.Decisions = append(r.Decisions, runbook.Decision{By: runbook.PersonRef{ID: "U1"}, Kind: runbook.DecideApprove})
			}
			r.State = to
		}
	}
	for name, c := range map[string]struct {
		want Request
		did  func(*runbook.Run)
		text string
	}{
		"request": {flush(), func(r *runbook.Run) { r.Reason = "rotated" }, ""},
		"counted": {approval(), decided(1, runbook.StatePending), "Counted: 1 of 2 approvals."},
		"changed": {approval(), func(r *runbook.Run) { r.Generation++ }, "Not approved: things changed since the request"},
		"denied":  {approval(), decided(0, runbook.StateDenied), "The run is now denied."},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, r := t.Context(), newRoom(t)
			if err := r.journal.Create(ctx, runbook.Run{ID: "r1", State: runbook.StatePending, Required: 2}); err != nil {
				t.Fatal(err)
			}
			taken := r.take(t, c.want)
			if _, err := r.journal.Fenced().RequestTransaction(taken.ID).Change(ctx, "r1", func(r *runbook.Run) ([]runbook.AuditEntry, error) {
				c.did(r)
				return nil, nil
			}); err != nil {
				t.Fatal(err)
			}
			taken, err := r.journal.RemoteRequest(ctx, taken.ID) // as the next executor gets it
			if err != nil {
				t.Fatal(err)
			}
			before, err := r.journal.Run(ctx, "r1")
			if err != nil {
				t.Fatal(err)
			}
			r.server.serve(ctx, taken)
			got, err := r.client.awaitReply(ctx, taken.ID)
			if err != nil || got.Run != "r1" || !strings.Contains(got.Text, c.text) || (got.Text == "") != (c.text == "") {
				t.Errorf("%+v, %v", got, err)
			}
			if after, err := r.journal.Run(ctx, "r1"); err != nil || after.Version != before.Version {
				t.Errorf("it was done again: version %d, then %d, %v", before.Version, after.Version, err)
			}
		})
	}
}

// The connection is lost right after a request was carried out: it was done,
// and the answer says so.
func TestALostConnectionIsNoFailure(t *testing.T) {
	r := newRoom(t)
	r.service.open = func(tx journal.RequestTransaction, req approve.Request) (runbook.Run, error) {
		if err := tx.Create(t.Context(), runbook.Run{ID: "r1", Target: req.Target, State: runbook.StatePending}); err != nil {
			t.Error(err)
		}
		return runbook.Run{}, errors.New("connection reset by peer")
	}
	r.serves(t)
	if got, err := r.client.Do(t.Context(), flush()); err != nil || got.Run != "r1" {
		t.Errorf("%+v, %v", got, err)
	}
}

// A request over which one process after the other ends is not tried for ever,
// and a panic ends no process at all.
func TestARequestThatKills(t *testing.T) {
	ctx, r := t.Context(), newRoom(t)
	taken := r.take(t, approval())
	taken.Takes = maxTakes + 1
	r.server.serve(ctx, taken)
	if _, err := r.client.awaitReply(ctx, taken.ID); err == nil || !strings.Contains(err.Error(), "3 processes ended") {
		t.Errorf("tried again: %v", err)
	}
	var log bytes.Buffer
	r.server.Log = slog.New(slog.NewTextHandler(&log, nil))
	r.service.decide = func(journal.RequestTransaction, approve.Click) (approve.Answer, error) { panic("nil map") }
	r.serves(t)
	_, err := r.client.Do(ctx, approval())
	if err == nil || !strings.Contains(err.Error(), "it panicked on this request") || !strings.Contains(log.String(), "nil map") || !strings.Contains(log.String(), "carryout.go") {
		t.Errorf("%v\n%s", err, log.String())
	}
}

// Who stops waiting knows what came of it: nothing, for good, or a run.
func TestTheAskerTakesItBack(t *testing.T) {
	ctx, r := t.Context(), newRoom(t)
	stopped, stop := context.WithCancel(ctx)
	stop()
	taken := r.take(t, flush())
	if _, err := r.client.awaitReply(stopped, taken.ID); err == nil || !strings.Contains(err.Error(), "nothing was done, and nothing will be: interrupted") {
		t.Errorf("%v", err)
	}
	if err := r.journal.Fenced().RequestTransaction(taken.ID).Create(ctx, runbook.Run{ID: "r1", State: runbook.StatePending}); !errors.Is(err, runbook.ErrRequestOver) {
		t.Errorf("carried out after that: %v", err)
	}
	t.Run("late", func(t *testing.T) {
		taken := r.take(t, flush())
		if err := r.journal.Fenced().RequestTransaction(taken.ID).Create(ctx, runbook.Run{ID: "r2", State: runbook.StatePending}); err != nil {
			t.Fatal(err)
		}
		if got, err := r.client.awaitReply(stopped, taken.ID); err != nil || got.Run != "r2" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
