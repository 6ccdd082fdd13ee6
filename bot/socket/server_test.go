package socket

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
)

// patience bounds every wait of the tests; no test depends on its length. On a
// machine that others use as well an approval alone was seen to take 12 s.
const patience = 60 * time.Second

// slackServer is Slack's side of Socket Mode at its barest: single-use URLs,
// hello, and whatever a test writes by hand. Faults that slacksim, a correct
// workspace, cannot have are made here.
type slackServer struct {
	t      testing.TB
	http   *httptest.Server
	greet  func(c *serverConn)                               // nil: hello
	answer func(n int, w http.ResponseWriter) (handled bool) // apps.connections.open, n from 1
	conns  chan *serverConn

	mu      sync.Mutex
	opens   int
	tickets map[string]bool
	live    map[*serverConn]bool
}

type serverConn struct {
	ws     *websocket.Conn
	number int
	acks   chan ackFrame
	closed chan struct{} // the client's side has ended
	bye    error         // how; read after closed
	write  sync.Mutex
}

type ackFrame struct {
	ID      string          `json:"envelope_id"`
	Payload json.RawMessage `json:"payload"`
	raw     string
	at      time.Time
}

func newSlackServer(t testing.TB) *slackServer {
	return startSlackServer(t, (*httptest.Server).Start)
}

func startSlackServer(t testing.TB, start func(*httptest.Server)) *slackServer {
	s := &slackServer{t: t, conns: make(chan *serverConn, 100), tickets: map[string]bool{}, live: map[*serverConn]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/apps.connections.open", s.open)
	mux.HandleFunc("GET /link", s.link)
	s.http = httptest.NewUnstartedServer(mux)
	start(s.http)
	t.Cleanup(s.http.Close)
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.live {
			_ = c.ws.Close()
		}
	})
	return s
}

func (s *slackServer) open(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.opens++
	n := s.opens
	ticket := fmt.Sprintf("t%d", n)
	s.tickets[ticket] = true
	s.mu.Unlock()
	if s.answer != nil && s.answer(n, w) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Header.Get("Authorization") != "Bearer xapp-test" {
		fmt.Fprint(w, `{"ok":false,"error":"not_authed"}`)
		return
	}
	fmt.Fprintf(w, `{"ok":true,"url":"ws%s/link?ticket=%s"}`, strings.TrimPrefix(s.http.URL, "http"), ticket)
}

func (s *slackServer) link(w http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	s.mu.Lock()
	valid := s.tickets[ticket]
	delete(s.tickets, ticket)
	s.mu.Unlock()
	if !valid {
		http.Error(w, "this URL was used already", http.StatusForbidden)
		return
	}
	// slack-go's own client sends https://api.slack.com as Origin.
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		s.t.Errorf("upgrade: %v", err)
		return
	}
	s.mu.Lock()
	c := &serverConn{ws: ws, number: s.opens, acks: make(chan ackFrame, 10_000), closed: make(chan struct{})}
	s.live[c] = true
	s.mu.Unlock()
	if s.greet == nil {
		c.send(`{"type":"hello","num_connections":1}`)
	} else {
		s.greet(c)
	}
	s.conns <- c
	c.read()
}

func (c *serverConn) read() {
	defer close(c.closed)
	for {
		_, text, err := c.ws.ReadMessage()
		if err != nil {
			c.bye = err
			_ = c.ws.Close()
			return
		}
		a := ackFrame{raw: string(text), at: time.Now()}
		_ = json.Unmarshal(text, &a)
		c.acks <- a
	}
}

func (c *serverConn) send(text string) {
	c.write.Lock()
	defer c.write.Unlock()
	_ = c.ws.WriteMessage(websocket.TextMessage, []byte(text))
}

func (c *serverConn) command(id, trigger string) {
	c.send(fmt.Sprintf(`{"envelope_id":%q,"type":"slash_commands","accepts_response_payload":true,`+
		`"payload":{"command":"/jwks-check","user_id":"U1","trigger_id":%q,"text":""}}`, id, trigger))
}

func (c *serverConn) disconnect(reason string) {
	c.send(fmt.Sprintf(`{"type":"disconnect","reason":%q,"debug_info":{"host":"test"}}`, reason))
}

// close ends the connection as Slack does.
func (c *serverConn) close() {
	_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
	_ = c.ws.Close()
}

func (s *slackServer) openCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opens
}

func (s *slackServer) nextConn() *serverConn {
	s.t.Helper()
	return receive(s.t, s.conns, "a connection")
}

func (c *serverConn) wantAck(t testing.TB, id string) ackFrame {
	t.Helper()
	a := receive(t, c.acks, "the acknowledgement of "+id)
	if a.ID != id {
		t.Fatalf("acknowledged %q, want %q (%s)", a.ID, id, a.raw)
	}
	return a
}

func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
		panic("unreachable")
	}
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for: %s", patience, what)
		}
	}
}

// recorder is the bot's side: it notes what it is given to handle.
type recorder struct {
	respond func(Envelope) any
	lane    func(Envelope) (Lane, string)
	handle  func(context.Context, Envelope)

	mu  sync.Mutex
	got []Envelope
}

func (r *recorder) Accept(env Envelope) Work {
	w := Work{Do: func(ctx context.Context) { r.work(ctx, env) }}
	if r.lane != nil {
		w.Lane, w.Person = r.lane(env)
	}
	if r.respond != nil {
		w.Reply = r.respond(env)
	}
	return w
}

func (r *recorder) work(ctx context.Context, env Envelope) {
	if r.handle != nil {
		r.handle(ctx, env)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, env)
}

// handled returns how often each envelope was handled.
func (r *recorder) handled() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := map[string]int{}
	for _, env := range r.got {
		n[env.ID]++
	}
	return n
}

// lockedLog is a log that tests read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// running is a socket whose Run is under way.
type running struct {
	*Client
	t    testing.TB
	base string
	log  *lockedLog
	stop context.CancelFunc
	ends chan error
}

func testAPI(baseURL string, client *http.Client) *slack.Client {
	return slack.New("xoxb-test", slack.OptionAppLevelToken("xapp-test"),
		slack.OptionAPIURL(baseURL+"/api/"), slack.OptionHTTPClient(client))
}

func runClient(t testing.TB, baseURL string, to Receiver, set Settings) *running {
	t.Helper()
	r := &running{t: t, base: baseURL, log: &lockedLog{}, ends: make(chan error, 1)}
	if set.API == nil {
		set.API = testAPI(baseURL, http.DefaultClient)
	}
	set.Log = slog.New(slog.NewTextHandler(io.Writer(r.log), nil))
	socket, err := New(set)
	if err != nil {
		t.Fatal(err)
	}
	r.Client = socket
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.ends <- socket.Run(ctx, to)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	return r
}

// end waits for the end of Run.
func (r *running) end() error {
	r.t.Helper()
	return receive(r.t, r.ends, "the end of Run")
}
