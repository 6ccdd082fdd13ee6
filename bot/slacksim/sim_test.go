package slacksim_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"jwksbot/bot/slacksim"
)

const bridge = "C0BRIDGE"

// What the app of these tests has.
var (
	commands = []slacksim.CommandHelp{
		{Command: "/jwks-check", Description: "Find out why sign-ins fail", Usage: "[target] [since=1h]"},
		{Command: "/jwks-flush", Description: "Ask for a flush", Usage: "[target] [INC-… reason]"},
	}
	shortcuts = []slacksim.Shortcut{{CallbackID: "check_here", Name: "Run JWKS check here"}}
)

// start returns a running workspace and slack-go's client for it.
func start(t *testing.T, o slacksim.Options) (*slacksim.Sim, *slack.Client) {
	t.Helper()
	o.Commands, o.Shortcuts = commands, shortcuts
	sim := slacksim.New(o)
	base, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	return sim, client(base, "xoxb-demo-bot", "xapp-demo-app")
}

func client(base, bot, app string) *slack.Client {
	return slack.New(bot, slack.OptionAPIURL(base+"/api/"), slack.OptionAppLevelToken(app))
}

// connect runs slack-go's Socket Mode client and hands every request to serve.
func connect(t *testing.T, sim *slacksim.Sim, api *slack.Client, serve func(*socketmode.Client, socketmode.Event)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	sm := socketmode.New(api)
	done := make(chan struct{}, 2)
	go func() { _ = sm.RunContext(ctx); done <- struct{}{} }()
	go func() {
		defer func() { done <- struct{}{} }()
		for {
			select {
			case <-ctx.Done():
				return
			case ev := <-sm.Events:
				if ev.Request != nil && ev.Type != socketmode.EventTypeHello {
					serve(sm, ev)
				}
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done; <-done })
	wait(t, sim, func(s *slacksim.Sim) bool { return len(s.Connections()) > 0 })
}

func wait(t *testing.T, sim *slacksim.Sim, cond func(*slacksim.Sim) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := sim.Wait(ctx, cond); err != nil {
		t.Fatal(err)
	}
}

func ackAll(sm *socketmode.Client, ev socketmode.Event) { _ = sm.Ack(*ev.Request) }

func code(err error) string {
	var se slack.SlackErrorResponse
	if errors.As(err, &se) {
		return se.Err
	}
	var rl *slack.RateLimitedError
	if errors.As(err, &rl) {
		return "ratelimited"
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func button(id, label string) *slack.ButtonBlockElement {
	return slack.NewButtonBlockElement(id, "run-1", slack.NewTextBlockObject("plain_text", label, false, false))
}

func section(text string) *slack.SectionBlock {
	return slack.NewSectionBlock(slack.NewTextBlockObject("mrkdwn", text, false, false), nil, nil)
}

func TestPostUpdateAndThread(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	_, ts, err := api.PostMessage(bridge,
		slack.MsgOptionText("Checking", false),
		slack.MsgOptionBlocks(section("*Checking*"), slack.NewActionBlock("", button("approve", "Approve"))),
		slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "jwksbot_run", EventPayload: map[string]any{"run_id": "r1"}}))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := api.PostMessage(bridge, slack.MsgOptionText("evidence", false), slack.MsgOptionTS(ts)); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := api.UpdateMessage(bridge, ts, slack.MsgOptionText("Done", false), slack.MsgOptionBlocks(section("*Done*"))); err != nil {
		t.Fatal(err)
	}
	got := sim.Messages("inc-bridge")
	if len(got) != 1 || got[0].Text != "Done" || got[0].Edits != 1 || got[0].Replies != 1 || got[0].History[0].Text != "Checking" {
		t.Fatalf("messages = %+v", got)
	}
	if got[0].Metadata == nil || got[0].Metadata.Payload["run_id"] != "r1" {
		t.Fatalf("an update that does not name the metadata lost it: %+v", got[0].Metadata)
	}
	if th := sim.Thread("inc-bridge", ts); len(th) != 1 || th[0].Text != "evidence" {
		t.Fatalf("thread = %+v", th)
	}
	if _, err := api.GetPermalink(&slack.PermalinkParameters{Channel: bridge, Ts: ts}); err != nil {
		t.Fatal(err)
	}
}

// A full circle over slack-go's own client: command, button, modal, submission.
func TestSocketRoundTrip(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	seen := make(chan socketmode.Event, 10)
	connect(t, sim, api, func(sm *socketmode.Client, ev socketmode.Event) {
		switch data := ev.Data.(type) {
		case slack.SlashCommand:
			_ = sm.Ack(*ev.Request, map[string]any{"text": "on it"})
			if data.Text == "production" && data.ChannelName == "inc-bridge" {
				_, _, _ = api.PostMessage(data.ChannelID, slack.MsgOptionText("card", false),
					slack.MsgOptionBlocks(slack.NewActionBlock("b1", button("approve", "Approve"))))
			}
		case slack.InteractionCallback:
			if data.Type == slack.InteractionTypeViewSubmission {
				_ = sm.Ack(*ev.Request, slack.NewErrorsViewSubmissionResponse(map[string]string{"ticket": "no such ticket"}))
				break
			}
			_ = sm.Ack(*ev.Request)
			_, _ = api.OpenView(data.TriggerID, modal())
		default:
			_ = sm.Ack(*ev.Request)
		}
		seen <- ev
	})
	d := sim.Command("U0ONCALL", "inc-bridge", "/jwks-check production")
	if !d.Acked || d.Err != nil {
		t.Fatalf("command = %+v", d)
	}
	<-seen
	if e := sim.Ephemerals("U0ONCALL", "inc-bridge"); len(e) != 1 || e[0].Text != "on it" {
		t.Fatalf("ephemerals = %+v", e)
	}
	card := sim.Messages("inc-bridge")[0]
	if d := sim.Click("U0LEAD", "inc-bridge", card.TS, "approve"); !d.Acked {
		t.Fatalf("click = %+v", d)
	}
	cb := (<-seen).Data.(slack.InteractionCallback)
	if cb.User.ID != "U0LEAD" || cb.Message.Timestamp != card.TS || cb.Channel.ID != bridge || cb.ActionCallback.BlockActions[0].Value != "run-1" || cb.ResponseURL == "" {
		t.Fatalf("callback = %+v", cb)
	}
	wait(t, sim, func(s *slacksim.Sim) bool { _, ok := s.View("U0LEAD"); return ok })
	if d := sim.Submit("U0LEAD", "", nil); !errors.Is(d.Err, slacksim.ErrInput) {
		t.Fatalf("a blank required input was sent: %+v", d)
	}
	d = sim.Submit("U0LEAD", "", map[string]map[string]any{"ticket": {"value": "INC-1"}})
	if !d.Acked || d.Err != nil {
		t.Fatalf("submit = %+v", d)
	}
	sub := (<-seen).Data.(slack.InteractionCallback)
	if got := sub.View.State.Values["ticket"]["value"].Value; got != "INC-1" {
		t.Fatalf("submitted value = %q", got)
	}
	v, ok := sim.View("U0LEAD")
	if !ok || v.Errors["ticket"] != "no such ticket" {
		t.Fatalf("view = %+v", v)
	}
	if d := sim.OpenHome("U0ONCALL"); d.Err != nil {
		t.Fatalf("home = %+v", d)
	}
}

func modal() slack.ModalViewRequest {
	plain := func(s string) *slack.TextBlockObject { return slack.NewTextBlockObject("plain_text", s, false, false) }
	return slack.ModalViewRequest{
		Type: slack.VTModal, Title: plain("Flush"), Submit: plain("Request"), Close: plain("Cancel"), CallbackID: "flush",
		Blocks: slack.Blocks{BlockSet: []slack.Block{
			slack.NewInputBlock("ticket", plain("Ticket"), nil, slack.NewPlainTextInputBlockElement(nil, "value")),
		}},
	}
}

func TestNobodyAnswers(t *testing.T) {
	sim, api := start(t, slacksim.Options{AckTimeout: 50 * time.Millisecond})
	if d := sim.Command("U0ONCALL", "inc-bridge", "/jwks-check"); !errors.Is(d.Err, slacksim.ErrDispatchFailed) {
		t.Fatalf("without a connection: %+v", d)
	}
	connect(t, sim, api, func(*socketmode.Client, socketmode.Event) {})
	if d := sim.Command("U0ONCALL", "inc-bridge", "/jwks-check"); !errors.Is(d.Err, slacksim.ErrOperationTimeout) {
		t.Fatalf("without an ack: %+v", d)
	}
	e := sim.Ephemerals("U0ONCALL", "inc-bridge")
	if len(e) != 2 || e[1].Text != `/jwks-check failed with the error "operation_timeout"` {
		t.Fatalf("told = %+v", e)
	}
}

func TestAckPayloadIsRaw(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	connect(t, sim, api, func(sm *socketmode.Client, ev socketmode.Event) {
		_ = sm.Ack(*ev.Request, map[string]any{"text": "x", "response_type": "in_channel"})
	})
	d := sim.Command("U0LEAD", "inc-private", "/jwks-check")
	var p struct{ Text string }
	if json.Unmarshal(d.Payload, &p) != nil || p.Text != "x" {
		t.Fatalf("payload = %s", d.Payload)
	}
	if m := sim.Messages("inc-private"); len(m) != 1 {
		t.Fatalf("in_channel answer in a private channel = %+v", m)
	}
}
