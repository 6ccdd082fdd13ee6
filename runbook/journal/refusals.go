package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"jwksbot/runbook"
)

const (
	// foldFor is how long equal entries are one row of the trail. Then a second
	// row says how many there were.
	foldFor = 10 * time.Minute
	// maxFolds bounds the rows that somebody can cause who makes every entry
	// different from the one before.
	maxFolds = 500
)

// NoteFolded appends an audit row unless an equal one, by its fold, was
// appended within the last ten minutes; then it is only counted. When the time
// is over, one more row says how many were counted. No row is ever changed.
func (j *Journal) NoteFolded(ctx context.Context, fold string, entry runbook.AuditEntry) error {
	return j.noteFolded(ctx, nil, fold, entry)
}

func (j *Journal) noteFolded(ctx context.Context, only fence, fold string, entry runbook.AuditEntry) error {
	return j.write(ctx, "write to", only.with(func(t *tx) error {
		entry := j.complete(entry, runbook.Run{})
		opened, err := t.openFold(ctx, fold, entry)
		if err != nil || !opened {
			return err
		}
		var folds int
		if err := t.row(ctx, `SELECT count(*) FROM refusals`).Scan(&folds); err != nil {
			return err
		}
		if folds <= maxFolds {
			return t.appendAudit(ctx, runbook.Run{}, []runbook.AuditEntry{entry})
		}
		if _, err := t.exec(ctx, `DELETE FROM refusals WHERE fold = ?`, clean(fold)); err != nil {
			return err
		}
		rest := runbook.AuditEntry{At: entry.At, Actor: runbook.AuditSelf, Kind: entry.Kind,
			Detail: fmt.Sprintf("more than %d different ones within %s: from here on they are counted, not named", maxFolds, runbook.Duration(foldFor))}
		if opened, err = t.openFold(ctx, "everything else", rest); err != nil || !opened {
			return err
		}
		return t.appendAudit(ctx, runbook.Run{}, []runbook.AuditEntry{rest})
	}))
}

// openFold says whether the entry is the first of its fold. If not, it was
// counted.
func (t *tx) openFold(ctx context.Context, fold string, entry runbook.AuditEntry) (bool, error) {
	body, err := json.Marshal(entry)
	if err != nil {
		return false, err
	}
	at := t.j.stamp(entry.At)
	first, err := t.affects(ctx, `INSERT INTO refusals (fold, entry, since, last_at, more) VALUES (?,?,?,?,0) ON CONFLICT (fold) DO NOTHING`, clean(fold), string(body), at, at)
	if err != nil || first {
		return first, err
	}
	counted, err := t.affects(ctx, `UPDATE refusals SET more = more + 1, last_at = ? WHERE fold = ? AND since > ?`, at, clean(fold), t.j.stamp(entry.At.Add(-foldFor)))
	if err != nil || counted {
		return false, err
	}
	if err := t.sumFolds(ctx, `fold = ?`, clean(fold)); err != nil {
		return false, err
	}
	return t.openFold(ctx, fold, entry)
}

func (t *tx) affects(ctx context.Context, q string, args ...any) (bool, error) {
	res, err := t.exec(ctx, q, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// sumRefusals ends the folds whose time is over.
func (j *Journal) sumRefusals(ctx context.Context) error {
	return j.write(ctx, "write to", func(t *tx) error {
		return t.sumFolds(ctx, `since <= ?`, j.stamp(j.now().Add(-foldFor)))
	})
}

// sumFolds ends the folds that a condition selects: of each, a row says how
// many had none.
func (t *tx) sumFolds(ctx context.Context, where string, arg any) error {
	rows, err := t.QueryContext(ctx, t.j.rebind(`SELECT entry, last_at, more FROM refusals WHERE `+where+` ORDER BY since, fold`+t.j.forUpdate()), arg)
	if err != nil {
		return err
	}
	sums, err := readSums(rows, t.j.now())
	if err != nil {
		return err
	}
	if err := t.appendAudit(ctx, runbook.Run{}, sums); err != nil {
		return err
	}
	_, err = t.exec(ctx, `DELETE FROM refusals WHERE `+where, arg)
	return err
}

func readSums(rows *sql.Rows, now time.Time) ([]runbook.AuditEntry, error) {
	defer rows.Close()
	var sums []runbook.AuditEntry
	for rows.Next() {
		var body []byte
		var last instant
		var more int64
		if err := rows.Scan(&body, &last, &more); err != nil {
			return nil, err
		}
		if more == 0 {
			continue
		}
		var sum runbook.AuditEntry
		if err := json.Unmarshal(body, &sum); err != nil {
			return nil, fmt.Errorf("a folded audit row: %w", err)
		}
		sum.At, sum.Detail = now, fmt.Sprintf("%d more until %s: %s", more, last.Format("15:04:05 MST"), sum.Detail)
		sums = append(sums, sum)
	}
	return sums, rows.Err()
}
