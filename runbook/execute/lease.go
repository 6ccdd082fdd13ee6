package execute

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"jwksbot/runbook"
)

// Times of a lease, in real time.
const (
	// leaseEvery is how often the fence is asked.
	leaseEvery = runbook.LeaseFor / 4
	// leaseFresh is how old the answer may be when a batch begins, so that it
	// seldom ends in the middle of one.
	leaseFresh = runbook.LeaseFor / 2
	// leasePatience is how long a batch waits for an answer.
	leasePatience = 5 * runbook.LeaseFor
)

// errLeaseOver says that a lease had run out when something was to be sent.
var errLeaseOver = errors.New("nothing was sent: whether this process still executes was not confirmed within " + runbook.LeaseFor.String())

// lease is the Lease that the fence confirms. The fence is asked beside the work,
// so that no batch waits for it; each answer is good for LeaseFor, counted from
// the question, since the process may have been stopped and replaced meanwhile.
type lease struct {
	ask func(context.Context) error
	now func() time.Time

	mu      sync.Mutex
	asked   time.Time // the question that was last answered with yes
	refused error     // the answer to the last question, if it was no
	news    chan struct{}
}

// newLease asks the fence, and goes on asking until the returned function is
// called, which waits for the end of that. ask is asked within LeaseFor.
func newLease(ctx context.Context, ask func(context.Context) error) (*lease, func(), error) {
	l := &lease{ask: ask, now: time.Now, news: make(chan struct{})}
	if err := l.renew(ctx); err != nil {
		return nil, nil, err
	}
	return l, beside(ctx, leaseEvery, func(ctx context.Context) { _ = l.renew(ctx) }), nil // Hold and Check tell
}

// renew asks the fence once. An answer that comes later than it is good for is
// not waited for.
func (l *lease) renew(ctx context.Context) error {
	asked := l.now()
	within, cancel := context.WithTimeout(ctx, runbook.LeaseFor)
	defer cancel()
	err := l.ask(within)
	if err != nil && within.Err() != nil {
		return err // no answer is no refusal
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused = err; err == nil {
		l.asked = asked
	}
	close(l.news)
	l.news = make(chan struct{})
	return err
}

// Hold returns nil as soon as a batch may begin.
func (l *lease) Hold(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, leasePatience)
	defer cancel()
	for {
		age, news, refused := l.state()
		if refused != nil || age <= leaseFresh {
			return refused
		}
		select {
		case <-news:
		case <-patience.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%w, for %s: the journal's database is too slow", errLeaseOver, leasePatience)
		}
	}
}

// Check looks at the last answer.
func (l *lease) Check() error {
	age, _, refused := l.state()
	if refused == nil && age > runbook.LeaseFor {
		return errLeaseOver
	}
	return refused
}

// state tells how old the last yes is. The monotonic clock stands still while a
// machine is suspended, and the other one may be set: the older age counts.
func (l *lease) state() (age time.Duration, news <-chan struct{}, refused error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	return max(now.Sub(l.asked), now.Round(0).Sub(l.asked.Round(0))), l.news, l.refused
}

// beside calls do again and again, beside the work of the caller, until the
// returned function is called: it cancels what runs and waits for its end.
func beside(ctx context.Context, every time.Duration, do func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var owned sync.WaitGroup
	owned.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				do(ctx)
			}
		}
	})
	return func() {
		cancel()
		owned.Wait()
	}
}
