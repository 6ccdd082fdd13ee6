package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"jwksbot/bot/slacksim"
)

// TestTenRefreshesOfTheWholeBot renews the connection ten times, as Slack does
// every few hours, and sends a command over the old connection at the last
// moment: right with the announcement, or when the successor is there already
// and the old one is about to close. Clients that leave the old connection at
// the announcement lose every one of them, and one that takes both connections
// for its own runs some twice. Here each is answered by one message.
func TestTenRefreshesOfTheWholeBot(t *testing.T) {
	t.Parallel()
	st := startStage(t, "healthy")
	st.sim.SetLimits(slacksim.LimitsOff) // ten reports in a row are no emergency here
	for i := range 10 {
		sendAtTheLastMoment(t, st.sim, i, checkOf(i))
		// Of one person a few checks may be under way, no more, and one is until its
		// chart stands in the thread.
		until(t, st.sim, "a report and its chart", func(sim *slacksim.Sim) bool { return finished(sim, i) > 0 && len(sim.Files()) > i })
	}
	st.sim.Pin(0)
	// A command that ran twice would have been answered before this one.
	if d := st.sim.Command("U0ONCALL", "C0BRIDGE", checkOf(10)); d.Err != nil {
		t.Fatal(d.Err)
	}
	until(t, st.sim, "one more report", func(sim *slacksim.Sim) bool { return finished(sim, 10) > 0 })
	for i := range 11 {
		if n := finished(st.sim, i); n != 1 {
			t.Errorf("%s was answered by %d messages", checkOf(i), n)
		}
	}
	if n := len(st.sim.Messages("C0BRIDGE")); n != 11 {
		t.Errorf("11 commands left %d messages\n%s", n, st.sim.Transcript())
	}
}

// checkOf is a command of its own kind: checks of the same window within half
// a minute share a report.
func checkOf(i int) string { return fmt.Sprintf("/jwks-check production since=%dm", 30+i) }

// finished counts the finished reports of a command.
func finished(sim *slacksim.Sim, i int) int {
	n := 0
	for _, m := range sim.Messages("C0BRIDGE") {
		if m.Metadata != nil && m.Metadata.Payload["verdict"] == "healthy" && strings.Contains(fmt.Sprint(m.Blocks), fmt.Sprintf("window: the last %d min", 30+i)) {
			n++
		}
	}
	return n
}

// sendAtTheLastMoment refreshes the connection and sends the command over the
// old one. Where this machine was so slow that the workspace had closed the old
// connection before the command went out, nothing was sent, and the next
// refresh brings another last moment.
func sendAtTheLastMoment(t *testing.T, sim *slacksim.Sim, i int, command string) {
	t.Helper()
	for range 5 {
		open := sim.Connections()
		old := open[len(open)-1]
		sim.Pin(old)
		sim.RefreshConnections(slacksim.Refresh{Linger: time.Second})
		if i%2 == 1 {
			until(t, sim, "a successor", func(s *slacksim.Sim) bool { return newestOf(s) > old })
		}
		d := sim.Command("U0ONCALL", "C0BRIDGE", command)
		until(t, sim, "the successor alone", func(s *slacksim.Sim) bool {
			now := s.Connections()
			return len(now) == 1 && now[0] > old
		})
		switch {
		case errors.Is(d.Err, slacksim.ErrDispatchFailed):
			continue
		case d.Err != nil || !d.Acked || d.Conn != old:
			t.Fatalf("%s: sent on connection %d, want %d; acknowledged %t: %v", command, d.Conn, old, d.Acked, d.Err)
		}
		return
	}
	t.Fatalf("%s: the old connection was closed every time before the command went out", command)
}

func newestOf(sim *slacksim.Sim) int {
	open := sim.Connections()
	if len(open) == 0 {
		return 0
	}
	return open[len(open)-1]
}
