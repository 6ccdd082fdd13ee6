package journal

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
)

const plantedValue = "PLANTED\x00\xff-value-of-a-cache-entry"

// TestValuesStayInSnapshots: through a whole run, the value of an entry is in
// the table of snapshots and in no other, neither of ours nor of the engine's;
// with a key it is nowhere.
func TestValuesStayInSnapshots(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		for _, key := range [][]byte{nil, []byte("0123456789abcdef0123456789abcdef")} {
			ctx, j := context.Background(), openWith(t, Settings{URL: url, SnapshotKey: key, Log: testLog(t)})
			id := fmt.Sprintf("r%d", len(key))
			one := saved("jwks:1", plantedValue)
			one.At = time.Now()
			stop := execute(t, j, func(ctx context.Context, r runbook.Run) (runbook.Transition, error) {
				if r.State == runbook.StateSnapshot {
					if err := j.Fenced().SaveSnapshot(ctx, r.ID, []runbook.Saved{one}); err != nil {
						return runbook.Transition{}, err
					}
				}
				return forward(ctx, r)
			})
			create(t, j, pending(id, id))
			if _, err := approve(j, id, "U2"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the run is done", func() bool { return state(t, j, id) == runbook.StateDone })
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			if got, err := j.Snapshot(ctx, id); err != nil || len(got) != 1 || string(got[0].Payload) != plantedValue {
				t.Fatalf("read back %v, %v", got, err)
			}
			want := map[string]bool{"snapshots": true}
			if key != nil {
				want = map[string]bool{}
			}
			if found := tablesWith(t, j, plantedValue); fmt.Sprint(found) != fmt.Sprint(want) {
				t.Errorf("key %t: the value is in %v, want %v", key != nil, found, want)
			}
			mustExec(t, j.db, `DELETE FROM snapshots`)
		}
	})
}

// tablesWith reads every column of every table, as it is and in hexadecimal.
func tablesWith(t *testing.T, j *Journal, value string) map[string]bool {
	t.Helper()
	list := `SELECT name FROM sqlite_master WHERE type = 'table'`
	if j.pool != nil {
		list = `SELECT CASE table_schema WHEN 'public' THEN table_name ELSE table_schema || '.' || table_name END
			FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema IN ('public', 'dbos')`
	}
	tables := strings.Fields(strings.Join(rowsOf(t, j, list), " "))
	if len(tables) < 10 {
		t.Fatalf("only %v: the engine's tables are missing", tables)
	}
	found := map[string]bool{}
	for _, table := range tables {
		for _, row := range rowsOf(t, j, `SELECT * FROM `+table) {
			if strings.Contains(row, value) || strings.Contains(row, hex.EncodeToString([]byte(value))) {
				found[table] = true
			}
		}
	}
	return found
}

func rowsOf(t *testing.T, j *Journal, query string) (out []string) {
	t.Helper()
	rows, err := j.db.Query(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		cells := make([]any, len(columns))
		for i := range cells {
			cells[i] = new(any)
		}
		if err := rows.Scan(cells...); err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, c := range cells {
			text += fmt.Sprintf("%s ", *c.(*any))
		}
		out = append(out, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestStateOfAnotherVersion: a run that a newer program left in a state that
// this one does not know stays as it is, and hinders nobody.
func TestStateOfAnotherVersion(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j := context.Background(), open(t, url)
		create(t, j, pending("new", "a"))
		if _, err := j.Change(ctx, "new", func(r *runbook.Run) ([]runbook.AuditEntry, error) {
			r.State = "polish"
			return nil, nil
		}); err != nil {
			t.Fatal(err)
		}
		execute(t, j, forward)
		create(t, j, pending("r1", "a"))
		if _, err := approve(j, "r1", "U2"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the run is done", func() bool { return state(t, j, "r1") == runbook.StateDone })
		if _, err := approve(j, "new", "U2"); err == nil {
			t.Error("a run of an unknown state was approved")
		}
		if s := state(t, j, "new"); s != "polish" {
			t.Errorf("the unknown run became %s", s)
		}
	})
}
