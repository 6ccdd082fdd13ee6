package socket

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Status is the state of a [Client] for health checks and metrics.
type Status struct {
	Connected      bool      // Slack said hello on a connection that is open
	ConnectedSince time.Time // when the oldest open connection was opened; zero without one
	LastFrame      time.Time // last frame of any kind on an open connection, pings included
	Connections    int       // open connections of this process, two during a refresh
	Reported       int       // connections of the app by Slack's count at the last hello

	Opens      uint64 // calls of apps.connections.open
	Acked      uint64 // acknowledgements written
	AckErrors  uint64 // acknowledgements that could not be written
	Duplicates uint64 // deliveries acknowledged again but not handled again
	Busy       uint64 // deliveries refused because a lane was full, or a person's share of it
	Malformed  uint64 // frames that could not be read, or of an unknown type
	Panics     uint64 // panics recovered in the receiver
	Silent     uint64 // connections given up because nothing came
	// Ghosts counts hellos at which Slack knew of more connections than this
	// process has: other replicas, or dead registrations to which Slack goes
	// on sending clicks that nobody sees (python-slack-sdk#1940).
	Ghosts uint64
}

type counters struct {
	opens, acked, ackErrors, duplicates, busy, malformed, panics, silent, ghosts atomic.Uint64

	progress atomic.Bool // an envelope came since the last connection was asked to end
}

func (c *counters) takeProgress() bool { return c.progress.Swap(false) }

// Status returns the present state.
func (s *Client) Status() Status {
	st := Status{
		Opens: s.count.opens.Load(), Acked: s.count.acked.Load(), AckErrors: s.count.ackErrors.Load(),
		Duplicates: s.count.duplicates.Load(), Busy: s.count.busy.Load(), Malformed: s.count.malformed.Load(),
		Panics: s.count.panics.Load(), Silent: s.count.silent.Load(), Ghosts: s.count.ghosts.Load(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Reported = s.reported
	st.Connections = len(s.links)
	for l := range s.links {
		if !l.greeted() {
			continue
		}
		st.Connected = true
		if st.ConnectedSince.IsZero() || l.opened.Before(st.ConnectedSince) {
			st.ConnectedSince = l.opened
		}
		if at := l.lastFrame(); at.After(st.LastFrame) {
			st.LastFrame = at
		}
	}
	return st
}

// Healthy returns nil while Slack can reach the bot: a connection is open, and
// something came over it within the time after which it is given up. The error
// says what is wrong.
func (s *Client) Healthy() error {
	st := s.Status()
	if !st.Connected {
		return fmt.Errorf("slack connection: not connected, %d attempts so far", st.Opens)
	}
	if quiet := time.Since(st.LastFrame); quiet > s.set.Silence+s.set.PongWithin {
		return fmt.Errorf("slack connection: nothing came for %s", quiet.Round(time.Second))
	}
	return nil
}

// Ready is closed when Slack has said hello for the first time.
func (s *Client) Ready() <-chan struct{} { return s.ready }
