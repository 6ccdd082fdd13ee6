package slacksim_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"

	"jwksbot/bot/slacksim"
)

// frame is one message of the server to a client.
type frame struct {
	Type           string          `json:"type"`
	Reason         string          `json:"reason"`
	EnvelopeID     string          `json:"envelope_id"`
	NumConnections int             `json:"num_connections"`
	RetryAttempt   int             `json:"retry_attempt"`
	Payload        json.RawMessage `json:"payload"`
}

func socketURL(t *testing.T, api *slack.Client) (string, error) {
	t.Helper()
	_, u, err := api.StartSocketModeContext(t.Context())
	return u, err
}

// dial opens a bare connection and reads its hello.
func dial(t *testing.T, api *slack.Client) *websocket.Conn {
	t.Helper()
	u, err := socketURL(t, api)
	if err != nil {
		t.Fatal(err)
	}
	ws, _, err := websocket.DefaultDialer.Dial(u, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	return ws
}

func read(t *testing.T, ws *websocket.Conn) frame {
	t.Helper()
	_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	var f frame
	if err := ws.ReadJSON(&f); err != nil {
		t.Fatal(err)
	}
	return f
}

func ack(t *testing.T, ws *websocket.Conn, id string, payload any) {
	t.Helper()
	if err := ws.WriteJSON(map[string]any{"envelope_id": id, "payload": payload}); err != nil {
		t.Error(err)
	}
}

// command types a command in the background.
func command(sim *slacksim.Sim) <-chan *slacksim.Delivery {
	out := make(chan *slacksim.Delivery, 1)
	go func() { out <- sim.Command("U0ONCALL", "inc-bridge", "/jwks-check production") }()
	return out
}

func TestSocketURLWorksOnce(t *testing.T) {
	_, api := start(t, slacksim.Options{})
	u, err := socketURL(t, api)
	if err != nil {
		t.Fatal(err)
	}
	ws, _, err := websocket.DefaultDialer.Dial(u, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if f := read(t, ws); f.Type != "hello" || f.NumConnections != 1 {
		t.Errorf("hello = %+v", f)
	}
	if _, resp, err := websocket.DefaultDialer.Dial(u, nil); err == nil || resp.StatusCode != 403 {
		t.Errorf("second use: %v", err)
	}
}

func TestElevenConnections(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	for i := range 10 {
		if f := read(t, dial(t, api)); f.NumConnections != i+1 {
			t.Fatalf("hello %d = %+v", i+1, f)
		}
	}
	if f := read(t, dial(t, api)); f.Type != "disconnect" || f.Reason != "too_many_websockets" {
		t.Errorf("eleventh = %+v", f)
	}
	if n := len(sim.Connections()); n != 10 {
		t.Errorf("%d connections", n)
	}
}

// Each envelope goes to one of the open connections; over many, to all of them.
func TestOneOfThree(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	for range 3 {
		ws := dial(t, api)
		read(t, ws)
		go func() {
			for {
				var f frame
				if ws.ReadJSON(&f) != nil {
					return
				}
				_ = ws.WriteJSON(map[string]any{"envelope_id": f.EnvelopeID})
			}
		}()
	}
	wait(t, sim, func(s *slacksim.Sim) bool { return len(s.Connections()) == 3 })
	used := map[int]int{}
	for range 60 {
		d := sim.Command("U0ONCALL", "inc-bridge", "/jwks-check")
		if !d.Acked {
			t.Fatalf("lost: %+v", d)
		}
		used[d.Conn]++
	}
	if len(used) != 3 {
		t.Errorf("used = %v", used)
	}
	sim.Pin(2)
	if d := sim.Command("U0ONCALL", "inc-bridge", "/jwks-check"); d.Conn != 2 {
		t.Errorf("pinned to 2, went to %d", d.Conn)
	}
}

// The acknowledgements that Slack ignores: too large, unknown, from elsewhere.
func TestAcksThatDoNotCount(t *testing.T) {
	sim, api := start(t, slacksim.Options{AckTimeout: 300 * time.Millisecond})
	one := dial(t, api)
	read(t, one)
	sim.Pin(1)
	other := dial(t, api)
	read(t, other)
	for name, answer := range map[string]func(frame){
		"too large":          func(f frame) { ack(t, one, f.EnvelopeID, map[string]string{"text": strings.Repeat("x", 20<<10)}) },
		"unknown":            func(frame) { ack(t, one, "nope", nil) },
		"another connection": func(f frame) { ack(t, other, f.EnvelopeID, nil) },
		"no JSON":            func(frame) { _ = one.WriteMessage(websocket.TextMessage, []byte("ok")) },
	} {
		got := command(sim)
		answer(read(t, one))
		if d := <-got; !errors.Is(d.Err, slacksim.ErrOperationTimeout) {
			t.Errorf("%s: %+v", name, d)
		}
	}
	got := command(sim)
	ack(t, one, read(t, one).EnvelopeID, nil)
	if d := <-got; !d.Acked {
		t.Errorf("a proper ack: %+v", d)
	}
}

// The old connection still delivers between refresh_requested and its end.
func TestRefreshLingers(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	old := dial(t, api)
	read(t, old)
	sim.RefreshConnections(slacksim.Refresh{Warning: 50 * time.Millisecond, Linger: time.Second})
	if f := read(t, old); f.Reason != "warning" {
		t.Fatalf("first = %+v", f)
	}
	if f := read(t, old); f.Reason != "refresh_requested" {
		t.Fatalf("second = %+v", f)
	}
	fresh := dial(t, api)
	if f := read(t, fresh); f.NumConnections != 2 {
		t.Errorf("hello of the successor = %+v", f)
	}
	sim.Pin(1)
	got := command(sim)
	ack(t, old, read(t, old).EnvelopeID, nil)
	if d := <-got; !d.Acked || d.Conn != 1 {
		t.Errorf("last command on the old connection: %+v", d)
	}
	if _, _, err := old.ReadMessage(); err == nil {
		t.Error("the old connection stayed open")
	}
	sim.Pin(0)
	got = command(sim)
	ack(t, fresh, read(t, fresh).EnvelopeID, nil)
	if d := <-got; !d.Acked || d.Conn != 2 {
		t.Errorf("after the refresh: %+v", d)
	}
}

func TestLinkDisabled(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	ws := dial(t, api)
	read(t, ws)
	sim.Disconnect("link_disabled")
	if f := read(t, ws); f.Reason != "link_disabled" {
		t.Errorf("frame = %+v", f)
	}
	if _, err := socketURL(t, api); code(err) != "link_disabled" {
		t.Errorf("open while disabled: %v", err)
	}
	sim.EnableSocketMode()
	if _, err := socketURL(t, api); err != nil {
		t.Error(err)
	}
}

// A half-open connection swallows envelopes; a ghost does so even after the
// client has closed it.
func TestSilentAndGhost(t *testing.T) {
	for _, ghost := range []bool{false, true} {
		sim, api := start(t, slacksim.Options{AckTimeout: 50 * time.Millisecond})
		ws := dial(t, api)
		read(t, ws)
		wait(t, sim, func(s *slacksim.Sim) bool { return len(s.Connections()) == 1 })
		if ghost {
			sim.Ghost()
		} else {
			sim.Silent()
		}
		if d := <-command(sim); !errors.Is(d.Err, slacksim.ErrOperationTimeout) {
			t.Errorf("on a half-open connection: %+v", d)
		}
		_ = ws.Close()
		if ghost {
			if d := <-command(sim); !errors.Is(d.Err, slacksim.ErrOperationTimeout) {
				t.Errorf("on a ghost: %+v", d)
			}
			continue
		}
		wait(t, sim, func(s *slacksim.Sim) bool { return len(s.Connections()) == 0 })
	}
}

func TestDuplicateAndDelay(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	ws := dial(t, api)
	read(t, ws)
	sim.Duplicate(1)
	sim.Delay(20 * time.Millisecond)
	got := command(sim)
	one, two := read(t, ws), read(t, ws)
	if one.EnvelopeID != two.EnvelopeID || string(one.Payload) != string(two.Payload) {
		t.Errorf("not the same twice: %+v %+v", one, two)
	}
	ack(t, ws, one.EnvelopeID, nil)
	if d := <-got; !d.Acked || d.After < 20*time.Millisecond {
		t.Errorf("delivery = %+v", d)
	}
}

// Events come again until they are acknowledged, with the same event id.
func TestEventsAreRedelivered(t *testing.T) {
	sim, api := start(t, slacksim.Options{AckTimeout: 50 * time.Millisecond, EventRetries: []time.Duration{0, 0, 0}})
	ws := dial(t, api)
	read(t, ws)
	wait(t, sim, func(s *slacksim.Sim) bool { return len(s.Connections()) == 1 })
	done := make(chan *slacksim.Delivery, 1)
	go func() { done <- sim.OpenHome("U0LEAD") }()
	first := read(t, ws)
	again := read(t, ws)
	ack(t, ws, again.EnvelopeID, nil)
	if d := <-done; d.Acked {
		t.Errorf("the first delivery counts as acknowledged: %+v", d)
	}
	var a, b struct {
		EventID string `json:"event_id"`
	}
	if json.Unmarshal(first.Payload, &a) != nil || json.Unmarshal(again.Payload, &b) != nil || a.EventID == "" || a != b {
		t.Errorf("event ids %q and %q", a.EventID, b.EventID)
	}
	if first.RetryAttempt != 0 || again.RetryAttempt != 1 || first.EnvelopeID == again.EnvelopeID {
		t.Errorf("frames %+v %+v", first, again)
	}
}

func TestServerPings(t *testing.T) {
	_, api := start(t, slacksim.Options{PingInterval: 10 * time.Millisecond})
	ws := dial(t, api)
	read(t, ws)
	pinged := make(chan string, 100)
	ws.SetPingHandler(func(data string) error {
		select {
		case pinged <- data:
		default:
		}
		return nil
	})
	go func() { _, _, _ = ws.ReadMessage() }()
	select {
	case <-pinged:
	case <-time.After(10 * time.Second):
		t.Error("no ping")
	}
}
