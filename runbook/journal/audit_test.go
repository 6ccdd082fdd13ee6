package journal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
)

func TestAuditChain(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		ctx, j := context.Background(), open(t, url)
		if _, err := j.VerifyAudit(ctx); err != nil {
			t.Errorf("empty trail: %v", err)
		}
		create(t, j, pending("r1", "a"))
		if err := j.Note(ctx, runbook.AuditEntry{At: start, Actor: "U9", Kind: "refused", Target: "staging", Detail: "bad bytes \xff\x00 here"}); err != nil {
			t.Fatal(err)
		}
		if err := j.Note(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := j.VerifyAudit(ctx); err != nil {
			t.Error(err)
		}
		var rows []AuditRow
		for row, err := range j.AuditRows(ctx, AuditFilter{}) {
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
		if len(rows) != 2 || rows[0].Run != "r1" || rows[0].Ticket != "INC-1" || rows[0].Digest != "d1" || rows[0].At.IsZero() {
			t.Fatalf("the first row took nothing from the run: %+v", rows)
		}
		if rows[1].Detail != "bad bytes \uFFFD here" || !rows[1].At.Equal(start) {
			t.Errorf("second row: %+v", rows[1])
		}
		for f, want := range map[AuditFilter]int{
			{Run: "r1"}: 1, {Target: "staging"}: 1, {After: 1}: 1, {Until: start}: 0, {Since: start, Until: start.Add(time.Second)}: 1,
		} {
			n := 0
			for _, err := range j.AuditRows(ctx, f) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != want {
				t.Errorf("%+v selects %d rows, want %d", f, n, want)
			}
		}
	})
}

const forged = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// TestKeyedAudit: who can write the database but has no key cannot make up a
// chain, and a trail may become keyed on the way.
func TestKeyedAudit(t *testing.T) {
	ctx, url := context.Background(), sqliteURL(t)
	key := []byte("0123456789abcdef0123456789abcdef")
	note := func(j *Journal) {
		t.Helper()
		if err := j.Note(ctx, runbook.AuditEntry{At: start, Kind: "view"}); err != nil {
			t.Fatal(err)
		}
	}
	plain, keyed := open(t, url), openWith(t, Settings{URL: url, AuditKey: key})
	note(plain)
	note(keyed)
	if _, err := keyed.VerifyAudit(ctx); err != nil {
		t.Error(err)
	}
	if _, err := plain.VerifyAudit(ctx); err == nil || !strings.Contains(err.Error(), "no audit key is set") {
		t.Errorf("without the key: %v", err)
	}
	wrong := openWith(t, Settings{URL: url, AuditKey: make([]byte, 32)})
	if _, err := wrong.VerifyAudit(ctx); err == nil {
		t.Error("verified with another key")
	}
	note(plain) // a program without the key must not go on unnoticed
	var found *AuditError
	if _, err := keyed.VerifyAudit(ctx); !errors.As(err, &found) || found.Seq != 3 {
		t.Errorf("unkeyed row after keyed ones: %v", err)
	}
}

// TestAuditRowSum pins the format of the chain: stored trails depend on it.
func TestAuditRowSum(t *testing.T) {
	row := AuditRow{Seq: 1, AuditEntry: runbook.AuditEntry{At: start, Actor: "U1", Kind: "approve"}}
	text := "jwksbot audit 1\n1\nfalse\n0:\n27:2026-02-14T02:40:00.000000Z\n2:U1\n7:approve\n0:\n0:\n0:\n0:\n0:\n0:\n"
	want := sha256.Sum256([]byte(text))
	if got := row.sum(nil); got != hex.EncodeToString(want[:]) {
		t.Errorf("sum is %s", got)
	}
}
