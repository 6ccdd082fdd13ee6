package drill

import (
	"context"
	"sync"
	"time"
)

// behind is how far what AWS tells of the traffic may lie behind it, as the
// ingestion of log lines takes its moment there, too.
const behind = 2 * time.Second

// traffic is how far the requests have come. A machine that is busy makes them
// later than they are due, the more so where time runs fast; whoever reads log
// and metrics meanwhile would take the lag for silence, and failures that have
// not come yet for failures that have stopped.
type traffic struct {
	mu    sync.Mutex
	made  time.Time // every request that was due before has been made
	moved chan struct{}
}

func newTraffic() *traffic { return &traffic{moved: make(chan struct{})} }

// reach says that every request before at has been made.
func (p *traffic) reach(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made = at
	close(p.moved)
	p.moved = make(chan struct{})
}

// soFar is now, or how far the requests have come if that is less.
func (p *traffic) soFar(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made.Before(now) && !p.made.IsZero() {
		return p.made
	}
	return now
}

// await waits until every request before at has been made, or until ctx ends.
func (p *traffic) await(ctx context.Context, at time.Time) {
	for {
		p.mu.Lock()
		made, moved := p.made, p.moved
		p.mu.Unlock()
		if !made.Before(at) {
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return
		}
	}
}
