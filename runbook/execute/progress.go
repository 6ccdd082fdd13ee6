package execute

import (
	"context"
	"sync/atomic"
	"time"

	"jwksbot/runbook"
)

// progressEvery is how often people are told how far a step is.
const progressEvery = time.Second

// tally tells people how far a step is while it goes on. The work says how
// far it has come and never waits for the telling.
type tally struct {
	done, told atomic.Int64
	stop       func()
}

// count begins to tell how far the run's step is, as words puts it. Call stop
// when it is over. What is shown is no condition of the work: an error of it
// stops nothing.
func (m *Machine) count(ctx context.Context, run runbook.Run, words func(done int64) runbook.Progress) *tally {
	c := &tally{}
	c.stop = beside(ctx, progressEvery, func(ctx context.Context) {
		if done := c.done.Load(); done != c.told.Swap(done) {
			_ = m.show(ctx, run, words(done))
		}
	})
	return c
}
