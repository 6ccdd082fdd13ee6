package journal

import (
	"context"
	"time"

	"jwksbot/runbook"
)

// sightingsKept is how long a key that is no longer live is remembered. It
// only matters for about a day; a week shows the last rotations.
const sightingsKept = 7 * 24 * time.Hour

// Seen records that the keys were live on a target at a moment. Keys without a
// thumbprint are not recorded.
func (j *Journal) Seen(ctx context.Context, target string, keys []runbook.Key, at time.Time) error {
	return j.write(ctx, "write to", func(t *tx) error {
		for _, k := range keys {
			if k.Thumbprint == "" {
				continue
			}
			_, err := t.exec(ctx, `INSERT INTO sightings (target, thumbprint, kid, first_seen, last_seen) VALUES (?,?,?,?,?)
				ON CONFLICT (target, thumbprint, kid) DO UPDATE SET last_seen = excluded.last_seen
				WHERE excluded.last_seen > sightings.last_seen`,
				clean(target), clean(k.Thumbprint), clean(k.Kid), j.stamp(at), j.stamp(at))
			if err != nil {
				return err
			}
		}
		_, err := t.exec(ctx, `DELETE FROM sightings WHERE target = ? AND last_seen < ?`, clean(target), j.stamp(at.Add(-sightingsKept)))
		return err
	})
}

// LastFlush is when a run last flushed the resource.
func (j *Journal) LastFlush(ctx context.Context, resource string) (time.Time, error) {
	rows, err := j.db.QueryContext(ctx, j.rebind(selectRun+`WHERE resource = ? ORDER BY created_at DESC LIMIT 20`), clean(resource))
	if err != nil {
		return time.Time{}, j.explain("read", err)
	}
	defer rows.Close()
	var last time.Time
	for rows.Next() {
		run, err := scanRun(rows)
		if err != nil {
			return time.Time{}, j.explain("read", err)
		}
		if at, ok := run.FlushedAt(); ok && at.After(last) {
			last = at
		}
	}
	if err := rows.Err(); err != nil {
		return time.Time{}, j.explain("read", err)
	}
	return last, nil
}

// Sightings lists the keys that were live on a target, oldest first.
func (j *Journal) Sightings(ctx context.Context, target string) ([]runbook.Sighting, error) {
	return j.sightings(ctx, `WHERE target = ?`, target)
}

// Unsettled lists the keys that the rotation watcher has not followed up on.
func (j *Journal) Unsettled(ctx context.Context, target string) ([]runbook.Sighting, error) {
	return j.sightings(ctx, `WHERE target = ? AND settled = 0`, target)
}

// Settle records that there is nothing more to say about the keys.
func (j *Journal) Settle(ctx context.Context, target string, thumbprints []string) error {
	return j.write(ctx, "write to", func(t *tx) error {
		for _, print := range thumbprints {
			if _, err := t.exec(ctx, `UPDATE sightings SET settled = 1 WHERE target = ? AND thumbprint = ?`, clean(target), clean(print)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (j *Journal) sightings(ctx context.Context, where, target string) ([]runbook.Sighting, error) {
	rows, err := j.db.QueryContext(ctx, j.rebind(`SELECT thumbprint, kid, first_seen, last_seen FROM sightings `+where+
		` ORDER BY first_seen, thumbprint, kid`), clean(target))
	if err != nil {
		return nil, j.explain("read", err)
	}
	defer rows.Close()
	var out []runbook.Sighting
	for rows.Next() {
		var s runbook.Sighting
		var first, last instant
		if err := rows.Scan(&s.Thumbprint, &s.Kid, &first, &last); err != nil {
			return nil, j.explain("read", err)
		}
		s.FirstSeen, s.LastSeen = first.Time, last.Time
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		return nil, j.explain("read", err)
	}
	return out, nil
}
