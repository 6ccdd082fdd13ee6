package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

const (
	atATime  = 4 // requests that are dealt with at once
	maxTakes = 3 // processes that may end over one request
)

// queue is the journal as the executor takes requests from it and answers them:
// both are refused with [runbook.ErrNotExecutor] in any other process.
type queue interface {
	TakeRemoteRequest(ctx context.Context) (r runbook.RemoteRequest, ok bool, err error)
	AnswerRemoteRequest(ctx context.Context, id string, answer json.RawMessage) error
}

// reader is the journal as any process reads it.
type reader interface {
	runs
	Executing() bool // this process executes runs
	RemoteRequest(ctx context.Context, id string) (runbook.RemoteRequest, error)
}

// Transaction is the domain as one request may change it. All that is written
// stands under the condition that this process still executes, and that the
// request is not over ([runbook.ErrRequestOver]); a run that is created or
// changed is noted with the request.
type Transaction interface {
	Open(ctx context.Context, req approve.Request, rep check.Reporter) (runbook.Run, check.Report, error)
	Decide(ctx context.Context, c approve.Click) (approve.Answer, error)
	NoteFolded(ctx context.Context, fold string, entry runbook.AuditEntry) error
}

// Settings are what a Server needs.
type Settings struct {
	Queue  queue
	Reader reader
	// Begin returns the transaction of a request. verified says where the proof is
	// looked at, "" in a bot.
	Begin func(request, verified string) (Transaction, error)
	// Who finds out who made a proof. Somebody whom it does not know comes with a
	// [*runbook.Refusal].
	Who func(ctx context.Context, proof string, purpose []byte) (runbook.PersonRef, error)
	// Client is the terminal whose process this is, nil in a bot.
	Client *Client
	Log    *slog.Logger
}

// Server answers the requests of terminals while its process executes runs.
type Server struct{ Settings }

// NewServer returns a server.
func NewServer(s Settings) *Server { return &Server{s} }

// Serve answers requests, also those that an executor before this one has left
// without an answer. It takes requests until open ends, and ends when those that
// it has taken are dealt with; ctx ends those, too.
func (s *Server) Serve(ctx, open context.Context) error {
	free := make(chan struct{}, atATime)
	var working sync.WaitGroup
	defer working.Wait()
	for {
		if err := (runbook.SystemClock{}).Wait(open, lookEvery); err != nil {
			return err
		}
		for s.Reader.Executing() && open.Err() == nil {
			r, ok, err := s.Queue.TakeRemoteRequest(open)
			if err != nil && open.Err() == nil && !errors.Is(err, runbook.ErrNotExecutor) && !runbook.LedgerAway(err) {
				s.Log.Error("requests from terminals cannot be read", "error", err)
			}
			if err != nil || !ok {
				break
			}
			free <- struct{}{}
			working.Go(func() {
				defer func() { <-free }()
				s.serve(ctx, r)
			})
		}
	}
}

// serve carries a request out and answers it. When this process is being ended,
// or replaced, before that, it leaves the request to the next executor.
func (s *Server) serve(ctx context.Context, r runbook.RemoteRequest) {
	log := s.Log.With("request", r.ID)
	reply, err := s.settle(ctx, r, log)
	var refusal *runbook.Refusal
	switch {
	case errors.As(err, &refusal):
		reply.Refusal = refusal
	case errors.Is(err, runbook.ErrNotExecutor), errors.Is(err, runbook.ErrRequestOver), err != nil && ctx.Err() != nil:
		return
	case err != nil:
		reply.Error = err.Error()
	}
	raw, err := json.Marshal(reply)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin)
		defer cancel()
		err = s.Queue.AnswerRemoteRequest(ctx, r.ID, raw)
	}
	if err != nil && !errors.Is(err, runbook.ErrNotExecutor) {
		log.Error("a request from a terminal could not be answered", "error", err)
	}
}

// settle carries a request out unless that was done before. A panic is an
// answer, too: one that ends the process would go from executor to executor.
func (s *Server) settle(ctx context.Context, r runbook.RemoteRequest, log *slog.Logger) (reply Reply, err error) {
	defer func() {
		if v := recover(); v != nil {
			log.Error("a request from a terminal panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			reply, err = Reply{}, errors.New("a fault of jwksbot: it panicked on this request; its log has the details")
		}
	}()
	switch {
	case r.Run != "":
		return outcome(ctx, s.Reader, r)
	case r.Takes > maxTakes:
		return Reply{}, fmt.Errorf("nothing was done: %d processes ended, one after the other, while they dealt with this; their logs have more", maxTakes)
	}
	reply, err = s.carryOut(ctx, r)
	if err == nil || errors.As(err, new(*runbook.Refusal)) {
		return reply, err
	}
	// The connection may have been lost just after it was done.
	if now, unread := s.Reader.RemoteRequest(ctx, r.ID); unread == nil && now.Run != "" {
		return outcome(ctx, s.Reader, now)
	}
	return reply, err
}
