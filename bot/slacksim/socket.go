package slacksim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	maxConnections = 10       // docs.slack.dev, Using Socket Mode
	maxAckBytes    = 20 << 10 // acks of this size or more vanish (slack-go, write buffer)
	ticketLife     = 30 * time.Second
	writeWait      = 5 * time.Second
	hostName       = "applink-sim"
	lifeOfSocket   = 18060 // seconds, as in Slack's sample hello
)

// socketState is everything about Socket Mode. Sim.mu guards it.
type socketState struct {
	tickets   map[string]time.Time // single-use socket URLs and when they end
	conns     []*conn              // in order of connecting
	pending   map[string]*pending  // envelopes that wait for an ack
	connected int                  // connections ever made; numbers them
	disabled  bool
	pinned    int // deliver on this connection only; 0: random
	duplicate int // deliver that many more envelopes twice
	delay     time.Duration
}

func newSocketState() socketState {
	return socketState{tickets: map[string]time.Time{}, pending: map[string]*pending{}}
}

func (st *socketState) all() []*conn { return slices.Clone(st.conns) }

// conn is one Socket Mode connection.
type conn struct {
	id     int
	ws     *websocket.Conn
	write  sync.Mutex
	gone   chan struct{}
	once   sync.Once
	silent bool // half-open: nothing goes out, nothing that comes in is read; Sim.mu guards it
	ghost  bool // stays registered when the client has closed it; Sim.mu guards it
}

type pending struct {
	conns []int // connections that the envelope was sent on
	ack   chan json.RawMessage
}

func (c *conn) close() {
	c.once.Do(func() {
		close(c.gone)
		_ = c.ws.Close()
	})
}

func (c *conn) send(v any) error {
	c.write.Lock()
	defer c.write.Unlock()
	return c.put(v)
}

// put writes one frame; c.write is held.
func (c *conn) put(v any) error {
	_ = c.ws.SetWriteDeadline(time.Now().Add(writeWait))
	return c.ws.WriteJSON(v)
}

func (s *Sim) connectionsOpen(c *call) (obj, error) {
	if s.socket.disabled {
		return nil, refuse("link_disabled")
	}
	ticket := s.letters(32, "abcdefghijklmnopqrstuvwxyz0123456789")
	s.socket.tickets[ticket] = time.Now().Add(ticketLife)
	u, err := url.Parse(c.base)
	if err != nil {
		return nil, fmt.Errorf("base url %q: %w", c.base, err)
	}
	u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	return obj{"url": u.String() + "/socket?ticket=" + ticket + "&app_id=" + AppID}, nil
}

// redeem takes a ticket; it works once.
func (s *Sim) redeem(ticket string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.socket.tickets[ticket]
	delete(s.socket.tickets, ticket)
	return ok && time.Now().Before(until) && !s.socket.disabled
}

func (s *Sim) serveSocket(w http.ResponseWriter, r *http.Request) {
	if !s.redeem(r.URL.Query().Get("ticket")) {
		http.Error(w, "socket url used, expired or unknown", http.StatusForbidden)
		return
	}
	// Clients send Slack's own origin; the ticket is what admits them.
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &conn{ws: ws, gone: make(chan struct{})}
	defer c.close()
	if !s.enter() {
		return
	}
	defer s.wg.Done()
	if !s.admit(c) {
		return
	}
	pings := make(chan struct{})
	go func() { defer close(pings); s.pingLoop(c) }()
	s.readLoop(c)
	s.mu.Lock()
	ghost := c.ghost
	s.mu.Unlock()
	if ghost {
		<-s.ctx.Done() // the network never said that the client is gone
	}
	s.forget(c)
	c.close()
	<-pings
}

// admit registers a connection and says hello, or turns the eleventh away.
func (s *Sim) admit(c *conn) bool {
	// The write lock is held until hello is out: an envelope may be meant for
	// this connection from the moment it is registered, but may not overtake.
	c.write.Lock()
	defer c.write.Unlock()
	n, ok := s.register(c)
	if !ok {
		_ = c.put(disconnectFrame("too_many_websockets", n))
		return false
	}
	hello := obj{
		"type": "hello", "num_connections": n, "connection_info": obj{"app_id": AppID},
		"debug_info": obj{"host": hostName, "build_number": 1, "approximate_connection_time": lifeOfSocket},
	}
	if c.put(hello) != nil {
		s.forget(c)
		return false
	}
	return true
}

// register adds a connection and returns how many there are now.
func (s *Sim) register(c *conn) (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n = len(s.socket.conns); n >= maxConnections || s.ctx.Err() != nil {
		return n, false
	}
	s.socket.connected++
	c.id = s.socket.connected
	c.ws.SetPingHandler(func(data string) error { return s.pong(c, data) })
	s.socket.conns = append(s.socket.conns, c)
	s.touch()
	return n + 1, true
}

func disconnectFrame(reason string, n int) obj {
	return obj{
		"type": "disconnect", "reason": reason, "num_connections": n,
		"debug_info": obj{"host": hostName}, "connection_info": obj{"app_id": AppID},
	}
}

func (s *Sim) pong(c *conn, data string) error {
	s.mu.Lock()
	silent := c.silent
	s.mu.Unlock()
	if silent {
		return nil
	}
	return c.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(writeWait))
}

func (s *Sim) pingLoop(c *conn) {
	t := time.NewTicker(s.opt.PingInterval)
	defer t.Stop()
	for {
		select {
		case <-c.gone:
			return
		case <-t.C:
		}
		s.mu.Lock()
		silent := c.silent
		s.mu.Unlock()
		if !silent {
			_ = c.ws.WriteControl(websocket.PingMessage, []byte("Ping from "+hostName), time.Now().Add(writeWait))
		}
	}
}

func (s *Sim) readLoop(c *conn) {
	for {
		_, b, err := c.ws.ReadMessage()
		if err != nil {
			return
		}
		s.acknowledge(c, b)
	}
}

// acknowledge takes one frame of the client. What is no proper ack is dropped
// without a word, as Slack does.
func (s *Sim) acknowledge(c *conn, frame []byte) {
	var ack struct {
		EnvelopeID string          `json:"envelope_id"`
		Payload    json.RawMessage `json:"payload"`
	}
	if len(frame) >= maxAckBytes || json.Unmarshal(frame, &ack) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.socket.pending[ack.EnvelopeID]
	if p == nil || c.silent || !slices.Contains(p.conns, c.id) {
		return
	}
	delete(s.socket.pending, ack.EnvelopeID)
	p.ack <- ack.Payload
}

// forget takes a connection out of the list.
func (s *Sim) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.socket.conns, c); i >= 0 {
		s.socket.conns = slices.Delete(s.socket.conns, i, i+1)
		s.touch()
	}
}
