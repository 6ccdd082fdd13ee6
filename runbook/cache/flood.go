package cache

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
)

// maxAnswer is the most that a server may answer to the requests that are sent
// at once. What this package asks for is a half of it at most.
const maxAnswer = 16 << 20

// errFlood says that an answer was longer than it may be. The connection is of
// no further use.
var errFlood = errors.New("the answer is too long")

// boundedConn takes in no more than was asked for: what a server answers between
// two requests is bounded. A value may grow between the question how large it is
// and the one what it holds, and a name may have any length.
type boundedConn struct {
	net.Conn
	most func() int64 // bytes of the answer to one request
	came atomic.Int64 // bytes since the last request
}

// Read is refused when the answer is too long.
func (c *boundedConn) Read(b []byte) (int, error) {
	if c.came.Load() > c.most() {
		return 0, errFlood
	}
	n, err := c.Conn.Read(b)
	c.came.Add(int64(n))
	return n, err
}

// Write begins the next request.
func (c *boundedConn) Write(b []byte) (int, error) {
	c.came.Store(0)
	return c.Conn.Write(b)
}

// readLong reads the rest of values in one round trip, and in another one what
// came after a value that turned out to be longer than its server had said.
func readLong(ctx context.Context, p *primary, reads []*read) error {
	for len(reads) > 0 {
		pipe := p.client.Pipeline()
		var asked []*read
		for _, r := range reads {
			if !r.whole && r.startMore(ctx, pipe) {
				asked = append(asked, r)
			}
		}
		if len(asked) == 0 {
			return nil
		}
		exec(ctx, pipe)
		reads = nil
		for i, r := range asked {
			err := r.settleMore()
			if errors.Is(err, errFlood) {
				r.leave("too large: more than %d MiB, not read", maxAnswer>>20)
				reads = asked[i+1:]
				break
			}
			if err != nil {
				return p.explain("read entry", err)
			}
		}
		for _, r := range reads {
			r.whole = false
		}
	}
	return nil
}
