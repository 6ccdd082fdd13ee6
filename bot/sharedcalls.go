package bot

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook/approve"
)

// sharedCalls asks one method of Slack, once for all who want to know the same at
// the same time, and keeps off it for as long as Slack asks.
type sharedCalls[T any] struct {
	method string

	mu    sync.Mutex
	calls map[string]*sharedCall[T]
	hold  time.Time // not before, as Slack asked
}

// sharedCall is one call; its answer is as old as its beginning.
type sharedCall[T any] struct {
	started time.Time
	done    chan struct{} // closed when value and err are there
	value   T
	err     error
}

func (c *sharedCall[T]) running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// maxSharedCalls bounds how many answers are remembered.
const maxSharedCalls = 5000

// callWithin is how long Slack has for an answer. Whoever waits for it may give
// up sooner.
const callWithin = 15 * time.Second

func newSharedCalls[T any](method string) *sharedCalls[T] {
	return &sharedCalls[T]{method: method, calls: map[string]*sharedCall[T]{}}
}

// do returns an answer about something that is not older than notOlder: that
// of a call that is over or under way, or of a new one. With a notOlder of 0 no
// call that is over counts. When Slack does not answer the error is a *runbook.Unanswered.
func (q *sharedCalls[T]) do(ctx context.Context, about string, notOlder time.Duration, call func(context.Context) (T, error)) (T, error) {
	for {
		c, err := q.join(ctx, about, notOlder, call)
		if err != nil {
			var none T
			return none, err
		}
		select {
		case <-ctx.Done():
			var none T
			return none, fmt.Errorf("%s: %w", q.method, ctx.Err())
		case <-c.done:
		}
		if c.err != nil || notOlder <= 0 || time.Since(c.started) < notOlder {
			return c.value, c.err
		}
		// It took too long to be true now.
	}
}

// join returns the call to wait for.
func (q *sharedCalls[T]) join(ctx context.Context, about string, notOlder time.Duration, call func(context.Context) (T, error)) (*sharedCall[T], error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c := q.calls[about]; c != nil && (time.Since(c.started) < notOlder || notOlder <= 0 && c.running()) {
		return c, nil
	}
	if left := time.Until(q.hold); left > 0 {
		return nil, &approve.Unanswered{Limited: true, After: left, Err: fmt.Errorf("%s: on hold for %s, as Slack asked", q.method, left.Round(time.Second))}
	}
	if len(q.calls) >= maxSharedCalls {
		clear(q.calls)
	}
	c := &sharedCall[T]{started: time.Now(), done: make(chan struct{})}
	q.calls[about] = c
	go q.run(context.WithoutCancel(ctx), about, c, call)
	return c, nil
}

// run makes a call, whoever still waits for it. A failure is not
// remembered.
func (q *sharedCalls[T]) run(ctx context.Context, about string, c *sharedCall[T], call func(context.Context) (T, error)) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	defer close(c.done)
	value, err := call(ctx)
	c.value, c.err = value, unanswered(q.method, err)
	if err == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.calls[about] == c {
		delete(q.calls, about)
	}
	var why *approve.Unanswered
	if errors.As(c.err, &why) && why.Limited {
		q.hold = time.Now().Add(why.After)
	}
}

// unanswered tells what Slack did not answer from what it refused.
func unanswered(method string, err error) error {
	if err == nil {
		return nil
	}
	named := withMissingScope(method, err)
	var limited *slack.RateLimitedError
	if errors.As(err, &limited) {
		return &approve.Unanswered{Limited: true, After: min(limited.RetryAfter, maxHold), Err: named}
	}
	if again := (*retryError)(nil); errors.As(classify(err), &again) {
		return &approve.Unanswered{Err: named}
	}
	return named
}
