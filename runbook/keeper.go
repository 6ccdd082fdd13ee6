package runbook

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Keeper carries out what time alone does to runs: reminders, expiry, and the
// end of approved runs that never started. Due times are stored with the runs,
// so that nothing is forgotten over a restart.
type Keeper struct {
	ledger ledger
	clock  Clock
	every  time.Duration
}

// NewKeeper returns a keeper that looks for due runs every second.
func NewKeeper(l ledger, clock Clock) *Keeper {
	return &Keeper{ledger: l, clock: clock, every: time.Second}
}

// Keep looks for due runs until the context ends. onError is told of what went
// wrong; the keeper goes on.
func (k *Keeper) Keep(ctx context.Context, onError func(error)) error {
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
func (k *Keeper) Sweep(ctx context.Context) error {
	now := k.clock.Now()
	due, err := k.ledger.Runs(ctx, Filter{DueBefore: now})
	if err != nil {
		return fmt.Errorf("due runs: %w", err)
	}
	var all []error
	for _, run := range due {
		if err := k.turn(ctx, run.ID, now); err != nil && !errors.Is(err, ErrMoved) {
			all = append(all, fmt.Errorf("run %s: %w", run.ID, err))
		}
	}
	return errors.Join(all...)
}

// turn does what is due to one run, if it still is.
func (k *Keeper) turn(ctx context.Context, id string, now time.Time) error {
	_, err := k.ledger.Change(ctx, id, func(r *Run) ([]AuditEntry, error) {
		switch at := r.NextAt(); {
		case at.IsZero() || at.After(now):
			return nil, ErrMoved
		case r.State == StatePending && !r.RemindAt.IsZero() && now.Before(r.ExpiresAt):
			r.RemindAt = time.Time{}
			return []AuditEntry{r.audit(now, AuditSelf, "reminder", "half of the time to decide is over")}, nil
		case r.State == StatePending:
			r.Outcome = fmt.Sprintf("Nobody decided within %s. Nothing was touched.", Duration(r.ExpiresAt.Sub(r.opened())))
		default:
			r.Outcome = fmt.Sprintf("It was approved but could not start within %s. Nothing was touched; check again before you request it anew.", Duration(startWithin))
		}
		if err := r.move(StateExpired, now); err != nil {
			return nil, err
		}
		return []AuditEntry{r.audit(now, AuditSelf, "state", "expired: "+r.Outcome)}, nil
	})
	return err
}
