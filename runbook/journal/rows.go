package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"jwksbot/runbook"
)

const selectRun = `SELECT id, version, shown, channel, ts, reminder, evidence, body FROM runs `

// scanRun reads a row of selectRun.
func scanRun(row interface{ Scan(...any) error }) (runbook.Run, error) {
	var (
		run            runbook.Run
		id             string
		version, shown int64
		post           runbook.Post
		body           []byte
	)
	if err := row.Scan(&id, &version, &shown, &post.Channel, &post.TS, &post.Reminder, &post.Evidence, &body); err != nil {
		return run, err
	}
	if err := json.Unmarshal(body, &run); err != nil {
		return run, fmt.Errorf("run %q cannot be read back: %w", id, err)
	}
	run.ID, run.Version, run.Shown, run.Post = id, version, shown, post
	return run, nil
}

// columns are the values of a run in the order of insert and update.
func (j *Journal) columns(run runbook.Run) ([]any, error) {
	body, err := json.Marshal(run)
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

// update writes a run over the version before its own.
func (t *tx) update(ctx context.Context, run runbook.Run) error {
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
	if err != nil {
		return err
	}
	return t.lock(ctx, run)
}
