package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"jwksbot/runbook"
)

// tampering is what somebody with write access to the database does to it.
type tampering struct {
	name, sql string
	first     int // the row that has to be named
}

const tamperRows = 6

// TestAuditTampering: every edit, deletion, insertion, swap and cut of single
// rows is found, and named by the first row that is wrong: on both engines,
// with and without a key.
func TestAuditTampering(t *testing.T) {
	eachTrail(t, func(t *testing.T, j *Journal) {
		for _, a := range tamperings() {
			a.expect(t, j)
		}
	})
}

// eachTrail runs a test on a trail of tamperRows rows.
func eachTrail(t *testing.T, test func(t *testing.T, j *Journal)) {
	for name, key := range map[string][]byte{"plain": nil, "keyed": []byte("0123456789abcdef0123456789abcdef")} {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, url string) {
				j := openWith(t, Settings{URL: url, AuditKey: key})
				for i := range tamperRows {
					if err := j.Note(context.Background(), runbook.AuditEntry{At: start.Add(time.Duration(i) * time.Second), Actor: fmt.Sprintf("U%d", i), Kind: "view", Detail: "the same words"}); err != nil {
						t.Fatal(err)
					}
				}
				if j.pool == nil { // a thousand small writes, and no test cuts the power
					j.db.SetMaxOpenConns(1)
					mustExec(t, j.db, `PRAGMA synchronous = OFF`)
				}
				if _, err := j.db.Exec(`CREATE TABLE kept AS SELECT * FROM audit; CREATE TABLE kept_head AS SELECT * FROM audit_head`); err != nil {
					t.Fatal(err)
				}
				test(t, j)
			})
		})
	}
}

// expect does the damage, holds what verify finds, and puts the trail back.
func (a tampering) expect(t *testing.T, j *Journal, marks ...AuditMark) {
	t.Helper()
	if _, err := j.db.Exec(a.sql); err != nil {
		t.Fatalf("%s: %v", a.sql, err)
	}
	a.found(t, j, marks...)
}

func (a tampering) found(t *testing.T, j *Journal, marks ...AuditMark) {
	t.Helper()
	var found *AuditError
	if _, err := j.VerifyAudit(context.Background(), marks...); !errors.As(err, &found) || found.Seq != int64(a.first) {
		t.Errorf("%s: found %v, want row %d", a.name, err, a.first)
	}
	if _, err := j.db.Exec(`DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM kept_head`); err != nil {
		t.Fatal(err)
	}
	if _, err := j.VerifyAudit(context.Background(), marks...); err != nil {
		t.Fatalf("%s: the trail as it was: %v", a.name, err)
	}
}

func tamperings() []tampering {
	random := rand.New(rand.NewPCG(1, 2))
	var all []tampering
	for seq := 1; seq <= tamperRows; seq++ {
		add := func(name, sql string, first int, args ...any) {
			all = append(all, tampering{fmt.Sprintf("%s of row %d", name, seq), fmt.Sprintf(sql, args...), first})
		}
		for _, f := range []string{"actor", "kind", "run", "target", "ticket", "reason", "digest", "detail", "prev", "hash"} {
			add("edit "+f, "UPDATE audit SET %s = %s || 'x' WHERE seq = %d", seq, f, f, seq)
		}
		add("edit at", "UPDATE audit SET at = '2020-01-01T00:00:00.000000Z' WHERE seq = %d", seq, seq)
		add("edit at to nonsense", "UPDATE audit SET at = 'noon' WHERE seq = %d", seq, seq)
		add("edit keyed", "UPDATE audit SET keyed = 1 - keyed WHERE seq = %d", seq, seq)
		add("delete", "DELETE FROM audit WHERE seq = %d", seq, seq)
		add("cut the tail", "DELETE FROM audit WHERE seq >= %d", seq, seq)
		add("delete and close the gap", "DELETE FROM audit WHERE seq = %d; UPDATE audit SET seq = -seq WHERE seq > %d; UPDATE audit SET seq = -seq - 1 WHERE seq < 0", seq, seq, seq)
		add("insert", "UPDATE audit SET seq = -seq WHERE seq >= %d; UPDATE audit SET seq = -seq + 1 WHERE seq < 0; INSERT INTO audit SELECT %d, at, 'U666', kind, run, target, ticket, reason, digest, detail, keyed, prev, hash FROM audit WHERE seq = %d", seq, seq, seq, seq+1)
		if other := 1 + random.IntN(tamperRows); other != seq {
			add("swap", "UPDATE audit SET seq = -1 WHERE seq = %d; UPDATE audit SET seq = %d WHERE seq = %d; UPDATE audit SET seq = %d WHERE seq = -1", min(seq, other), seq, seq, other, other)
		}
	}
	return append(all, tampering{"append", fmt.Sprintf("INSERT INTO audit SELECT %d, at, actor, kind, run, target, ticket, reason, digest, detail, 0, hash, '%s' FROM audit WHERE seq = %d",
		tamperRows+1, forged, tamperRows), tamperRows + 1})
}

// TestAuditRewritten: who also writes the row that knows the head, and hashes
// the chain anew as far as they can, is found by a mark from the log; where
// there is a key that they do not have, without one, too.
func TestAuditRewritten(t *testing.T) {
	eachTrail(t, func(t *testing.T, j *Journal) {
		ctx := context.Background()
		mark, err := j.AuditHead(ctx)
		if err != nil {
			t.Fatal(err)
		}
		keyed := len(j.auditKey) > 0
		for seq := 1; seq <= tamperRows; seq++ {
			rewrite(t, j, seq, "U666")
			a := tampering{name: fmt.Sprintf("rewritten from row %d on", seq), first: tamperRows}
			if keyed {
				a.first = seq // not keyed, unlike the one before
			}
			if keyed && seq == 1 {
				a.first = tamperRows // the mark is the first to tell
				if _, err := j.VerifyAudit(ctx); err == nil {
					t.Error("a chain without any keyed row passed for a keyed one")
				}
			}
			a.found(t, j, mark)

			if seq > 1 {
				cut := tampering{name: fmt.Sprintf("cut before row %d, head moved", seq), first: seq,
					sql: fmt.Sprintf("DELETE FROM audit WHERE seq >= %d; UPDATE audit_head SET seq = %d, hash = (SELECT hash FROM audit WHERE seq = %d)", seq, seq-1, seq-1)}
				cut.expect(t, j, mark)
			}
		}
	})
}

// rewrite changes the actor of a row and hashes it and all after it again, as
// somebody without the key can.
func rewrite(t *testing.T, j *Journal, from int, actor string) {
	t.Helper()
	var rows []AuditRow
	for row, err := range j.AuditRows(context.Background(), AuditFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	prev := rows[from-1].Prev
	for _, row := range rows[from-1:] {
		if row.Seq == int64(from) {
			row.Actor = actor
		}
		row.Keyed, row.Prev = false, prev
		row.Hash = row.sum(nil)
		prev = row.Hash
		mustExec(t, j.db, j.rebind(`UPDATE audit SET actor = ?, keyed = 0, prev = ?, hash = ? WHERE seq = ?`), row.Actor, row.Prev, row.Hash, row.Seq)
	}
	mustExec(t, j.db, j.rebind(`UPDATE audit_head SET hash = ?`), prev)
}

func mustExec(t *testing.T, db *sql.DB, q string, args ...any) {
	t.Helper()
	if _, err := db.Exec(q, args...); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
}
