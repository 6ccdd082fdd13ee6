package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
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
	first.Says("executing runs")
	if replicas > 1 {
		d.start(t, "bot", "", "serve").Says("another process executes runs")
	}
	flush := d.start(t, "robin", "production\n", "flush", "production", "--ticket", "INC-1", "--reason", "rotated")
	bottest.Await(t, "the bot to ask who it is", held)
	first.Cmd.Process.Kill()
	<-first.Ended
	killed := time.Now()
	id := flush.Says(`run (\S+) waits for 1 approval`)[1]
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
	if code := flush.Exit(); code != exitOK {
		t.Errorf("exit code %d\n%s%s", code, flush.Out.String(), flush.Err.String())
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
func (d *workplace) holdSTS(t *testing.T) <-chan struct{} {
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
