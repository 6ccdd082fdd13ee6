package runbook

import (
	"context"
	"errors"
	"fmt"
)

// Machine executes runs, one state at a time. It decides nothing that people
// decide; it holds every rule once more against the world before it acts.
//
// Each state may be executed again after a crash: approved and verify only
// read; snapshot replaces what it wrote before; flush deletes exactly the
// entries of the snapshot that are still byte for byte as they were.
type Machine struct {
	targets map[string]*Target
	ledger  ledger
	snaps   snapshots
	people  Directory
	clock   Clock
	guard   func(context.Context) error
	changed func(target string)

	verified string
}

// MachineSettings are what a Machine needs.
type MachineSettings struct {
	Targets   []*Target
	Ledger    ledger
	Snapshots snapshots
	People    Directory
	Clock     Clock
	// Guard is asked before every effect whether this process still is the one
	// that executes; nil means it always is.
	Guard func(context.Context) error
	// Changed is told of a target that was changed; may be nil.
	Changed func(target string)
	// Verified is where rights are looked at, if not by serve.
	Verified string
}

// NewMachine returns a machine for the targets.
func NewMachine(s MachineSettings) *Machine {
	m := &Machine{targets: map[string]*Target{}, ledger: s.Ledger, snaps: s.Snapshots, people: s.People, clock: s.Clock, guard: s.Guard, changed: s.Changed, verified: s.Verified}
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
func (m *Machine) Advance(ctx context.Context, run Run) (Transition, error) {
	t := m.targets[run.Target]
	if t == nil {
		return m.fail(run, nil, "Target %s is no longer configured. Nothing more is done.", run.Target), nil
	}
	work := map[State]func(context.Context, *Target, Run) (Transition, error){
		StateApproved: m.start, StateSnapshot: m.snapshot, StateFlush: m.flush, StateVerify: m.verify, StateRestart: m.restart,
		StateGateway: m.gateway, StateConfirm: m.confirm, StateWatch: m.watch, StateEscalate: m.escalate, StateRestore: m.restore,
	}[run.State]
	if work == nil {
		return Transition{}, fmt.Errorf("run %s: nothing to execute in state %q", run.ID, run.State)
	}
	if instead, ok, err := m.clear(ctx, t, run); !ok || err != nil {
		return instead, err
	}
	return work(ctx, t, run)
}

// fail ends a run that touched nothing, or whose end people know already.
func (m *Machine) fail(run Run, receipt *Receipt, format string, args ...any) Transition {
	return Transition{From: run.State, To: StateFailed, Receipt: receipt, Outcome: fmt.Sprintf(format, args...)}
}

// start holds every rule against the world once more. Nothing was touched yet.
func (m *Machine) start(ctx context.Context, t *Target, run Run) (Transition, error) {
	if now := m.clock.Now(); !run.StartBy.IsZero() && now.After(run.StartBy) {
		return Transition{From: run.State, To: StateExpired, Outcome: fmt.Sprintf("It was approved %s ago and had not started. Nothing was touched; check again before you request it anew.", Duration(now.Sub(run.ApprovedAt)))}, nil
	}
	if busy, err := rival(ctx, m.ledger, run); err != nil {
		return Transition{}, err
	} else if busy != nil {
		return m.fail(run, nil, "Not started: %s, then request it again. Nothing was touched.", busy.Error()), nil
	}
	if run.Plan.Has(FlushCache) {
		if err := cooledDown(ctx, m.ledger, t, m.clock.Now(), run.ID); err != nil {
			return m.refused(run, err)
		}
	}
	c, err := recheck(ctx, t, m.ledger, m.snaps, run, m.clock.Now())
	if err != nil {
		return m.refused(run, err)
	}
	switch {
	case c.drift == DriftHealed:
		return Transition{From: run.State, To: StateObsolete, Outcome: "Nothing is left to do: " + c.why + "."}, nil
	case c.drift == DriftChanged && run.BreakGlass != "":
		// Nobody is there to look at the new plan.
		return m.fail(run, nil, "Not started: things changed since it was requested (%s). Nothing was touched; look again before you repeat it.", c.why), nil
	case c.drift == DriftChanged:
		audit := run.audit(m.clock.Now(), AuditSelf, "replan", c.why)
		return Transition{From: run.State, To: StatePending, Plan: &c.plan, Changes: c.why, Audit: []AuditEntry{audit}}, nil
	}
	if instead, ok, err := m.allowed(ctx, t, run); !ok || err != nil {
		return instead, err
	}
	return Transition{From: run.State, To: t.next(run, StateApproved), Unlisted: c.unlisted, More: c.more}, nil
}

// refused ends a run that may no longer be executed; anything else that went
// wrong is tried again.
func (m *Machine) refused(run Run, err error) (Transition, error) {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		return Transition{}, err
	}
	if refusal.Code == RefusedUnread && m.clock.Now().Before(run.StartBy) {
		return Transition{}, err // perhaps the next attempt can read
	}
	return m.fail(run, nil, "Not started: %s Nothing was touched.", refusal.Text), nil
}
