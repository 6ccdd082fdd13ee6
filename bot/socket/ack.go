package socket

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// maxAck is the size in bytes from which Slack silently drops an
// acknowledgement (slack-go, socketmode: maxResponseSize).
const maxAck = 20480

// respond acknowledges with what the receiver answers. It is asked here and
// not in another goroutine, since at the 99th percentile changing goroutines
// costs more than everything else; when it takes too long, a timer
// acknowledges without it, and a receiver that hangs costs this connection
// (which is silent then) but not the bot.
func (s *session) respond(l *link, env Envelope) error {
	var once sync.Once
	var err error
	limit := time.AfterFunc(s.set.RespondWithin, func() {
		once.Do(func() {
			s.log.Error("no response in time, acknowledged without one", "envelope", env.ID, "type", env.Type, "limit_ms", s.set.RespondWithin.Milliseconds())
			err = s.ack(l, env.ID, nil)
		})
	})
	reply := s.ask(env)
	limit.Stop()
	once.Do(func() { err = s.ack(l, env.ID, reply) })
	return err
}

func (s *session) ask(env Envelope) (reply any) {
	defer func() { s.recovered(env, recover()) }()
	return s.to.Respond(env)
}

func (s *Client) recovered(env Envelope, panicked any) {
	if panicked == nil {
		return
	}
	s.count.panics.Add(1)
	s.log.Error("panic while an envelope was handled", "envelope", env.ID, "type", env.Type,
		"panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
}

// ack writes the acknowledgement on the connection that the envelope came on.
// A payload that cannot be sent is left out, with a line in the log: without
// an acknowledgement the user would see Slack's own error. A write that is
// stuck has no deadline of its own, which would cost a timer each: nothing is
// read meanwhile, so the connection is silent and is given up as such.
func (s *session) ack(l *link, id string, reply any) error {
	text, err := ackText(id, reply)
	if err != nil {
		s.log.Error("acknowledged without the payload", "envelope", id, "error", err)
		text, _ = ackText(id, nil)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.conn.WriteMessage(websocket.TextMessage, text); err != nil {
		s.count.ackErrors.Add(1)
		return fmt.Errorf("acknowledge envelope %q: %w", id, err)
	}
	s.count.acked.Add(1)
	return nil
}

func ackText(id string, reply any) ([]byte, error) {
	text, err := json.Marshal(struct {
		EnvelopeID string `json:"envelope_id"`
		Payload    any    `json:"payload,omitempty"`
	}{id, reply})
	if err != nil {
		return nil, fmt.Errorf("encode payload: %w", err)
	}
	if reply != nil && len(text) >= maxAck {
		return nil, fmt.Errorf("payload makes %d bytes, and Slack drops acknowledgements from %d", len(text), maxAck)
	}
	return text, nil
}
