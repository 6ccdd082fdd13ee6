package slacksim

import (
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// What a person sees when an interaction did not reach the app, in Slack's words.
var (
	// ErrDispatchFailed: no connection was there to send the envelope on.
	ErrDispatchFailed = errors.New("dispatch_failed")
	// ErrOperationTimeout: no acknowledgement came in time.
	ErrOperationTimeout = errors.New("operation_timeout")
)

// Delivery is what became of one envelope.
type Delivery struct {
	EnvelopeID string
	Conn       int // number of the connection that it was sent on, 0 when there was none
	Acked      bool
	After      time.Duration   // from sending to the acknowledgement, or to giving up
	Payload    json.RawMessage // that came with the acknowledgement
	Err        error           // ErrDispatchFailed, ErrOperationTimeout, or why the workspace did not send it at all
}

// deliver sends an envelope over one connection chosen at random and waits for
// its acknowledgement. extra are further members of the envelope.
func (s *Sim) deliver(kind string, payload obj, accepts bool, extra obj) *Delivery {
	s.mu.Lock()
	id := s.envelopeID()
	c := s.choose(0)
	if c == nil {
		s.mu.Unlock()
		return &Delivery{EnvelopeID: id, Err: ErrDispatchFailed}
	}
	env := obj{"envelope_id": id, "type": kind, "accepts_response_payload": accepts, "payload": payload}
	for k, v := range extra {
		env[k] = v
	}
	p := &pending{conns: []int{c.id}, ack: make(chan json.RawMessage, 1)}
	s.socket.pending[id] = p
	again := s.duplicateOn(c)
	if again != nil {
		p.conns = append(p.conns, again.id)
	}
	delay := s.socket.delay
	s.mu.Unlock()

	d := &Delivery{EnvelopeID: id, Conn: c.id}
	start := time.Now()
	s.sleep(delay)
	s.sendOn(c, env)
	if again != nil {
		s.sendOn(again, env)
	}
	s.await(d, p, start)
	return d
}

// await fills in what became of an envelope that was sent.
func (s *Sim) await(d *Delivery, p *pending, start time.Time) {
	late := time.NewTimer(s.opt.AckTimeout)
	defer late.Stop()
	select {
	case d.Payload = <-p.ack:
		d.Acked = true
	case <-late.C:
		d.Err = ErrOperationTimeout
	case <-s.ctx.Done():
		d.Err = ErrDispatchFailed
	}
	d.After = time.Since(start)
	s.mu.Lock()
	delete(s.socket.pending, d.EnvelopeID)
	s.mu.Unlock()
}

func (s *Sim) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

// sendOn writes an envelope; on a half-open connection it goes nowhere.
func (s *Sim) sendOn(c *conn, env obj) {
	s.mu.Lock()
	silent := c.silent
	s.mu.Unlock()
	if !silent {
		_ = c.send(env)
	}
}

// choose picks the connection for an envelope, not the one numbered except. s.mu
// is held.
func (s *Sim) choose(except int) *conn {
	var fit []*conn
	for _, c := range s.socket.conns {
		if c.id != except && (s.socket.pinned == 0 || c.id == s.socket.pinned) {
			fit = append(fit, c)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[s.rng.IntN(len(fit))]
}

// duplicateOn says where an envelope is delivered a second time: on another
// connection if there is one. s.mu is held.
func (s *Sim) duplicateOn(first *conn) *conn {
	if s.socket.duplicate == 0 {
		return nil
	}
	s.socket.duplicate--
	if other := s.choose(first.id); other != nil {
		return other
	}
	return first
}

func (s *Sim) envelopeID() string {
	const hex = "0123456789abcdef"
	return s.letters(8, hex) + "-" + s.letters(4, hex) + "-4" + s.letters(3, hex) + "-a" + s.letters(3, hex) + "-" + s.letters(12, hex)
}

// deliverEvent sends an event and, while it is not acknowledged, sends it again
// after each of the configured waits. It returns the first delivery; the rest
// happens in the background.
func (s *Sim) deliverEvent(payload obj) *Delivery {
	first := s.deliver("events_api", payload, false, obj{"retry_attempt": 0, "retry_reason": ""})
	if first.Acked || s.ctx.Err() != nil {
		return first
	}
	waits := slices.Clone(s.opt.EventRetries)
	s.spawn(func() {
		for i, w := range waits {
			s.sleep(w)
			if s.ctx.Err() != nil {
				return
			}
			if d := s.deliver("events_api", payload, false, obj{"retry_attempt": i + 1, "retry_reason": "timeout"}); d.Acked {
				return
			}
		}
	})
	return first
}
