package journal

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"iter"
	"strings"
	"time"

	"jwksbot/runbook"
)

// AuditRow is one row of the audit trail as it is stored.
type AuditRow struct {
	Seq int64 `json:"seq"` // from 1, without gaps
	runbook.AuditEntry
	Keyed bool   `json:"keyed"` // Hash is an HMAC with the audit key
	Prev  string `json:"prev"`  // the hash of the row before, "" for the first
	Hash  string `json:"hash"`  // hexadecimal SHA-256 over Prev and the row
}

// AuditFilter selects audit rows; zero fields select all.
type AuditFilter struct {
	Run, Target  string
	Actor, Kind  string
	Since, Until time.Time // Since <= At < Until
	After        int64     // rows with a higher Seq
}

// AuditError names the first row of the trail that is not as it was written.
type AuditError struct {
	Seq     int64
	Problem string
}

// Error names the row and what is wrong with it.
func (e *AuditError) Error() string { return fmt.Sprintf("audit row %d: %s", e.Seq, e.Problem) }

// Note appends audit rows that belong to no change of a run.
func (j *Journal) Note(ctx context.Context, entries ...runbook.AuditEntry) error {
	return j.note(ctx, nil, entries)
}

func (j *Journal) note(ctx context.Context, only fence, entries []runbook.AuditEntry) error {
	if len(entries) == 0 {
		return nil
	}
	return j.write(ctx, "write to", only.with(func(t *tx) error {
		return t.appendAudit(ctx, runbook.Run{}, entries)
	}))
}

// appendAudit chains entries to the trail; what they leave empty is taken from
// the run and the clock. The row of audit_head is locked until the commit, so
// that the chain has no branches.
func (t *tx) appendAudit(ctx context.Context, run runbook.Run, entries []runbook.AuditEntry) error {
	if len(entries) == 0 {
		return nil
	}
	var head AuditRow
	if err := t.row(ctx, `SELECT seq, hash FROM audit_head WHERE id = 1`+t.j.forUpdate()).Scan(&head.Seq, &head.Hash); err != nil {
		return err
	}
	for _, e := range entries {
		row := AuditRow{Seq: head.Seq + 1, AuditEntry: t.j.complete(e, run), Keyed: len(t.j.auditKey) > 0, Prev: head.Hash}
		row.Hash = row.sum(t.j.auditKey)
		keyed := 0
		if row.Keyed {
			keyed = 1
		}
		_, err := t.exec(ctx, `INSERT INTO audit (seq, at, actor, kind, run, target, ticket, reason, digest, detail, keyed, prev, hash)
			VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`, row.Seq, row.At.Format(stampLayout), row.Actor, row.Kind, row.Run, row.Target,
			row.Ticket, row.Reason, row.Digest, row.Detail, keyed, row.Prev, row.Hash)
		if err != nil {
			return err
		}
		head = row
	}
	_, err := t.exec(ctx, `UPDATE audit_head SET seq = ?, hash = ? WHERE id = 1`, head.Seq, head.Hash)
	return err
}

// complete fills in what an entry leaves empty and makes it storable.
func (j *Journal) complete(e runbook.AuditEntry, run runbook.Run) runbook.AuditEntry {
	if e.At.IsZero() {
		e.At = j.now()
	}
	e.At = e.At.UTC().Truncate(time.Microsecond)
	for _, d := range []struct {
		field *string
		value string
	}{{&e.Run, run.ID}, {&e.Target, run.Target}, {&e.Ticket, run.Ticket}, {&e.Digest, run.Plan.Digest}} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	for _, s := range []*string{&e.Actor, &e.Kind, &e.Run, &e.Target, &e.Ticket, &e.Reason, &e.Digest, &e.Detail} {
		*s = clean(*s)
	}
	return e
}

// sum is the hash of a row: every field with its length, so that nothing can
// move from one field into the next.
func (r AuditRow) sum(key []byte) string {
	var h hash.Hash
	if r.Keyed {
		h = hmac.New(sha256.New, key)
	} else {
		h = sha256.New()
	}
	fmt.Fprintf(h, "jwksbot audit 1\n%d\n%t\n", r.Seq, r.Keyed)
	for _, s := range []string{r.Prev, r.At.Format(stampLayout), r.Actor, r.Kind, r.Run, r.Target, r.Ticket, r.Reason, r.Digest, r.Detail} {
		fmt.Fprintf(h, "%d:%s\n", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// AuditRows reads the rows that f selects, oldest first. It holds a connection
// until the loop ends.
func (j *Journal) AuditRows(ctx context.Context, f AuditFilter) iter.Seq2[AuditRow, error] {
	return func(yield func(AuditRow, error) bool) {
		where, args := []string{"seq > ?"}, []any{f.After}
		for _, c := range []struct {
			cond  string
			value string
		}{{"run = ?", f.Run}, {"target = ?", f.Target}, {"actor = ?", f.Actor}, {"kind = ?", f.Kind},
			{"at >= ?", auditTime(f.Since)}, {"at < ?", auditTime(f.Until)}} {
			if c.value != "" {
				where, args = append(where, c.cond), append(args, c.value)
			}
		}
		rows, err := j.db.QueryContext(ctx, j.rebind(`SELECT seq, at, actor, kind, run, target, ticket, reason, digest, detail, keyed, prev, hash
			FROM audit WHERE `+strings.Join(where, " AND ")+` ORDER BY seq`), args...)
		if err != nil {
			yield(AuditRow{}, j.explain("read", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var r AuditRow
			var at string
			var keyed int
			err := rows.Scan(&r.Seq, &at, &r.Actor, &r.Kind, &r.Run, &r.Target, &r.Ticket, &r.Reason, &r.Digest, &r.Detail, &keyed, &r.Prev, &r.Hash)
			if err == nil {
				r.Keyed = keyed == 1
				if r.At, err = time.Parse(stampLayout, at); err != nil {
					err = &AuditError{Seq: r.Seq, Problem: fmt.Sprintf("its time was changed to %q", at)}
				}
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(AuditRow{}, j.explain("read", err))
		}
	}
}

func auditTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(stampLayout)
}

// AuditHead returns the last row's number and hash; of an empty trail, zeros.
func (j *Journal) AuditHead(ctx context.Context) (AuditMark, error) {
	var m AuditMark
	if err := j.db.QueryRowContext(ctx, `SELECT seq, hash FROM audit_head WHERE id = 1`).Scan(&m.Seq, &m.Hash); err != nil {
		return AuditMark{}, j.explain("read", err)
	}
	return m, nil
}

// AuditReport is what a verified trail is.
type AuditReport struct {
	Head    AuditMark
	Rows    int64
	Unkeyed int64 // rows at its beginning that were written without a key, when there is one now
}

// VerifyAudit reads the whole trail and returns an *AuditError for the first
// row that was changed, removed, inserted or moved. Who can write the database
// can also write a new chain; without a key only a mark from elsewhere, such as
// the log, shows that.
func (j *Journal) VerifyAudit(ctx context.Context, marks ...AuditMark) (AuditReport, error) {
	// The head is read first: rows that are appended meanwhile come after it.
	head, err := j.AuditHead(ctx)
	if err != nil {
		return AuditReport{}, err
	}
	known := map[int64]string{}
	until := head.Seq
	for _, m := range marks {
		if h, ok := known[m.Seq]; ok && h != m.Hash {
			return AuditReport{}, &AuditError{Seq: m.Seq, Problem: "two different hashes of it were given"}
		}
		known[m.Seq], until = m.Hash, max(until, m.Seq)
	}
	var last AuditRow
	report := AuditReport{Head: head}
	for row, err := range j.AuditRows(ctx, AuditFilter{}) {
		if err != nil {
			return report, err
		}
		if problem := row.follows(last, j.auditKey); problem != "" {
			return report, &AuditError{Seq: last.Seq + 1, Problem: problem}
		}
		if row.Seq == head.Seq && row.Hash != head.Hash {
			return report, &AuditError{Seq: row.Seq, Problem: "it is not the row that was written last"}
		}
		if hash, ok := known[row.Seq]; ok && hash != row.Hash {
			return report, &AuditError{Seq: row.Seq, Problem: "its hash is not the one that was kept: the trail was rewritten at this row or before it"}
		}
		if !row.Keyed && len(j.auditKey) > 0 {
			report.Unkeyed++
		}
		last = row
	}
	report.Rows = last.Seq
	if last.Seq < until {
		return report, &AuditError{Seq: last.Seq + 1, Problem: fmt.Sprintf("it was removed, with everything up to row %d", until)}
	}
	if report.Unkeyed > 0 && report.Unkeyed == last.Seq {
		return report, &AuditError{Seq: 1, Problem: "no row is keyed, though an audit key is set: the trail was rewritten by somebody without the key, or the key is so new that nothing was recorded with it yet"}
	}
	return report, j.appended(ctx, head, last)
}

// appended refuses rows after the head that are not there because they were
// written while the trail was read.
func (j *Journal) appended(ctx context.Context, head AuditMark, last AuditRow) error {
	if last.Seq <= head.Seq {
		return nil
	}
	now, err := j.AuditHead(ctx)
	if err == nil && now.Seq < last.Seq {
		err = &AuditError{Seq: now.Seq + 1, Problem: "it was inserted"}
	}
	return err
}

// follows says what is wrong with a row after last; "" if nothing is.
func (r AuditRow) follows(last AuditRow, key []byte) string {
	switch {
	case r.Seq < last.Seq+1:
		return fmt.Sprintf("a row with number %d was inserted", r.Seq)
	case r.Seq > last.Seq+1:
		return "it was removed"
	case r.Keyed && len(key) == 0:
		return "it is keyed and no audit key is set, so it cannot be verified"
	case last.Keyed && !r.Keyed:
		return "it is not keyed, unlike the row before"
	case r.Prev != last.Hash:
		return "it does not follow the row before"
	case !hmac.Equal([]byte(r.Hash), []byte(r.sum(key))):
		return "it was changed"
	}
	return ""
}
