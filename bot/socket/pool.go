package socket

import (
	"context"
	"sync"
	"sync/atomic"
)

// pool is the work under way of a session, each in a goroutine of its own,
// bounded by its lane.
type pool struct {
	client          *Client
	lanes           [lanes]*lane
	refusalsQueued  chan struct{} // one per refusal that is yet to be told
	refusalsSending chan struct{} // one per refusal that is being told
}

// Refusals of clicks are told over HTTP: so many at a time, and so many that
// wait for that.
const (
	refusalsAtOnce  = 16
	refusalsWaiting = 1024
)

func (s *Client) newPool(ctx context.Context) *pool {
	p := &pool{client: s, refusalsQueued: make(chan struct{}, refusalsWaiting), refusalsSending: make(chan struct{}, refusalsAtOnce)}
	p.lanes[LaneQuick] = newLane(ctx, s.set.Quick)
	p.lanes[LaneSlow] = newLane(ctx, s.set.Slow)
	return p
}

// job is the work of one envelope that there is room for. One that has nothing
// to do takes no room.
type job struct {
	Work
	env  Envelope
	lane *lane
}

// take makes room for work; where there is none it returns what the sender is
// to be told.
func (p *pool) take(env Envelope, w Work) (j job, refused string) {
	if w.Do == nil {
		return job{Work: w, env: env}, ""
	}
	l := p.lanes[w.Lane]
	if refused := l.take(w.Person); refused != "" {
		return job{}, refused
	}
	return job{w, env, l}, ""
}

// start begins the work.
func (p *pool) start(j job) {
	if j.lane == nil {
		return
	}
	go func() {
		defer j.drop()
		defer func() { p.client.recovered(j.env, recover()) }()
		j.Do(j.lane.ctx)
	}()
}

// drop gives the room back.
func (j job) drop() {
	if j.lane != nil {
		j.lane.leave(j.Person)
	}
}

// drain ends all lanes at once and returns how many envelopes were left.
func (p *pool) drain() int {
	var left atomic.Int64
	var wg sync.WaitGroup
	for _, l := range p.lanes {
		wg.Go(func() { left.Add(int64(l.drain())) })
	}
	wg.Wait()
	return int(left.Load())
}
