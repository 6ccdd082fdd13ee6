package slacksim_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"jwksbot/bot/slacksim"
)

// Response URLs work where the bot is not a member, five times.
func TestResponseURL(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	urls := make(chan string, 1)
	connect(t, sim, api, func(sm *socketmode.Client, ev socketmode.Event) {
		ackAll(sm, ev)
		switch data := ev.Data.(type) {
		case slack.SlashCommand:
			urls <- data.ResponseURL
		case slack.InteractionCallback:
			urls <- data.ResponseURL
		}
	})
	sim.Command("U0LEAD", "inc-private", "/jwks-check")
	u := <-urls
	post := func(url string, o ...slack.MsgOption) error {
		_, _, err := api.PostMessageContext(context.Background(), "", o...)
		return err
	}
	for i := range 6 {
		err := post(u, slack.MsgOptionText("please /invite me", false), slack.MsgOptionResponseURL(u, slack.ResponseTypeEphemeral))
		if (err == nil) != (i < 5) {
			t.Errorf("post %d: %v", i+1, err)
		}
	}
	if got := sim.Ephemerals("U0LEAD", "inc-private"); len(got) != 5 {
		t.Errorf("%d private messages", len(got))
	}
	_, ts, err := api.PostMessage(bridge, slack.MsgOptionText("card", false), slack.MsgOptionBlocks(slack.NewActionBlock("", button("approve", "Approve"))))
	if err != nil {
		t.Fatal(err)
	}
	sim.Click("U0LEAD", "inc-bridge", ts, "approve")
	u = <-urls
	if err := post(u, slack.MsgOptionText("decided", false), slack.MsgOptionReplaceOriginal(u)); err != nil {
		t.Fatal(err)
	}
	if m, _ := sim.Message("inc-bridge", ts); m.Text != "decided" || m.Edits != 1 {
		t.Errorf("replaced = %+v", m)
	}
	if err := post(u, slack.MsgOptionDeleteOriginal(u)); err != nil {
		t.Fatal(err)
	}
	if _, there := sim.Message("inc-bridge", ts); there {
		t.Error("delete_original left the message")
	}
	if err := post("", slack.MsgOptionText("x", false), slack.MsgOptionResponseURL(sim.URL()+"/response/NOPE", "")); err == nil {
		t.Error("an unknown response URL was taken")
	}
}

func TestUpload(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	up := func(channel string) error {
		body := []byte("a line\n")
		_, err := api.UploadFile(slack.UploadFileParameters{Filename: "log.txt", Title: "Log", FileSize: len(body), Reader: bytes.NewReader(body), Channel: channel, InitialComment: "evidence"})
		return err
	}
	if err := up(bridge); err != nil {
		t.Fatal(err)
	}
	if err := up("C0IDENTITY"); err == nil || !strings.Contains(err.Error(), "not_in_channel") {
		t.Errorf("not a member: %v", err)
	}
	if f := sim.Files(); len(f) != 1 || string(f[0].Bytes) != "a line\n" || f[0].Title != "Log" {
		t.Errorf("files = %+v", f)
	}
	if m := sim.Messages(bridge); len(m) != 1 || len(m[0].Files) != 1 || m[0].Text != "evidence" {
		t.Errorf("messages = %+v", m)
	}
	resp, err := http.Post(sim.URL()+"/upload/F0NOPE", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("unknown upload: %d", resp.StatusCode)
	}
}

// An unescaped text mentions people; an escaped one, or plain text, does not.
func TestMentions(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	post := func(o ...slack.MsgOption) {
		t.Helper()
		if _, _, err := api.PostMessage(bridge, o...); err != nil {
			t.Fatal(err)
		}
	}
	post(slack.MsgOptionText("key <!channel> by <@U0LEAD>", true))
	post(slack.MsgOptionText("x", false), slack.MsgOptionBlocks(slack.NewHeaderBlock(slack.NewTextBlockObject("plain_text", "<!here>", false, false))))
	if got := sim.Mentions("inc-bridge"); len(got) != 0 {
		t.Errorf("mentions from escaped and plain text: %+v", got)
	}
	post(slack.MsgOptionText("x", false), slack.MsgOptionBlocks(section("reason: <!channel> <!subteam^S0LEADS> <@U0LEAD>")))
	var kinds []string
	for _, m := range sim.Mentions("inc-bridge") {
		kinds = append(kinds, m.Kind+":"+m.ID)
	}
	if strings.Join(kinds, " ") != "broadcast:channel group:S0LEADS user:U0LEAD" {
		t.Errorf("mentions = %v", kinds)
	}
}

func TestShortcut(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	got := make(chan slack.InteractionCallback, 1)
	connect(t, sim, api, func(sm *socketmode.Client, ev socketmode.Event) {
		ackAll(sm, ev)
		got <- ev.Data.(slack.InteractionCallback)
	})
	ts, err := sim.Say("U0LEAD", "inc-bridge", "", "is it the keys?")
	if err != nil {
		t.Fatal(err)
	}
	if d := sim.Shortcut("U0ONCALL", "inc-bridge", ts, "check_here"); d.Err != nil {
		t.Fatal(d.Err)
	}
	if cb := <-got; cb.Type != slack.InteractionTypeMessageAction || cb.CallbackID != "check_here" || cb.Message.Text != "is it the keys?" || cb.ResponseURL == "" {
		t.Errorf("callback = %+v", cb)
	}
}

const story = `#inc-bridge robin> /jwks-flush production
#inc-bridge jwksbot m1
    Approval needed
    --
    *Approval needed*
    [Approve]
#inc-bridge sam clicks [Approve] on m1
#inc-bridge jwksbot m1 updated
    Approved by <@U0LEAD>
    --
    *Approved*
#inc-bridge jwksbot m2 in thread of m1
    3 entries deleted
#inc-bridge jwksbot m3 (only robin sees it)
    Done
#inc-bridge robin> /nope
#inc-bridge workspace m4 (only robin sees it)
    /nope is not a valid command.
`

func TestTranscript(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	connect(t, sim, api, ackAll)
	sim.Command("U0ONCALL", "inc-bridge", "/jwks-flush production")
	_, ts, err := api.PostMessage(bridge, slack.MsgOptionText("Approval needed", false), slack.MsgOptionBlocks(section("*Approval needed*"), slack.NewActionBlock("", button("approve", "Approve"))))
	if err != nil {
		t.Fatal(err)
	}
	sim.Click("U0LEAD", "inc-bridge", ts, "approve")
	_, _, _, _ = api.UpdateMessage(bridge, ts, slack.MsgOptionText("Approved by <@U0LEAD>", false), slack.MsgOptionBlocks(section("*Approved*")))
	_, _, _ = api.PostMessage(bridge, slack.MsgOptionText("41 entries deleted", false), slack.MsgOptionTS(ts))
	_, _ = api.PostEphemeral(bridge, "U0ONCALL", slack.MsgOptionText("Done", false))
	sim.Command("U0ONCALL", "inc-bridge", "/nope")
	got := sim.Transcript(func(s string) string { return strings.ReplaceAll(s, "41", "3") })
	if got != story {
		t.Errorf("transcript:\n%s\nwant:\n%s", got, story)
	}
}

// The link of a message leads to the page, at that message.
func TestPermalink(t *testing.T) {
	_, api := start(t, slacksim.Options{})
	_, ts, err := api.PostMessage(bridge, slack.MsgOptionText("x", false))
	if err != nil {
		t.Fatal(err)
	}
	_, reply, err := api.PostMessage(bridge, slack.MsgOptionText("y", false), slack.MsgOptionTS(ts))
	if err != nil {
		t.Fatal(err)
	}
	link, err := api.GetPermalink(&slack.PermalinkParameters{Channel: bridge, Ts: reply})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if q := resp.Request.URL.Query(); q.Get("channel") != bridge || q.Get("ts") != reply || q.Get("thread") != ts {
		t.Errorf("%s leads to %s", link, resp.Request.URL)
	}
}

const modalStory = `#inc-bridge robin> /jwks-flush
robin sees modal "Flush"
    Ticket: ____
    [Request]
robin submits modal "Flush"
    value: INC-1
robin is told in modal "Flush"
    ticket: unknown ticket
robin closes modal "Flush"
`

func TestTranscriptOfModals(t *testing.T) {
	sim, api := start(t, slacksim.Options{})
	connect(t, sim, api, func(sm *socketmode.Client, ev socketmode.Event) {
		switch data := ev.Data.(type) {
		case slack.SlashCommand:
			ackAll(sm, ev)
			_, _ = api.OpenView(data.TriggerID, modal())
		case slack.InteractionCallback:
			_ = sm.Ack(*ev.Request, slack.NewErrorsViewSubmissionResponse(map[string]string{"ticket": "unknown ticket"}))
		}
	})
	sim.Command("U0ONCALL", "inc-bridge", "/jwks-flush")
	wait(t, sim, func(s *slacksim.Sim) bool { _, ok := s.View("U0ONCALL"); return ok })
	sim.Submit("U0ONCALL", "", map[string]map[string]any{"ticket": {"value": "INC-1"}})
	sim.CloseView("U0ONCALL")
	if got := sim.Transcript(); got != modalStory {
		t.Errorf("transcript:\n%s\nwant:\n%s", got, modalStory)
	}
}
