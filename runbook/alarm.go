package runbook

import (
	"context"
	"time"
)

// Alarm is what the on-call team is told when failures persist.
type Alarm struct {
	Key      string // the same for one run for ever: repeated, it is one incident
	Run      string
	Target   string
	Ticket   string
	Summary  string   // one sentence: what is wrong, since when, how bad
	Evidence []string // lines; redacted
	At       time.Time
}

// pager opens and closes an incident at a paging service. It repeats a call that
// failed while that can help and within bounds of its own, so that nobody else
// does; a state that is carried out again may call again.
type pager interface {
	Trigger(ctx context.Context, a Alarm) error
	Resolve(ctx context.Context, a Alarm) error
}

// publisher announces an alarm to subscribers. It cannot be taken back, and
// repeated it is announced again.
type publisher interface {
	Publish(ctx context.Context, a Alarm) (id string, err error)
}

// CanaryResult is what became of one sign-in that was tried for proof.
type CanaryResult struct {
	Accepted bool
	Status   int    // of the protected URL
	Kid      string // of the token that was used
	Text     string // one sentence
	Duration time.Duration
}

// canary gets a token from the identity provider and calls a protected URL.
type canary interface {
	Try(ctx context.Context) (CanaryResult, error)
}

// bridge asks CommandBridge to flush the cache. Its answer is a claim, never a
// proof.
type bridge interface {
	Flush(ctx context.Context, ticket, reason string) (claim string, err error)
}
