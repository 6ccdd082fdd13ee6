package socket

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// What one person has too much of is refused with the acknowledgement; others,
// and other lanes, do not notice, and nothing is kept of what was refused.
func TestOnePersonFillsNoLane(t *testing.T) {
	srv := newSlackServer(t)
	release, started := make(chan struct{}), make(chan string, 100)
	rec := &recorder{
		lane: func(env Envelope) (Lane, string) {
			kind, person, _ := strings.Cut(env.ID, "-")
			person, _, _ = strings.Cut(person, "-")
			if kind == "check" {
				return LaneSlow, person
			}
			return LaneQuick, person
		},
		handle: func(_ context.Context, env Envelope) {
			started <- env.ID
			if strings.HasPrefix(env.ID, "check") {
				<-release
			}
		},
	}
	sock := runClient(t, srv.http.URL, rec, Settings{Slow: Limits{All: 5, Each: 3, TooMany: "You have three of yours under way."}, Quick: Limits{Each: 1}})
	c := srv.nextConn()
	for i := range 20 {
		id := fmt.Sprintf("check-ann-%d", i)
		c.command(id, id)
		told := string(c.wantAck(t, id).Payload)
		if i < 3 && told != "" || i >= 3 && !strings.Contains(told, "three of yours") {
			t.Errorf("check %d is told %q", i, told)
		}
	}
	for i := range 3 {
		id := fmt.Sprintf("check-ben-%d", i)
		c.command(id, id)
		told := string(c.wantAck(t, id).Payload)
		if i < 2 && told != "" || i == 2 && !strings.Contains(told, busyText) {
			t.Errorf("check %d of another person is told %q", i, told)
		}
	}
	for range 5 {
		receive(t, started, "a check")
	}
	c.command("decision-ann-1", "T1")
	c.wantAck(t, "decision-ann-1")
	if got := receive(t, started, "the decision beside the checks"); got != "decision-ann-1" {
		t.Errorf("%s was started", got)
	}
	close(release)
	eventually(t, "the checks end", func() bool { return len(rec.handled()) == 6 })
	c.command("check-ann-again", "T2")
	if told := string(c.wantAck(t, "check-ann-again").Payload); told != "" {
		t.Errorf("after the others have ended it is told %q", told)
	}
	eventually(t, "nobody is counted any more", func() bool {
		return len(rec.handled()) == 7 && sock.Status().Busy == 18
	})
}

// At the end checks are cut off soon; decisions get the time that they take.
func TestShutdownWaitsLongerForDecisions(t *testing.T) {
	srv := newSlackServer(t)
	release, started := make(chan struct{}), make(chan struct{}, 2)
	cut, kept := make(chan error, 1), make(chan error, 1)
	rec := &recorder{
		lane: func(env Envelope) (Lane, string) {
			if env.ID == "check" {
				return LaneSlow, "ann"
			}
			return LaneQuick, "ann"
		},
		handle: func(ctx context.Context, env Envelope) {
			started <- struct{}{}
			if env.ID == "check" {
				<-ctx.Done()
				cut <- ctx.Err()
				return
			}
			<-release
			kept <- ctx.Err()
		},
	}
	sock := runClient(t, srv.http.URL, rec, Settings{Slow: Limits{Drain: time.Millisecond}, Quick: Limits{Drain: patience}})
	c := srv.nextConn()
	for _, id := range []string{"check", "decision"} {
		c.command(id, id)
		c.wantAck(t, id)
		receive(t, started, id)
	}
	sock.stop()
	if err := receive(t, cut, "the end of the check"); err == nil {
		t.Error("the check was not cut off")
	}
	close(release)
	if err := receive(t, kept, "the end of the decision"); err != nil {
		t.Errorf("the decision was cut off: %v", err)
	}
	if err := sock.end(); err != nil {
		t.Error(err)
	}
}
