package journal

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"jwksbot/runbook"
)

// retryDelays are the pauses between attempts of one state, on the journal's
// clock.
var retryDelays = [...]time.Duration{time.Second, 3 * time.Second, 10 * time.Second}

// writeLimit is how long the result of a step may still be written after the
// step was told to stop.
const writeLimit = 3 * time.Second

// stateSuperseded ends the workflow of a generation that is no longer the run's.
const stateSuperseded runbook.State = "superseded"

// errPanic marks an attempt that ended in a panic; it is not tried again.
var errPanic = errors.New("it panicked")

// carry does one state of a run and returns the one that the row is in
// afterwards. While the executor stops it waits for gone, so that the engine
// records nothing and the next executor does the state.
func (x *executor) carry(gone <-chan struct{}, w work) (runbook.State, error) {
	ok, taken := x.begin(w.Run)
	if taken {
		return stateSuperseded, nil
	}
	if !ok {
		<-gone
		return "", runbook.ErrNotExecutor
	}
	next, err := func() (runbook.State, error) {
		defer x.finish(w.Run)
		return x.step(w)
	}()
	if err != nil {
		<-gone
	}
	return next, err
}

// step returns an error only when the executor stops.
func (x *executor) step(w work) (runbook.State, error) {
	run, next, err := x.whenDue(w)
	if err != nil || next != "" {
		return next, err
	}
	t, err := x.attempt(run)
	if err != nil {
		return "", err
	}
	return x.apply(run, w, t)
}

// dueLook is how often a run that is not due yet is looked at: people may move
// it on meanwhile.
const dueLook = 5 * time.Second

// whenDue returns the run once its state wants to be executed, or the state that
// the row alone leads to. The wait ends at once when the draining begins.
func (x *executor) whenDue(w work) (run runbook.Run, next runbook.State, err error) {
	for {
		if run, err = x.load(w.Run); err != nil {
			return run, "", err
		}
		if next, done := whereTo(run, w); done {
			return run, next, nil
		}
		left := run.Due().Sub(x.j.now())
		if left <= 0 {
			return run, "", nil
		}
		if err := x.j.clock.Wait(x.waits, min(left, dueLook)); err != nil {
			return run, "", runbook.ErrNotExecutor
		}
	}
}

// whereTo says what the row alone decides: another generation, or a state that
// an earlier execution of this step has led to.
func whereTo(run runbook.Run, w work) (runbook.State, bool) {
	switch {
	case run.Generation != w.Generation:
		return stateSuperseded, true
	case run.State != w.State, !run.State.Executes():
		return run.State, true
	}
	return "", false
}

// load reads the run, and goes on trying while the journal cannot be read.
func (x *executor) load(id string) (runbook.Run, error) {
	for {
		run, err := x.j.Run(x.ctx, id)
		if err == nil {
			return run, nil
		}
		if err := x.pause("read", id, err); err != nil {
			return runbook.Run{}, err
		}
	}
}

// pause waits a moment after an error of the journal itself.
func (x *executor) pause(op, id string, err error) error {
	if x.ctx.Err() != nil {
		return context.Cause(x.ctx)
	}
	if !runbook.LedgerAway(err) {
		x.j.log.Error("the journal cannot be used, trying on", "op", op, "run", id, "error", err)
	}
	if err := (runbook.SystemClock{}).Wait(x.ctx, time.Second); err != nil {
		return context.Cause(x.ctx)
	}
	return nil
}

// attempt carries out the state until it succeeds; after the last attempt the
// run fails. The error is that of the executor, never that of the run.
func (x *executor) attempt(run runbook.Run) (runbook.Transition, error) {
	for n := 0; ; n++ {
		t, err := x.once(run)
		if err == nil {
			return t, nil
		}
		refused := errors.Is(err, runbook.ErrNotExecutor) // by Guard
		if refused && !x.yields.Load() {
			x.cancel(err)
		}
		if refused || x.ctx.Err() != nil || x.waits.Err() != nil && errors.Is(err, context.Canceled) {
			return runbook.Transition{}, runbook.ErrNotExecutor
		}
		if runbook.LedgerAway(err) { // no fault of the step
			if err := x.pause("use", run.ID, err); err != nil {
				return runbook.Transition{}, err
			}
			n--
			continue
		}
		log := x.j.log.With("run", run.ID, "state", run.State, "attempt", n+1)
		if n == len(retryDelays) || errors.Is(err, errPanic) {
			log.Error("a step of a run failed", "error", err)
			return failure(run, fmt.Sprintf("The step %q failed: %v.", run.State, err)), nil
		}
		log.Warn("a step of a run failed, trying again", "error", err)
		if err := x.j.clock.Wait(x.waits, retryDelays[n]); err != nil {
			return runbook.Transition{}, runbook.ErrNotExecutor
		}
	}
}

// once is one attempt; a panic in it is an error.
func (x *executor) once(run runbook.Run) (t runbook.Transition, err error) {
	defer func() {
		if p := recover(); p != nil {
			x.j.log.Error("a step of a run panicked", "run", run.ID, "state", run.State, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("%w; the log of jwksbot has the details", errPanic)
		}
	}()
	ctx := x.ctx
	if !run.State.Holds() {
		ctx = x.waits // it only reads and waits: nothing is lost when it ends at once
	}
	return x.advance(ctx, run)
}

func failure(run runbook.Run, outcome string) runbook.Transition { return run.Broken(outcome) }

// apply records what the state led to, and goes on trying while the journal
// cannot be written. It is done even when the step was told to stop meanwhile:
// its effect has happened.
func (x *executor) apply(run runbook.Run, w work, t runbook.Transition) (runbook.State, error) {
	for {
		next, err := x.applyOnce(run, w, t)
		switch {
		case err == nil:
			return next, nil
		case errors.Is(err, runbook.ErrNotExecutor):
			x.cancel(runbook.ErrNotExecutor)
			return "", err
		case errors.Is(err, runbook.ErrMoved):
			now, err := x.load(run.ID)
			if err != nil {
				return "", err
			}
			if next, moved := whereTo(now, w); moved {
				return next, nil
			}
			x.j.log.Error("a step led to a state that is not allowed", "run", run.ID, "from", t.From, "to", t.To)
			t = failure(run, fmt.Sprintf("The step %q failed: it led to the state %q, which cannot follow. This is a fault of jwksbot.", run.State, t.To))
		default:
			if err := x.pause("write", run.ID, err); err != nil {
				return "", err
			}
		}
	}
}

func (x *executor) applyOnce(run runbook.Run, w work, t runbook.Transition) (runbook.State, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), busyTimeout+writeLimit)
	defer cancel()
	now := x.j.now()
	changed, err := x.j.change(ctx, run.ID, x.fence, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		if _, moved := whereTo(*r, w); moved {
			return nil, runbook.ErrMoved
		}
		from := r.State
		if err := r.Apply(t, now); err != nil {
			return nil, err
		}
		detail := fmt.Sprintf("%s to %s", from, r.State)
		if t.Outcome != "" {
			detail += ": " + t.Outcome
		}
		rows := t.Audit[:len(t.Audit):len(t.Audit)]
		if from == r.State {
			return rows, nil // another minute of a watch is no change of state
		}
		return append(rows, runbook.AuditEntry{
			At: now, Actor: runbook.AuditSelf, Kind: "state", Detail: detail}), nil
	})
	if err != nil {
		return "", err
	}
	if changed.Generation != w.Generation {
		return stateSuperseded, nil
	}
	return changed.State, nil
}
