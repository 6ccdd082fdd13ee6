package socket

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"jwksbot/bot/slacksim"
)

// workspace starts an emulated workspace and a socket that is connected to it.
func workspace(t *testing.T, to Receiver, opt slacksim.Options, set Settings) (*slacksim.Sim, *running) {
	t.Helper()
	opt.AppToken = "xapp-test"
	sim := slacksim.New(opt)
	base, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	sock := runClient(t, base, to, set)
	receive(t, sock.Ready(), "hello")
	waitFor(t, sim, "the connection is registered", func(s *slacksim.Sim) bool { return len(s.Connections()) == 1 })
	return sim, sock
}

func waitFor(t testing.TB, sim *slacksim.Sim, what string, cond func(*slacksim.Sim) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := sim.Wait(ctx, cond); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func newest(sim *slacksim.Sim) int {
	c := sim.Connections()
	return c[len(c)-1]
}

func TestTenRefreshesOfTheWorkspace(t *testing.T) {
	rec := &recorder{}
	sim, sock := workspace(t, rec, slacksim.Options{AckTimeout: patience}, Settings{})
	for i := range 10 {
		old := newest(sim)
		sim.Pin(old)
		if i%2 == 0 {
			sim.Duplicate(1) // on both connections, once there are two
		}
		sim.RefreshConnections(slacksim.Refresh{Linger: 3 * time.Second})
		d := sim.Command("U0ONCALL", "inc-bridge", "/jwks-check production")
		if !d.Acked || d.Conn != old {
			t.Errorf("refresh %d: command on connection %d, want %d; acknowledged %t, %v", i, d.Conn, old, d.Acked, d.Err)
		}
		waitFor(t, sim, "a successor", func(s *slacksim.Sim) bool { return newest(s) > old })
	}
	eventually(t, "ten commands are handled", func() bool { return len(rec.handled()) == 10 })
	for id, n := range rec.handled() {
		if n != 1 {
			t.Errorf("%s was handled %d times", id, n)
		}
	}
	if n := sock.Status().Opens; n != 11 {
		t.Errorf("apps.connections.open was called %d times, want 11", n)
	}
}

func TestHalfOpenConnection(t *testing.T) {
	rec := &recorder{}
	sim, sock := workspace(t, rec, slacksim.Options{AckTimeout: time.Second},
		Settings{Silence: 50 * time.Millisecond, PongWithin: time.Second, BackoffBase: time.Millisecond})
	sim.Ghost()
	waitFor(t, sim, "a successor", func(s *slacksim.Sim) bool { return newest(s) > 1 })
	// Whether the successor's hello comes before or after the old connection is
	// given up is chance: it counts as a ghost, or Slack knows of one more.
	eventually(t, "the ghost is noticed", func() bool {
		st := sock.Status()
		return st.Ghosts > 0 || st.Connections < st.Reported
	})
	eventually(t, "a command over the successor is acknowledged", func() bool {
		sim.Pin(newest(sim))
		return sim.Command("U0ONCALL", "inc-bridge", "/jwks-check production").Acked
	})
}

func TestLostNetwork(t *testing.T) {
	rec := &recorder{}
	sim, _ := workspace(t, rec, slacksim.Options{AckTimeout: patience}, Settings{})
	sim.Cut()
	waitFor(t, sim, "a successor", func(s *slacksim.Sim) bool { c := s.Connections(); return len(c) == 1 && c[0] > 1 })
	if d := sim.Command("U0ONCALL", "inc-bridge", "/jwks-check production"); !d.Acked {
		t.Errorf("not acknowledged: %v", d.Err)
	}
}

func TestSocketModeSwitchedOff(t *testing.T) {
	sim, sock := workspace(t, &recorder{}, slacksim.Options{}, Settings{})
	sim.Disconnect(linkDisabled)
	wantPermanent(t, sock.end(), linkDisabled, "Socket Mode is switched off")
	again := runClient(t, sock.base, &recorder{}, Settings{})
	wantPermanent(t, again.end(), linkDisabled, "Socket Mode is switched off")
}

// The eleventh connection is turned away; the socket waits and comes back when
// there is room.
func TestTooManyConnections(t *testing.T) {
	rec := &recorder{}
	sim, sock := workspace(t, rec, slacksim.Options{}, Settings{BackoffBase: 300 * time.Millisecond, BackoffMax: time.Second})
	var others []*websocket.Conn
	for range 9 {
		_, url, err := sock.set.API.StartSocketModeContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ws.Close() })
		others = append(others, ws)
	}
	waitFor(t, sim, "ten connections", func(s *slacksim.Sim) bool { return len(s.Connections()) == 10 })
	sim.RefreshConnections(slacksim.Refresh{Linger: time.Hour})
	eventually(t, "the socket is turned away", func() bool {
		return strings.Contains(sock.log.String(), "too_many_websockets")
	})
	if err := sock.Healthy(); err != nil {
		t.Errorf("the old connection is still there, but: %v", err)
	}
	_ = others[0].Close()
	waitFor(t, sim, "a successor", func(s *slacksim.Sim) bool { return newest(s) > 10 })
}
