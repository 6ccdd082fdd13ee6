package render

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
)

func TestReports(t *testing.T) {
	for name, e := range situations() {
		t.Run(name, func(t *testing.T) {
			r := reportOf(t, e)
			if want := runbook.VerdictID(name); name != "cold" && name != "leak" && r.Diagnosis.Verdict.ID != want {
				t.Fatalf("the evidence gives verdict %q", r.Diagnosis.Verdict.ID)
			}
			m := Report(r)
			goldenMessage(t, "report/"+name, m)
			if len(m.Blocks) > 12 {
				t.Errorf("%d blocks: a wall at three in the morning", len(m.Blocks))
			}
			withinLimits(t, m)
			for i, ev := range Evidence(r) {
				goldenMessage(t, fmt.Sprintf("evidence/%s.%d", name, i+1), ev)
				withinLimits(t, ev)
			}
		})
	}
}

// The button that acts must follow the verdict: first where it helps, second
// and plain where it is advised against, absent where it would do harm.
func TestReportButtonsFollowTheVerdict(t *testing.T) {
	want := map[string][]string{
		"stale_cache":            {"Request flush primary", "Check again", "Details"},
		"rekeyed_kid":            {"Request flush primary", "Check again", "Details"},
		"poisoned_cache":         {"Request flush primary", "Check again", "Details"},
		"stale_memory":           {"Request restart and gateway flush primary", "Check again", "Details"},
		"gateway_result_cache":   {"Request gateway flush primary", "Check again", "Details"},
		"managed_jwt_authoriser": {"Check again", "Details"},
		"retired_key_cached":     {"Check again", "Request flush anyway…", "Details"},
		"inconclusive":           {"Check again", "Request flush anyway…", "Details"},
		"live_unhealthy":         {"Check again", "Details"},
		"live_disagrees":         {"Check again", "Details"},
		"healthy":                {"Check again", "Details"},
	}
	all := situations()
	for name, labels := range want {
		if got := labelsOf(Report(reportOf(t, all[name]))); !slices.Equal(got, labels) {
			t.Errorf("%s: buttons %q, want %q", name, got, labels)
		}
	}
}

func buttonsOf(m Message) []*slack.ButtonBlockElement {
	var out []*slack.ButtonBlockElement
	for _, b := range m.Blocks {
		if a, ok := b.(*slack.ActionBlock); ok {
			for _, e := range a.Elements.ElementSet {
				out = append(out, e.(*slack.ButtonBlockElement))
			}
		}
	}
	return out
}

func labelsOf(m Message) []string {
	var out []string
	for _, b := range buttonsOf(m) {
		out = append(out, strings.TrimSpace(b.Text.Text+" "+string(b.Style)))
	}
	return out
}

func TestFallbackIsASentence(t *testing.T) {
	got := Report(reportOf(t, staleEvidence())).Text
	if want := "jwksbot: production: stale cache, a flush will help (412 failures in the last 60 min)"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestSharedReportSaysSo(t *testing.T) {
	r := reportOf(t, staleEvidence())
	r.Shared = true
	if m := string(asJSON(t, Report(r).Blocks)); !strings.Contains(m, "run for somebody else") {
		t.Error("a shared report does not say that the check was not repeated")
	}
}

func TestProgress(t *testing.T) {
	m := Progress("production", []StepLine{
		{Name: runbook.StepLiveKeys, Status: runbook.StatusOK, Summary: "2 keys, 3 probes agree", Duration: 91 * time.Millisecond},
		{Name: runbook.StepCachedKeys},
		{Name: runbook.StepLoggedKeys, Status: runbook.StatusError, Summary: "read log group: AccessDenied", Duration: time.Second},
		{Name: runbook.StepCacheTraffic, Status: runbook.StatusSkipped, Summary: "the cache is not a replication group"},
	}, noon)
	goldenMessage(t, "progress", m)
	withinLimits(t, m)
}

func TestRunInEveryState(t *testing.T) {
	for _, s := range runbook.States() {
		t.Run(string(s), func(t *testing.T) {
			r := inState(s)
			m := Run(r, noon.Add(time.Minute))
			goldenMessage(t, "run/"+string(s), m)
			withinLimits(t, m)
			if len(m.Blocks) > 12 {
				t.Errorf("%d blocks", len(m.Blocks))
			}
			for _, b := range buttonsOf(m) {
				want := r.ID
				switch b.ActionID {
				case ActionCheckAgain:
					want = b.Value
				case ActionApprove, ActionDeny, ActionDenyReason, ActionWithdraw:
					want = r.ID + "/1"
				}
				if b.Value != want || !OnRun(b.ActionID) && b.ActionID != ActionCheckAgain {
					t.Errorf("button %q carries %q: only the run and the plan that is shown may be in it", b.ActionID, b.Value)
				}
			}
			thread := RunThread(r)
			if !s.Ended() && thread != nil {
				t.Error("evidence of a run that goes on")
			}
			for i, m := range thread {
				goldenMessage(t, fmt.Sprintf("run/%s.thread%d", s, i+1), m)
				withinLimits(t, m)
			}
		})
	}
}

// A state that is added to the runbook must not reach people as an empty card.
func TestUnknownStateIsStillReadable(t *testing.T) {
	r := pendingRun()
	r.State = "levitate"
	withinLimits(t, Run(r, noon))
}

func TestCards(t *testing.T) {
	against := pendingRun()
	against.Override = "the retired key is being revoked, security asked for it"
	against.Plan.Verdict, against.Plan.Advice = diagnose.RetiredKeyCached, "tokens signed with `2025-11-09-k1` that are still valid would be refused at once"
	anew := pendingRun()
	anew.Generation, anew.Required = 2, 2
	anew.Decisions = []runbook.Decision{decisionOf(sam, runbook.DecideApprove, "", 1), decisionOf(sam, runbook.DecideApprove, "", 2)}
	whole := against
	whole.Plan.Scope, whole.Plan.NoUndo, whole.Via = runbook.ScopeAll, true, runbook.ViaTerminal
	blind := against
	blind.Plan.NoUndo, blind.Plan.Truncated = true, true
	blind.Plan.Patterns, blind.Plan.Matching = []string{"jwks:*"}, 14302
	bridged := pendingRun()
	bridged.Plan.Route = runbook.RouteBridge
	whole.Requester = runbook.PersonRef{ID: "arn:aws:iam::123456789012:user/robin", Name: "robin"}
	late := pendingRun()
	late.ExpiresAt = noon
	for name, r := range map[string]runbook.Run{"against": against, "anew": anew, "whole": whole, "late": late, "blind": blind, "bridged": bridged,
		"restart": restartRun(runbook.StatePending), "all": allRun(), "gateway": gatewayRun(), "undo": undoRun(false), "undo_force": undoRun(true)} {
		m := Run(r, noon.Add(time.Minute))
		goldenMessage(t, "run/card_"+name, m)
		withinLimits(t, m)
		if m.Metadata.EventType != eventApproval {
			t.Errorf("%s: event type %q", name, m.Metadata.EventType)
		}
	}
	text := string(asJSON(t, Run(anew, noon).Blocks))
	if !strings.Contains(text, "1 of 2") {
		t.Error("an approval of the plan before counts for the new one")
	}
	confirm := buttonsOf(Run(whole, noon))[0].Confirm
	if confirm == nil || !strings.Contains(confirm.Text.Text, "41,210 keys") || !strings.Contains(confirm.Text.Text, "against the verdict") {
		t.Errorf("the dialog does not state the effect: %+v", confirm)
	}
}

func TestEndsThatNeedALook(t *testing.T) {
	empty := inState(runbook.StateDone)
	empty.Receipts[2] = receiptOf("verify", runbook.StatusWarn, "0 of 2 old entries left on 3 shards; not refilled yet: nobody asked for keys within 30 s")
	empty.Outcome = "The old entries are gone. The cache is empty and fills with the live keys when the next token comes."
	never := inState(runbook.StateFailed)
	never.Receipts, never.Outcome = nil, "Not started: Refused: the key endpoint is broken. Nothing was touched."
	for name, r := range map[string]runbook.Run{"done_empty": empty, "failed_unstarted": never} {
		m := Run(r, noon)
		goldenMessage(t, "run/"+name, m)
		withinLimits(t, m)
	}
	if strings.Contains(string(asJSON(t, Run(empty, noon).Blocks)), "proven · ") {
		t.Error("an end without a full proof is headed as proven")
	}
}

func TestReminder(t *testing.T) {
	m := Reminder(pendingRun(), []string{"S0LEADS", "U012AB3CD", "not an id <!channel>"}, noon.Add(8*time.Minute))
	goldenMessage(t, "reminder", m)
	withinLimits(t, m)
}

func TestLists(t *testing.T) {
	var runs []runbook.Run
	for _, s := range runbook.States() {
		r := inState(s)
		if s.Ended() {
			r.Target = "staging"
		}
		runs = append(runs, r)
	}
	status := Status([]string{"production", "staging", "sandbox"}, runs, noon.Add(time.Minute))
	goldenMessage(t, "status", status)
	history := History(runs)
	goldenMessage(t, "history", history)
	none := History(nil)
	for _, m := range []Message{status, history, none, Status(nil, nil, noon)} {
		withinLimits(t, m)
	}
}

func TestHelp(t *testing.T) {
	for _, command := range []string{"/jwks-check", "/jwks-flush"} {
		golden(t, "help"+strings.ReplaceAll(command, "/", "_")+".txt", []byte(Help(command, []HelpLine{{"status", "shows what waits"}, {"report [run]", "puts the record of a run into its thread"}}, []string{"production", "staging"}, "")+"\n"))
	}
}

func TestRefusals(t *testing.T) {
	secret := "redis://:hunter2@10.0.0.1"
	cases := map[string]struct {
		err  error
		want string
	}{
		"refusal": {&runbook.Refusal{Text: "You may not approve a mitigation of production.", People: []string{"S0LEADS", "U012AB3CD"}},
			"You may not approve a mitigation of production. Allowed are: <!subteam^S0LEADS> and <@U012AB3CD>."},
		"joined": {errors.Join(&runbook.Refusal{Text: "No <!channel>."}, errors.New(secret)), "No &lt;!channel&gt;."},
		"busy":   {fmt.Errorf("approve: %w", &runbook.BusyError{Resource: "replication group x", Holder: inState(runbook.StateFlush)}), "Not now: replication group x is being changed by run 0214-k7m2p9qx (flush, requested by Robin Ashe); wait for its end."},
		"journal": {fmt.Errorf("approve: %w", &runbook.LedgerError{Advice: "the disk is full; free some space", Err: errors.New("/data/" + secret)}),
			"jwksbot's journal does not work: the disk is full; free some space. Nothing was decided. Try again once that is fixed."},
		"late":     {fmt.Errorf("check: %w", context.DeadlineExceeded), "This took too long and was abandoned. Try again; if this was about a run, the run's message shows its state."},
		"internal": {errors.New("dial " + secret), "jwksbot could not do this because of an internal error; its log has the details. Try again in a minute; if this was about a run, the run's message shows its state."},
	}
	for name, c := range cases {
		if got := Refusal(c.err); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", name, got, c.want)
		}
	}
}

// A watch is followed in the run's message, and its end says no more than was
// seen.
func TestWatches(t *testing.T) {
	calm := ended(restartRun(runbook.StateWatch), runbook.StateDone, runbook.WatchCalm, "Failures fell from 34 % to 0.3 %; watched 15 min.")
	breach := ended(restartRun(runbook.StateEscalate), runbook.StateDone, runbook.WatchBreach, "Failures stayed at 16.6 %; the on-call team was called.")
	breach.Escalation.TakenBy, breach.Escalation.TakenAt = sam, noon.Add(17*time.Minute)
	blind := ended(restartRun(runbook.StateWatch), runbook.StateDone, runbook.WatchBlind, "Too few requests to tell: 15 in 15 min, of which 15 failed.")
	blind.Escalation = &runbook.Escalation{Kind: runbook.EscalateBlind, N: 1, At: noon.Add(18 * time.Minute), Why: "15 of 15 requests failed in 15 minutes, too few to tell.", Group: "S0LEADS", Pinged: "1.2"}
	stopped := ended(restartRun(runbook.StateWatch), runbook.StateDone, runbook.WatchOpen, "Sam Okoro stopped the watch after 5 min: confirmed by the API team.")
	stopped.Watch.Stopped = &runbook.Decision{By: sam, Kind: runbook.DecideStop, Reason: "confirmed by the API team", At: noon.Add(8 * time.Minute)}
	glass := restartRun(runbook.StateWatch)
	glass.BreakGlass, glass.Decisions = "nobody of the leads answers", []runbook.Decision{decisionOf(robin, runbook.DecideBreakGlass, "nobody of the leads answers", 1)}
	dead := restartRun(runbook.StateGateway)
	dead.State, dead.Escalation = runbook.StateEscalate, &runbook.Escalation{Kind: runbook.EscalateDied, N: 1, At: noon.Add(4 * time.Minute), Why: "Run 0214-k7m2p9qx broke off: the journal is read-only.", Group: "S0LEADS"}
	for name, c := range map[string]struct {
		run    runbook.Run
		header string
	}{
		"died":    {dead, "🚨 Stopped part-way, calling the on-call team"},
		"calm":    {calm, "✅ Flushed, restarted, gateway flushed and proven"},
		"breach":  {breach, "🚨 Flushed, restarted and gateway flushed, but failures persist"},
		"blind":   {blind, "❓ Flushed, restarted and gateway flushed, but could not tell whether it helped"},
		"stopped": {stopped, "✅ Flushed, restarted, gateway flushed and proven"},
		"glass":   {glass, "👀 Flushed, restarted and gateway flushed, watching"},
	} {
		m := Run(c.run, noon.Add(8*time.Minute))
		goldenMessage(t, "run/watch_"+name, m)
		withinLimits(t, m)
		if got := runHeader(c.run); got != c.header {
			t.Errorf("%s: headed %q, want %q", name, got, c.header)
		}
		for i, m := range RunThread(c.run) {
			withinLimits(t, m)
			goldenMessage(t, fmt.Sprintf("run/watch_%s.thread%d", name, i+1), m)
		}
	}
}

// The call for help mentions the group once, carries the evidence, and keeps
// its button until somebody took over.
func TestPings(t *testing.T) {
	r := restartRun(runbook.StateEscalate)
	open := OnCallPing(r, *r.Escalation)
	goldenMessage(t, "ping_open", open)
	taken := *r.Escalation
	taken.TakenBy, taken.TakenAt = sam, noon.Add(17*time.Minute)
	after := OnCallPing(r, taken)
	goldenMessage(t, "ping_taken", after)
	glass := restartRun(runbook.StateWatch)
	glass.BreakGlass = "nobody of the leads answers"
	told := BreakGlassNotice(glass, []string{"S0LEADS", "U012AB3CD"})
	goldenMessage(t, "ping_glass", told)
	for _, m := range []Message{open, after, told} {
		withinLimits(t, m)
	}
	if n := strings.Count(string(asJSON(t, open.Blocks)), "<!subteam^S0LEADS>"); n != 1 {
		t.Errorf("the group is mentioned %d times", n)
	}
	if got := labelsOf(open); !slices.Equal(got, []string{"Got it primary"}) {
		t.Errorf("buttons of an open call: %q", got)
	}
	if got := labelsOf(after); len(got) != 0 {
		t.Errorf("buttons of a call that was taken: %q", got)
	}
}

func TestRatioBars(t *testing.T) {
	for name, c := range map[string]struct {
		points []runbook.RatioPoint
		want   string
	}{
		"one point is no line":          {pointsOf(noon, 5), ""},
		"a gap is a dot":                {pointsOf(noon, 380, -1, 0, 95), "█·▁▃ (a bar a minute, at most 100 %)"},
		"a minute in which nobody asks": {[]runbook.RatioPoint{{At: noon}, {At: noon.Add(time.Minute), Requests: 10}}, "·▁ (a bar a minute, at most 0 %)"},
	} {
		if got := ratioBars(c.points); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := []rune(ratioBars(pointsOf(noon, make([]float64, 300)...))); len(got) > 80 {
		t.Errorf("%d runes for five hours", len(got))
	}
}
