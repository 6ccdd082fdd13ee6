package slacksim_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/slacksim"
)

// raw calls a method with a form, as slack-go does, and returns the answer.
func raw(t *testing.T, sim *slacksim.Sim, method string, form url.Values) (map[string]any, *http.Response) {
	t.Helper()
	resp, err := http.PostForm(sim.URL()+"/api/"+method, form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatalf("%s answered %q", method, b)
	}
	return out, resp
}

func TestTokens(t *testing.T) {
	sim, _ := start(t, slacksim.Options{Scopes: []string{"commands"}})
	for _, c := range []struct{ method, token, want string }{
		{"auth.test", "xoxb-demo-bot", ""},
		{"auth.test", "", "not_authed"},
		{"auth.test", "xoxb-other", "invalid_auth"},
		{"auth.test", "xapp-demo-app", "not_allowed_token_type"},
		{"apps.connections.open", "xapp-demo-app", ""},
		{"apps.connections.open", "xoxb-demo-bot", "not_allowed_token_type"},
		{"chat.postMessage", "xoxb-demo-bot", "missing_scope"},
		{"conversations.info", "xoxb-demo-bot", "missing_scope"},
		{"no.such", "xoxb-demo-bot", "unknown_method"},
	} {
		got, resp := raw(t, sim, c.method, url.Values{"token": {c.token}})
		if e, _ := got["error"].(string); e != c.want {
			t.Errorf("%s with %q: error %q, want %q", c.method, c.token, e, c.want)
		}
		if c.want == "missing_scope" && (got["needed"] == nil || got["provided"] != "commands") {
			t.Errorf("%s does not say which scope: %v", c.method, got)
		}
		if c.method == "auth.test" && resp.Header.Get("X-OAuth-Scopes") != "commands" {
			t.Errorf("X-OAuth-Scopes = %q", resp.Header.Get("X-OAuth-Scopes"))
		}
	}
	got, _ := raw(t, sim, "conversations.info", url.Values{"token": {"xoxb-demo-bot"}, "channel": {bridge}})
	if got["needed"] != "channels:read" {
		t.Errorf("needed = %v", got["needed"])
	}
}

func TestChannelRules(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	ts, err := sim.Say("U0LEAD", bridge, "", "hello")
	if err != nil {
		t.Fatal(err)
	}
	post := func(ch string, o ...slack.MsgOption) error {
		_, _, err := api.PostMessage(ch, append([]slack.MsgOption{slack.MsgOptionText("x", false)}, o...)...)
		return err
	}
	update := func(ch, ts, text string) error {
		_, _, _, err := api.UpdateMessage(ch, ts, slack.MsgOptionText(text, false))
		return err
	}
	ephemeral := func(ch, user string) error {
		_, err := api.PostEphemeral(ch, user, slack.MsgOptionText("x", false))
		return err
	}
	_, mine, _ := api.PostMessage("inc-bridge", slack.MsgOptionText("by name", false))
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"own channel":            {post(bridge), ""},
		"direct message":         {post("U0LEAD"), ""},
		"unknown":                {post("C0NOPE"), "channel_not_found"},
		"private, not a member":  {post("C0PRIVATE"), "channel_not_found"},
		"public, not a member":   {post("C0IDENTITY"), "not_in_channel"},
		"archived":               {post("C0OLD"), "is_archived"},
		"unknown thread":         {post(bridge, slack.MsgOptionTS("1.000001")), "thread_not_found"},
		"own message":            {update(bridge, mine, "y"), ""},
		"unknown message":        {update(bridge, "1.000001", "y"), "message_not_found"},
		"somebody's message":     {update(bridge, ts, "y"), "cant_update_message"},
		"update too long":        {update(bridge, mine, strings.Repeat("é", 4001)), "msg_too_long"},
		"ephemeral":              {ephemeral(bridge, "U0LEAD"), ""},
		"ephemeral, not here":    {ephemeral(bridge, "U0STRANGER"), "user_not_in_channel"},
		"ephemeral, not in":      {ephemeral("C0IDENTITY", "U0LEAD"), "not_in_channel"},
		"reaction without scope": {api.AddReaction("eyes", slack.NewRefToMessage(bridge, ts)), "missing_scope"},
	} {
		if got := code(c.err); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got, _ := raw(t, sim, "chat.postMessage", url.Values{"token": {"xoxb-demo-bot"}, "channel": {bridge}}); got["error"] != "no_text" {
		t.Errorf("no text: %v", got)
	}
	if err := sim.Join("inc-private", slacksim.BotUser); err != nil {
		t.Fatal(err)
	}
	if err := post("C0PRIVATE"); err != nil {
		t.Errorf("after the invitation: %v", err)
	}
	if _, _, err := api.DeleteMessage(bridge, mine); err != nil || len(sim.Messages(bridge)) != 2 {
		t.Errorf("delete: %v, left %d", err, len(sim.Messages(bridge)))
	}
}

func TestPeopleAndChannels(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	guest, err := api.GetUserInfo("U0GUEST")
	if err != nil || !guest.IsRestricted {
		t.Errorf("guest = %+v, %v", guest, err)
	}
	stranger, err := api.GetUserInfo("U0STRANGER")
	if err != nil || !stranger.IsStranger || stranger.TeamID == slacksim.TeamID {
		t.Errorf("stranger = %+v, %v", stranger, err)
	}
	if _, err := api.GetUserInfo("U0NOBODY"); code(err) != "user_not_found" {
		t.Errorf("unknown user: %v", err)
	}
	ids, err := api.GetUserGroupMembers("S0LEADS")
	if err != nil || strings.Join(ids, " ") != "U0LEAD U0LEAD2" {
		t.Errorf("leads = %v, %v", ids, err)
	}
	sim.SetGroup("S0LEADS")
	if ids, err = api.GetUserGroupMembers("S0LEADS"); err != nil || len(ids) != 0 {
		t.Errorf("emptied group = %v, %v", ids, err)
	}
	if _, err := api.GetUserGroupMembers("S0NOPE"); code(err) != "no_such_subteam" {
		t.Errorf("unknown group: %v", err)
	}
	partner, err := api.GetConversationInfo(&slack.GetConversationInfoInput{ChannelID: "C0PARTNER"})
	if err != nil || !partner.IsExtShared {
		t.Errorf("partner = %+v, %v", partner, err)
	}
	var names []string
	for cursor := "first"; cursor != ""; {
		p := &slack.GetConversationsForUserParameters{Types: []string{"public_channel", "private_channel"}, Limit: 2, ExcludeArchived: true}
		if cursor != "first" {
			p.Cursor = cursor
		}
		var chs []slack.Channel
		if chs, cursor, err = api.GetConversationsForUser(p); err != nil {
			t.Fatal(err)
		}
		for _, c := range chs {
			names = append(names, c.Name)
		}
	}
	if strings.Join(names, " ") != "inc-bridge partner-contoso" {
		t.Errorf("the bot's channels = %v", names)
	}
}

func TestRateLimits(t *testing.T) {
	sim, api := start(t, slacksim.Options{Limits: slacksim.LimitsStrict})
	post := func() error { _, _, err := api.PostMessage(bridge, slack.MsgOptionText("x", false)); return err }
	untilLimited(t, 1, post)
	if _, _, err := api.PostMessage("C0PARTNER", slack.MsgOptionText("x", false)); err != nil {
		t.Errorf("another channel has a limit of its own: %v", err)
	}
	sim.SetLimits(slacksim.LimitsBursts)
	untilLimited(t, 10, post)
	untilLimited(t, 20, func() error { _, err := api.GetUserGroupMembers("S0LEADS"); return err })
	sim.SetLimits(slacksim.LimitsOff)
	sim.RateLimit("chat.postMessage", 1, 1500*time.Millisecond)
	_, resp := raw(t, sim, "chat.postMessage", url.Values{"token": {"xoxb-demo-bot"}})
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "2" {
		t.Errorf("forced limit: %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	if err := post(); err != nil {
		t.Errorf("after the forced limit: %v", err)
	}
}

// untilLimited calls until it is told to wait, which must not come before the
// tolerated number of calls; on a slow machine it may come a little later.
func untilLimited(t *testing.T, tolerated int, call func() error) {
	t.Helper()
	for i := range 500 {
		err := call()
		if code(err) == "ratelimited" && i >= tolerated {
			return
		}
		if err != nil {
			t.Fatalf("call %d of %d tolerated ones: %v", i+1, tolerated, err)
		}
	}
	t.Fatal("never told to wait")
}

func TestFaults(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	sim.Fail("chat.postMessage", 2, "fatal_error")
	for _, want := range []string{"fatal_error", "fatal_error", ""} {
		_, _, err := api.PostMessage(bridge, slack.MsgOptionText("x", false))
		if code(err) != want {
			t.Errorf("error %q, want %q", code(err), want)
		}
	}
	sim.Outage(true)
	if _, err := api.AuthTest(); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("outage: %v", err)
	}
	sim.Outage(false)
	if _, err := api.AuthTest(); err != nil {
		t.Error(err)
	}
	calls := sim.Calls("chat.postMessage")
	if len(calls) != 3 || calls[0].Error != "fatal_error" || calls[2].Error != "" || calls[2].Args["text"] != "x" {
		t.Errorf("calls = %+v", calls)
	}
	if _, leaked := calls[2].Args["token"]; leaked {
		t.Error("calls keep the token")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := sim.Wait(ctx, func(*slacksim.Sim) bool { return false }); err == nil {
		t.Error("Wait outlived its context")
	}
}
