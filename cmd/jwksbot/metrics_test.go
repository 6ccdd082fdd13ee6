package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"jwksbot/bot/socket"
	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/journal"
)

// scrape reads metrics as a monitoring system does: every line has to be a
// comment or a sample, every sample of a name that was announced once.
func scrape(t *testing.T, h http.Handler) map[string]float64 {
	t.Helper()
	srv := httptest.NewServer(healthServer{nil, h})
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%s, %v", resp.Status, err)
	}
	comment, sample := regexp.MustCompile(`^# (HELP|TYPE) ([a-z_]+) \S`), regexp.MustCompile(`^([a-z_]+)(\{[a-z]+="[^"\\]*"\})? (\S+)$`)
	out, announced := map[string]float64{}, map[string]int{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if c := comment.FindStringSubmatch(line); c != nil {
			announced[c[1]+" "+c[2]]++
			continue
		}
		s := sample.FindStringSubmatch(line)
		if s == nil {
			t.Errorf("no line of the format: %q", line)
			continue
		}
		v, err := strconv.ParseFloat(s[3], 64)
		if _, twice := out[s[1]+s[2]]; err != nil || twice {
			t.Errorf("%q: %v, twice: %v", line, err, twice)
		}
		base := s[1]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			base = strings.TrimSuffix(base, suffix)
		}
		if announced["TYPE "+base]+announced["TYPE "+s[1]] == 0 {
			t.Errorf("%s has no type", s[1])
		}
		out[s[1]+s[2]] = v
	}
	for name, n := range announced {
		if n != 1 {
			t.Errorf("%s: announced %d times", name, n)
		}
	}
	return out
}

// What people decide and how runs end is counted from what the journal keeps as
// data, whoever wrote it, and only from the first look on.
func TestTheJournalIsCounted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "journal.db")
	ctx, j, other := t.Context(), openJournal(t, file), openJournal(t, file)
	m := newMetrics()
	f := &follower{metrics: m, journal: j}
	// What happens to one run after the other: its states, and rows of the trail
	// whose sentences must not be taken for states.
	happens := func(id string, states ...runbook.State) {
		t.Helper()
		if err := other.Create(ctx, runbook.Run{ID: id, Resource: id, State: states[0]}, runbook.AuditEntry{Kind: "request"}); err != nil {
			t.Fatal(err)
		}
		for _, to := range states[1:] {
			if _, err := other.Change(ctx, id, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
				r.State, r.Outcome = to, fmt.Sprint("version ", r.Version)
				return []runbook.AuditEntry{{Kind: "state", Detail: "verify to done: from watch to escalate"}}, nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	happens("before", runbook.StatePending, runbook.StateDenied)
	look := func() map[string]float64 {
		t.Helper()
		if err := f.look(ctx); err != nil {
			t.Fatal(err)
		}
		return scrape(t, m)
	}
	if got := look(); got["jwksbot_requests_total"] != 0 || got[`jwksbot_runs_ended_total{state="denied"}`] != 0 {
		t.Errorf("what was before is counted: %v", got)
	}
	happens("r1", runbook.StatePending, runbook.StateWithdrawn)
	happens("r2", runbook.StatePending, runbook.StateExpired)
	happens("r3", runbook.StateWatch, runbook.StateWatch, runbook.StateEscalate, runbook.StateWatch, runbook.StateEscalate, runbook.StateDone)
	look()
	happens("r4", runbook.StatePending, runbook.StateDenied)
	happens("r5", runbook.StatePending, runbook.StateFailed)
	if err := other.Note(ctx, runbook.AuditEntry{Kind: "approve"}, runbook.AuditEntry{Kind: "refused"}, runbook.AuditEntry{Kind: "deny"},
		runbook.AuditEntry{Kind: "withdraw"}, runbook.AuditEntry{Kind: "break_glass"}, runbook.AuditEntry{Kind: "message", Detail: "done"}); err != nil {
		t.Fatal(err)
	}
	look()
	got := look()
	for name, want := range map[string]float64{
		"jwksbot_requests_total": 5, `jwksbot_decisions_total{kind="approve"}`: 1, `jwksbot_decisions_total{kind="refused"}`: 1, `jwksbot_decisions_total{kind="break_glass"}`: 1,
		`jwksbot_runs_ended_total{state="done"}`: 1, `jwksbot_runs_ended_total{state="denied"}`: 1, `jwksbot_runs_ended_total{state="withdrawn"}`: 1,
		`jwksbot_runs_ended_total{state="expired"}`: 1, `jwksbot_runs_ended_total{state="failed"}`: 1, `jwksbot_runs_ended_total{state="obsolete"}`: 0,
		"jwksbot_escalations_total": 2, "jwksbot_journal_errors_total": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: %v (%v), want %v", name, v, ok, want)
		}
	}
}

func openJournal(t *testing.T, url string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), journal.Settings{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close(context.Background()) })
	return j
}

func TestChecksAreCountedWithTheirTime(t *testing.T) {
	m := newMetrics()
	report := check.Report{}
	report.Diagnosis.Verdict.ID = diagnose.StaleCache
	for _, report.Duration = range []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 3 * time.Second, time.Minute} {
		m.checked(report)
	}
	got := scrape(t, m)
	for le, want := range map[string]float64{"0.1": 2, "0.25": 2, "2.5": 2, "5": 3, "30": 3, "+Inf": 4} {
		if v := got[fmt.Sprintf("jwksbot_check_duration_seconds_bucket{le=%q}", le)]; v != want {
			t.Errorf("below %s: %v, want %v", le, v, want)
		}
	}
	if got["jwksbot_check_duration_seconds_count"] != 4 || got["jwksbot_check_duration_seconds_sum"] < 63 || got[`jwksbot_checks_total{verdict="stale_cache"}`] != 4 {
		t.Errorf("%v", got)
	}
}

// What Slack refuses is counted, though it answers 200.
func TestPostsThatFailAreCounted(t *testing.T) {
	answers := map[string]string{"chat.postMessage": `{"ok":false,"error":"channel_not_found"}`, "chat.update": `{"ok":true}`, "chat.postEphemeral": "500", "auth.test": `{"ok":false}`}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := answers[filepath.Base(r.URL.Path)]; a == "500" {
			w.WriteHeader(http.StatusInternalServerError)
		} else {
			fmt.Fprint(w, a)
		}
	}))
	defer srv.Close()
	m := newMetrics()
	client := &http.Client{Transport: m.slack(http.DefaultTransport)}
	for method, answer := range answers {
		resp, err := client.Post(srv.URL+"/api/"+method, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || answer != "500" && string(body) != answer {
			t.Errorf("%s: the body is %q, %v", method, body, err)
		}
	}
	got := scrape(t, m)
	for method, want := range map[string]float64{"chat.postMessage": 1, "chat.update": 0, "chat.postEphemeral": 1} {
		if got[fmt.Sprintf("jwksbot_slack_posts_failed_total{method=%q}", method)] != want || got[fmt.Sprintf("jwksbot_slack_posts_total{method=%q}", method)] != 1 {
			t.Errorf("%s: %v", method, got)
		}
	}
}

// What holds is asked at every scrape, within a limit: a monitoring system must
// learn of a journal that hangs, and not hang with it.
func TestWhatHoldsIsAskedAtEveryScrape(t *testing.T) {
	m, up := newMetrics(), true
	m.yes("jwksbot_journal_up", "1 while the journal answers.", func(ctx context.Context) bool {
		_, limited := ctx.Deadline()
		return limited && up
	})
	for _, up = range []bool{true, false, true} {
		want := 0.0
		if up {
			want = 1
		}
		if v, ok := scrape(t, m)["jwksbot_journal_up"]; v != want || !ok {
			t.Errorf("%v (%v), want %v", v, ok, want)
		}
	}
}

// Dashboards and alerts hang on these names, also before anything happened.
func TestNamesOfAnIdleBot(t *testing.T) {
	m := newMetrics()
	m.socket(func() socket.Status {
		return socket.Status{Connections: 2, Opens: 3, Acked: 4, AckErrors: 5, Busy: 6, Panics: 7}
	})
	got := scrape(t, m)
	for name, want := range map[string]float64{
		"jwksbot_slack_open_connections": 2, "jwksbot_slack_connections_total": 3, "jwksbot_slack_acknowledged_total": 4,
		"jwksbot_slack_ack_errors_total": 5, "jwksbot_slack_busy_total": 6, "jwksbot_panics_total": 7,
		"jwksbot_requests_total": 0, "jwksbot_escalations_total": 0, "jwksbot_journal_errors_total": 0,
		`jwksbot_decisions_total{kind="deny"}`: 0, `jwksbot_runs_ended_total{state="failed"}`: 0,
		`jwksbot_slack_posts_total{method="chat.update"}`: 0, `jwksbot_slack_posts_failed_total{method="chat.update"}`: 0,
		"jwksbot_check_duration_seconds_count": 0, fmt.Sprintf("jwksbot_build_info{version=%q}", version()): 1,
	} {
		if v, ok := got[name]; v != want || !ok {
			t.Errorf("%s: %v (%v), want %v", name, v, ok, want)
		}
	}
	for _, name := range []string{"go_goroutines", "go_memstats_heap_alloc_bytes", "go_memstats_sys_bytes"} {
		if got[name] <= 0 {
			t.Errorf("%s: %v", name, got[name])
		}
	}
	if runtime.GOOS != "linux" {
		return // what the system tells of a process differs elsewhere
	}
	for _, name := range []string{"process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"} {
		if got[name] <= 0 {
			t.Errorf("%s: %v", name, got[name])
		}
	}
}

// A real bot is scraped while it works.
func TestARunningBotIsScraped(t *testing.T) {
	c := demoCmd{Scenario: "stale", Listen: "127.0.0.1:0", Speed: 1}
	w := quietWorld()
	st, err := c.build(t.Context(), w, filepath.Join(t.TempDir(), "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	m := newMetrics()
	st.parts.metrics = m
	st.play(t, w)
	if _, err := st.parts.runner.Check(t.Context(), st.parts.targets[0], check.Ask{Anew: true}, check.Silent{}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got := scrape(t, m)
		if got["jwksbot_slack_connected"] == 1 && got["jwksbot_executor"] == 1 && got["jwksbot_journal_up"] == 1 && got["jwksbot_slack_open_connections"] == 1 &&
			got[`jwksbot_checks_total{verdict="stale_cache"}`] == 1 && got["process_start_time_seconds"] > 1e9 && got["go_goroutines"] > 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v", got)
		}
	}
}
