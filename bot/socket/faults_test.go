package socket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestNoHotLoop(t *testing.T) {
	for _, reason := range []string{"too_many_websockets", "refresh_requested", "warning"} {
		t.Run(reason, func(t *testing.T) {
			srv := newSlackServer(t)
			srv.greet = func(c *serverConn) {
				c.send(`{"type":"hello","num_connections":1}`)
				c.disconnect(reason)
				c.close()
			}
			sock := runClient(t, srv.http.URL, &recorder{}, Settings{BackoffBase: time.Hour, BackoffMax: time.Hour})
			eventually(t, "the socket backs off", func() bool { return strings.Contains(sock.log.String(), "will wait") })
			want := 2 // one at once, since a refresh can come early
			if reason == "too_many_websockets" {
				want = 1
			}
			if n := srv.openCount(); n != want {
				t.Errorf("apps.connections.open was called %d times, want %d", n, want)
			}
		})
	}
}

func TestOpensAreCapped(t *testing.T) {
	srv := newSlackServer(t)
	var n atomic.Int64
	srv.greet = func(c *serverConn) {
		c.send(`{"type":"hello","num_connections":1}`)
		id := fmt.Sprint("E", n.Add(1))
		c.command(id, id)
		c.disconnect("warning")
	}
	sock := runClient(t, srv.http.URL, &recorder{}, Settings{Grace: time.Millisecond, BackoffBase: time.Hour, BackoffMax: time.Hour})
	eventually(t, "the cap is reached", func() bool { return time.Until(sock.wait.due(time.Now())) > time.Second })
	if got := srv.openCount(); got > maxOpens {
		t.Errorf("apps.connections.open was called %d times in a minute", got)
	}
}

func TestPermanentErrorsEndRun(t *testing.T) {
	for code, say := range map[string]string{
		"invalid_auth": "app token", "not_authed": "app token", "account_inactive": "removed",
		"token_revoked": "revoked", "not_allowed_token_type": "xapp-", "missing_scope": "connections:write",
		"access_denied": "administrator",
	} {
		t.Run(code, func(t *testing.T) {
			srv := newSlackServer(t)
			srv.answer = func(_ int, w http.ResponseWriter) bool {
				fmt.Fprintf(w, `{"ok":false,"error":%q}`, code)
				return true
			}
			sock := runClient(t, srv.http.URL, &recorder{}, Settings{})
			wantPermanent(t, sock.end(), code, say)
			if n := srv.openCount(); n != 1 {
				t.Errorf("%d calls, want 1", n)
			}
		})
	}
	t.Run(linkDisabled, func(t *testing.T) {
		srv := newSlackServer(t)
		sock := runClient(t, srv.http.URL, &recorder{}, Settings{})
		srv.nextConn().disconnect(linkDisabled)
		wantPermanent(t, sock.end(), linkDisabled, "Socket Mode is switched off")
	})
}

func wantPermanent(t *testing.T, err error, code, say string) {
	t.Helper()
	var p *PermanentError
	if !errors.As(err, &p) || p.Code != code || !strings.Contains(err.Error(), say) {
		t.Errorf("Run ended with %v, want %q and %q", err, code, say)
	}
}

func TestRefusedOpensAreRetried(t *testing.T) {
	srv := newSlackServer(t)
	srv.answer = func(n int, w http.ResponseWriter) bool {
		switch n {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			fmt.Fprint(w, `{"ok":false,"error":"internal_error"}`)
		case 3:
			fmt.Fprint(w, `<html>`)
		case 4:
			fmt.Fprint(w, `{"ok":true,"url":"ws://127.0.0.1:1/?ticket=hush"}`)
		case 5:
			fmt.Fprint(w, `{"ok":true,"url":"ws://[::1?ticket=hush"}`)
		}
		return n <= 5
	}
	sock := runClient(t, srv.http.URL, &recorder{}, Settings{BackoffBase: time.Millisecond, BackoffMax: time.Millisecond})
	srv.nextConn()
	<-sock.Ready()
	if log := sock.log.String(); strings.Contains(log, "hush") || strings.Contains(log, "xapp-test") {
		t.Error("the ticket of a socket URL or the token is in the log")
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	srv := newSlackServer(t)
	srv.answer = func(_ int, w http.ResponseWriter) bool {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	sock := runClient(t, srv.http.URL, &recorder{}, Settings{BackoffBase: time.Millisecond, BackoffMax: time.Millisecond})
	eventually(t, "the socket waits as told", func() bool { return regexp.MustCompile(`wait_ms=[34]\d{6}\b`).MatchString(sock.log.String()) })
	sock.stop()
	if err := sock.end(); err != nil {
		t.Errorf("stopped while waiting: %v", err)
	}
}

func TestSilentConnectionIsReplaced(t *testing.T) {
	srv := newSlackServer(t)
	pings := make(chan struct{}, 1000)
	srv.greet = func(c *serverConn) {
		answer := c.ws.PingHandler()
		c.ws.SetPingHandler(func(data string) error {
			if c.number == 1 {
				return nil // dead, but its TCP connection is not
			}
			pings <- struct{}{}
			return answer(data)
		})
		c.send(`{"type":"hello","num_connections":1}`)
	}
	sock := runClient(t, srv.http.URL, &recorder{}, Settings{Silence: 20 * time.Millisecond, PongWithin: 2 * time.Second})
	srv.nextConn()
	second := srv.nextConn()
	if st := sock.Status(); st.Silent < 1 {
		t.Errorf("%d silent connections counted, want at least 1", st.Silent)
	}
	// The second answers the socket's pings and lives.
	for range 3 {
		receive(t, pings, "a ping")
	}
	second.command("E1", "T1")
	second.wantAck(t, "E1")
}

func TestBadMessagesDoNoHarm(t *testing.T) {
	srv := newSlackServer(t)
	slow := make(chan struct{})
	rec := &recorder{
		respond: func(env Envelope) any {
			switch env.ID {
			case "slow":
				<-slow
			case "large":
				return strings.Repeat("x", maxAck)
			case "reading panics":
				panic("respond")
			}
			return nil
		},
		handle: func(_ context.Context, env Envelope) {
			if env.ID == "panics" { // after the acknowledgement
				panic("handle")
			}
		},
	}
	sock := runClient(t, srv.http.URL, rec, Settings{AcceptWithin: 10 * time.Millisecond})
	c := srv.nextConn()
	for _, text := range []string{
		``, `{`, `null`, `[]`, `"x"`, `{"type":7}`, `{"type":"slash_commands"}`, "\x00\xff", `{"envelope_id":{}}`, `{}`,
	} {
		c.send(text)
	}
	c.send(`{"envelope_id":"unknown","type":"novelty","payload":{}}`)
	c.wantAck(t, "unknown")
	c.send(`{"envelope_id":"mistyped","type":["x"]}`)
	c.wantAck(t, "mistyped")
	c.send(`{"envelope_id":"huge","type":"events_api","payload":"` + strings.Repeat("x", 2*maxFrame) + `"}`)
	c.wantAck(t, "huge")
	c.command("reading panics", "T1")
	if told := string(c.wantAck(t, "reading panics").Payload); !strings.Contains(told, brokenText) {
		t.Errorf("the sender of what could not be read is told %q", told)
	}
	for _, id := range []string{"slow", "large", "panics", "good"} {
		c.command(id, id)
		if a := c.wantAck(t, id); len(a.Payload) > 0 {
			t.Errorf("%s was acknowledged with %d bytes of payload", id, len(a.Payload))
		}
		if id == "slow" {
			close(slow)
		}
	}
	eventually(t, "the good one is handled", func() bool { return rec.handled()["good"] == 1 })
	eventually(t, "both panics are counted", func() bool { return sock.Status().Panics == 2 })
	if st := sock.Status(); st.Opens != 1 || st.Malformed != 13 {
		t.Errorf("%d connections, %d bad messages, want 1 and 13", st.Opens, st.Malformed)
	}
	if n := strings.Count(sock.log.String(), "cannot be used"); n != 13 {
		t.Errorf("%d bad messages are in the log, want 13", n)
	}
}

// python-slack-sdk#1940: clicks vanish on dead registrations, and everything
// looks healthy.
func TestGhostsAreCounted(t *testing.T) {
	srv := newSlackServer(t)
	srv.greet = func(c *serverConn) { c.send(`{"type":"hello","num_connections":4}`) }
	sock := runClient(t, srv.http.URL, &recorder{}, Settings{})
	<-sock.Ready()
	eventually(t, "the ghosts are counted", func() bool { return sock.Status().Ghosts == 1 })
	if st := sock.Status(); st.Reported != 4 || st.Connections != 1 {
		t.Errorf("%d connections reported, %d own, want 4 and 1", st.Reported, st.Connections)
	}
}

func TestOldConnectionsAreEndedWhenSlackDoesNot(t *testing.T) {
	srv := newSlackServer(t)
	runClient(t, srv.http.URL, &recorder{}, Settings{BackoffBase: time.Millisecond, BackoffMax: time.Millisecond})
	first := srv.nextConn()
	c := first
	for range maxLinks {
		c.disconnect("warning")
		c = srv.nextConn()
	}
	receive(t, first.closed, "the end of the oldest connection")
}

// Slack's side stops reading, and acknowledgements pile up until a write is
// stuck.
func TestStuckWriteEndsTheConnection(t *testing.T) {
	srv := newSlackServer(t)
	srv.greet = func(c *serverConn) {
		c.send(`{"type":"hello","num_connections":1}`)
		for i := 0; c.number == 1 && c.ws.WriteMessage(1, fmt.Appendf(nil, `{"envelope_id":"E%d","type":"slash_commands","accepts_response_payload":true,"payload":{}}`, i)) == nil; i++ {
		}
	}
	rec := &recorder{respond: func(Envelope) any { return strings.Repeat("x", maxAck-1000) }}
	sock := runClient(t, srv.http.URL, rec, Settings{Silence: 50 * time.Millisecond, PongWithin: 500 * time.Millisecond, Quick: Limits{All: 1 << 20}})
	for srv.nextConn().number != 2 {
	}
	if n := sock.Status().Silent; n < 1 {
		t.Errorf("%d silent connections counted, want at least 1", n)
	}
}
