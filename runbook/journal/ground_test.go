package journal

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jwksbot/runbook"
)

// away is what can happen to the files of a journal under a process.
var away = map[string]func(t *testing.T, path string){
	"deleted":             func(t *testing.T, path string) { move(t, path, path+".gone") },
	"replaced by another": func(t *testing.T, path string) { move(t, path, path+".gone"); other(t, path) },
	"replaced at once":    func(t *testing.T, path string) { other(t, path+".new"); move(t, path+".new", path) },
	"without its log":     func(t *testing.T, path string) { move(t, path+"-wal", path+"-wal.gone") },
	"without its index":   func(t *testing.T, path string) { move(t, path+"-shm", path+"-shm.gone") },
	"in a removed folder": func(t *testing.T, path string) { move(t, filepath.Dir(path), filepath.Dir(path)+".gone") },
}

// TestFilesTakenAway: a process whose journal was deleted or replaced notices
// before the next thing that it reads or writes, says so once, decides and
// executes nothing more, and writes nothing into the file that took its place.
func TestFilesTakenAway(t *testing.T) {
	t.Parallel()
	for name, take := range away {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "journal", "jwksbot.db")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			var out safeBuffer
			j := openWith(t, Settings{URL: path, Log: slog.New(slog.NewTextHandler(&out, nil))})
			entered, stopped := make(chan struct{}), make(chan error, 1)
			execute(t, j, func(ctx context.Context, r runbook.Run) (runbook.Transition, error) {
				if r.State != runbook.StateFlush {
					return forward(ctx, r)
				}
				close(entered)
				<-ctx.Done()
				stopped <- j.Guard(context.Background())
				return runbook.Transition{}, ctx.Err()
			})
			create(t, j, pending("r1", "a"))
			create(t, j, pending("r2", "b"))
			if _, err := approve(j, "r1", "U2"); err != nil {
				t.Fatal(err)
			}
			<-entered
			take(t, path)
			for what, err := range map[string]error{
				"approve": second(approve(j, "r2", "U2")), "create": j.Create(context.Background(), pending("r3", "c")),
				"read": second(j.Run(context.Background(), "r2")), "usable": j.Usable(),
			} {
				var told *runbook.LedgerError
				if !errors.As(err, &told) || !told.Lost || !told.Away {
					t.Errorf("%s: %v", what, err)
				}
			}
			if err := <-stopped; !errors.Is(err, runbook.ErrNotExecutor) {
				t.Errorf("guard of a running step: %v", err)
			}
			eventually(t, "no longer executing", func() bool { return !j.Executing() })
			if n := strings.Count(out.String(), "deleted or replaced"); n == 0 {
				t.Errorf("the log does not say it:\n%s", out.String())
			}
			if n := strings.Count(out.String(), "level=ERROR"); n != 1 {
				t.Errorf("it is said %d times:\n%s", n, out.String())
			}
		})
	}
}

// TestFileComesBack: what was moved away and is moved back is gone on with.
func TestFileComesBack(t *testing.T) {
	t.Parallel()
	path := sqliteURL(t)
	j := open(t, path)
	execute(t, j, forward)
	eventually(t, "executing", j.Executing)
	create(t, j, pending("r1", "a"))
	move(t, path, path+".gone")
	eventually(t, "no longer executing", func() bool { return !j.Executing() })
	if _, err := approve(j, "r1", "U2"); !runbook.LedgerAway(err) {
		t.Fatalf("approved: %v", err)
	}
	move(t, path+".gone", path)
	if _, err := approve(j, "r1", "U2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the run is done", func() bool { return state(t, j, "r1") == runbook.StateDone })
}

// TestLastOneOut: a process that closes a journal whose file was replaced does
// not delete the log of the file that took the name.
func TestLastOneOut(t *testing.T) {
	t.Parallel()
	path := sqliteURL(t)
	old := open(t, path)
	create(t, old, pending("r1", "a"))
	for _, p := range []string{path, path + "-wal", path + "-shm"} {
		move(t, p, p+".gone")
	}
	now := open(t, path)
	create(t, now, pending("r2", "a"))
	if err := old.Close(context.Background()); err != nil {
		t.Error(err)
	}
	create(t, now, pending("r3", "a"))
	third := open(t, path)
	for _, id := range []string{"r2", "r3"} {
		if _, err := third.Run(context.Background(), id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// other is another journal. No file of a journal that is open is read here:
// closing it again would drop SQLite's locks on it.
func other(t *testing.T, path string) {
	t.Helper()
	j, err := Open(context.Background(), Settings{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}
