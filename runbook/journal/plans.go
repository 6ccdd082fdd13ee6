package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"jwksbot/runbook"
)

// A plan may list ten thousand entries, and a run is written again with every
// step of its life. The lists of such a plan are written once, into the table
// plans, and read once by those who follow the run.

// apartFrom is how many entries the lists of a plan have at least that are kept
// apart from the run.
const apartFrom = 100

// listsOf is a plan with its lists alone.
func listsOf(p runbook.Plan) runbook.Plan {
	lists := runbook.Plan{Entries: p.Entries, Untouched: p.Untouched}
	if p.Restore != nil {
		lists.Restore = &runbook.RestorePlan{Entries: p.Restore.Entries}
	}
	return lists
}

// withLists is a plan with the lists of another one.
func withLists(p, lists runbook.Plan) runbook.Plan {
	p.Entries, p.Untouched = lists.Entries, lists.Untouched
	if p.Restore != nil {
		restore := *p.Restore
		restore.Entries = nil
		if lists.Restore != nil {
			restore.Entries = lists.Restore.Entries
		}
		p.Restore = &restore
	}
	return p
}

// bare is the run with a plan that lists nothing.
func bare(run runbook.Run) runbook.Run {
	run.Plan = withLists(run.Plan, runbook.Plan{Entries: []runbook.PlanEntry{}})
	return run
}

func isApart(p runbook.Plan) bool {
	n := len(p.Entries) + len(p.Untouched)
	if p.Restore != nil {
		n += len(p.Restore.Entries)
	}
	return n >= apartFrom
}

// sameLists says that a plan has the very lists of another one. They are shared
// by all who read the run: nobody changes them in place.
func sameLists(a, b runbook.Plan) bool {
	a, b = listsOf(a), listsOf(b)
	if (a.Restore == nil) != (b.Restore == nil) {
		return false
	}
	return same(a.Entries, b.Entries) && same(a.Untouched, b.Untouched) &&
		(a.Restore == nil || same(a.Restore.Entries, b.Restore.Entries))
}

func same[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// copyOf is a run that shares nothing with the other one but the lists of its
// plan.
func copyOf(run runbook.Run) (out runbook.Run, body []byte, err error) {
	if body, err = json.Marshal(bare(run)); err != nil {
		return out, nil, err
	}
	err = json.Unmarshal(body, &out)
	out.Plan = withLists(out.Plan, listsOf(run.Plan))
	return out, body, err
}

// savePlan keeps the lists of the run's present plan, apart if they are long.
func (t *tx) savePlan(ctx context.Context, run runbook.Run) error {
	if _, err := t.exec(ctx, `DELETE FROM plans WHERE run_id = ? AND generation = ?`, run.ID, run.Generation); err != nil || !isApart(run.Plan) {
		return err
	}
	body, err := json.Marshal(foldLists(listsOf(run.Plan)))
	if err != nil {
		return fmt.Errorf("plan of run %q: %w", run.ID, err)
	}
	_, err = t.exec(ctx, `INSERT INTO plans (run_id, generation, body) VALUES (?,?,?)`, run.ID, run.Generation, string(body))
	return err
}

// folded are the lists of a plan as they are written: thousands of entries that
// say the same are a list of names, and share in memory what they say. Plans of
// an earlier version have Entries instead.
type folded struct {
	runbook.Plan
	Names []runbook.EntryName `json:"names,omitempty"`
	Says  []runbook.PlanEntry `json:"says,omitempty"`  // without names
	Which []int               `json:"which,omitempty"` // of Says, for each name
}

func foldLists(p runbook.Plan) folded {
	f, place := folded{Plan: p}, map[string]int{}
	f.Entries = nil
	for _, e := range p.Entries {
		f.Names, e.Name = append(f.Names, e.Name), ""
		key := fmt.Sprintf("%q %q %q %q %q", e.Shard, e.Format, e.Kids, e.Thumbprints, e.Meaning)
		at, known := place[key]
		if !known {
			at, place[key] = len(f.Says), len(f.Says)
			f.Says = append(f.Says, e)
		}
		f.Which = append(f.Which, at)
	}
	return f
}

func unfoldLists(body []byte) (runbook.Plan, error) {
	var f folded
	if err := json.Unmarshal(body, &f); err != nil {
		return runbook.Plan{}, err
	}
	if len(f.Which) != len(f.Names) {
		return runbook.Plan{}, fmt.Errorf("%d names, %d places", len(f.Names), len(f.Which))
	}
	if len(f.Names) > 0 {
		f.Entries = make([]runbook.PlanEntry, len(f.Names))
	}
	for i, name := range f.Names {
		at := f.Which[i]
		if at < 0 || at >= len(f.Says) {
			return runbook.Plan{}, fmt.Errorf("no place %d", at)
		}
		f.Entries[i] = f.Says[at]
		f.Entries[i].Name = name
	}
	return f.Plan, nil
}

// reader is the database, or a transaction.
type reader interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// attach gives a run the lists that are kept apart from it.
func (j *Journal) attach(ctx context.Context, from reader, run *row) error {
	if !run.apart {
		return nil
	}
	key := planKey{run.ID, run.Generation, run.Plan.Digest}
	lists, known := j.plans.get(key)
	if !known {
		var body []byte
		err := from.QueryRowContext(ctx, j.rebind(`SELECT body FROM plans WHERE run_id = ? AND generation = ?`), run.ID, run.Generation).Scan(&body)
		if err != nil {
			return err
		}
		if lists, err = unfoldLists(body); err != nil {
			return fmt.Errorf("plan of run %q cannot be read back: %w", run.ID, err)
		}
		j.plans.put(key, lists)
	}
	run.Plan = withLists(run.Plan, lists)
	return nil
}

// planKey names a plan: what it means decides, whoever wrote it.
type planKey struct {
	run        string
	generation int
	digest     string
}

// plansFor is how long the lists of a plan are remembered after they were used,
// and plansMost how many of them are. They take about as much memory as the
// steps that work on them, which share them.
const (
	plansFor  = 5 * time.Second
	plansMost = 2
)

// planMemory remembers the plans of the runs that are carried out.
type planMemory struct {
	mu sync.Mutex
	of map[planKey]*keptPlan
}

type keptPlan struct {
	lists  runbook.Plan
	forget *time.Timer
}

func (m *planMemory) get(key planKey) (runbook.Plan, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.of[key]
	if k == nil {
		return runbook.Plan{}, false
	}
	k.forget.Reset(plansFor)
	return k.lists, true
}

func (m *planMemory) put(key planKey, lists runbook.Plan) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of[key] != nil || len(m.of) >= plansMost {
		return
	}
	if m.of == nil {
		m.of = map[planKey]*keptPlan{}
	}
	m.of[key] = &keptPlan{lists, time.AfterFunc(plansFor, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.of, key)
	})}
}
