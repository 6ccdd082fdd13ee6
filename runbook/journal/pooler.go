package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrPooler says that sessions are shared between the server's clients: the
// executor's lock would stay behind on a session that somebody else gets.
var ErrPooler = errors.New("a connection pooler stands before the server and does not keep sessions apart, so that the executor's lock would be lost in it; " +
	"set pool_mode = session for this database (PgBouncer), or give the server's own address")

// poolerRounds are how often the sessions are compared: in a busy pool two
// clients may get a session of their own by chance.
const poolerRounds = 4

// poolerWithin is how long the comparison may take.
const poolerWithin = 10 * time.Second

// A pooler in session mode is like the server itself: what is set for a session,
// prepared in it, locked or listened to stays with its client, and ends with it,
// since PgBouncer's server_reset_query is DISCARD ALL. The server still ends a
// silent session of a lock after its idle_session_timeout, and the pooler then
// its client's connection. Each client takes a connection of the server for as
// long as it stays.

// apart returns ErrPooler where sessions are shared. Two clients are asked for
// the process that serves them, one of them inside of a transaction: each has
// one of its own, and keeps it, unless a pooler hands them out.
func apart(ctx context.Context, config *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, poolerWithin)
	defer cancel()
	a, b, err := connectTwo(ctx, config)
	if err != nil {
		return err
	}
	defer closeConn(a)
	defer closeConn(b)
	ofA, ofB := &served{conn: a}, &served{conn: b}
	for range poolerRounds {
		if err := round(ctx, ofA, ofB); err != nil {
			return err
		}
		if len(ofA.by) > 1 || len(ofB.by) > 1 || ofA.by[0] == ofB.by[0] {
			return ErrPooler
		}
	}
	return nil
}

// round asks a, then b in a transaction, then a while that is open.
func round(ctx context.Context, a, b *served) error {
	if err := a.ask(ctx); err != nil {
		return err
	}
	if _, err := b.conn.Exec(ctx, `BEGIN`); err != nil {
		if refusedBegin(err) {
			return ErrPooler
		}
		return err
	}
	if err := b.ask(ctx); err != nil {
		return err
	}
	if err := a.ask(ctx); err != nil {
		return err
	}
	_, err := b.conn.Exec(ctx, `ROLLBACK`)
	return err
}

// refusedBegin says that a server takes no transaction on a connection that it
// has just accepted: a pooler in statement mode. A server that ends has codes of
// class 57.
func refusedBegin(err error) bool {
	var p *pgconn.PgError
	return errors.As(err, &p) && p.Code[:2] != "57"
}

// served is a client with the server's processes that have served it.
type served struct {
	conn *pgx.Conn
	by   []int
}

func (s *served) ask(ctx context.Context) error {
	var pid int
	if err := s.conn.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
		return err
	}
	if !slices.Contains(s.by, pid) {
		s.by = append(s.by, pid)
	}
	return nil
}

// connectTwo connects twice at the same time. Nothing is prepared or set on
// these connections, which may be others' the next moment.
func connectTwo(ctx context.Context, config *pgx.ConnConfig) (a, b *pgx.Conn, err error) {
	plain := config.Copy()
	plain.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	var conns [2]*pgx.Conn
	var errs [2]error
	var both sync.WaitGroup
	for i := range conns {
		both.Go(func() { conns[i], errs[i] = pgx.ConnectConfig(ctx, plain) })
	}
	both.Wait()
	if errs[0] == nil && errs[1] == nil {
		return conns[0], conns[1], nil
	}
	for _, c := range conns {
		if c != nil {
			closeConn(c)
		}
	}
	return nil, nil, fmt.Errorf("two sessions: %w", errors.Join(errs[0], errs[1]))
}
