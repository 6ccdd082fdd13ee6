package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"jwksbot/runbook"
)

const selectRun = `SELECT id, version, shown, channel, ts, reminder, evidence, body,
	(SELECT count(*) FROM plans WHERE plans.run_id = runs.id AND plans.generation = runs.generation) FROM runs `

// row is a row of selectRun.
type row struct {
	runbook.Run
	apart bool // the lists of its plan are not in it; see attach
}

// oneRun reads a row of selectRun and what is kept apart from it.
func (j *Journal) oneRun(ctx context.Context, from reader, where string, args ...any) (row, error) {
	run, err := scanRun(from.QueryRowContext(ctx, j.rebind(selectRun+where), args...))
	if err != nil {
		return run, err
	}
	return run, j.attach(ctx, from, &run)
}

// scanRun reads a row of selectRun.
func scanRun(from interface{ Scan(...any) error }) (row, error) {
	var (
		run            row
		id             string
		version, shown int64
		post           runbook.Post
		body           []byte
		apart          int
	)
	if err := from.Scan(&id, &version, &shown, &post.Channel, &post.TS, &post.Reminder, &post.Evidence, &body, &apart); err != nil {
		return run, err
	}
	if err := json.Unmarshal(body, &run.Run); err != nil {
		return run, fmt.Errorf("run %q cannot be read back: %w", id, err)
	}
	run.ID, run.Version, run.Shown, run.Post, run.apart = id, version, shown, post, apart > 0
	return run, nil
}

// columns are the values of a run in the order of insert and update.
func (j *Journal) columns(run runbook.Run) ([]any, error) {
	kept := run
	if isApart(run.Plan) {
		kept = bare(run)
	}
	body, err := json.Marshal(kept)
	if err != nil {
		return nil, fmt.Errorf("run %q: %w", run.ID, err)
	}
	holds := 0
	if run.State.Holds() {
		holds = 1
	}
	return []any{
		clean(run.Target), clean(run.Resource), string(run.State), run.Generation, run.Version, run.Shown,
		clean(run.Requester.ID), clean(run.Ticket), clean(run.Reason), string(run.Plan.Verdict), run.Plan.Digest,
		j.stamp(run.CreatedAt), j.stamp(run.ExpiresAt), j.stamp(run.NextAt()), j.stamp(run.EndedAt),
		clean(run.Post.Channel), clean(run.Post.TS), holds, string(body), run.ID,
	}, nil
}

func (t *tx) insert(ctx context.Context, run runbook.Run) error {
	args, err := t.j.columns(run)
	if err != nil {
		return err
	}
	var n int
	if err := t.row(ctx, `SELECT count(*) FROM runs WHERE id = ?`, run.ID).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return errors.New("a run of this id exists already")
	}
	_, err = t.exec(ctx, `INSERT INTO runs (target, resource, state, generation, version, shown, requester, ticket, reason,
		verdict, digest, created_at, expires_at, next_at, ended_at, channel, ts, holds, body, id)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`, args...)
	if err != nil {
		return err
	}
	if isApart(run.Plan) {
		if err := t.savePlan(ctx, run); err != nil {
			return err
		}
	}
	return t.lock(ctx, run)
}

// lock gives the run the resources that it has to itself in its state, and
// takes all others from it. They are taken in one order, so that two runs never
// wait for each other.
func (t *tx) lock(ctx context.Context, run runbook.Run) error {
	if _, err := t.exec(ctx, `DELETE FROM locks WHERE run_id = ?`, run.ID); err != nil || !run.State.Holds() {
		return err
	}
	for _, resource := range resources(run) {
		_, err := t.exec(ctx, `INSERT INTO locks (resource, run_id) VALUES (?,?)`, resource, run.ID)
		if violates(err) {
			return errHeld
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// resources are what a run has to itself while it holds, sorted.
func resources(run runbook.Run) []string {
	all := []string{clean(run.Resource)}
	for _, r := range run.Locks {
		all = append(all, clean(r))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// update writes a run over the version before its own, which was read as before.
func (t *tx) update(ctx context.Context, run runbook.Run, before row) error {
	args, err := t.j.columns(run)
	if err != nil {
		return err
	}
	res, err := t.exec(ctx, `UPDATE runs SET target=?, resource=?, state=?, generation=?, version=?, shown=?, requester=?,
		ticket=?, reason=?, verdict=?, digest=?, created_at=?, expires_at=?, next_at=?, ended_at=?, channel=?, ts=?,
		holds=?, body=? WHERE id=? AND version=?`, append(args, run.Version-1)...)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		return errMissed
	}
	if err == nil && (run.Generation != before.Generation || before.apart != isApart(run.Plan) || !sameLists(run.Plan, before.Plan)) {
		err = t.savePlan(ctx, run)
	}
	if err != nil {
		return err
	}
	return t.lock(ctx, run)
}
