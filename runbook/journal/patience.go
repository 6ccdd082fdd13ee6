package journal

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"jwksbot/runbook"
)

// Times of looking whether the journal can be used. Together they are less than
// the three seconds in which people are answered.
const (
	lookEvery  = 300 * time.Millisecond
	lookWithin = 1800 * time.Millisecond
)

// attend opens the journal as soon as it can be opened, and looks again and
// again whether it can be reached, until ctx ends.
func (j *Journal) attend(ctx context.Context, opened bool) {
	look := &lookout{j: j}
	defer look.leave()
	for !opened || j.pool != nil { // files are looked at whenever they are used
		switch {
		case opened:
			look.once(ctx)
		default:
			switch err := j.prepare(ctx); {
			case err == nil:
				opened = true
				j.standing.back()
			case ctx.Err() != nil:
			case heals(err):
				j.standing.away(err)
			default:
				j.standing.fail(err)
				return
			}
		}
		if err := (runbook.SystemClock{}).Wait(ctx, lookEvery); err != nil {
			return
		}
	}
}

// lookout asks the server for an answer, on a connection of its own: those of
// the pool may all be busy.
type lookout struct {
	j    *Journal
	conn *pgx.Conn
}

func (l *lookout) once(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	known := l.conn != nil
	err := l.ask(limited)
	if err != nil && known { // the session may have ended, and the server be there
		l.leave()
		err = l.ask(limited)
	}
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		l.j.links.mend()
		l.j.standing.back()
		return
	}
	l.leave()
	l.j.standing.away(err)
	if p := (*pgconn.PgError)(nil); !errors.As(err, &p) || p.Code[:2] != "53" { // full is not away
		l.j.links.sever() // whoever waits for an answer waits in vain
	}
}

func (l *lookout) ask(ctx context.Context) (err error) {
	if l.conn == nil {
		config := l.j.pool.Config().ConnConfig.Copy()
		config.DialFunc = l.j.links.plain
		config.RuntimeParams["application_name"] = "jwksbot lookout"
		if l.conn, err = pgx.ConnectConfig(ctx, config); err != nil {
			return err
		}
	}
	return l.conn.Ping(ctx)
}

func (l *lookout) leave() {
	if l.conn != nil {
		closeConn(l.conn)
		l.conn = nil
	}
}

// links are the open connections of the pools, so that all can be cut when the
// server has stopped to answer: a query has no deadline of its own.
type links struct {
	plain pgconn.DialFunc

	mu   sync.Mutex
	open map[*link]struct{}
	cut  bool // nobody needs to try until the server answers again
}

// errSilent is why a connection is not even tried.
var errSilent = errors.New("the server does not answer")

type link struct {
	net.Conn
	of *links
}

func (l *links) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	l.mu.Lock()
	cut := l.cut
	l.mu.Unlock()
	if cut {
		return nil, errSilent
	}
	conn, err := l.plain(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	one := &link{conn, l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[one] = struct{}{}
	return one, nil
}

// Close closes the connection and forgets it.
func (l *link) Close() error {
	l.of.mu.Lock()
	delete(l.of.open, l)
	l.of.mu.Unlock()
	return l.Conn.Close()
}

func (l *links) sever() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for one := range l.open {
		_ = one.Conn.Close() // whoever uses it notices
	}
	clear(l.open)
}

func (l *links) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = false
}

// heals says that time may mend what keeps the journal from being opened: a
// server that is away, starting or full, or a file that somebody has locked.
// What is wrong in the configuration stays wrong.
func heals(err error) bool {
	var s *sqlite.Error
	var p *pgconn.PgError
	switch {
	case errors.As(err, &s):
		return s.Code()&0xff == sqlite3.SQLITE_BUSY
	case errors.As(err, &p):
		switch p.Code[:2] {
		case "08", "53", "57", "58": // connection, resources, operators, system; 08 is also all that PgBouncer says
			return true
		}
		return p.Code == "25006" // a standby that may become the primary
	}
	return broken(err)
}

// broken says that the network failed, or the time was up, and nothing else.
func broken(err error) bool {
	switch {
	case errors.As(err, new(tls.AlertError)), errors.As(err, new(*tls.CertificateVerificationError)), errors.As(err, new(tls.RecordHeaderError)):
		return false
	case errors.As(err, new(net.Error)), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return true
	}
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || pgconn.Timeout(err)
}
