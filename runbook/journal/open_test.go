package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"jwksbot/runbook"
)

func TestOpenAgain(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		j := open(t, url)
		create(t, j, pending("r1", "a"))
		if err := j.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if state(t, open(t, url), "r1") != runbook.StatePending {
			t.Error("the run was not kept")
		}
	})
}

func TestNewerSchema(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		j := open(t, url)
		if _, err := j.db.Exec(`UPDATE journal_schema SET version = 99`); err != nil {
			t.Fatal(err)
		}
		refused(t, Settings{URL: url}, fmt.Sprintf("written by a newer jwksbot (schema 99; this one knows %d)", schemaVersion))
	})
}

// Who only looks creates nothing and changes nothing, and is told what is
// missing.
func TestLookOnly(t *testing.T) {
	eachEngine(t, func(t *testing.T, url string) {
		look := func(want error) {
			t.Helper()
			j, err := Open(t.Context(), Settings{URL: url, LookOnly: true})
			if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			if err == nil {
				j.Close(t.Context())
			}
		}
		look(ErrNotYet)
		if path, err := sqlitePath(url); err == nil {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the file is there: %v", err)
			}
		}
		j := open(t, url)
		look(nil)
		mustExec(t, j.db, `UPDATE journal_schema SET version = 2`)
		look(ErrOlder)
		var version int
		if err := j.db.QueryRow(`SELECT version FROM journal_schema`).Scan(&version); err != nil || version != 2 {
			t.Errorf("the tables are of schema %d now, %v", version, err)
		}
	})
	if os.Geteuid() == 0 {
		return // who may write anywhere
	}
	shut := t.TempDir()
	if err := os.Chmod(shut, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Settings{URL: filepath.Join(shut, "journal.db"), LookOnly: true}); err == nil || !strings.Contains(err.Error(), "write access to the directory") {
		t.Errorf("where nothing can be created: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("these are notes, no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.db")
	db, err := sql.Open("sqlite", other)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE customers (name TEXT)`); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s    Settings
		want string
	}{
		{Settings{URL: ""}, "give the path of a file"},
		{Settings{URL: ":memory:"}, "has to outlive the program"},
		{Settings{URL: "mysql://localhost/x"}, `"mysql" is not a kind of journal`},
		{Settings{URL: dir}, "it is a directory"},
		{Settings{URL: filepath.Join(dir, "no", "jwksbot.db")}, "does not exist; create it"},
		{Settings{URL: filepath.Join(text, "jwksbot.db")}, "not a directory"},
		{Settings{URL: text}, "the file is no journal"},
		{Settings{URL: other}, `the database of another program (table "customers")`},
		{Settings{URL: filepath.Join(dir, "j.db"), SnapshotKey: []byte("short")}, "the snapshot key has 5 bytes; give 32"},
		{Settings{URL: filepath.Join(dir, "j.db"), AuditKey: []byte("short")}, "the audit key has 5 bytes; give 32"},
		{Settings{URL: "postgres://jwksbot:hunter2@127.0.0.1:1/x"}, "the server cannot be reached"},
		{Settings{URL: "postgres://jwksbot:hunter2@127.0.0.1:port/x"}, "open journal"},
	} {
		refused(t, c.s, c.want)
	}
}

func refused(t *testing.T, s Settings, want string) {
	t.Helper()
	j, err := Open(context.Background(), s)
	if err == nil {
		j.Close(context.Background())
		t.Fatalf("%q was opened", s.URL)
	}
	if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%q: %v\nwant it to say %q", s.URL, err, want)
	}
}

func TestURLForms(t *testing.T) {
	dir := t.TempDir()
	for url, file := range map[string]string{
		filepath.Join(dir, "a?b#c %41.db"):           "a?b#c %41.db",
		"sqlite:" + filepath.Join(dir, "plain.db"):   "plain.db",
		"sqlite://" + filepath.Join(dir, "slash.db"): "slash.db",
	} {
		open(t, url)
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil {
			t.Errorf("%q: %v", url, err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%q: others may read it: %v", url, info.Mode())
		}
	}
}

func TestLockedFile(t *testing.T) {
	t.Parallel()
	url := sqliteURL(t)
	j := open(t, url)
	locker, err := j.db.Begin() // immediate, as another program would
	if err != nil {
		t.Fatal(err)
	}
	defer locker.Rollback()
	refused(t, Settings{URL: url}, "another program has it locked; close that program")
	if _, err := j.Runs(context.Background(), runbook.Filter{}); err != nil {
		t.Errorf("reading beside a writer: %v", err)
	}
}

// TestReadOnly opens files as somebody who may not write them. Root may write
// everything, so the thread gives that up.
func TestReadOnly(t *testing.T) {
	url := sqliteURL(t)
	j := open(t, url)
	create(t, j, pending("r1", "a"))
	if err := j.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(url)
	for path, mode := range map[string]os.FileMode{url: 0o444, dir: 0o555, filepath.Dir(dir): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.Chmod(dir, 0o755) })
	if os.Getuid() == 0 {
		asNobody(t)
	}
	refused(t, Settings{URL: url}, "give jwksbot write access to the file and its directory")
	refused(t, Settings{URL: filepath.Join(dir, "new.db")}, "give jwksbot write access to the directory")
}

// asNobody takes root's rights to files from this thread until the test ends.
func asNobody(t *testing.T) {
	t.Helper()
	const nobody = 65534
	runtime.LockOSThread()
	set := func(id uintptr) { syscall.RawSyscall(syscall.SYS_SETFSUID, id, 0, 0) }
	set(nobody)
	t.Cleanup(func() {
		set(0)
		runtime.UnlockOSThread()
	})
}

func TestFullDisk(t *testing.T) {
	ctx, j := context.Background(), open(t, sqliteURL(t))
	create(t, j, pending("r1", "a"))
	j.db.SetMaxOpenConns(1) // the limit is one connection's
	var pages int
	if err := j.db.QueryRow(`PRAGMA page_count`).Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := j.db.Exec(`PRAGMA max_page_count = 1`); err != nil { // becomes the present size
		t.Fatal(err)
	}
	big := make([]runbook.Saved, 50)
	for i := range big {
		big[i].Payload = make([]byte, 4096)
	}
	err := j.SaveSnapshot(ctx, "r1", big)
	if err == nil || !strings.Contains(err.Error(), "the disk is full; free some space") {
		t.Errorf("full disk: %v", err)
	}
	if saved, err := j.Snapshot(ctx, "r1"); err != nil || len(saved) != 0 {
		t.Errorf("a part was written: %d, %v", len(saved), err)
	}
}

func TestLostServer(t *testing.T) {
	j := open(t, postgresURL(t))
	create(t, j, pending("r1", "a"))
	if _, err := j.db.Exec(`ALTER TABLE audit_head RENAME TO gone`); err != nil {
		t.Fatal(err)
	}
	_, err := approve(j, "r1", "U2")
	if err == nil || errors.Is(err, runbook.ErrMoved) {
		t.Fatalf("a change without audit was accepted: %v", err)
	}
	if state(t, j, "r1") != runbook.StatePending {
		t.Error("the run was changed without its audit row")
	}
}
