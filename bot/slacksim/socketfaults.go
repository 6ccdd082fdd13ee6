package slacksim

import "time"

// Refresh describes how Slack renews connections every few hours.
type Refresh struct {
	Warning time.Duration // a disconnect with reason "warning" goes out this long before; 0: none
	Linger  time.Duration // how long the old connections still deliver after "refresh_requested" before they close
}

// RefreshConnections renews every open connection: warning if asked for, then
// "refresh_requested", then the end. It returns when the first frame is sent.
func (s *Sim) RefreshConnections(r Refresh) {
	old := s.open()
	if r.Warning > 0 {
		s.tell(old, "warning")
	} else {
		s.tell(old, "refresh_requested")
	}
	s.spawn(func() {
		if r.Warning > 0 {
			s.sleep(r.Warning)
			s.tell(old, "refresh_requested")
		}
		s.sleep(r.Linger)
		for _, c := range old {
			s.end(c)
		}
	})
}

// Disconnect ends every open connection at once with a reason. "link_disabled"
// also switches Socket Mode off: apps.connections.open is refused until
// EnableSocketMode.
func (s *Sim) Disconnect(reason string) {
	if reason == "link_disabled" {
		s.mu.Lock()
		s.socket.disabled = true
		s.mu.Unlock()
	}
	old := s.open()
	s.tell(old, reason)
	for _, c := range old {
		s.end(c)
	}
}

// EnableSocketMode takes back Disconnect("link_disabled").
func (s *Sim) EnableSocketMode() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.socket.disabled = false
}

// Cut breaks every open connection without a word, as a lost network does.
func (s *Sim) Cut() {
	for _, c := range s.open() {
		s.end(c)
	}
}

// Silent makes every open connection half-open: it stays up, but nothing goes
// out on it, no ping either, and nothing that comes in counts. It leaves the
// list when the client closes it; new connections are in order.
func (s *Sim) Silent() { s.mute(false) }

// Ghost is Silent, but the connections stay registered when the client has
// closed them, as behind a NAT that swallows the end (python-slack-sdk#1940):
// envelopes still go to them and are lost.
func (s *Sim) Ghost() { s.mute(true) }

func (s *Sim) mute(ghost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.socket.conns {
		c.silent, c.ghost = true, ghost
	}
}

// Duplicate delivers the next n envelopes twice, on two connections if there
// are two.
func (s *Sim) Duplicate(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.socket.duplicate = n
}

// Delay holds every envelope back by d from here on.
func (s *Sim) Delay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.socket.delay = d
}

// Pin sends every envelope over the connection of that number (Connections)
// from here on; 0 chooses at random again.
func (s *Sim) Pin(connection int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.socket.pinned = connection
}

// Connections returns the numbers of the open connections, oldest first.
// Connections are numbered from 1 as they come.
func (s *Sim) Connections() []int {
	var out []int
	for _, c := range s.open() {
		out = append(out, c.id)
	}
	return out
}

// open returns the open connections, oldest first.
func (s *Sim) open() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.socket.all()
}

// end takes a connection out of the list, so that nothing more is sent on it,
// and closes it.
func (s *Sim) end(c *conn) {
	s.forget(c)
	c.close()
}

func (s *Sim) tell(conns []*conn, reason string) {
	for _, c := range conns {
		s.sendOn(c, disconnectFrame(reason, len(conns)))
	}
}
