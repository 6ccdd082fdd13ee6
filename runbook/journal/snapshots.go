package journal

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"jwksbot/runbook"
)

// ErrSnapshotUsed says that a snapshot cannot be replaced: fates of its entries
// are recorded, so that deleting has begun.
var ErrSnapshotUsed = errors.New("the snapshot is in use")

// batch is how many entries one statement writes; twelve parameters each stay
// well below the limits of both engines.
const batch = 100

func newSealer(key []byte) (cipher.AEAD, error) {
	if len(key) == 0 {
		return nil, nil
	}
	if len(key) != 32 {
		return nil, fmt.Errorf("the snapshot key has %d bytes; give 32", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// SaveSnapshot keeps the entries that the run will delete. It replaces an
// earlier snapshot of the run (a state that is carried out again) as long as no
// fate is recorded; after that it is ErrSnapshotUsed.
func (j *Journal) SaveSnapshot(ctx context.Context, runID string, saved []runbook.Saved) error {
	return j.saveSnapshot(ctx, runID, nil, 0, saved)
}

// AddSnapshot keeps more entries, after the first ones that are kept already.
func (j *Journal) AddSnapshot(ctx context.Context, runID string, first int, saved []runbook.Saved) error {
	return j.saveSnapshot(ctx, runID, nil, first, saved)
}

// saveSnapshot keeps entries from the place first on, and nothing else from there.
func (j *Journal) saveSnapshot(ctx context.Context, runID string, only fence, first int, saved []runbook.Saved) error {
	err := j.write(ctx, "write to", only.with(func(t *tx) error {
		var used int
		if err := t.row(ctx, `SELECT count(*) FROM snapshots WHERE run_id = ? AND seq >= ? AND fate <> ''`, runID, first).Scan(&used); err != nil {
			return err
		}
		if used > 0 {
			return ErrSnapshotUsed
		}
		if _, err := t.exec(ctx, `DELETE FROM snapshots WHERE run_id = ? AND seq >= ?`, runID, first); err != nil {
			return err
		}
		for from := 0; from < len(saved); from += batch {
			if err := t.insertSaved(ctx, runID, first+from, saved[from:min(from+batch, len(saved))]); err != nil {
				return err
			}
		}
		return nil
	}))
	if violates(err) {
		err = runbook.ErrUnknownRun
	}
	if err != nil {
		return fmt.Errorf("snapshot of run %q: %w", runID, err)
	}
	return nil
}

func (t *tx) insertSaved(ctx context.Context, runID string, first int, saved []runbook.Saved) error {
	args := make([]any, 0, 12*len(saved))
	for i, s := range saved {
		seq := first + i
		payload, sealed, err := t.j.seal(s.Payload, sealFor(runID, seq, s.Name))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(payload)
		ttl := int64(-1)
		if s.TTL != runbook.NoExpiry {
			ttl = s.TTL.Milliseconds()
		}
		args = append(args, runID, seq, encodeName(s.Name), clean(s.Shard), clean(s.Type), s.Bytes, ttl,
			t.j.stamp(s.At), sealed, payload, hex.EncodeToString(sum[:]), "")
	}
	_, err := t.exec(ctx, `INSERT INTO snapshots (run_id, seq, name, shard, type, bytes, ttl_ms, taken_at, sealed, payload, sha, fate) VALUES `+
		strings.Repeat(",(?,?,?,?,?,?,?,?,?,?,?,?)", len(saved))[1:], args...)
	return err
}

// Snapshot reads the entries that were saved for the run, in the order in which
// they were given; none if there is no snapshot (any more).
func (j *Journal) Snapshot(ctx context.Context, runID string) (out []runbook.Saved, err error) {
	err = j.eachSaved(ctx, runID, func(s runbook.Saved) {
		s.Payload = bytes.Clone(s.Payload)
		out = append(out, s)
	})
	return out, err
}

// Sums is Snapshot without the payloads: their sums stand for them.
func (j *Journal) Sums(ctx context.Context, runID string) (out []runbook.Saved, err error) {
	err = j.eachSaved(ctx, runID, func(s runbook.Saved) {
		s.Sum, s.Payload = runbook.SumOf(s.Payload), nil
		out = append(out, s)
	})
	return out, err
}

// eachSaved reads one entry after the other. Its payload is good until each
// returns.
func (j *Journal) eachSaved(ctx context.Context, runID string, each func(runbook.Saved)) error {
	rows, err := j.db.QueryContext(ctx, j.rebind(`SELECT seq, name, shard, type, bytes, ttl_ms, taken_at, sealed, payload, sha
		FROM snapshots WHERE run_id = ? ORDER BY seq`), runID)
	if err != nil {
		return j.explain("read", err)
	}
	defer rows.Close()
	var last runbook.Saved
	for rows.Next() {
		var s runbook.Saved
		var seq, sealed int
		var ttl int64
		var at instant
		var name, sha string
		var payload sql.RawBytes
		if err := rows.Scan(&seq, &name, &s.Shard, &s.Type, &s.Bytes, &ttl, &at, &sealed, &payload, &sha); err != nil {
			return j.explain("read", err)
		}
		s.Name, s.At = decodeName(name), at.Time
		if s.TTL = time.Duration(ttl) * time.Millisecond; ttl < 0 {
			s.TTL = runbook.NoExpiry
		}
		if sum := sha256.Sum256(payload); hex.EncodeToString(sum[:]) != sha {
			return fmt.Errorf("snapshot of run %q: entry %q is damaged in the journal", runID, s.Name)
		}
		if s.Payload, err = j.unseal(payload, sealed == 1, sealFor(runID, seq, s.Name)); err != nil {
			return fmt.Errorf("snapshot of run %q: entry %q: %w", runID, s.Name, err)
		}
		s.Shard, s.Type = sameText(last.Shard, s.Shard), sameText(last.Type, s.Type)
		each(s)
		last = s
	}
	if err := rows.Err(); err != nil {
		return j.explain("read", err)
	}
	return nil
}

// sameText is the new text, or the last one where that says the same: thousands
// of rows hold one text then.
func sameText(last, text string) string {
	if last == text {
		return last
	}
	return text
}

// MarkFates records what became of entries of the run's snapshot; a later fate
// replaces an earlier one. An entry is known by its name alone: after a failover
// or a resharding another server tells of it than the one it was saved from.
func (j *Journal) MarkFates(ctx context.Context, runID string, fates []runbook.EntryFate) error {
	return j.markFates(ctx, runID, nil, fates)
}

func (j *Journal) markFates(ctx context.Context, runID string, only fence, fates []runbook.EntryFate) error {
	byFate := map[runbook.Fate][]runbook.EntryFate{}
	for _, f := range fates {
		byFate[f.Fate] = append(byFate[f.Fate], f)
	}
	err := j.write(ctx, "write to", only.with(func(t *tx) error {
		for fate, list := range byFate {
			for first := 0; first < len(list); first += batch {
				if err := t.markFates(ctx, runID, fate, list[first:min(first+batch, len(list))]); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	if err != nil {
		return fmt.Errorf("fates of run %q: %w", runID, err)
	}
	return nil
}

func (t *tx) markFates(ctx context.Context, runID string, fate runbook.Fate, list []runbook.EntryFate) error {
	args := []any{string(fate), runID}
	for _, f := range list {
		args = append(args, encodeName(f.Name))
	}
	res, err := t.exec(ctx, `UPDATE snapshots SET fate = ? WHERE run_id = ? AND name IN (`+
		strings.Repeat(",?", len(list))[1:]+`)`, args...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n >= int64(len(list)) {
		return err
	}
	return errors.New("some of the entries are not in the snapshot")
}

// Fates reads the fates that are recorded for the run's snapshot; entries
// without one are left out.
func (j *Journal) Fates(ctx context.Context, runID string) ([]runbook.EntryFate, error) {
	rows, err := j.db.QueryContext(ctx, j.rebind(`SELECT name, shard, fate FROM snapshots WHERE run_id = ? AND fate <> '' ORDER BY seq`), runID)
	if err != nil {
		return nil, j.explain("read", err)
	}
	defer rows.Close()
	var out []runbook.EntryFate
	for rows.Next() {
		var f runbook.EntryFate
		if err := rows.Scan(&f.Name, &f.Shard, &f.Fate); err != nil {
			return nil, j.explain("read", err)
		}
		if n := len(out); n > 0 {
			f.Shard, f.Fate = sameText(out[n-1].Shard, f.Shard), runbook.Fate(sameText(string(out[n-1].Fate), string(f.Fate)))
		}
		f.Name = decodeName(f.Name)
		out = append(out, f)
	}
	if err := rows.Err(); err != nil {
		return nil, j.explain("read", err)
	}
	return out, nil
}

// pruneSnapshots removes what is older than the time to keep, except what a
// run that is being carried out still needs.
func (j *Journal) pruneSnapshots(ctx context.Context) error {
	return j.write(ctx, "write to", func(t *tx) error {
		_, err := t.exec(ctx, `DELETE FROM snapshots WHERE taken_at < ? AND run_id NOT IN (SELECT id FROM runs WHERE holds = 1)`,
			j.stamp(j.now().Add(-j.keep)))
		return err
	})
}

// sealFor ties a sealed payload to its place, so that rows cannot be swapped.
func sealFor(runID string, seq int, name string) []byte {
	return fmt.Appendf(nil, "jwksbot snapshot 1 %q %d %q", runID, seq, name)
}

func (j *Journal) seal(payload, place []byte) (out []byte, sealed int, err error) {
	if j.sealer == nil {
		return append([]byte{}, payload...), 0, nil
	}
	nonce := make([]byte, j.sealer.NonceSize(), j.sealer.NonceSize()+len(payload)+j.sealer.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		return nil, 0, err
	}
	return j.sealer.Seal(nonce, nonce, payload, place), 1, nil
}

func (j *Journal) unseal(stored []byte, sealed bool, place []byte) ([]byte, error) {
	switch {
	case !sealed:
		return stored, nil
	case j.sealer == nil:
		return nil, errors.New("it is encrypted and no snapshot key is set")
	case len(stored) < j.sealer.NonceSize():
		return nil, errors.New("it is cut off")
	}
	n := j.sealer.NonceSize()
	out, err := j.sealer.Open(nil, stored[:n], stored[n:], place)
	if err != nil {
		return nil, errors.New("it cannot be decrypted; was the snapshot key changed?")
	}
	return out, nil
}

// encodeName makes the name of a Redis key, which may be any bytes, storable as
// text: as it is where that is possible, else quoted like a Go string.
func encodeName(name string) string {
	if utf8.ValidString(name) && !strings.Contains(name, "\x00") && !strings.HasPrefix(name, `"`) {
		return name
	}
	return strconv.Quote(name)
}

func decodeName(stored string) string {
	if name, err := strconv.Unquote(stored); err == nil && strings.HasPrefix(stored, `"`) {
		return name
	}
	return stored
}
