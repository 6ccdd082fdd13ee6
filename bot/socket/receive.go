package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"
)

// frame is a message of Slack, of any type.
type frame struct {
	Type            string          `json:"type"`
	EnvelopeID      string          `json:"envelope_id"`
	Payload         json.RawMessage `json:"payload"`
	AcceptsResponse bool            `json:"accepts_response_payload"`
	RetryAttempt    int             `json:"retry_attempt"`
	Reason          string          `json:"reason"`          // of a disconnect
	NumConnections  int             `json:"num_connections"` // of a hello
	DebugInfo       struct {
		Host     string `json:"host"`
		Lifetime int    `json:"approximate_connection_time"` // seconds
	} `json:"debug_info"`
}

// receive acts on one message. An error means that the connection cannot be
// written to any more.
func (s *session) receive(l *link, message []byte, whole bool) error {
	at := time.Now()
	var f frame
	err := json.Unmarshal(message, &f)
	if !whole {
		f = frame{EnvelopeID: findEnvelopeID(message)}
		err = fmt.Errorf("it is larger than %d bytes", maxFrame)
	}
	switch {
	case err != nil:
		return s.onMalformed(l, f, err)
	case f.Type == "hello":
		s.onHello(l, f)
		return nil
	case f.Type == "disconnect":
		s.onDisconnect(l, f)
		return nil
	case f.EnvelopeID == "":
		return s.onMalformed(l, f, fmt.Errorf("type %q without envelope_id", f.Type))
	case f.Type != TypeCommand && f.Type != TypeInteraction && f.Type != TypeEvent:
		return s.onMalformed(l, f, fmt.Errorf("unknown type %q", f.Type))
	}
	s.count.progress.Store(true)
	return s.accept(l, Envelope{
		ID: f.EnvelopeID, Type: f.Type, Payload: f.Payload,
		AcceptsResponse: f.AcceptsResponse, RetryAttempt: f.RetryAttempt, ReceivedAt: at,
	})
}

// onMalformed logs a message that cannot be used, and acknowledges it where it has
// an id, so that Slack does not deliver it again.
func (s *session) onMalformed(l *link, f frame, cause error) error {
	s.count.malformed.Add(1)
	s.log.Warn("slack sent a message that cannot be used", "link", l.number, "envelope", f.EnvelopeID, "error", cause)
	if f.EnvelopeID == "" {
		return nil
	}
	return s.ack(l, f.EnvelopeID, nil)
}

// deliveryID names what is delivered beyond the envelope, which is new at each
// redelivery: the event, or the command by its trigger.
func deliveryID(env Envelope) string {
	var ids struct {
		EventID   string `json:"event_id"`
		TriggerID string `json:"trigger_id"`
	}
	if env.Type == TypeInteraction || json.Unmarshal(env.Payload, &ids) != nil {
		return ""
	}
	switch {
	case env.Type == TypeEvent && ids.EventID != "":
		return "event " + ids.EventID
	case env.Type == TypeCommand && ids.TriggerID != "":
		return "trigger " + ids.TriggerID
	}
	return ""
}

// onHello notes the hello and plans the successor before the announced end.
func (s *session) onHello(l *link, f frame) {
	s.mu.Lock()
	own := len(s.links)
	s.reported = f.NumConnections
	s.mu.Unlock()
	l.helloOnce.Do(func() { close(l.hello) })
	s.readyOnce.Do(func() { close(s.ready) })
	s.log.Info("slack connection is open", "link", l.number, "connections", own, "reported", f.NumConnections, "host", f.DebugInfo.Host)
	if f.NumConnections > own {
		s.count.ghosts.Add(1)
		s.log.Warn("slack knows of more connections than this process has: other replicas, or dead ones that swallow clicks until Slack drops them",
			"reported", f.NumConnections, "own", own)
	}
	if life := time.Duration(f.DebugInfo.Lifetime) * time.Second; life > 0 {
		lead := min(life/4, 30*time.Second)
		l.after(life-lead, func() { l.needSuccessor("its announced time is nearly over") })
	}
}

// onDisconnect acts on a disconnect message. The connection is read on until Slack
// closes it: commands still come over it.
func (s *session) onDisconnect(l *link, f frame) {
	level := slog.LevelInfo
	if p := permanent(f.Reason); p != nil {
		s.fail(p)
	} else if f.Reason != "warning" && f.Reason != "refresh_requested" {
		// too_many_websockets among them: ten connections are open already.
		level = slog.LevelWarn
		l.rejected.Store(true)
	}
	s.log.Log(context.Background(), level, "slack asks to leave the connection", "link", l.number, "reason", f.Reason, "connections", f.NumConnections)
	l.needSuccessor("slack asked for it: " + f.Reason)
}

// findEnvelopeID looks for the id in the beginning of a message that is cut
// off: Slack writes it before the payload.
func findEnvelopeID(beginning []byte) string {
	d := json.NewDecoder(bytes.NewReader(beginning))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return ""
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return ""
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return ""
		}
		var id string
		if key == "envelope_id" && json.Unmarshal(value, &id) == nil {
			return id
		}
	}
	return ""
}
