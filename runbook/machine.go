package runbook

import (
	"context"
	"errors"
	"fmt"
	"time"
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
	// Changed is told of a target whose cache was changed; may be nil.
	Changed func(target string)
}

// NewMachine returns a machine for the targets.
func NewMachine(s MachineSettings) *Machine {
	m := &Machine{targets: map[string]*Target{}, ledger: s.Ledger, snaps: s.Snapshots, people: s.People, clock: s.Clock, guard: s.Guard, changed: s.Changed}
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
// executed again; what failed for good is a transition to failed.
func (m *Machine) Advance(ctx context.Context, run Run) (Transition, error) {
	t := m.targets[run.Target]
	if t == nil {
		return m.fail(run, nil, "Target %s is no longer configured. Nothing more is done.", run.Target), nil
	}
	switch run.State {
	case StateApproved:
		return m.start(ctx, t, run)
	case StateSnapshot:
		return m.snapshot(ctx, t, run)
	case StateFlush:
		return m.flush(ctx, t, run)
	case StateVerify:
		return m.verify(ctx, t, run)
	}
	return Transition{}, fmt.Errorf("run %s: nothing to execute in state %q", run.ID, run.State)
}

func (m *Machine) fail(run Run, receipt *Receipt, format string, args ...any) Transition {
	return Transition{From: run.State, To: StateFailed, Receipt: receipt, Outcome: fmt.Sprintf(format, args...)}
}

// start holds every rule against the world once more. Nothing was touched yet.
func (m *Machine) start(ctx context.Context, t *Target, run Run) (Transition, error) {
	if now := m.clock.Now(); !run.StartBy.IsZero() && now.After(run.StartBy) {
		return Transition{From: run.State, To: StateExpired, Outcome: fmt.Sprintf("It was approved %s ago and had not started. Nothing was touched; check again before you request it anew.", Duration(now.Sub(run.ApprovedAt)))}, nil
	}
	if err := m.stillAllowed(ctx, t, run); err != nil {
		return m.refused(run, err)
	}
	if err := cooledDown(ctx, m.ledger, t, m.clock.Now(), run.ID); err != nil {
		return m.refused(run, err)
	}
	plan, err := t.replan(ctx, run)
	if err != nil {
		return m.refused(run, err)
	}
	switch drift, why := run.Plan.Compare(plan); drift {
	case DriftHealed:
		return Transition{From: run.State, To: StateObsolete, Outcome: "Nothing is left to do: " + why + "."}, nil
	case DriftChanged:
		audit := run.audit(m.clock.Now(), AuditSelf, "replan", why)
		return Transition{From: run.State, To: StatePending, Plan: &plan, Audit: []AuditEntry{audit}}, nil
	}
	return Transition{From: run.State, To: StateSnapshot}, nil
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

// stillAllowed asks whether the approvers still may approve. A run never
// depends on the directory to go on: what it cannot answer stands as decided.
func (m *Machine) stillAllowed(ctx context.Context, t *Target, run Run) error {
	if m.people == nil {
		return nil
	}
	for _, a := range run.Approvals() {
		if p, err := m.people.Person(ctx, a.By.ID); err == nil && p.Kind != KindUnknown && admit(p) != nil {
			return refuse(RefusedKind, "%s, who approved it, is no full member of this workspace any more.", a.By.Label())
		}
		ok, err := listed(ctx, m.people, a.By.ID, t.Policy.Approvers, false)
		if err == nil && !ok {
			return refuse(RefusedRight, "%s, who approved it, may not approve mitigations of %s any more.", a.By.Label(), t.Name)
		}
	}
	return nil
}

// snapshot copies what will be deleted: the planned entries that still say
// what was approved. What was rewritten since is left out, and so survives.
func (m *Machine) snapshot(ctx context.Context, t *Target, run Run) (Transition, error) {
	begin := m.clock.Now()
	names := make([]string, len(run.Plan.Entries))
	meant := map[string]string{}
	for i, e := range run.Plan.Entries {
		names[i], meant[e.Name] = e.Name, e.Meaning
	}
	all, err := t.Entries.Snapshot(ctx, names)
	if err != nil {
		return Transition{}, fmt.Errorf("snapshot of %s: %w", plural(len(names), "entry", "entries"), err)
	}
	saved, bytes := all[:0], 0
	for _, s := range all {
		if t.read(s.RawEntry).meaning() == meant[s.Name] {
			saved = append(saved, s)
			bytes += len(s.Payload)
		}
	}
	if len(saved) == 0 {
		return Transition{From: run.State, To: StateObsolete, Outcome: "Nothing is left to do: none of the planned entries is left as it was."}, nil
	}
	if err := m.guard(ctx); err != nil {
		return Transition{}, err
	}
	if err := m.snaps.SaveSnapshot(ctx, run.ID, saved); err != nil {
		return Transition{}, err
	}
	summary := fmt.Sprintf("%s kept (%s bytes)", plural(len(saved), "entry", "entries"), Thousands(int64(bytes)))
	proof := []string{"digest of what was kept: " + digestOf(saved)}
	if n := len(names) - len(saved); n > 0 {
		proof = append(proof, fmt.Sprintf("%s gone or rewritten since the approval, left alone", plural(n, "entry", "entries")))
	}
	receipt := Receipt{Step: "snapshot", Status: StatusOK, Summary: summary, Proof: proof, StartedAt: begin, EndedAt: m.clock.Now()}
	return Transition{From: run.State, To: StateFlush, Receipt: &receipt}, nil
}

// flushAttempts is how often a flush that broke off is tried before the run
// stops with what was done.
const flushAttempts = 3

// flush deletes the entries of the snapshot. It may be cut off anywhere: what
// was deleted is recorded batch by batch, and the rest is tried again.
func (m *Machine) flush(ctx context.Context, t *Target, run Run) (Transition, error) {
	begin := m.clock.Now()
	saved, err := m.snaps.Snapshot(ctx, run.ID)
	if err != nil {
		return Transition{}, err
	}
	for attempt := 1; ; attempt++ {
		if err := m.guard(ctx); err != nil {
			return Transition{}, err
		}
		err = m.deleteAll(ctx, t, run, saved)
		if err == nil || attempt == flushAttempts || ctx.Err() != nil {
			break
		}
		if werr := m.clock.Wait(ctx, time.Duration(attempt)*time.Second); werr != nil {
			return Transition{}, werr
		}
	}
	m.changed(run.Target)
	if ctx.Err() != nil {
		return Transition{}, ctx.Err()
	}
	receipt, rerr := m.flushReceipt(ctx, run, saved, begin)
	if rerr != nil {
		return Transition{}, rerr
	}
	audit := run.audit(receipt.EndedAt, AuditSelf, "effect", "flush-cache: "+receipt.Summary)
	if err != nil {
		receipt.Status = StatusFail
		tr := m.fail(run, &receipt, "The flush broke off: %v. %s.", err, capital(receipt.Summary))
		tr.Audit = []AuditEntry{audit}
		return tr, nil
	}
	return Transition{From: run.State, To: StateVerify, Receipt: &receipt, Audit: []AuditEntry{audit}}, nil
}

// deleteAll deletes what is left of the snapshot and records each batch.
func (m *Machine) deleteAll(ctx context.Context, t *Target, run Run, saved []Saved) error {
	fates, err := m.snaps.Fates(ctx, run.ID)
	if err != nil {
		return err
	}
	settled := map[string]bool{}
	for _, f := range fates {
		settled[f.Name] = f.Fate != "" && f.Fate != FateLeft
	}
	var todo []Saved
	for _, s := range saved {
		if !settled[s.Name] {
			todo = append(todo, s)
		}
	}
	done := len(saved) - len(todo)
	return t.Entries.Delete(ctx, todo, func(batch []EntryFate) error {
		// The outcome of a batch is kept even when the run is being stopped.
		keep := context.WithoutCancel(ctx)
		if err := m.snaps.MarkFates(keep, run.ID, batch); err != nil {
			return err
		}
		if done += len(batch); done < len(saved) {
			if err := m.progress(keep, run, done, len(saved)); err != nil {
				return err
			}
		}
		return m.guard(ctx)
	})
}

func (m *Machine) progress(ctx context.Context, run Run, done, total int) error {
	_, err := m.ledger.Change(ctx, run.ID, func(r *Run) ([]AuditEntry, error) {
		if r.State != run.State {
			return nil, ErrMoved
		}
		r.Progress = Progress{Done: done, Total: total}
		return nil, nil
	})
	return err
}

// flushReceipt counts what became of the entries, from the journal.
func (m *Machine) flushReceipt(ctx context.Context, run Run, saved []Saved, begin time.Time) (Receipt, error) {
	fates, err := m.snaps.Fates(ctx, run.ID)
	if err != nil {
		return Receipt{}, err
	}
	n := map[Fate]int{}
	shards := map[string]bool{}
	for _, f := range fates {
		n[f.Fate]++
		if f.Fate == FateDeleted {
			shards[f.Shard] = true
		}
	}
	r := Receipt{Step: string(FlushCache), Status: StatusOK, StartedAt: begin, EndedAt: m.clock.Now(), Proof: []string{}}
	r.Summary = fmt.Sprintf("%s deleted on %s", plural(n[FateDeleted], "old entry", "old entries"), plural(max(1, len(shards)), "shard", "shards"))
	if n[FateRewritten] > 0 {
		r.Proof = append(r.Proof, plural(n[FateRewritten], "entry was", "entries were")+" rewritten since the snapshot and left alone")
	}
	if n[FateGone] > 0 {
		r.Proof = append(r.Proof, plural(n[FateGone], "entry was", "entries were")+" gone already")
	}
	return r, nil
}
