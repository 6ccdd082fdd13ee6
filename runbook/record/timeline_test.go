package record_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/record"
)

var updateTimeline = flag.Bool("update-timeline", false, "write testdata/timeline.md")

// incident is a run that did everything: flush and restart, a breach, an
// escalation, and an undo by another run.
func incident() (runbook.Run, record.TimelineSources) {
	at := func(clock string) time.Time {
		t, err := time.Parse("2006-01-02 15:04:05", "2026-02-14 "+clock)
		if err != nil {
			panic(err)
		}
		return t
	}
	robin, sam, kim := runbook.PersonRef{ID: "U1", Name: "Robin"}, runbook.PersonRef{ID: "U2", Name: "Sam | <b>"}, runbook.PersonRef{ID: "U3"}
	run := runbook.Run{ID: "r-0214-abc", Target: "production", Resource: "replication group oidc", State: runbook.StateDone, Requester: robin, Via: runbook.ViaSlack,
		Ticket: "INC-2026-0214-001", Reason: "keys rotated at 02:40", Required: 1, CreatedAt: at("03:00:00"), ApprovedAt: at("03:01:30"),
		StartedAt: at("03:01:31"), EndedAt: at("03:20:00"), Outcome: "The on-call team was called. Failures fell from 34 % to 0 %.",
		Plan: runbook.Plan{Target: "production", Resource: "replication group oidc", Steps: []runbook.Mitigation{runbook.FlushCache, runbook.RestartAuthoriser, runbook.FlushGateway}, Scope: runbook.ScopeKeys,
			Entries: []runbook.PlanEntry{{Name: "jwks:cognito", Format: "JSON key set", Kids: []string{"old_1", "old_2"}, Thumbprints: []string{"t1", "t2"}}},
			Live:    []string{"t3"}, Verdict: diagnose.StaleCache, Summary: "The cache lacks the live key new-1.", Digest: "d1g3st",
			Restart: &runbook.RestartPlan{Function: "authoriser", Version: "$LATEST", Mode: runbook.RestartLatest},
			Gateway: &runbook.GatewayPlan{Kind: runbook.RestAPI, API: "abc", Stage: "live", TTL: 5 * time.Minute}},
		Decisions: []runbook.Decision{{By: sam, Kind: runbook.DecideApprove, At: at("03:01:30"), Via: runbook.ViaSlack}},
		Receipts: []runbook.Receipt{
			{Step: "snapshot", Status: runbook.StatusOK, Summary: "1 entry kept", Proof: []string{"digest of what was kept: aa"}, StartedAt: at("03:01:31"), EndedAt: at("03:01:31")},
			{Step: "flush-cache", Status: runbook.StatusOK, Summary: "1 entry deleted, 0 left", Proof: []string{"0001: none left"}, StartedAt: at("03:01:32"), EndedAt: at("03:01:33")},
			{Step: "restart-authoriser", Status: runbook.StatusWarn, Summary: "accepted, but no new execution environment has logged yet", Proof: []string{}, StartedAt: at("03:01:33"), EndedAt: at("03:02:40")},
		},
		Watch: &runbook.Watch{Since: at("03:02:40"), Until: at("03:18:00"), Verdict: runbook.WatchCalm, Text: "0 % for 6 min", EndedAt: at("03:20:00"),
			Note: "the gateway's 4xx are counted, which hold more than denials"},
		Escalation: &runbook.Escalation{Kind: runbook.EscalateBreach, N: 1, At: at("03:14:10"), Why: "34 % of requests failed for 11 minutes", Paged: at("03:14:12"),
			Published: at("03:14:13"), Message: "m-1", TakenBy: kim, TakenAt: at("03:15:00"), Resolved: at("03:19:00"), Notes: []string{"the user group is empty"}},
	}
	for i := range 10 {
		run.Watch.Before = append(run.Watch.Before, runbook.RatioPoint{At: at("02:50:00").Add(time.Duration(i) * time.Minute), Failures: 34, Requests: 100})
	}
	for i := range 15 {
		p := runbook.RatioPoint{At: at("03:03:00").Add(time.Duration(i) * time.Minute), Failures: 34, Requests: 100}
		if i > 10 {
			p.Failures = 0
		}
		if i == 6 {
			continue // a minute without data
		}
		run.Watch.Points = append(run.Watch.Points, p)
	}
	rows := []runbook.AuditEntry{
		approve.Audit(run, at("03:00:00"), "U1", "request", "1 entry to delete, verdict stale_cache"),
		approve.Audit(run, at("03:00:40"), "U9", "refused", "approve: you are no approver"),
		approve.Audit(run, at("03:01:30"), "U2", "approve", "password=hunter22 seen"),
		approve.Audit(run, at("03:01:31"), runbook.AuditSelf, "state", "approved to snapshot"),
		approve.Audit(run, at("03:01:33"), runbook.AuditSelf, "effect", "flush-cache: 1 entry deleted"),
		approve.Audit(run, at("03:05:00"), runbook.AuditSelf, "state", "watch to watch"),
		approve.Audit(run, at("03:15:00"), "U3", "acknowledge", "took the escalation over"),
		approve.Audit(run, at("03:20:00"), runbook.AuditSelf, "state", "watch to done: fine"),
		{At: at("03:00:00"), Run: "another", Kind: "request", Reason: "of another run"},
	}
	undone := []runbook.Run{{ID: "r-undo", State: runbook.StateDone, Requester: sam, Outcome: "1 entry written back.", EndedAt: at("04:00:00")}}
	return run, record.TimelineSources{Rows: rows, Undone: undone, Chart: "r-0214-abc.png"}
}

func TestTheRecordOfAnIncidentReads(t *testing.T) {
	run, from := incident()
	got := record.NewTimeline(run, from).Markdown()
	file := filepath.Join("testdata", "timeline.md")
	if *updateTimeline {
		if err := firstError(os.MkdirAll("testdata", 0o755), os.WriteFile(file, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the record changed; look at it, then run the test with -update-timeline:\n%s", got)
	}
	if strings.Contains(got, "hunter22") || strings.Contains(got, "of another run") {
		t.Error("something is in it that does not belong there")
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestEventsAreInOrderAndNothingIsToldTwice(t *testing.T) {
	run, from := incident()
	tl := record.NewTimeline(run, from)
	if !slices.IsSortedFunc(tl.Events, func(a, b record.TimelineEvent) int { return a.At.Compare(b.At) }) {
		t.Error("not in order")
	}
	seen := map[string]bool{}
	for _, e := range tl.Events {
		if seen[e.Who+e.What] {
			t.Errorf("twice: %s", e.What)
		}
		seen[e.Who+e.What] = true
	}
	back, err := json.Marshal(tl)
	if err != nil || strings.Contains(string(back), "null") || strings.Contains(string(back), "0001-01-01") {
		t.Errorf("%s, %v", back, err)
	}
}

// Without rows the run itself has to tell who did what.
func TestARunWithoutRowsStillTellsItsStory(t *testing.T) {
	run, _ := incident()
	text := record.NewTimeline(run, record.TimelineSources{}).Markdown()
	for _, want := range []string{"Robin | requested: keys rotated", "approved it via slack", "U3 | got it"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestWhatIsNotProvenIsSaid(t *testing.T) {
	base, _ := incident()
	for _, c := range []struct {
		name   string
		change func(*runbook.Run)
		want   string
	}{
		{"a step that warned", func(*runbook.Run) {}, "restart-authoriser ended as warn"},
		{"a step that has not run", func(*runbook.Run) {}, "flush-gateway was planned and has not run"},
		{"the gateway's effect", func(r *runbook.Run) {
			r.Receipts = append(r.Receipts, runbook.Receipt{Step: "flush-gateway", Status: runbook.StatusOK})
		}, "its effect cannot be read back"},
		{"no undo", func(r *runbook.Run) { r.Plan.NoUndo = true }, "cannot be undone"},
		{"nobody watched", func(r *runbook.Run) { r.Watch = nil }, "nothing was watched"},
		{"a blind watch", func(r *runbook.Run) { r.Watch.Verdict = runbook.WatchBlind }, "could not tell"},
		{"a breach", func(r *runbook.Run) { r.Watch.Verdict = runbook.WatchBreach }, "not over"},
		{"a stopped watch", func(r *runbook.Run) {
			r.Watch.Stopped = &runbook.Decision{By: runbook.PersonRef{ID: "U7"}, Reason: "tired"}
		}, "stopped by U7: tired"},
		{"an escalation that failed in part", func(*runbook.Run) {}, "the user group is empty"},
	} {
		run := base
		w := *base.Watch
		run.Watch = &w
		c.change(&run)
		if got := record.NewTimeline(run, record.TimelineSources{}).Unproven; !strings.Contains(strings.Join(got, "\n"), c.want) {
			t.Errorf("%s: %q is not in %q", c.name, c.want, got)
		}
	}
	if got := record.NewTimeline(runbook.Run{State: runbook.StateDenied}, record.TimelineSources{}).Unproven; len(got) != 0 {
		t.Errorf("nothing was done, and still: %q", got)
	}
}

func TestTextOfPeopleCannotChangeTheRecord(t *testing.T) {
	run, from := incident()
	run.Reason = "a | b\n| c | <script>x</script> [l](http://x) `code` **bold** eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
	run.Ticket, run.Outcome = "INC-1|x", "# heading\n\n## other"
	from.Chart = "a b).png"
	text := record.NewTimeline(run, from).Markdown()
	for _, bad := range []string{"<script>", "\n## other", "](http", "c2lnbmF0dXJl", "a b)", "**bold**"} {
		if strings.Contains(strings.ReplaceAll(text, `\]`, ""), bad) {
			t.Errorf("%q got through", bad)
		}
	}
	for line := range strings.Lines(text) {
		if cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); strings.HasPrefix(line, "|") && cells != 3 && cells != 4 && cells != 6 {
			t.Errorf("%d bars: %s", cells, line)
		}
	}
}

// Text of others can neither break the record's layout nor hide in it.
func TestTheRecordShowsWhatItSays(t *testing.T) {
	hostile := "\x1b[2J\u202e| <script> [x](javascript:y) `\n# head\u200b \x00"
	text := record.Timeline{Run: "0214-k7m2p9qx", Target: hostile, Ticket: hostile, Reason: hostile, Summary: hostile, Outcome: hostile, Plan: []string{hostile}, Unproven: []string{hostile},
		Events: []record.TimelineEvent{{Who: hostile, What: hostile}}, Receipts: []runbook.Receipt{{Step: hostile, Summary: hostile, Proof: []string{hostile}}}}.Markdown()
	if clean := runbook.CleanText(text); clean != text {
		t.Errorf("not clean: %q", text)
	}
	for _, bad := range []string{"<script>", "[x](", "\n# head"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is in\n%s", bad, text)
		}
	}
}
