package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

// runAsExecutor runs fn while this process executes the journal, or another one
// does: if that one ends and no bot is running, this one takes over.
func (a *app) runAsExecutor(ctx context.Context, w *world, fn func(context.Context) error) error {
	around, stop := context.WithCancel(ctx)
	group, around := errgroup.WithContext(around)
	group.Go(func() error { return a.journal.StandIn(around, a.machine.Advance) })
	group.Go(func() error {
		return a.keeper.Keep(around, func(err error) { w.background("due runs", err) })
	})
	open, closes := context.WithCancel(around)
	served := make(chan struct{})
	group.Go(func() error {
		defer close(served)
		return a.server.Serve(around, open)
	})
	err := fn(around)
	// Whoever is being served gets the answer: the run that fn has waited for may
	// have ended by it.
	closes()
	select {
	case <-served:
	case <-time.After(closeWithin):
	}
	if around.Err() != nil && ctx.Err() == nil && errors.Is(err, context.Canceled) {
		err = nil // the reason is the group's
	}
	stop()
	if gerr := group.Wait(); gerr != nil && !errors.Is(gerr, context.Canceled) {
		err = errors.Join(err, gerr)
	}
	return err
}
