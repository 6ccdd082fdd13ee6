package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"jwksbot/runbook"
)

// carrier is whether this terminal was last told that it carries the run out.
type carrier bool

// tell says so whenever it changes.
func (c *carrier) tell(w *world, executing bool) {
	switch {
	case executing && !bool(*c):
		fmt.Fprintln(w.stderr, "no bot is running: this terminal carries the run out, so leave it open")
	case !executing && bool(*c):
		fmt.Fprintln(w.stderr, "a bot is running now and carries the run out: this terminal only watches")
	}
	*c = carrier(executing)
}

// waitable says that the journal will be there again. One whose file was
// deleted or replaced is not waited for.
func waitable(err error) bool {
	var l *runbook.LedgerError
	return errors.As(err, &l) && l.Away && !l.Lost
}

// awaitJournal waits until the run can be read again.
func (a *app) awaitJournal(ctx context.Context, w *world, id string) error {
	fmt.Fprintf(w.stderr, "%s  the journal is away; nothing is lost, waiting for it\n", a.clock.Now().Format(time.TimeOnly))
	for {
		if err := (runbook.SystemClock{}).Wait(ctx, time.Second); err != nil {
			return interrupted(id)
		}
		if _, err := a.journal.Run(ctx, id); !waitable(err) {
			return nil
		}
	}
}
