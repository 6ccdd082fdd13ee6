package journal

import (
	"context"

	"jwksbot/runbook"
)

// arrive counts a change of state. The row of the state is locked after that of
// audit_head, never before it, so that two changes never wait for each other.
func (t *tx) arrive(ctx context.Context, from, to runbook.State) error {
	if from == to {
		return nil
	}
	_, err := t.exec(ctx, `INSERT INTO arrivals (state, runs) VALUES (?, 1) ON CONFLICT (state) DO UPDATE SET runs = arrivals.runs + 1`, string(to))
	return err
}

// Arrivals is how many times runs came to each state since the journal was
// begun, whichever process brought them there. It never falls.
func (j *Journal) Arrivals(ctx context.Context) (map[runbook.State]int64, error) {
	rows, err := j.db.QueryContext(ctx, `SELECT state, runs FROM arrivals`)
	if err != nil {
		return nil, j.explain("read", err)
	}
	defer rows.Close()
	out := map[runbook.State]int64{}
	for rows.Next() {
		var state string
		var n int64
		if err := rows.Scan(&state, &n); err != nil {
			return nil, j.explain("read", err)
		}
		out[runbook.State(state)] = n
	}
	if err := rows.Err(); err != nil {
		return nil, j.explain("read", err)
	}
	return out, nil
}
