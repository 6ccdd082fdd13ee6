package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

func TestReports(t *testing.T) {
	for name, e := range situations() {
		t.Run(name, func(t *testing.T) {
			r := reportOf(t, e)
			if want := runbook.VerdictID(name); name != "cold" && name != "leak" && r.Diagnosis.Verdict.ID != want {
				t.Fatalf("the evidence gives verdict %q", r.Diagnosis.Verdict.ID)
			}
			m := reportMessage(r)
			goldenMessage(t, "report/"+name, m)
			if len(m.Blocks) > 12 {
				t.Errorf("%d blocks: a wall at three in the morning", len(m.Blocks))
			}
			withinLimits(t, m)
			for i, ev := range evidenceMessages(r) {
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
		"stale_cache":        {"Request flush primary", "Check again", "Details"},
		"rekeyed_kid":        {"Request flush primary", "Check again", "Details"},
		"poisoned_cache":     {"Request flush primary", "Check again", "Details"},
		"retired_key_cached": {"Check again", "Request flush anyway…", "Details"},
		"inconclusive":       {"Check again", "Request flush anyway…", "Details"},
		"live_unhealthy":     {"Check again", "Details"},
		"live_disagrees":     {"Check again", "Details"},
		"healthy":            {"Check again", "Details"},
	}
	all := situations()
	for name, labels := range want {
		if got := labelsOf(reportMessage(reportOf(t, all[name]))); !slices.Equal(got, labels) {
			t.Errorf("%s: buttons %q, want %q", name, got, labels)
		}
	}
}

func buttonsOf(m message) []*slack.ButtonBlockElement {
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

func labelsOf(m message) []string {
	var out []string
	for _, b := range buttonsOf(m) {
		out = append(out, strings.TrimSpace(b.Text.Text+" "+string(b.Style)))
	}
	return out
}

func TestFallbackIsASentence(t *testing.T) {
	got := reportMessage(reportOf(t, staleEvidence())).Text
	if want := "jwksbot: production: stale cache, a flush will help (412 failures in the last 60 min)"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestSharedReportSaysSo(t *testing.T) {
	r := reportOf(t, staleEvidence())
	r.Shared = true
	if m := string(asJSON(t, reportMessage(r).Blocks)); !strings.Contains(m, "made for somebody else") {
		t.Error("a shared report does not say that the check was not repeated")
	}
}

func TestProgress(t *testing.T) {
	m := progressMessage("production", []stepLine{
		{Name: runbook.StepLiveKeys, Status: runbook.StatusOK, Summary: "2 keys, 3 probes agree", Duration: 91 * time.Millisecond},
		{Name: runbook.StepCachedKeys},
		{Name: runbook.StepLoggedKeys, Status: runbook.StatusError, Summary: "read log group: AccessDenied", Duration: time.Second},
		{Name: runbook.StepCacheTraffic, Status: runbook.StatusSkipped, Summary: "the cache is no replication group"},
	}, noon)
	goldenMessage(t, "progress", m)
	withinLimits(t, m)
}

func TestRunInEveryState(t *testing.T) {
	for _, s := range runbook.States() {
		t.Run(string(s), func(t *testing.T) {
			r := inState(s)
			m := runMessage(r, noon.Add(time.Minute))
			goldenMessage(t, "run/"+string(s), m)
			withinLimits(t, m)
			if len(m.Blocks) > 12 {
				t.Errorf("%d blocks", len(m.Blocks))
			}
			for _, b := range buttonsOf(m) {
				if b.ActionID != actionCheckAgain && b.Value != r.ID {
					t.Errorf("button %q carries %q: only the run's id may be in it", b.ActionID, b.Value)
				}
			}
			thread := runThreadMessages(r)
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
	r.State = "watch"
	withinLimits(t, runMessage(r, noon))
}

func TestCards(t *testing.T) {
	against := pendingRun()
	against.Override = "the retired key is being revoked, security asked for it"
	against.Plan.Verdict, against.Plan.Advice = runbook.RetiredKeyCached, "tokens signed with `2025-11-09-k1` that are still valid would be refused at once"
	anew := pendingRun()
	anew.Generation, anew.Required = 2, 2
	anew.Decisions = []runbook.Decision{decisionOf(sam, runbook.DecideApprove, "", 1), decisionOf(sam, runbook.DecideApprove, "", 2)}
	whole := against
	whole.Plan.Scope, whole.Plan.NoUndo, whole.Via = runbook.ScopeAll, true, runbook.ViaTerminal
	whole.Requester = runbook.PersonRef{ID: "arn:aws:iam::123456789012:user/robin", Name: "robin"}
	late := pendingRun()
	late.ExpiresAt = noon
	for name, r := range map[string]runbook.Run{"against": against, "anew": anew, "whole": whole, "late": late} {
		m := runMessage(r, noon.Add(time.Minute))
		goldenMessage(t, "run/card_"+name, m)
		withinLimits(t, m)
		if m.Metadata.EventType != eventApproval {
			t.Errorf("%s: event type %q", name, m.Metadata.EventType)
		}
	}
	text := string(asJSON(t, runMessage(anew, noon).Blocks))
	if !strings.Contains(text, "1 of 2") {
		t.Error("an approval of the plan before counts for the new one")
	}
	confirm := buttonsOf(runMessage(whole, noon))[0].Confirm
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
		m := runMessage(r, noon)
		goldenMessage(t, "run/"+name, m)
		withinLimits(t, m)
	}
	if strings.Contains(string(asJSON(t, runMessage(empty, noon).Blocks)), "proven · ") {
		t.Error("an end without a full proof is headed as proven")
	}
}

func TestReminder(t *testing.T) {
	m := reminderMessage(pendingRun(), []string{"S0LEADS", "U012AB3CD", "not an id <!channel>"}, noon.Add(8*time.Minute))
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
	status := statusMessage([]string{"production", "staging", "sandbox"}, runs, noon.Add(time.Minute))
	goldenMessage(t, "status", status)
	history := historyMessage(runs)
	goldenMessage(t, "history", history)
	none := historyMessage(nil)
	for _, m := range []message{status, history, none, statusMessage(nil, nil, noon)} {
		withinLimits(t, m)
	}
}

func TestHelp(t *testing.T) {
	for _, command := range []string{"/jwks-check", "/jwks-flush"} {
		golden(t, "help"+strings.ReplaceAll(command, "/", "_")+".txt", []byte(helpText(command, []string{"production", "staging"})+"\n"))
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
		"joined":   {errors.Join(&runbook.Refusal{Text: "No <!channel>."}, errors.New(secret)), "No &lt;!channel&gt;."},
		"busy":     {fmt.Errorf("approve: %w", &runbook.BusyError{Resource: "replication group x", Holder: inState(runbook.StateFlush)}), "Not now: replication group x is being changed by run 0214-k7m2p9qx (flush, requested by Robin Ashe); wait for its end."},
		"late":     {fmt.Errorf("check: %w", context.DeadlineExceeded), "This took too long and was given up. Try again; if it was about a run, its message shows where it stands."},
		"internal": {errors.New("dial " + secret), "jwksbot could not do this: something inside went wrong, and its log says what. Try again in a minute; if it was about a run, its message shows where it stands."},
	}
	for name, c := range cases {
		if got := refusalText(c.err); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", name, got, c.want)
		}
	}
}

func TestFlushModalRoundTrip(t *testing.T) {
	in := modalInput{Targets: []string{"production", "staging"}, Target: "staging", Ticket: "inc-7", Reason: "because", AllowAll: []string{"staging"},
		Channel: "C0BRIDGE", Verdict: "The cache still serves an old key set: entry `x` lacks live key `y`."}
	modal := flushModal(in)
	golden(t, "modal/flush.json", asJSON(t, modal))
	viewWithinLimits(t, modal)
	if modal.PrivateMetadata != "C0BRIDGE" {
		t.Errorf("private metadata %q: only the channel may be in it", modal.PrivateMetadata)
	}
	view := submitModal(modal, map[string]string{blockTarget: "staging", blockScope: "all", blockTicket: " inc-2026-0214-001 ", blockReason: " keys rotated\n", blockOverride: ""})
	req, problems := parseFlushModal(view)
	want := runbook.Request{Target: "staging", Scope: runbook.ScopeAll, Ticket: "INC-2026-0214-001", Reason: "keys rotated", Via: runbook.ViaSlack, Channel: "C0BRIDGE"}
	if req != want || len(problems) != 0 {
		t.Errorf("request %+v, problems %v", req, problems)
	}
}

func TestFlushModalProblems(t *testing.T) {
	_, problems := parseFlushModal(slack.View{})
	if got := slices.Sorted(maps.Keys(problems)); !slices.Equal(got, []string{blockReason, blockTarget, blockTicket}) {
		t.Errorf("problems of an empty modal are named for %q", got)
	}
	modal := flushModal(modalInput{Targets: []string{"production"}})
	_, problems = parseFlushModal(submitModal(modal, map[string]string{blockTarget: "production", blockScope: "everything", blockTicket: "ticket 5", blockReason: "  "}))
	if got := slices.Sorted(maps.Keys(problems)); !slices.Equal(got, []string{blockReason, blockScope, blockTicket}) {
		t.Errorf("problems are named for %q", got)
	}
	ids := map[string]bool{}
	for _, b := range modal.Blocks.BlockSet {
		ids[b.ID()] = true
	}
	for id := range problems {
		if !ids[id] {
			t.Errorf("problem for %q, which is no block of the modal", id)
		}
	}
}

// The whole group is offered only where a target allows it.
func TestScopeIsOfferedWhereAllowed(t *testing.T) {
	for allowed, want := range map[string]bool{"": false, "staging": true} {
		in := modalInput{Targets: []string{"production", "staging"}}
		if allowed != "" {
			in.AllowAll = []string{allowed}
		}
		if got := strings.Contains(string(asJSON(t, flushModal(in))), `"value": "all"`); got != want {
			t.Errorf("allowed for %q: offered is %v", allowed, got)
		}
	}
}

func TestModalWithManyTargets(t *testing.T) {
	in := modalInput{Target: "target-149", Channel: "C1"}
	for i := range 150 {
		in.Targets = append(in.Targets, fmt.Sprintf("target-%d", i))
	}
	in.Targets = append(in.Targets, strings.Repeat("long", 30))
	modal := flushModal(in)
	viewWithinLimits(t, modal)
	if text := string(asJSON(t, modal)); !strings.Contains(text, `"initial_option"`) || !strings.Contains(text, "51 more targets") {
		t.Error("the chosen target is cut off, or the others are silently left out")
	}
	viewWithinLimits(t, flushModal(modalInput{Targets: in.Targets[150:]}))
}

func TestDenyModalRoundTrip(t *testing.T) {
	modal := denyModal("0214-k7m2p9qx")
	golden(t, "modal/deny.json", asJSON(t, modal))
	viewWithinLimits(t, modal)
	id, reason := parseDenyModal(submitModal(modal, map[string]string{blockDeny: " not now "}))
	if id != "0214-k7m2p9qx" || reason != "not now" {
		t.Errorf("run %q, reason %q", id, reason)
	}
}

// submitModal submits a modal as Slack does, over JSON.
func submitModal(m slack.ModalViewRequest, values map[string]string) slack.View {
	state := map[string]map[string]any{}
	for _, b := range m.Blocks.BlockSet {
		in, ok := b.(*slack.InputBlock)
		if !ok {
			continue
		}
		v := values[in.BlockID]
		switch in.Element.(type) {
		case *slack.PlainTextInputBlockElement:
			state[in.BlockID] = map[string]any{in.BlockID: map[string]any{"type": "plain_text_input", "value": v}}
		default:
			state[in.BlockID] = map[string]any{in.BlockID: map[string]any{"type": "static_select", "selected_option": map[string]any{"value": v, "text": map[string]any{"type": "plain_text", "text": v}}}}
		}
	}
	raw, err := json.Marshal(map[string]any{"type": "modal", "callback_id": m.CallbackID, "private_metadata": m.PrivateMetadata, "state": map[string]any{"values": state}})
	if err != nil {
		panic(err)
	}
	var v slack.View
	if err := json.Unmarshal(raw, &v); err != nil {
		panic(err)
	}
	return v
}
