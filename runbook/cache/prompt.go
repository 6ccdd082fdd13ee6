package cache

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"time"

	"jwksbot/runbook"
)

// sendWithin is how long the writing of a request may take. It is shorter than
// the seconds after which another executor replaces one that is silent.
const sendWithin = runbook.LeaseFor

// promptConn sends nothing after its write deadline. A process that was stopped
// in the middle of a request (SIGSTOP) would otherwise send the rest when it goes
// on, since the runtime ends a late write by a timer, which it may look at after
// the write. By then another process may have done the work, and an authoriser
// may have written what the rest would delete.
//
// One that deletes sends nothing without its lease either, which is looked at
// here: between the last look elsewhere and this one the process may have been
// stopped, too.
type promptConn struct {
	*net.TCPConn
	until atomic.Pointer[time.Time]
	now   func() time.Time
	lease runbook.Lease // anyTime: it only reads, or causes a single effect
}

// anyTime is the lease of what needs none.
type anyTime struct{}

func (anyTime) Hold(context.Context) error { return nil }
func (anyTime) Check() error               { return nil }

// orAnyTime makes of no lease one that permits everything.
func orAnyTime(lease runbook.Lease) runbook.Lease {
	if lease == nil {
		return anyTime{}
	}
	return lease
}

func newPromptConn(conn *net.TCPConn, lease runbook.Lease) *promptConn {
	return &promptConn{TCPConn: conn, now: time.Now, lease: orAnyTime(lease)}
}

// Write is refused when the deadline has passed or the lease has run out.
func (c *promptConn) Write(b []byte) (int, error) {
	if err := c.lease.Check(); err != nil {
		return 0, err
	}
	if until := c.until.Load(); until != nil && !until.IsZero() && c.now().After(*until) {
		return 0, os.ErrDeadlineExceeded
	}
	return c.TCPConn.Write(b)
}

// SetDeadline keeps the time in mind.
func (c *promptConn) SetDeadline(t time.Time) error {
	c.until.Store(&t)
	return c.TCPConn.SetDeadline(t)
}

// SetWriteDeadline keeps the time in mind.
func (c *promptConn) SetWriteDeadline(t time.Time) error {
	c.until.Store(&t)
	return c.TCPConn.SetWriteDeadline(t)
}
