package render

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/record"
)

func TestFlushModalRoundTrip(t *testing.T) {
	in := FlushInput{Targets: []FormTarget{{Name: "production"}, {"staging", true, true, true, true, true}}, Verdict: "The cache still serves an old key set: entry `x` lacks live key `y`.",
		Request: approve.Request{Target: "staging", Ticket: "inc-7", Reason: "because", Restart: true, Channel: "C0BRIDGE"}}
	modal := FlushForm(in)
	golden(t, "modal/flush.json", asJSON(t, modal))
	viewWithinLimits(t, modal)
	if modal.PrivateMetadata != "C0BRIDGE" {
		t.Errorf("private metadata %q: only the channel may be in it", modal.PrivateMetadata)
	}
	view := submitModal(modal, map[string]string{blockTarget: "staging", blockScope: "all", blockTicket: " inc-2026-0214-001 ", blockReason: " keys rotated\n", blockOverride: "",
		blockAlso: "restart,gateway,direct", blockBreakGlass: " nobody is awake "})
	req, problems := ReadFlushForm(view)
	want := approve.Request{Target: "staging", Scope: runbook.ScopeAll, Ticket: "INC-2026-0214-001", Reason: "keys rotated", Via: runbook.ViaSlack, Channel: "C0BRIDGE",
		Restart: true, Gateway: true, Direct: true, BreakGlass: "nobody is awake"}
	if req != want || len(problems) != 0 {
		t.Errorf("request %+v, problems %v", req, problems)
	}
}

func TestFlushModalProblems(t *testing.T) {
	_, problems := ReadFlushForm(slack.View{})
	if got := slices.Sorted(maps.Keys(problems)); !slices.Equal(got, []string{blockReason, blockTarget, blockTicket}) {
		t.Errorf("problems of an empty modal are named for %q", got)
	}
	modal := FlushForm(FlushInput{Targets: []FormTarget{{Name: "production", Restart: true}}})
	_, problems = ReadFlushForm(submitModal(modal, map[string]string{blockTarget: "production", blockScope: "everything", blockTicket: "ticket 5", blockReason: "  "}))
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

// What a target does not allow or does not have is not offered.
func TestFormOffersWhatIsAllowed(t *testing.T) {
	has := func(in FlushInput, what string) bool {
		return strings.Contains(string(asJSON(t, FlushForm(in))), what)
	}
	nothing := FlushInput{Targets: []FormTarget{{Name: "production"}, {Name: "sandbox"}}}
	for _, c := range []struct {
		target FormTarget
		offers string
	}{
		{FormTarget{AllowAll: true}, `"value": "all"`},
		{FormTarget{Restart: true}, `"value": "none"`},
		{FormTarget{Gateway: true}, `"value": "none"`},
		{FormTarget{Restart: true}, `"value": "restart"`},
		{FormTarget{Gateway: true}, `"value": "gateway"`},
		{FormTarget{Bridge: true}, `"value": "direct"`},
		{FormTarget{BreakGlass: true}, `"break_glass"`},
	} {
		c.target.Name = "staging"
		in := FlushInput{Targets: append(nothing.Targets[:1:1], c.target)}
		if !has(in, c.offers) || has(nothing, c.offers) {
			t.Errorf("%+v: %s is offered: %t, without: %t", c.target, c.offers, has(in, c.offers), has(nothing, c.offers))
		}
		if !has(in, "nly: staging") && !has(in, "Allowed for: staging") {
			t.Errorf("%+v: the form does not say which target allows it", c.target)
		}
	}
}

// The form begins with what the last verdict recommends, as far as it can be done.
func TestFormFollowsTheVerdict(t *testing.T) {
	able := FormTarget{Name: "production", Restart: true, Gateway: true}
	for _, c := range []struct {
		recommended []runbook.Mitigation
		target      FormTarget
		want        approve.Request
	}{
		{[]runbook.Mitigation{runbook.RestartAuthoriser}, able, approve.Request{NoFlush: true, Restart: true}},
		{[]runbook.Mitigation{runbook.RestartAuthoriser}, FormTarget{}, approve.Request{}},
		{[]runbook.Mitigation{runbook.FlushCache, runbook.RestartAuthoriser}, able, approve.Request{Restart: true}},
		{[]runbook.Mitigation{runbook.FlushGateway}, able, approve.Request{NoFlush: true, Gateway: true}},
		{nil, able, approve.Request{}},
	} {
		var in FlushInput
		in.Advise(runbook.Verdict{Recommended: c.recommended}, c.target)
		if in.Request != c.want {
			t.Errorf("%v on %+v: %+v, want %+v", c.recommended, c.target, in.Request, c.want)
		}
	}
}

// A request button asks for what it said when it was made, and a forged one for
// nothing.
func TestRequestButtons(t *testing.T) {
	for action, want := range map[string]approve.Request{
		"request_flush":                 {Target: "t"},
		"request_flush_restart_gateway": {Target: "t", Restart: true, Gateway: true},
		"request_restart":               {Target: "t", NoFlush: true, Restart: true},
		"request_restart_gateway":       {Target: "t", NoFlush: true, Restart: true, Gateway: true},
	} {
		if got, ok := RequestOf(action, "t"); !ok || got != want {
			t.Errorf("%s: %+v, %t, want %+v", action, got, ok, want)
		}
	}
	for _, action := range []string{"request", "request_", "request_again", "request_flush_all", "approve"} {
		if got, ok := RequestOf(action, "t"); ok {
			t.Errorf("%s is taken for %+v", action, got)
		}
	}
}

// A form that asks for nothing is sent back with a sentence.
func TestNoFlushNeedsSomethingElse(t *testing.T) {
	modal := FlushForm(FlushInput{Targets: []FormTarget{{Name: "production", Restart: true}}})
	filled := map[string]string{blockTarget: "production", blockScope: scopeNone, blockTicket: "INC-1", blockReason: "x"}
	if _, problems := ReadFlushForm(submitModal(modal, filled)); len(problems) != 1 || problems[blockScope] == "" {
		t.Errorf("problems %v", problems)
	}
	filled[blockAlso] = alsoRestart
	req, problems := ReadFlushForm(submitModal(modal, filled))
	if len(problems) != 0 || !req.NoFlush || !req.Restart {
		t.Errorf("request %+v, problems %v", req, problems)
	}
}

func TestNextModalRoundTrip(t *testing.T) {
	r := inState(runbook.StateWatch)
	for _, kind := range []record.NextKind{record.NextUndo, record.NextRestart, record.NextEscalate} {
		req, _ := record.RequestFor(r, kind, robin.ID, runbook.ViaSlack)
		modal := NextForm(r, kind, req, kind == record.NextRestart)
		golden(t, "modal/next_"+string(kind)+".json", asJSON(t, modal))
		viewWithinLimits(t, modal)
		a, problems := ReadNextForm(submitModal(modal, map[string]string{blockReason: " because ", blockForce: blockForce}))
		want := NextAnswer{Run: r.ID, Kind: kind, Reason: "because", Force: kind == record.NextUndo}
		if a != want || problems != nil {
			t.Errorf("%+v, want %+v; problems %v", a, want, problems)
		}
		if _, problems := ReadNextForm(submitModal(modal, nil)); problems[blockReason] == "" {
			t.Errorf("%s: a missing reason is not asked for", kind)
		}
	}
}

func TestStopModalRoundTrip(t *testing.T) {
	modal := StopForm("0214-k7m2p9qx")
	golden(t, "modal/stop.json", asJSON(t, modal))
	viewWithinLimits(t, modal)
	if id, reason := ReadStopForm(submitModal(modal, map[string]string{blockStop: " healed "})); id != "0214-k7m2p9qx" || reason != "healed" {
		t.Errorf("run %q, reason %q", id, reason)
	}
}

// All targets can be chosen, however many there are, and however long their
// names: what does not fit into a view is said.
func TestModalWithManyTargets(t *testing.T) {
	for _, c := range []struct{ targets, left int }{{100, 0}, {101, 0}, {250, 0}, {1500, 0}, {6000, -1}} {
		in := FlushInput{Request: approve.Request{Target: "target-90", Channel: "C1"}}
		for i := range c.targets {
			in.Targets = append(in.Targets, FormTarget{Name: fmt.Sprintf("target-%d", i), BreakGlass: i%2 == 0})
		}
		modal := FlushForm(in)
		viewWithinLimits(t, modal)
		text := string(asJSON(t, modal))
		if !strings.Contains(text, `"initial_option"`) {
			t.Errorf("%d targets: the chosen one is not ticked", c.targets)
		}
		for i := range c.targets {
			if c.left == 0 && !strings.Contains(text, fmt.Sprintf(`"value": "target-%d"`, i)) {
				t.Fatalf("%d targets: target-%d cannot be chosen", c.targets, i)
			}
		}
		if says := strings.Contains(text, "more targets are not listed"); says != (c.left != 0) {
			t.Errorf("%d targets: it says that some are not listed: %t", c.targets, says)
		}
	}
	long := FlushInput{Targets: []FormTarget{{Name: "production"}, {Name: strings.Repeat("long", 30)}}}
	if text := string(asJSON(t, FlushForm(long))); !strings.Contains(text, "1 more targets") {
		t.Error("a name that is too long for a list is left out silently")
	}
	viewWithinLimits(t, FlushForm(FlushInput{Targets: long.Targets[1:]}))
}

func TestDenyModalRoundTrip(t *testing.T) {
	modal := DenyForm(PlanRef{"0214-k7m2p9qx", 2})
	golden(t, "modal/deny.json", asJSON(t, modal))
	viewWithinLimits(t, modal)
	ref, reason := ReadDenyForm(submitModal(modal, map[string]string{blockDeny: " not now "}))
	if ref != (PlanRef{"0214-k7m2p9qx", 2}) || reason != "not now" {
		t.Errorf("plan %v, reason %q", ref, reason)
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
		case *slack.CheckboxGroupsBlockElement:
			chosen := []any{}
			for _, c := range strings.FieldsFunc(v, func(r rune) bool { return r == ',' }) {
				chosen = append(chosen, map[string]any{"value": c, "text": map[string]any{"type": "plain_text", "text": c}})
			}
			state[in.BlockID] = map[string]any{in.BlockID: map[string]any{"type": "checkboxes", "selected_options": chosen}}
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
