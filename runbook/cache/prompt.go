package cache

import (
	"net"
	"os"
	"sync/atomic"
	"time"
)

// sendWithin is how long the writing of a request may take. It is shorter than
// the seconds after which another executor replaces one that is silent.
const sendWithin = 2 * time.Second

// promptConn sends nothing after its write deadline. A process that was stopped
// in the middle of a request (SIGSTOP) would otherwise send the rest when it goes
// on, since the runtime ends a late write by a timer, which it may look at after
// the write. By then another process may have done the work, and an authoriser
// may have written what the rest would delete.
type promptConn struct {
	*net.TCPConn
	until atomic.Pointer[time.Time]
	now   func() time.Time
}

func newPromptConn(conn *net.TCPConn) *promptConn {
	return &promptConn{TCPConn: conn, now: time.Now}
}

// Write is refused when the deadline has passed.
func (c *promptConn) Write(b []byte) (int, error) {
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
