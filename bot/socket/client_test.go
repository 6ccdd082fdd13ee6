package socket

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestAcknowledgesBeforeWork(t *testing.T) {
	srv := newSlackServer(t)
	release := make(chan struct{})
	rec := &recorder{
		respond: func(env Envelope) any { return map[string]string{"text": "looking at " + env.ID} },
		handle:  func(context.Context, Envelope) { <-release },
	}
	sock := runClient(t, srv.http.URL, rec, Settings{})
	c := srv.nextConn()
	c.command("E1", "T1")
	a := c.wantAck(t, "E1")
	if string(a.Payload) != `{"text":"looking at E1"}` {
		t.Errorf("payload of the acknowledgement is %s", a.Payload)
	}
	if n := len(rec.handled()); n != 0 {
		t.Errorf("%d envelopes were handled before their acknowledgement", n)
	}
	close(release)
	eventually(t, "E1 is handled", func() bool { return rec.handled()["E1"] == 1 })
	<-sock.Ready()
	if err := sock.Healthy(); err != nil {
		t.Errorf("connected, but: %v", err)
	}
}

// A refresh loses what comes over the old connection after its disconnect
// message in slack-go (10 of 10) and both Bolts.
func TestTenRefreshesLoseNothing(t *testing.T) {
	srv := newSlackServer(t)
	rec := &recorder{}
	runClient(t, srv.http.URL, rec, Settings{})
	old := srv.nextConn()
	for i := range 10 {
		old.disconnect("refresh_requested")
		next := srv.nextConn()
		id := fmt.Sprintf("E%d", i)
		old.command(id, "T"+id)
		old.wantAck(t, id) // on the connection that it came on
		next.command(id, "T"+id)
		next.wantAck(t, id) // a redelivery is acknowledged again
		old.close()
		old = next
	}
	eventually(t, "ten commands are handled", func() bool { return len(rec.handled()) == 10 })
	for id, n := range rec.handled() {
		if n != 1 {
			t.Errorf("%s was handled %d times", id, n)
		}
	}
}

func TestRedeliveriesAreHandledOnce(t *testing.T) {
	srv := newSlackServer(t)
	rec := &recorder{}
	sock := runClient(t, srv.http.URL, rec, Settings{})
	c := srv.nextConn()
	event := `{"envelope_id":%q,"type":"events_api","retry_attempt":%d,"payload":{"event_id":"Ev1"}}`
	c.send(fmt.Sprintf(event, "E1", 1)) // the first seen can be a retry
	c.send(fmt.Sprintf(event, "E2", 2))
	c.command("E3", "T3")
	c.command("E4", "T3")
	c.command("E5", "T5")
	for i := range 5 {
		c.wantAck(t, fmt.Sprintf("E%d", i+1))
	}
	eventually(t, "E5 is handled", func() bool { return rec.handled()["E5"] == 1 })
	if got := rec.handled(); got["E1"] != 1 || got["E3"] != 1 || len(got) != 3 {
		t.Errorf("handled %v, want E1, E3 and E5 once", got)
	}
	if n := sock.Status().Duplicates; n != 2 {
		t.Errorf("%d duplicates counted, want 2", n)
	}
}

// slack-go reopens 7,000 times in 2 s here.
// A connection that delivers is replaced at once, but not for ever.
func TestAnswersPings(t *testing.T) {
	srv := newSlackServer(t)
	pong := make(chan string, 1)
	srv.greet = func(c *serverConn) {
		c.ws.SetPongHandler(func(data string) error { pong <- data; return nil })
		c.send(`{"type":"hello","num_connections":1}`)
		_ = c.ws.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(time.Second))
	}
	runClient(t, srv.http.URL, &recorder{}, Settings{})
	if got := receive(t, pong, "a pong"); got != "are you there" {
		t.Errorf("pong carries %q", got)
	}
}

func TestSuccessorBeforeTheAnnouncedEnd(t *testing.T) {
	srv := newSlackServer(t)
	srv.greet = func(c *serverConn) {
		life := 0
		if c.number == 1 {
			life = 1 // second
		}
		c.send(fmt.Sprintf(`{"type":"hello","num_connections":1,"debug_info":{"approximate_connection_time":%d}}`, life))
	}
	rec := &recorder{}
	runClient(t, srv.http.URL, rec, Settings{})
	first := srv.nextConn()
	srv.nextConn()
	first.command("E1", "T1")
	first.wantAck(t, "E1")
	first.close()
	eventually(t, "E1 is handled", func() bool { return rec.handled()["E1"] == 1 })
}

func TestShutdownDrains(t *testing.T) {
	srv := newSlackServer(t)
	started := make(chan struct{}, 100)
	release := make(chan struct{})
	rec := &recorder{handle: func(ctx context.Context, _ Envelope) {
		started <- struct{}{}
		<-release
		if ctx.Err() != nil {
			t.Error("the context of work under way ended with the bot's")
		}
	}}
	sock := runClient(t, srv.http.URL, rec, Settings{})
	c := srv.nextConn()
	for i := range 50 {
		c.command(fmt.Sprint("E", i), fmt.Sprint("T", i))
	}
	receive(t, started, "work")
	sock.stop()
	for i := range 50 { // slack-go loses queued acknowledgements here
		c.wantAck(t, fmt.Sprint("E", i))
	}
	receive(t, c.closed, "the end of the connection")
	if !websocket.IsCloseError(c.bye, websocket.CloseGoingAway) {
		t.Errorf("the connection was not closed properly: %v", c.bye)
	}
	close(release)
	if err := sock.end(); err != nil {
		t.Error(err)
	}
	if n := len(rec.handled()); n != 50 {
		t.Errorf("%d of 50 were handled", n)
	}
}

func TestShutdownHasALimit(t *testing.T) {
	srv := newSlackServer(t)
	started := make(chan struct{})
	rec := &recorder{handle: func(ctx context.Context, _ Envelope) {
		close(started)
		<-ctx.Done()
	}}
	sock := runClient(t, srv.http.URL, rec, Settings{Quick: Limits{Drain: 10 * time.Millisecond}})
	srv.nextConn().command("E1", "T1")
	receive(t, started, "work")
	sock.stop()
	if err := sock.end(); err != nil {
		t.Error(err)
	}
}

func TestBusyIsSaid(t *testing.T) {
	srv := newSlackServer(t)
	said := make(chan string, 1)
	srv.http.Config.Handler.(*http.ServeMux).HandleFunc("POST /respond", func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ Text string }
		_ = json.NewDecoder(r.Body).Decode(&m)
		said <- m.Text
	})
	release, started := make(chan struct{}), make(chan struct{}, 1)
	rec := &recorder{handle: func(context.Context, Envelope) { started <- struct{}{}; <-release }}
	sock := runClient(t, srv.http.URL, rec, Settings{Quick: Limits{All: 1}})
	c := srv.nextConn()
	c.command("works", "T1")
	c.wantAck(t, "works")
	receive(t, started, "work")
	c.command("refused", "T3")
	if a := c.wantAck(t, "refused"); !strings.Contains(string(a.Payload), busyText) || !strings.Contains(string(a.Payload), "ephemeral") {
		t.Errorf("a command is told %s", a.Payload)
	}
	c.send(`{"envelope_id":"view","type":"interactive","accepts_response_payload":true,"payload":{"type":"view_submission","view":{"blocks":[{"type":"section","block_id":"a"},{"type":"input","block_id":"b"}]}}}`)
	if a := c.wantAck(t, "view"); !strings.Contains(string(a.Payload), `"b":"`+busyText) {
		t.Errorf("a view is told %s", a.Payload)
	}
	c.send(fmt.Sprintf(`{"envelope_id":"click","type":"interactive","payload":{"type":"block_actions","response_url":"%s/respond"}}`, srv.http.URL))
	c.wantAck(t, "click")
	if text := receive(t, said, "the answer to the click"); text != busyText {
		t.Errorf("a click is told %q", text)
	}
	close(release)
	eventually(t, "the first is handled", func() bool { return len(rec.handled()) == 1 })
	if n := sock.Status().Busy; n != 3 {
		t.Errorf("%d busy answers counted, want 3", n)
	}
}

func TestNewNeedsAnAPI(t *testing.T) {
	if _, err := New(Settings{}); err == nil {
		t.Error("no error without a Slack client")
	}
}

// wss is what Slack speaks: the end of a TLS connection has its own steps.
func TestOverTLS(t *testing.T) {
	srv := startSlackServer(t, (*httptest.Server).StartTLS)
	client := srv.http.Client()
	sock := runClient(t, srv.http.URL, &recorder{}, Settings{
		API:  testAPI(srv.http.URL, client),
		Dial: &websocket.Dialer{TLSClientConfig: client.Transport.(*http.Transport).TLSClientConfig},
	})
	c := srv.nextConn()
	c.command("E1", "T1")
	c.wantAck(t, "E1")
	sock.stop()
	receive(t, c.closed, "the end of the connection")
	if !websocket.IsCloseError(c.bye, websocket.CloseGoingAway) {
		t.Errorf("the connection was not closed properly: %v", c.bye)
	}
	if err := sock.end(); err != nil {
		t.Error(err)
	}
}
