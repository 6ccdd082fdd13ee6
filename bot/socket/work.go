package socket

import (
	"context"
	"sync"
	"sync/atomic"
)

// work is what the envelopes of a session lead to, each in a goroutine of its
// own, bounded by its lane.
type work struct {
	socket *Client
	lanes  [lanes]*lane
	toTell chan struct{} // one per refusal that is yet to be told
	tells  chan struct{} // one per refusal that is being told
}

// Refusals of clicks are told over HTTP: so many at a time, and so many that
// wait for that.
const (
	refusalsAtOnce  = 16
	refusalsWaiting = 1024
)

func (s *Client) newWork(ctx context.Context) *work {
	w := &work{socket: s, toTell: make(chan struct{}, refusalsWaiting), tells: make(chan struct{}, refusalsAtOnce)}
	w.lanes[LaneQuick] = newLane(ctx, s.set.Quick)
	w.lanes[LaneSlow] = newLane(ctx, s.set.Slow)
	return w
}

// job is the work of one envelope that there is room for.
type job struct {
	env    Envelope
	lane   *lane
	person string
}

// take makes room for an envelope; where there is none it returns what its
// sender is to be told.
func (w *work) take(to Receiver, env Envelope) (j job, refused string) {
	name, person := w.laneOf(to, env)
	j = job{env, w.lanes[name], person}
	return j, j.lane.take(person)
}

// laneOf asks the receiver; a panic costs the envelope nothing.
func (w *work) laneOf(to Receiver, env Envelope) (name Lane, person string) {
	defer func() { w.socket.recovered(env, recover()) }()
	return to.Lane(env)
}

// start begins the work.
func (w *work) start(to Receiver, j job) {
	go func() {
		defer j.lane.leave(j.person)
		defer func() { w.socket.recovered(j.env, recover()) }()
		to.Handle(j.lane.ctx, j.env)
	}()
}

// drop gives back the room of an envelope whose work is not to begin.
func (j job) drop() { j.lane.leave(j.person) }

// drain ends all lanes at once and returns how many envelopes were left.
func (w *work) drain() int {
	var left atomic.Int64
	var wg sync.WaitGroup
	for _, l := range w.lanes {
		wg.Go(func() { left.Add(int64(l.drain())) })
	}
	wg.Wait()
	return int(left.Load())
}
