package socket

import (
	"context"
	"sync"
	"time"
)

// Lane separates work that people can wait for from work that must not wait.
// In each lane an envelope's work begins at once, or it is refused at once: no
// envelope ever waits for the work of another.
type Lane int

// The lanes.
const (
	// LaneQuick is for what is answered within three seconds.
	LaneQuick Lane = iota
	// LaneSlow is for what takes as long as other systems do.
	LaneSlow
	lanes
)

// Limits bound a lane. What is above them is refused, and its sender is told.
type Limits struct {
	All   int           // envelopes worked on at a time
	Each  int           // of these, of one person
	Drain time.Duration // work under way may take at the end

	TooMany string // told to a person who has Each under way: a finished sentence
}

// unwindWithin is how long work may take to end after its context ended.
const unwindWithin = time.Second

// lane counts the work of one lane.
type lane struct {
	Limits
	ctx    context.Context // of the work
	cancel context.CancelFunc

	mu      sync.Mutex
	all     int
	each    map[string]int // person → envelopes; only those who have any
	ended   bool           // nothing is taken on any more
	running sync.WaitGroup
}

func newLane(ctx context.Context, limits Limits) *lane {
	l := &lane{Limits: limits, each: map[string]int{}}
	l.ctx, l.cancel = context.WithCancel(ctx)
	return l
}

// What a sender reads whose envelope was not taken on.
const (
	busyText       = "jwksbot is busy and did not start this. Nothing was done; please try again in a minute."
	tooManyText    = "You have too many requests running, so this one was not started. Nothing was done; try again when one has finished."
	brokenText     = "Something went wrong inside jwksbot; its log has the details. Nothing was done."
	restartingText = "jwksbot is restarting and did not start this. Nothing was done; try again in a few seconds."
)

// take makes room for the work of an envelope. Where there is none it returns
// why, as a finished sentence for the person.
func (l *lane) take(person string) (refused string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return restartingText
	case person != "" && l.each[person] >= l.Each:
		return l.TooMany
	case l.all >= l.All:
		return busyText
	}
	l.all++
	if person != "" {
		l.each[person]++
	}
	l.running.Add(1)
	return ""
}

// alongside runs something short beside the work, which the end waits for too.
func (l *lane) alongside(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.running.Go(f)
	}
}

// leave gives the room back.
func (l *lane) leave(person string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.each[person]--; l.each[person] <= 0 {
		delete(l.each, person)
	}
	l.running.Done()
}

// drain waits for the work under way, up to the limit, then ends its context
// and gives it a last moment. It returns how many envelopes were left.
func (l *lane) drain() int {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		l.running.Wait()
		close(idle)
	}()
	defer l.cancel()
	for _, wait := range []time.Duration{l.Drain, unwindWithin} {
		select {
		case <-idle:
			return 0
		case <-time.After(wait):
			l.cancel()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}
