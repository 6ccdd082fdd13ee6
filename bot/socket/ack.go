package socket

import (
	"context"
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

// accept reads an envelope, acknowledges it and then, when it is the first
// delivery, starts the work. Room for the work is taken first, so that the
// acknowledgement can say that there is none.
func (s *session) accept(l *link, env Envelope) error {
	if !s.seen.claim("envelope " + env.ID) {
		s.count.duplicates.Add(1)
		return s.ack(l, env.ID, nil)
	}
	j, refused, err := s.answer(l, env)
	if err != nil {
		s.seen.forget("envelope " + env.ID)
		j.drop()
		return err
	}
	if refused != "" {
		s.pool.tellRefusal(env, refused)
		return nil
	}
	if id := deliveryID(env); id != "" && !s.seen.claim(id) {
		s.count.duplicates.Add(1)
		j.drop()
		return nil
	}
	s.pool.start(j)
	return nil
}

// answer acknowledges with what the receiver replies, or with why its work is
// not taken on. The receiver is asked here and not in another goroutine, since
// at the 99th percentile changing goroutines costs more than everything else;
// when it takes too long, a timer acknowledges without it, and a receiver that
// hangs costs this connection (which is silent then) but not the bot.
func (s *session) answer(l *link, env Envelope) (j job, refused string, err error) {
	var once sync.Once
	limit := time.AfterFunc(s.set.AcceptWithin, func() {
		once.Do(func() {
			s.log.Error("not read in time, acknowledged without a reply", "envelope", env.ID, "type", env.Type, "limit_ms", s.set.AcceptWithin.Milliseconds())
			err = s.ack(l, env.ID, nil)
		})
	})
	j, refused = s.take(env)
	limit.Stop()
	once.Do(func() {
		switch {
		case refused != "":
			err = s.ack(l, env.ID, refusalReply(env, refused))
		case env.AcceptsResponse:
			err = s.ack(l, env.ID, j.Reply)
		default:
			err = s.ack(l, env.ID, nil)
		}
	})
	return j, refused, err
}

// take asks the receiver what an envelope leads to and makes room for it. Where
// it is not taken on it returns what its sender is to be told.
func (s *session) take(env Envelope) (j job, refused string) {
	work, ok := s.ask(env)
	if !ok {
		return job{}, brokenText
	}
	if j, refused = s.pool.take(env, work); refused != "" {
		s.count.busy.Add(1)
		s.log.Log(context.Background(), refusalLevel(refused), "not taken on, the user is told so", "envelope", env.ID, "type", env.Type, "user", work.Person)
	}
	return j, refused
}

// ask has the receiver read it; ok is false where it panicked.
func (s *session) ask(env Envelope) (w Work, ok bool) {
	defer func() { s.recovered(env, recover()) }()
	return s.to.Accept(env), true
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
