package journal

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"jwksbot/runbook"
)

// errHeld says that the resource is held by another run.
var errHeld = errors.New("the resource is held")

// errMissed says that somebody changed the row in between.
var errMissed = errors.New("the run was changed in the meantime")

// attempts bounds how often a change is tried against others.
const attempts = 10

// Create writes a new run with its audit rows. The version of a new run is 1.
// A run that starts in a state that holds its resource gets a *BusyError when
// another one holds it.
func (j *Journal) Create(ctx context.Context, run runbook.Run, audit ...runbook.AuditEntry) error {
	return j.create(ctx, run, nil, audit)
}

func (j *Journal) create(ctx context.Context, run runbook.Run, only fence, audit []runbook.AuditEntry) error {
	run.Version = max(run.Version, 1)
	_, err := j.retry(ctx, run.ID, func() (runbook.Run, error) {
		err := j.write(ctx, "write to", only.with(func(t *tx) error {
			if err := t.insert(ctx, run); err != nil {
				return err
			}
			return t.record(ctx, run, runbook.Run{}, audit)
		}))
		return run, err
	})
	if err != nil && !errors.As(err, new(*runbook.BusyError)) {
		return fmt.Errorf("create run %q: %w", run.ID, err)
	}
	return err
}

// Change reads the run, lets change change it, and writes it back with the
// audit rows that change returns, all in one transaction. An error of change is
// returned as it is and nothing is written. A run that is left as it was gets
// no new version; its audit rows are written all the same.
//
// change is called again when the transaction has to be repeated: it must
// decide from the run that it is given. It must not call the journal.
func (j *Journal) Change(ctx context.Context, id string, change func(*runbook.Run) ([]runbook.AuditEntry, error)) (runbook.Run, error) {
	return j.change(ctx, id, nil, change)
}

// change is Change with a condition that is checked in the same transaction.
func (j *Journal) change(ctx context.Context, id string, only fence, change func(*runbook.Run) ([]runbook.AuditEntry, error)) (runbook.Run, error) {
	return j.retry(ctx, id, func() (runbook.Run, error) {
		var after runbook.Run
		err := j.write(ctx, "write to", only.with(func(t *tx) (err error) {
			after, err = t.change(ctx, id, change)
			return err
		}))
		if errors.Is(err, errUnchanged) {
			return after, nil
		}
		return after, err
	})
}

// retry repeats try while its failure is one that passes, and names the run
// that holds the resource.
func (j *Journal) retry(ctx context.Context, id string, try func() (runbook.Run, error)) (runbook.Run, error) {
	for n := 1; ; n++ {
		run, err := try()
		passes := errors.Is(err, errMissed) || errors.Is(err, errEngineClosed) || errors.Is(err, errHeld)
		switch {
		case err == nil:
			j.signal()
			return run, nil
		case passes && n == attempts:
			return runbook.Run{}, fmt.Errorf("run %q: given up after %d attempts: %w", id, n, err)
		case errors.Is(err, errMissed):
		case errors.Is(err, errEngineClosed):
			if err := j.enqueuer.start(j); err != nil {
				return runbook.Run{}, err
			}
		case errors.Is(err, errHeld):
			if busy := j.holder(ctx, run); busy != nil {
				return runbook.Run{}, busy
			}
		default:
			return runbook.Run{}, err
		}
	}
}

// holder names the run that has one of the resources that run wants; nil if
// none has any more.
func (j *Journal) holder(ctx context.Context, run runbook.Run) error {
	for _, resource := range resources(run) {
		holder, err := j.oneRun(ctx, j.db, `WHERE id IN (SELECT run_id FROM locks WHERE resource = ?)`, resource)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			continue
		case err != nil:
			return j.explain("read", err)
		case holder.ID != run.ID:
			return &runbook.BusyError{Resource: resource, Holder: holder.Run}
		}
	}
	return nil
}

func (t *tx) change(ctx context.Context, id string, change func(*runbook.Run) ([]runbook.AuditEntry, error)) (runbook.Run, error) {
	before, err := t.j.oneRun(ctx, t.Tx, `WHERE id = ?`+t.j.forUpdate(), id)
	if errors.Is(err, sql.ErrNoRows) {
		return runbook.Run{}, fmt.Errorf("run %q: %w", id, runbook.ErrUnknownRun)
	}
	if err != nil {
		return runbook.Run{}, err
	}
	after, old, err := copyOf(before.Run)
	if err != nil {
		return runbook.Run{}, fmt.Errorf("run %q: %w", id, err)
	}
	audit, err := change(&after)
	if err != nil {
		return before.Run, err
	}
	after.ID, after.Version = before.ID, before.Version
	now, err := json.Marshal(bare(after))
	if err != nil {
		return runbook.Run{}, fmt.Errorf("run %q: %w", id, err)
	}
	if bytes.Equal(old, now) && sameLists(before.Plan, after.Plan) {
		if len(audit) == 0 {
			return before.Run, errUnchanged
		}
		return before.Run, t.appendAudit(ctx, before.Run, audit)
	}
	after.Version++
	if err := t.update(ctx, after, before); err != nil {
		return after, err
	}
	return after, t.record(ctx, after, before.Run, audit)
}

// record writes what goes with a run that was written: its new decisions, the
// audit rows, that it came to another state, and the order to execute it once
// it is approved.
func (t *tx) record(ctx context.Context, after, before runbook.Run, audit []runbook.AuditEntry) error {
	for _, d := range after.Decisions[min(len(before.Decisions), len(after.Decisions)):] {
		_, err := t.exec(ctx, `INSERT INTO decisions (run_id, generation, actor, name, kind, reason, via, at) VALUES (?,?,?,?,?,?,?,?)`,
			after.ID, d.Generation, clean(d.By.ID), clean(d.By.Name), string(d.Kind), clean(d.Reason), string(d.Via), t.j.stamp(d.At))
		if violates(err) {
			return fmt.Errorf("run %q: %s has decided %q on this plan before", after.ID, d.By.Label(), d.Kind)
		}
		if err != nil {
			return err
		}
	}
	if err := t.appendAudit(ctx, after, audit); err != nil {
		return err
	}
	if err := t.arrive(ctx, before.State, after.State); err != nil {
		return err
	}
	if after.State != runbook.StateApproved || before.State == runbook.StateApproved && before.Generation == after.Generation {
		return nil
	}
	return t.j.enqueuer.enqueue(t.Tx, after)
}

// MarkShown records that the message post shows the run as of version. It
// raises no version and never goes back to an older one.
func (j *Journal) MarkShown(ctx context.Context, id string, version int64, post runbook.Post) error {
	return j.write(ctx, "write to", func(t *tx) error {
		res, err := t.exec(ctx, `UPDATE runs SET shown = CASE WHEN shown < ? THEN ? ELSE shown END, channel = ?, ts = ?, reminder = ?, evidence = ? WHERE id = ?`,
			version, version, clean(post.Channel), clean(post.TS), clean(post.Reminder), clean(post.Evidence), id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return fmt.Errorf("run %q: %w", id, runbook.ErrUnknownRun)
	})
}

// Run reads one run.
func (j *Journal) Run(ctx context.Context, id string) (runbook.Run, error) {
	run, err := j.oneRun(ctx, j.db, `WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return runbook.Run{}, fmt.Errorf("run %q: %w", id, runbook.ErrUnknownRun)
	}
	if err != nil {
		return runbook.Run{}, j.explain("read", err)
	}
	return run.Run, nil
}

// defaultLimit is the number of runs that Runs returns without a limit.
const defaultLimit = 100

// Runs reads the runs that f selects, newest first.
func (j *Journal) Runs(ctx context.Context, f runbook.Filter) ([]runbook.Run, error) {
	where, args := []string{"1 = 1"}, []any{}
	add := func(cond string, a ...any) {
		where, args = append(where, cond), append(args, a...)
	}
	if f.Target != "" {
		add("target = ?", f.Target)
	}
	if len(f.States) > 0 {
		states := make([]any, len(f.States))
		for i, s := range f.States {
			states[i] = string(s)
		}
		add("state IN (?"+strings.Repeat(",?", len(states)-1)+")", states...)
	}
	if !f.DueBefore.IsZero() {
		add("next_at <= ?", j.stamp(f.DueBefore))
	}
	if f.Resource != "" {
		add("resource = ?", clean(f.Resource))
	}
	if !f.ActiveSince.IsZero() {
		add("(ended_at IS NULL OR ended_at >= ?)", j.stamp(f.ActiveSince))
	}
	if f.Unshown {
		add("shown < version")
	}
	limit := f.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	q := selectRun + "WHERE " + strings.Join(where, " AND ") + " ORDER BY created_at DESC, id DESC LIMIT ?"
	rows, err := j.db.QueryContext(ctx, j.rebind(q), append(args, limit)...)
	if err != nil {
		return nil, j.explain("read", err)
	}
	defer rows.Close()
	var found []row
	for rows.Next() {
		run, err := scanRun(rows)
		if err != nil {
			return nil, j.explain("read", err)
		}
		found = append(found, run)
	}
	if err := rows.Err(); err != nil {
		return nil, j.explain("read", err)
	}
	rows.Close() // before others are asked for, which need a connection too
	out := make([]runbook.Run, len(found))
	for i := range found {
		if err := j.attach(ctx, j.db, &found[i]); err != nil {
			return nil, j.explain("read", err)
		}
		out[i] = found[i].Run
	}
	return out, nil
}
