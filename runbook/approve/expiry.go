package approve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"jwksbot/runbook"
)

// ExpiryScheduler carries out what time alone does to runs: reminders, expiry, and the
// end of approved runs that never started. Due times are stored with the runs,
// so that nothing is forgotten over a restart.
type ExpiryScheduler struct {
	ledger Ledger
	clock  runbook.Clock
	every  time.Duration
}

// NewExpiryScheduler returns a keeper that looks for due runs every second.
func NewExpiryScheduler(l Ledger, clock runbook.Clock) *ExpiryScheduler {
	return &ExpiryScheduler{ledger: l, clock: clock, every: time.Second}
}

// Keep looks for due runs until the context ends. onError is told of what went
// wrong; the keeper goes on.
func (k *ExpiryScheduler) Keep(ctx context.Context, onError func(error)) error {
	for {
		if err := k.Sweep(ctx); err != nil && ctx.Err() == nil {
			onError(err)
		}
		if err := k.clock.Wait(ctx, k.every); err != nil {
			return err
		}
	}
}

// Sweep changes every run that is due now.
func (k *ExpiryScheduler) Sweep(ctx context.Context) error {
	now := k.clock.Now()
	due, err := k.ledger.Runs(ctx, runbook.Filter{DueBefore: now})
	if err != nil {
		return fmt.Errorf("due runs: %w", err)
	}
	var all []error
	for _, run := range due {
		if err := k.turn(ctx, run.ID, now); err != nil && !errors.Is(err, runbook.ErrMoved) {
			all = append(all, fmt.Errorf("run %s: %w", run.ID, err))
		}
	}
	return errors.Join(all...)
}

// turn does what is due to one run, if it still is.
func (k *ExpiryScheduler) turn(ctx context.Context, id string, now time.Time) error {
	_, err := k.ledger.Change(ctx, id, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		switch at := r.NextAt(); {
		case at.IsZero() || at.After(now):
			return nil, runbook.ErrMoved
		case r.State == runbook.StatePending && !r.RemindAt.IsZero() && now.Before(r.ExpiresAt):
			r.RemindAt = time.Time{}
			return []runbook.AuditEntry{Audit(*r, now, runbook.AuditSelf, "reminder", "half of the time to decide is over")}, nil
		case r.State == runbook.StatePending:
			r.Outcome = fmt.Sprintf("Nobody decided within %s. Nothing was touched.", runbook.Duration(r.ExpiresAt.Sub(r.Opened())))
		default:
			r.Outcome = fmt.Sprintf("It was approved but could not start within %s. Nothing was touched; check again before you request it again.", runbook.Duration(startWithin))
		}
		if err := r.Move(runbook.StateExpired, now); err != nil {
			return nil, err
		}
		return []runbook.AuditEntry{Audit(*r, now, runbook.AuditSelf, "state", "expired: "+r.Outcome)}, nil
	})
	return err
}
