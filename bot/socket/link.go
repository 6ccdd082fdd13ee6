package socket

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// quietTime is how long a connection that is to end is read without
	// anything coming: what is on the way already is acknowledged and handled.
	quietTime = 100 * time.Millisecond
	// drainTimeout bounds how long it is read when things go on coming.
	drainTimeout = time.Second
	// closeTimeout bounds the wait for Slack's side of the closing handshake.
	closeTimeout = time.Second

	maxFrame   = 1 << 20  // bytes of one message that are kept
	maxMessage = 16 << 20 // bytes of one message that are skipped before the connection is given up
)

// link is one WebSocket connection. Its reader acknowledges what it read, at
// once; pings and the closing frame come from elsewhere.
type link struct {
	conn            *websocket.Conn
	number          int // from 1
	opened          time.Time
	hello           chan struct{} // closed when Slack said hello
	successorNeeded chan struct{} // closed when a successor is needed
	done            chan struct{} // closed when the reader has ended
	last            atomic.Int64  // last frame, in nanoseconds since opened
	stopBy          atomic.Int64  // when we end it at the latest, in nanoseconds since opened; 0: we do not
	buf             bytes.Buffer  // the reader's
	// rejected: Slack ended it for a reason other than a refresh.
	rejected atomic.Bool
	writing  sync.Mutex // held while a message is written

	helloOnce, successorOnce sync.Once
	mu                       sync.Mutex
	reason                   string
	timers                   []*time.Timer
}

func (s *Client) addLink(conn *websocket.Conn) *link {
	l := &link{
		conn: conn, opened: time.Now(),
		hello: make(chan struct{}), successorNeeded: make(chan struct{}), done: make(chan struct{}),
	}
	conn.SetReadLimit(maxMessage)
	conn.SetPingHandler(func(data string) error {
		l.noteFrame()
		// A pong that cannot be written shows as a read error soon enough.
		_ = conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
		return nil
	})
	conn.SetPongHandler(func(string) error { l.noteFrame(); return nil })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	l.number = s.made
	s.links[l] = struct{}{}
	return l
}

func (s *Client) dropLink(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.links, l)
}

// openLinks returns the open connections, oldest first.
func (s *Client) openLinks() []*link {
	s.mu.Lock()
	defer s.mu.Unlock()
	links := make([]*link, 0, len(s.links))
	for l := range s.links {
		links = append(links, l)
	}
	slices.SortFunc(links, func(a, b *link) int { return a.number - b.number })
	return links
}

// makeRoom ends the oldest connections when Slack does not close them itself.
func (s *Client) makeRoom() {
	for links := s.openLinks(); len(links) >= maxLinks; links = links[1:] {
		links[0].stopReading()
		select {
		case <-links[0].done:
		case <-time.After(drainTimeout + closeTimeout):
			links[0].abort("too old")
		}
	}
}

// read takes message after message off the connection until it ends.
func (s *session) read(l *link) {
	defer close(l.done)
	for {
		message, whole, err := l.next()
		if err != nil {
			s.end(l, err)
			return
		}
		if err := s.receive(l, message, whole); err != nil {
			s.end(l, err)
			return
		}
		l.extendReading()
	}
}

// next returns one message, and whether it is whole: what is above maxFrame is
// cut off and skipped. The bytes are valid until the next call.
func (l *link) next() (message []byte, whole bool, err error) {
	_, r, err := l.conn.NextReader()
	if err != nil {
		return nil, false, err
	}
	if l.buf.Cap() > 64<<10 {
		l.buf = bytes.Buffer{}
	}
	l.buf.Reset()
	n, err := l.buf.ReadFrom(io.LimitReader(r, maxFrame+1))
	if err != nil {
		return nil, false, err
	}
	l.noteFrame()
	return l.buf.Bytes(), n <= maxFrame, nil
}

// end closes a connection that can be read no longer, politely where we ended
// it, and asks for a successor.
func (s *session) end(l *link, cause error) {
	l.needSuccessor(describeEnd(cause))
	if l.stopBy.Load() != 0 {
		l.closeGracefully()
	}
	_ = l.conn.Close()
	l.mu.Lock()
	for _, t := range l.timers {
		t.Stop()
	}
	l.mu.Unlock()
	s.dropLink(l)
	s.log.Info("slack connection ended", "link", l.number, "reason", l.endReason(), "lived_ms", time.Since(l.opened).Milliseconds())
}

func describeEnd(err error) string {
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return "slack closed it: " + closed.Error()
	}
	return err.Error()
}

// closeGracefully closes our half and reads the other until its end, so that the last
// acknowledgements are not torn away by a reset.
func (l *link) closeGracefully() {
	bye := websocket.FormatCloseMessage(websocket.CloseGoingAway, "")
	_ = l.conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(closeTimeout))
	raw := l.conn.NetConn()
	if half, ok := raw.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = raw.SetReadDeadline(time.Now().Add(closeTimeout))
	_, _ = io.Copy(io.Discard, io.LimitReader(raw, maxMessage))
}

// keepAlive pings a connection on which nothing came for a while, and gives it up
// when nothing comes then either.
func (s *session) keepAlive(l *link) {
	check := time.NewTimer(s.set.Silence)
	defer check.Stop()
	var pinged time.Time // zero: no ping is unanswered
	for {
		select {
		case <-l.done:
			return
		case <-check.C:
		}
		last := l.lastFrame()
		idle := time.Since(last)
		switch {
		case !pinged.IsZero() && last.Before(pinged):
			s.count.silent.Add(1)
			s.log.Warn("slack connection is silent, opening another", "link", l.number, "idle_ms", idle.Milliseconds())
			l.abort("silent")
			return
		case idle < s.set.Silence:
			pinged = time.Time{}
			check.Reset(s.set.Silence - idle)
		default:
			pinged = time.Now()
			_ = l.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
			check.Reset(s.set.PongWithin)
		}
	}
}

func (l *link) noteFrame() { l.last.Store(int64(time.Since(l.opened))) }

func (l *link) lastFrame() time.Time { return l.opened.Add(time.Duration(l.last.Load())) }

func (l *link) greeted() bool {
	select {
	case <-l.hello:
		return true
	default:
		return false
	}
}

// needSuccessor says that a successor is needed; the first reason stays.
func (l *link) needSuccessor(reason string) {
	l.successorOnce.Do(func() {
		l.mu.Lock()
		l.reason = reason
		l.mu.Unlock()
		close(l.successorNeeded)
	})
}

func (l *link) endReason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}

// after calls f when d has passed and the connection still lives.
func (l *link) after(d time.Duration, f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timers = append(l.timers, time.AfterFunc(d, f))
}

// retireAfter ends a connection whose successor is there, unless Slack closes it
// within the grace time.
func (l *link) retireAfter(grace time.Duration) {
	l.after(grace, func() { l.stopReading() })
}

// stopReading lets the reader end once nothing came for quietTime.
func (l *link) stopReading() {
	if l.stopBy.CompareAndSwap(0, int64(time.Since(l.opened)+drainTimeout)) {
		_ = l.conn.SetReadDeadline(time.Now().Add(quietTime))
	}
}

func (l *link) extendReading() {
	if by := l.stopBy.Load(); by != 0 {
		left := time.Duration(by) - time.Since(l.opened)
		_ = l.conn.SetReadDeadline(time.Now().Add(min(left, quietTime)))
	}
}

// abort ends the connection at once; the reader notices.
func (l *link) abort(reason string) {
	l.needSuccessor(reason)
	_ = l.conn.Close()
}
