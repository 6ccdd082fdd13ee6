package execute

import (
	"context"
	"errors"
	"fmt"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

// Machine executes runs, one state at a time. It decides nothing that people
// decide; it holds every rule once more against the world before it acts.
//
// Each state may be executed again after a crash: approved and verify only
// read; snapshot replaces what it wrote before; flush deletes exactly the
// entries of the snapshot that are still byte for byte as they were.
type Machine struct {
	targets map[string]*check.Target
	ledger  approve.Ledger
	snaps   approve.Snapshots
	people  approve.Directory
	clock   runbook.Clock
	guard   func(context.Context) error
	changed func(target string)

	verified string
}

// Settings are what a Machine needs.
type Settings struct {
	Targets   []*check.Target
	Ledger    approve.Ledger
	Snapshots approve.Snapshots
	People    approve.Directory
	Clock     runbook.Clock
	// Guard is asked before every effect whether this process still is the one
	// that executes; nil means it always is.
	Guard func(context.Context) error
	// Changed is told of a target that was changed; may be nil.
	Changed func(target string)
	// Verified is where rights are looked at, if not by serve.
	Verified string
}

// New returns a machine for the targets.
func New(s Settings) *Machine {
	m := &Machine{targets: map[string]*check.Target{}, ledger: s.Ledger, snaps: s.Snapshots, people: s.People, clock: s.Clock, guard: s.Guard, changed: s.Changed, verified: s.Verified}
	for _, t := range s.Targets {
		m.targets[t.Name] = t
	}
	if m.guard == nil {
		m.guard = func(context.Context) error { return nil }
	}
	if m.changed == nil {
		m.changed = func(string) {}
	}
	return m
}

// Advance does the work of the run's present state and returns what follows. A
// returned error means that the state could not be executed and should be
// executed again; what failed for good is a transition to failed. A run that is
// watched is to be advanced when its Due has come.
func (m *Machine) Advance(ctx context.Context, run runbook.Run) (runbook.Transition, error) {
	t := m.targets[run.Target]
	if t == nil {
		return m.fail(run, nil, "Target %s is no longer configured. Nothing more is done.", run.Target), nil
	}
	work := map[runbook.State]func(context.Context, *check.Target, runbook.Run) (runbook.Transition, error){
		runbook.StateApproved: m.start, runbook.StateSnapshot: m.snapshot, runbook.StateFlush: m.flush, runbook.StateVerify: m.verify, runbook.StateRestart: m.restart,
		runbook.StateGateway: m.gateway, runbook.StateConfirm: m.confirm, runbook.StateWatch: m.watch, runbook.StateEscalate: m.escalate, runbook.StateRestore: m.restore,
	}[run.State]
	if work == nil {
		return runbook.Transition{}, fmt.Errorf("run %s: nothing to execute in state %q", run.ID, run.State)
	}
	if instead, ok, err := m.clear(ctx, t, run); !ok || err != nil {
		return instead, err
	}
	return work(ctx, t, run)
}

// fail ends a run that touched nothing, or whose end people know already.
func (m *Machine) fail(run runbook.Run, receipt *runbook.Receipt, format string, args ...any) runbook.Transition {
	return runbook.Transition{From: run.State, To: runbook.StateFailed, Receipt: receipt, Outcome: fmt.Sprintf(format, args...)}
}

// start holds every rule against the world once more. Nothing was touched yet.
func (m *Machine) start(ctx context.Context, t *check.Target, run runbook.Run) (runbook.Transition, error) {
	if now := m.clock.Now(); !run.StartBy.IsZero() && now.After(run.StartBy) {
		return runbook.Transition{From: run.State, To: runbook.StateExpired, Outcome: fmt.Sprintf("It was approved %s ago and had not started. Nothing was touched; check again before you request it again.", runbook.Duration(now.Sub(run.ApprovedAt)))}, nil
	}
	if busy, err := approve.ConflictingRun(ctx, m.ledger, run); err != nil {
		return runbook.Transition{}, err
	} else if busy != nil {
		return m.fail(run, nil, "Not started: %s, then request it again. Nothing was touched.", busy.Error()), nil
	}
	if run.Plan.Has(runbook.FlushCache) {
		if err := approve.CooledDown(ctx, m.ledger, t, m.clock.Now(), run.ID); err != nil {
			return m.refused(run, err)
		}
	}
	c, err := approve.Recheck(ctx, t, m.ledger, m.snaps, run, m.clock.Now())
	if err != nil {
		return m.refused(run, err)
	}
	switch {
	case c.Drift == approve.DriftHealed:
		return runbook.Transition{From: run.State, To: runbook.StateObsolete, Outcome: "Nothing is left to do: " + c.Why + "."}, nil
	case c.Drift == approve.DriftChanged && run.BreakGlass != "":
		// Nobody is there to look at the new plan.
		return m.fail(run, nil, "Not started: things changed since it was requested (%s). Nothing was touched; look again before you repeat it.", c.Why), nil
	case c.Drift == approve.DriftChanged:
		audit := approve.Audit(run, m.clock.Now(), runbook.AuditSelf, "replan", c.Why)
		return runbook.Transition{From: run.State, To: runbook.StatePending, Plan: &c.Plan, Changes: c.Why, Audit: []runbook.AuditEntry{audit}}, nil
	}
	if instead, ok, err := m.allowed(ctx, t, run); !ok || err != nil {
		return instead, err
	}
	return runbook.Transition{From: run.State, To: next(t, run, runbook.StateApproved), Unlisted: c.Unlisted, More: c.More}, nil
}

// refused ends a run that may no longer be executed; anything else that went
// wrong is tried again.
func (m *Machine) refused(run runbook.Run, err error) (runbook.Transition, error) {
	var refusal *runbook.Refusal
	if !errors.As(err, &refusal) {
		return runbook.Transition{}, err
	}
	if refusal.Code == runbook.RefusedUnread && m.clock.Now().Before(run.StartBy) {
		return runbook.Transition{}, err // perhaps the next attempt can read
	}
	return m.fail(run, nil, "Not started: %s Nothing was touched.", refusal.Text), nil
}
