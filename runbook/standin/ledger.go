package standin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"jwksbot/runbook"
)

// Ledger keeps the contract of the journal: a change is atomic, what it
// is given shares nothing with what is kept, and a second run never holds a
// resource that is held.
type Ledger struct {
	mu    sync.Mutex
	runs  map[string]runbook.Run
	Order []string
	audit []runbook.AuditEntry
	Folds []string
}

// NewLedger is empty.
func NewLedger() *Ledger { return &Ledger{runs: map[string]runbook.Run{}} }

func copyRun(r runbook.Run) runbook.Run {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	var out runbook.Run
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return out
}

func (l *Ledger) held(r runbook.Run) error {
	if !r.State.Holds() {
		return nil
	}
	for _, other := range l.runs {
		if other.ID != r.ID && other.Resource == r.Resource && other.State.Holds() {
			return &runbook.BusyError{Resource: r.Resource, Holder: copyRun(other)}
		}
	}
	return nil
}

// Create keeps a new run.
func (l *Ledger) Create(_ context.Context, run runbook.Run, audit ...runbook.AuditEntry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.runs[run.ID]; known {
		return fmt.Errorf("run %q exists", run.ID)
	}
	if err := l.held(run); err != nil {
		return err
	}
	l.runs[run.ID] = copyRun(run)
	l.Order = append(l.Order, run.ID)
	l.audit = append(l.audit, audit...)
	return nil
}

// Run reads a run.
func (l *Ledger) Run(_ context.Context, id string) (runbook.Run, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.runs[id]
	if !ok {
		return runbook.Run{}, fmt.Errorf("run %q: %w", id, runbook.ErrUnknownRun)
	}
	return copyRun(r), nil
}

// Runs reads what the filter selects.
func (l *Ledger) Runs(_ context.Context, f runbook.Filter) ([]runbook.Run, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.Limit == 0 {
		f.Limit = 100
	}
	var out []runbook.Run
	for i := len(l.Order) - 1; i >= 0 && len(out) < f.Limit; i-- {
		if r := l.runs[l.Order[i]]; selects(f, r) {
			out = append(out, copyRun(r))
		}
	}
	return out, nil
}

func selects(f runbook.Filter, r runbook.Run) bool {
	state := len(f.States) == 0
	for _, s := range f.States {
		state = state || s == r.State
	}
	at := r.NextAt()
	due := f.DueBefore.IsZero() || !at.IsZero() && !at.After(f.DueBefore)
	active := f.ActiveSince.IsZero() || r.EndedAt.IsZero() || !r.EndedAt.Before(f.ActiveSince)
	return state && due && active && (f.Resource == "" || f.Resource == r.Resource) && (f.Target == "" || f.Target == r.Target) && (!f.Unshown || r.Shown < r.Version)
}

// Change changes a run and keeps what is to be audited.
func (l *Ledger) Change(_ context.Context, id string, change func(*runbook.Run) ([]runbook.AuditEntry, error)) (runbook.Run, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, ok := l.runs[id]
	if !ok {
		return runbook.Run{}, fmt.Errorf("run %q: %w", id, runbook.ErrUnknownRun)
	}
	after := copyRun(before)
	audit, err := change(&after)
	if err != nil {
		return copyRun(before), err
	}
	if err := l.held(after); err != nil {
		return runbook.Run{}, err
	}
	after.Version++
	l.runs[id] = copyRun(after)
	l.audit = append(l.audit, audit...)
	return after, nil
}

// Note keeps an audit row.
func (l *Ledger) Note(_ context.Context, entries ...runbook.AuditEntry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.audit = append(l.audit, entries...)
	return nil
}

// NoteFolded writes every entry, and its fold.
func (l *Ledger) NoteFolded(_ context.Context, fold string, entry runbook.AuditEntry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.audit = append(l.audit, entry)
	l.Folds = append(l.Folds, fold)
	return nil
}

// Put writes a run as it is.
func (l *Ledger) Put(r runbook.Run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.runs[r.ID]; !known {
		l.Order = append(l.Order, r.ID)
	}
	l.runs[r.ID] = copyRun(r)
}

// Trail lists the kinds of the audit rows, oldest first.
func (l *Ledger) Trail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var kinds []string
	for _, a := range l.audit {
		kinds = append(kinds, a.Kind)
	}
	return strings.Join(kinds, " ")
}

// Everything is all that was recorded, for tests of what must not be.
func (l *Ledger) Everything() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := json.Marshal(map[string]any{"runs": l.runs, "audit": l.audit})
	if err != nil {
		panic(err)
	}
	return string(b)
}
