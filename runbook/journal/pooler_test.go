package journal

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"jwksbot/runbook"
	"jwksbot/runbook/journal/postgrestest"
)

// TestPoolerRefused: a pooler that shares sessions is recognised, also where
// other clients keep it busy, whatever order it hands its connections out in.
func TestPoolerRefused(t *testing.T) {
	t.Parallel()
	database := postgresURL(t)
	for _, c := range []struct {
		mode  string
		lines []string
	}{{"transaction", nil}, {"transaction", []string{"server_round_robin = 1"}}, {"statement", nil}} {
		t.Run(c.mode, func(t *testing.T) {
			through := server.Pool(t, c.mode, 5, c.lines...).URL(database)
			s := Settings{URL: through, Patient: true, Log: testLog(t)}
			if _, err := Open(context.Background(), s); !errors.Is(err, ErrPooler) {
				t.Errorf("quiet: %v", err)
			}
			keepBusy(t, through, c.mode == "statement")
			hasty := Settings{URL: through, Log: testLog(t)} // a patient one would wait for a connection that breaks
			for range 10 {
				j, err := Open(context.Background(), hasty)
				for runbook.LedgerAway(err) { // the pool broke the connection off: that tells nothing yet
					j, err = Open(context.Background(), hasty)
				}
				if !errors.Is(err, ErrPooler) {
					t.Fatalf("busy: %v", err)
				}
				if j != nil {
					t.Fatal("a journal and an error")
				}
			}
		})
	}
}

// keepBusy has other clients use a pool until the test ends, more than it has
// connections.
func keepBusy(t *testing.T, through string, statements bool) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var others sync.WaitGroup
	t.Cleanup(func() { stop(); others.Wait() })
	for range 8 {
		config, err := pgx.ParseConfig(through)
		if err != nil {
			t.Fatal(err)
		}
		config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
		conn, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			t.Fatal(err)
		}
		work := "BEGIN; SELECT pg_sleep(0.003); COMMIT"
		if statements {
			work = "SELECT pg_sleep(0.003)"
		}
		others.Go(func() {
			defer conn.Close(context.Background())
			for ctx.Err() == nil {
				if _, err := conn.Exec(ctx, work); err != nil && ctx.Err() == nil {
					t.Errorf("another client: %v", err)
					return
				}
				runbook.SystemClock{}.Wait(ctx, time.Millisecond)
			}
		})
	}
}

// TestPoolerSession: through a pooler that keeps sessions apart everything works:
// runs are carried out, one process executes, and the next takes over when it is
// killed or stopped.
func TestPoolerSession(t *testing.T) {
	t.Parallel()
	database := postgresURL(t)
	through := server.Pool(t, "session", 60).URL(database)
	j := open(t, through)
	for n, end := range []func(*process){(*process).kill, (*process).stop} {
		id := string(rune('a' + n))
		first := spawn(t, through, t.TempDir()+"/effects")
		eventually(t, "the first executes", func() bool { return holderIs(j, first) })
		second := spawn(t, through, t.TempDir()+"/effects")
		create(t, j, pending(id, id))
		if _, err := approve(j, id, "U2"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the run is done", func() bool { return state(t, j, id) == runbook.StateDone })
		end(first)
		eventually(t, "the second takes over", func() bool { return holderIs(j, second) })
		second.kill()
	}
}

// TestPoolerRestart: a pooler in session mode whose server is restarted is like
// a server that is restarted.
func TestPoolerRestart(t *testing.T) {
	t.Parallel()
	var server postgrestest.Server
	t.Cleanup(server.Stop)
	database := server.Database(t)
	j := openWith(t, Settings{URL: server.Pool(t, "session", 60).URL(database), Patient: true, Log: testLog(t)})
	execute(t, j, forward)
	present(t, j)
	eventually(t, "executing and presenting", func() bool { return j.Executing() && j.Presenting() })
	create(t, j, pending("r1", "a"))
	server.Halt()
	begin := time.Now()
	if _, err := approve(j, "r1", "U2"); err == nil || time.Since(begin) > answered {
		t.Errorf("a click was answered after %v: %v", time.Since(begin), err)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "usable again", func() bool { return j.Usable() == nil && j.Presenting() })
	eventually(t, "approved", func() bool {
		_, err := approve(j, "r1", "U2")
		return err == nil || errors.Is(err, runbook.ErrMoved)
	})
	eventually(t, "the run is done", func() bool {
		run, err := j.Run(context.Background(), "r1")
		return err == nil && run.State == runbook.StateDone
	})
}
