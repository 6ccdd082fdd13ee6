package remote

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/journal"
)

// service is a transaction of the real journal that does as it is told.
type service struct {
	journal.RequestTransaction
	open   func(journal.RequestTransaction, approve.Request) (runbook.Run, error)
	decide func(journal.RequestTransaction, approve.Click) (approve.Answer, error)
}

func (d service) Open(_ context.Context, req approve.Request, _ check.Reporter) (runbook.Run, check.Report, error) {
	run, err := d.open(d.RequestTransaction, req)
	return run, check.Report{}, err
}

func (d service) Decide(_ context.Context, c approve.Click) (approve.Answer, error) {
	return d.decide(d.RequestTransaction, c)
}

// room is a terminal and a server with a journal between them, which this
// process executes.
type room struct {
	journal *journal.Journal
	client  *Client
	server  *Server
	service service
	begun   []string // where the proofs were looked at
}

func newRoom(t *testing.T) *room {
	t.Helper()
	j, err := journal.Open(t.Context(), journal.Settings{URL: filepath.Join(t.TempDir(), "journal.db")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- j.Execute(ctx, func(context.Context, runbook.Run) (runbook.Transition, error) {
			return runbook.Transition{}, errors.New("nothing is executed here")
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, j.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	for !j.Executing() {
		if err := (runbook.SystemClock{}).Wait(t.Context(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	r := &room{journal: j}
	r.client = NewClient(j, func(_ context.Context, purpose []byte) (string, error) { return "robin|" + string(purpose), nil })
	r.server = NewServer(Settings{Queue: j.Fenced(), Reader: j, Log: slog.New(slog.DiscardHandler),
		Begin: func(request, verified string) (Transaction, error) {
			r.begun = append(r.begun, verified)
			r.service.RequestTransaction = j.Fenced().RequestTransaction(request)
			return r.service, nil
		},
		Who: func(_ context.Context, proof string, purpose []byte) (runbook.PersonRef, error) {
			if proof != "robin|"+string(purpose) {
				return runbook.PersonRef{ID: "somebody"}, &runbook.Refusal{Code: runbook.RefusedKind, Text: "could not be proven"}
			}
			return runbook.PersonRef{ID: "U0ROBIN"}, nil
		}})
	return r
}

// serves lets the server answer until the test ends.
func (r *room) serves(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.server.Serve(context.Background(), ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// take hands a request in and takes it.
func (r *room) take(t *testing.T, want Request) runbook.RemoteRequest {
	t.Helper()
	body, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.journal.AddRemoteRequest(t.Context(), runbook.RemoteRequest{ID: t.Name(), Body: body, Proof: "signed"}); err != nil {
		t.Fatal(err)
	}
	taken, ok, err := r.journal.Fenced().TakeRemoteRequest(t.Context())
	if err != nil || !ok {
		t.Fatal(taken, ok, err)
	}
	return taken
}
