package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/journal"
	"jwksbot/runbook/journal/postgrestest"
)

// TestARequestOutlivesItsExecutor kills the bot while it deals with a request
// from a terminal. On SQLite the terminal itself takes over, once the bot had
// the time to come back, on Postgres the other replica: the request is answered
// soon, and there is one run.
func TestARequestOutlivesItsExecutor(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { requestOutlives(t, "journal.db", 1) })
	t.Run("postgres", func(t *testing.T) {
		var server postgrestest.Server
		t.Cleanup(server.Stop)
		requestOutlives(t, server.Database(t), 2)
	})
}

func requestOutlives(t *testing.T, journalURL string, replicas int) {
	d, _ := newTeam(t, "stale", "journal: journal.db", "journal: "+journalURL, "U0ROBIN", "U0ONCALL", "U0LEE", "U0LEAD")
	held := d.holdSTS(t)
	first := d.start(t, "bot", "", "serve")
	first.says("executing runs")
	if replicas > 1 {
		d.start(t, "bot", "", "serve").says("another process executes runs")
	}
	flush := d.start(t, "robin", "production\n", "flush", "production", "--ticket", "INC-1", "--reason", "rotated")
	await(t, "the bot to ask who it is", held)
	first.cmd.Process.Kill()
	<-first.ended
	killed := time.Now()
	id := flush.says(`run (\S+) waits for 1 approval`)[1]
	took := time.Since(killed)
	t.Logf("answered %v after the executor was killed", took.Round(10*time.Millisecond))
	if took > 45*time.Second { // 1 to 17 s on an idle machine; without a take-over it is 2 minutes
		t.Errorf("the request was answered after %v", took)
	}
	listed, _ := d.run(t, exitOK, "lee", "", "runs", "--json")
	if n := strings.Count(listed, `"id"`); n == 0 || strings.Count(listed, id) == 0 {
		t.Errorf("run %s is not listed: %s", id, listed)
	}
	d.run(t, exitOK, "lee", "", "approve", id)
	if code := flush.exit(); code != exitOK {
		t.Errorf("exit code %d\n%s%s", code, flush.out.String(), flush.err.String())
	}
	path := journalURL
	if replicas == 1 {
		path = filepath.Join(d.dir, journalURL)
	}
	runs, err := openJournal(t, path).Runs(t.Context(), runbook.Filter{})
	if err != nil || len(runs) != 1 || runs[0].ID != id || runs[0].State != runbook.StateDone {
		t.Errorf("%d runs, %v: %+v", len(runs), err, runs)
	}
}

// holdSTS puts a proxy before AWS that never answers the first question who
// made a proof; the channel is closed when it was asked.
func (d *desk) holdSTS(t *testing.T) <-chan struct{} {
	t.Helper()
	var endpoint string
	for _, e := range d.env {
		if v, ok := strings.CutPrefix(e, "AWS_ENDPOINT_URL="); ok {
			endpoint = v
		}
	}
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	rest, held := httputil.NewSingleHostReverseProxy(to), make(chan struct{})
	var once sync.Once
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first := false
		if r.URL.Query().Get("Action") == "GetCallerIdentity" {
			once.Do(func() { first = true })
		}
		if first {
			close(held)
			<-r.Context().Done()
			return
		}
		rest.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	d.env = append(d.env, "AWS_ENDPOINT_URL="+srv.URL)
	return held
}

// asker is an office that has a journal and nothing else, and executes it.
func asker(t *testing.T) *office {
	t.Helper()
	o := &office{journal: openJournal(t, filepath.Join(t.TempDir(), "journal.db"))}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- o.journal.Execute(ctx, func(context.Context, runbook.Run) (runbook.Transition, error) {
			return runbook.Transition{}, errors.New("nothing is executed here")
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	poll(t, o.journal.Executing, func() string { return "the executor" })
	return o
}

// takeOne hands a petition in and takes it.
func (o *office) takeOne(t *testing.T, want petition) journal.Petition {
	t.Helper()
	body, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.journal.Petition(t.Context(), journal.Petition{ID: t.Name(), Body: body, Proof: "signed"}); err != nil {
		t.Fatal(err)
	}
	p, ok, err := o.journal.Tenure().TakePetition(t.Context())
	if err != nil || !ok {
		t.Fatal(p, ok, err)
	}
	return p
}

// What an executor had done before it ended is not done again; the answer of
// the next one tells what came of it.
func TestWhatWasCarriedOutIsAnswered(t *testing.T) {
	decided := func(n int, to runbook.State) func(*runbook.Run) {
		return func(r *runbook.Run) {
			for range n {
				r.Decisions = append(r.Decisions, runbook.Decision{By: runbook.PersonRef{ID: "U1"}, Kind: runbook.DecideApprove})
			}
			r.State = to
		}
	}
	click := petition{Click: &runbook.Click{Run: "r1", Kind: runbook.DecideApprove}}
	for name, c := range map[string]struct {
		want petition
		did  func(*runbook.Run)
		text string
	}{
		"request": {petition{Request: &runbook.Request{Target: "production"}}, func(r *runbook.Run) { r.Reason = "rotated" }, ""},
		"counted": {click, decided(1, runbook.StatePending), "Counted: 1 of 2 approvals."},
		"changed": {click, func(r *runbook.Run) { r.Generation++ }, "Not approved: things changed since the request"},
		"denied":  {click, decided(0, runbook.StateDenied), "The run is now denied."},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, o := t.Context(), asker(t)
			if err := o.journal.Create(ctx, runbook.Run{ID: "r1", State: runbook.StatePending, Required: 2}); err != nil {
				t.Fatal(err)
			}
			p := o.takeOne(t, c.want)
			if _, err := o.journal.Tenure().Errand(p.ID).Change(ctx, "r1", func(r *runbook.Run) ([]runbook.AuditEntry, error) {
				c.did(r)
				return nil, nil
			}); err != nil {
				t.Fatal(err)
			}
			p, err := o.journal.ReadPetition(ctx, p.ID) // as the next executor gets it
			if err != nil {
				t.Fatal(err)
			}
			before, err := o.journal.Run(ctx, "r1")
			if err != nil {
				t.Fatal(err)
			}
			o.serveOne(ctx, p, slog.New(slog.DiscardHandler))
			got, err := o.awaitReply(ctx, p.ID)
			if err != nil || got.Run != "r1" || !strings.Contains(got.Text, c.text) || (got.Text == "") != (c.text == "") {
				t.Errorf("%+v, %v", got, err)
			}
			if after, err := o.journal.Run(ctx, "r1"); err != nil || after.Version != before.Version {
				t.Errorf("it was done again: version %d, then %d, %v", before.Version, after.Version, err)
			}
		})
	}
}

// A petition over which one process after the other ends is not tried for ever,
// and a panic ends no process at all.
func TestAPetitionThatKills(t *testing.T) {
	ctx, o := t.Context(), asker(t)
	p := o.takeOne(t, petition{Click: &runbook.Click{Run: "r1", Kind: runbook.DecideApprove}})
	p.Takes = maxTakes + 1
	o.serveOne(ctx, p, slog.New(slog.DiscardHandler))
	if _, err := o.awaitReply(ctx, p.ID); err == nil || !strings.Contains(err.Error(), "3 processes ended") {
		t.Errorf("tried again: %v", err)
	}
	var log bytes.Buffer
	p.Takes = 1
	_, err := (&office{}).settle(ctx, p, slog.New(slog.NewTextHandler(&log, nil))) // without a journal it panics
	if err == nil || !strings.Contains(err.Error(), "it panicked over this request") || !strings.Contains(log.String(), "counter.go") {
		t.Errorf("%v\n%s", err, log.String())
	}
}

// Who stops waiting knows what came of it: nothing, for good, or a run.
func TestTheAskerTakesItBack(t *testing.T) {
	ctx, o := t.Context(), asker(t)
	stopped, stop := context.WithCancel(ctx)
	stop()
	p := o.takeOne(t, petition{Request: &runbook.Request{Target: "production"}})
	if _, err := o.awaitReply(stopped, p.ID); err == nil || !strings.Contains(err.Error(), "nothing was done, and nothing will be: interrupted") {
		t.Errorf("%v", err)
	}
	if err := o.journal.Tenure().Errand(p.ID).Create(ctx, runbook.Run{ID: "r1", State: runbook.StatePending}); !errors.Is(err, journal.ErrPetitionOver) {
		t.Errorf("carried out after that: %v", err)
	}
	t.Run("late", func(t *testing.T) {
		p := o.takeOne(t, petition{Request: &runbook.Request{Target: "production"}})
		if err := o.journal.Tenure().Errand(p.ID).Create(ctx, runbook.Run{ID: "r2", State: runbook.StatePending}); err != nil {
			t.Fatal(err)
		}
		if got, err := o.awaitReply(stopped, p.ID); err != nil || got.Run != "r2" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
