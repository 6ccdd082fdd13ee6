package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"jwksbot/runbook"
)

// outageEvery is how often the log is reminded of an outage.
const outageEvery = time.Minute

// standing is whether the journal can be used. It tells the log when that ends,
// once a minute while it lasts, and when it is over, so that whoever meets with
// the error need not log it, too.
type standing struct {
	log     *slog.Logger
	explain func(op string, err error) error
	name    string

	mu       sync.Mutex
	watching bool // before, the caller of Open gets every error
	since    time.Time
	told     time.Time
	why      error // nil: it can be used
	gates    bool  // somebody looks for its return: nobody else has to ask in vain

	failed chan struct{} // closed when no time heals what is wrong
	fault  error         // and what that is
}

func newStanding(log *slog.Logger, explain func(op string, err error) error) *standing {
	return &standing{log: log, explain: explain, failed: make(chan struct{})}
}

// watch begins to tell; with gates, refuse answers for the journal while it is
// away.
func (s *standing) watch(gates bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watching, s.gates = true, gates
}

// refuse is the answer to whoever wants to use a journal that is known to be
// away.
func (s *standing) refuse() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.gates {
		return nil
	}
	return s.why
}

// state is why the journal cannot be used, as far as it is known.
func (s *standing) state() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// away notes that the journal cannot be used because of err.
func (s *standing) away(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lasts(time.Now(), err)
}

func (s *standing) lasts(now time.Time, err error) {
	known := runbook.LedgerError{Advice: unreachable, Err: fmt.Errorf("reach journal %q: %s: %w", s.name, unreachable, err)}
	var told *runbook.LedgerError
	if errors.As(s.explain("reach", err), &told) {
		known = *told
	}
	known.Away = true
	s.why = &known
	if !s.watching {
		return
	}
	if s.since.IsZero() {
		s.since = now
	} else if now.Sub(s.told) < outageEvery {
		return
	}
	s.told = now
	s.log.Error("the journal cannot be used: until it can, nothing is requested, approved or carried out, and open runs wait",
		"journal", s.name, "for", now.Sub(s.since).Round(time.Second).String(), "error", known.Err)
}

// back notes that the journal can be used.
func (s *standing) back() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over(time.Now())
}

func (s *standing) over(now time.Time) {
	s.why = nil
	if s.since.IsZero() {
		return
	}
	s.log.Info("the journal can be used again, open runs go on", "journal", s.name, "after", now.Sub(s.since).Round(time.Second).String())
	s.since = time.Time{}
}

// fail notes what no time heals.
func (s *standing) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why, s.fault = err, err
	close(s.failed)
}

// hopeless is what no time heals, nil if there is nothing.
func (s *standing) hopeless() error {
	select {
	case <-s.failed:
		return s.fault
	default:
		return nil
	}
}

// TraceConnectStart implements pgx.ConnectTracer.
func (s *standing) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return ctx
}

// TraceConnectEnd implements pgx.ConnectTracer: it sees every attempt to
// connect, of the pools and of the locks. Where somebody looks for the journal's
// return, that is more than a connection.
func (s *standing) TraceConnectEnd(_ context.Context, data pgx.TraceConnectEndData) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.watching || errors.Is(data.Err, context.Canceled):
	case s.gates && errors.As(data.Err, new(*pgconn.PgError)): // the server is there; the lookout hears more
	case data.Err != nil:
		s.lasts(time.Now(), data.Err)
	case !s.gates:
		s.over(time.Now())
	}
}

// TraceQueryStart implements pgx.QueryTracer, which a pgx.ConnectTracer has to
// be; queries are not looked at.
func (s *standing) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (s *standing) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
