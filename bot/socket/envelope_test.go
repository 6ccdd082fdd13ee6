package socket

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
)

func TestDecodeCommand(t *testing.T) {
	// Field for field as Slack sends it; is_enterprise_install is a string.
	env := Envelope{ID: "E1", Type: TypeCommand, Payload: json.RawMessage(
		`{"token":"x","team_id":"T1","team_domain":"acme","channel_id":"C1","channel_name":"inc","user_id":"U1","user_name":"dana",` +
			`"command":"/jwks-check","text":"production","api_app_id":"A1","is_enterprise_install":"false",` +
			`"response_url":"https://hooks.slack.com/commands/1","trigger_id":"1.2.3"}`)}
	cmd, err := env.Command()
	if err != nil || cmd.Command != "/jwks-check" || cmd.Text != "production" || cmd.UserID != "U1" || cmd.TriggerID != "1.2.3" {
		t.Errorf("decoded %+v, %v", cmd, err)
	}
}

func TestDecodeInteraction(t *testing.T) {
	env := Envelope{ID: "E1", Type: TypeInteraction, Payload: json.RawMessage(
		`{"type":"block_actions","user":{"id":"U1","username":"dana","team_id":"T1"},"container":{"type":"message","message_ts":"1.1","channel_id":"C1","is_ephemeral":false},` +
			`"trigger_id":"1.2.3","channel":{"id":"C1","name":"inc"},"state":{"values":{"b":{"a":{"type":"plain_text_input","value":"v"}}}},` +
			`"response_url":"https://hooks.slack.com/actions/1","actions":[{"action_id":"approve","block_id":"b1","type":"button","value":"r-1","action_ts":"1.2"}]}`)}
	call, err := env.Interaction()
	if err != nil || call.Type != slack.InteractionTypeBlockActions || len(call.ActionCallback.BlockActions) != 1 ||
		call.ActionCallback.BlockActions[0].Value != "r-1" || call.BlockActionState.Values["b"]["a"].Value != "v" {
		t.Errorf("decoded %+v, %v", call, err)
	}
}

func TestDecodeErrorsAreInWords(t *testing.T) {
	command := func(payload string) error {
		_, err := Envelope{ID: "E1", Type: TypeCommand, Payload: json.RawMessage(payload)}.Command()
		return err
	}
	_, wrongType := Envelope{ID: "E1", Type: TypeCommand, Payload: json.RawMessage(`{}`)}.Interaction()
	_, noUser := Envelope{ID: "E1", Type: TypeInteraction, Payload: json.RawMessage(`{"type":"shortcut"}`)}.Interaction()
	for _, tc := range []struct {
		err error
		say string
	}{
		{command(""), "no payload"},
		{command(`{"command":"/x"}`), "no user"},
		{command(`"hush-hush"`), "not as Slack documents it"},
		{command(`{"text":"` + strings.Repeat("x", maxPayload) + `"}`), "above the limit"},
		{wrongType, `not "interactive"`},
		{noUser, "no user"},
	} {
		if tc.err == nil || !strings.Contains(tc.err.Error(), tc.say) || strings.Contains(tc.err.Error(), "hush") {
			t.Errorf("error is %v, want one with %q and without the payload", tc.err, tc.say)
		}
	}
}

func TestRecentIsBounded(t *testing.T) {
	r := newDedupe(100)
	for i := range 10_000 {
		if !r.claim(fmt.Sprint(i)) {
			t.Fatalf("%d was never seen", i)
		}
		if n := len(r.young) + len(r.old); n > 200 {
			t.Fatalf("%d ids are kept", n)
		}
		if i > 0 && r.claim(fmt.Sprint(max(0, i-100))) {
			t.Fatalf("%d of the last 100 was forgotten at %d", i-100, i)
		}
	}
	r.forget("9999")
	if !r.claim("9999") {
		t.Error("9999 was given back but is not free")
	}
}

func TestPace(t *testing.T) {
	p := newBackoff(500*time.Millisecond, 30*time.Second)
	within := func(what string, got, low, high time.Duration) {
		t.Helper()
		if got < low || got > high {
			t.Errorf("%s: wait %s, want %s to %s", what, got, low, high)
		}
	}
	within("first short connection", p.ended(false), 0, 0)
	within("second", p.ended(false), 250*time.Millisecond, 500*time.Millisecond)
	within("useful", p.ended(true), 0, 0)
	within("first refusal", p.refused(0), 250*time.Millisecond, 500*time.Millisecond)
	within("second refusal", p.refused(0), 500*time.Millisecond, time.Second)
	for range 100 {
		p.refused(0)
	}
	within("many refusals", p.refused(0), 15*time.Second, 30*time.Second)
	within("Retry-After", p.refused(time.Minute), time.Minute, 66*time.Second)
}

func FuzzFindEnvelopeID(f *testing.F) {
	f.Add(`{"envelope_id":"E1","payload":{"a":[1,2`)
	f.Add(`{"payload":{},"envelope_id":"E1"`)
	f.Add(`[{"envelope_id":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		id := findEnvelopeID([]byte(text))
		if id != "" && !strings.Contains(text, "envelope_id") && !strings.Contains(text, `\u`) {
			t.Errorf("%q found in a text without envelope_id", id)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"command":"/jwks-check","user_id":"U1"}`)
	f.Add(`{"type":"block_actions","user":{"id":"U1"},"actions":[{"type":"button","action_id":"a"}],"state":{"values":{}}}`)
	f.Add(`{"type":"view_submission","user":{"id":"U1"},"view":{"blocks":[{"type":"input","block_id":"b"}]}}`)
	f.Fuzz(func(t *testing.T, payload string) {
		for _, kind := range []string{TypeCommand, TypeInteraction} {
			env := Envelope{ID: "E1", Type: kind, Payload: json.RawMessage(payload), AcceptsResponse: true}
			if cmd, err := env.Command(); err == nil && cmd.Command == "" {
				t.Error("a command without a name passed")
			}
			if call, err := env.Interaction(); err == nil && call.User.ID == "" {
				t.Error("an interaction without a user passed")
			}
			if _, err := ackText("E1", refusalReply(env, busyText)); err != nil {
				t.Error(err)
			}
			deliveryID(env)
		}
	})
}
