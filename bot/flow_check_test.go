package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/bot/slacksim"
	"jwksbot/runbook/check"
)

// checks is how many there are.
var checks = len(new(check.Target).Steps())

func TestCheckIsOneMessageThatBecomesTheReport(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{later: true})
	f.bot.times.update = patience // it is over before progress would be shown, on a slow machine too
	f.start()
	f.says(robinID, bridge, checkLine+" since=2h kid="+liveKey.Kid)
	m := f.shows(bridge, "What to do")
	if len(f.sim.Messages(bridge)) != 1 || m.Edits != 1 {
		t.Errorf("%d messages, %d updates; want one message and one update", len(f.sim.Messages(bridge)), m.Edits)
	}
	if !strings.Contains(m.History[0].Text, fmt.Sprintf("0 of %d steps done", checks)) {
		t.Errorf("at first it says %q", m.History[0].Text)
	}
	if m.History[0].Metadata.Payload["state"] != "checking" || m.Metadata.Payload["verdict"] != "stale_cache" {
		t.Errorf("metadata was %v, is %v", m.History[0].Metadata, m.Metadata)
	}
	f.wait("evidence in the thread", func(s *slacksim.Sim) bool { return len(s.Thread(bridge, m.TS)) > 0 })
	if n := len(f.sim.Ephemerals(robinID, bridge)); n != 0 {
		t.Errorf("%d private answers to a check that is shown to all", n)
	}
}

func TestALongCheckShowsItsSteps(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	gate := make(chan struct{})
	f.world.set(func(w *flowWorld) { w.gate = gate })
	f.says(robinID, bridge, checkLine)
	f.shows(bridge, fmt.Sprintf("%d of %d steps done", checks-1, checks)) // the live keys hang
	close(gate)
	f.shows(bridge, "What to do")
}

// Where the bot may not post, nothing is lost.
func TestCheckWhereTheBotMayNotPost(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{sim: slacksim.Options{Channels: append(slacksim.DefaultChannels(),
		slacksim.Channel{ID: "C0SHUT", Name: "shut", Archived: true, Members: []string{robinID, slacksim.BotUser}})}})
	for _, c := range []struct {
		channel, says string
		invite        bool
	}{
		{"identity-platform", "not a member of this channel", true},
		{"inc-private", "not a member of this private channel", true},
		{"shut", "archived", false},
		{"partner-contoso", "shared with another organisation", false},
	} {
		f.says(robinID, c.channel, checkLine)
		m := f.tells(robinID, c.channel, c.says)
		if !strings.Contains(textOf(m), "What to do") {
			t.Errorf("%s: the report is not in the private answer: %s", c.channel, textOf(m))
		}
		if strings.Contains(textOf(m), "/invite") != c.invite {
			t.Errorf("%s: /invite is there: %t, want %t", c.channel, !c.invite, c.invite)
		}
		if n := len(f.sim.Messages(c.channel)); n != 0 {
			t.Errorf("%s: %d messages were posted", c.channel, n)
		}
	}
	// An invitation counts at once.
	if err := f.sim.Join("identity-platform", slacksim.BotUser); err != nil {
		t.Fatal(err)
	}
	f.says(robinID, "identity-platform", checkLine)
	f.shows("identity-platform", "What to do")
}

// A bot that was thrown out a moment ago still thinks that it may post.
func TestCheckWhereTheBotWasRemoved(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	f.sim.Fail("chat.postMessage", 1, "not_in_channel")
	f.says(robinID, bridge, checkLine)
	f.tells(robinID, bridge, "What to do")
}

// Whether strangers read a channel must be known before anything goes there.
func TestCheckWhereSlackDoesNotSayWhoReads(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	f.sim.Fail("conversations.info", 1, "internal_error")
	f.says(robinID, bridge, checkLine)
	f.tells(robinID, bridge, "only you see this")
	if n := len(f.sim.Messages(bridge)); n != 0 {
		t.Errorf("%d messages were posted", n)
	}
}

func TestCheckInADirectMessage(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	im := f.sim.Direct(robinID)
	f.says(robinID, im, checkLine)
	f.shows(im, "What to do")
	if n := len(f.sim.Calls("conversations.info")); n != 0 {
		t.Errorf("a direct message was asked about %d times: that needs a scope that the bot has not", n)
	}
}

func TestOnlyMembersCheck(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{viewers: []string{"S0ONCALL"}})
	f.says(kitID, bridge, checkLine)
	f.tells(kitID, bridge, "Guests cannot use jwksbot")
	f.says(joID, "partner-contoso", checkLine)
	f.tells(joID, "partner-contoso", "People of other workspaces")
	f.says(alexID, bridge, checkLine)
	f.tells(alexID, bridge, "<!subteam^S0ONCALL>")
	if n := len(f.sim.Messages(bridge)); n != 0 {
		t.Errorf("%d messages were posted", n)
	}
}

func TestAnswersThatNeedNoWork(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	for line, want := range map[string]string{
		"/jwks-check production twice":     "Unexpected",
		"/jwks-check since=3d":             "not a duration",
		"/jwks-check sincere=1":            "Unknown option",
		"/jwks-flush production nonsense":  "is not a ticket",
		"/jwks-flush status one two three": "takes at most one target",
	} {
		d := f.sim.Command(robinID, bridge, line)
		if d.Err != nil || !strings.Contains(string(d.Payload), want) {
			t.Errorf("%s: the acknowledgement says %s (%v), want %q", line, d.Payload, d.Err, want)
		}
	}
	if n := len(f.sim.Calls("response_url")); n != 0 {
		t.Errorf("%d answers came a second time", n)
	}
	f.says(robinID, bridge, "/jwks-check elsewhere")
	f.tells(robinID, bridge, "You can name: production.")
}

func TestCheckAgainAndDetails(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	f.says(robinID, bridge, checkLine)
	m := f.shows(bridge, "What to do")
	f.wait("evidence in the thread", func(s *slacksim.Sim) bool { return len(s.Thread(bridge, m.TS)) > 0 })
	m, _ = f.sim.Message(bridge, m.TS)
	f.clicks(samID, m, render.ActionDetails)
	f.tells(samID, bridge, entryName)
	f.clicks(samID, m, render.ActionCheckAgain)
	f.wait("a second report in the channel, not in the thread of the first", func(s *slacksim.Sim) bool {
		all := s.Messages(bridge)
		return len(all) == 2 && strings.Contains(textOf(all[1]), "What to do")
	})
	f.clock.advance(time.Hour)
	f.clicks(samID, m, render.ActionDetails)
	f.tells(samID, bridge, "too old to show again")
	f.clicks(kitID, m, render.ActionCheckAgain)
	f.tells(kitID, bridge, "Guests cannot")
}

func TestShortcutAnswersInTheThread(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	ts, err := f.sim.Say(samID, bridge, "", "is it the keys?")
	if err != nil {
		t.Fatal(err)
	}
	if d := f.sim.Shortcut(robinID, bridge, ts, Shortcuts()[0].ID); d.Err != nil {
		t.Fatal(d.Err)
	}
	f.wait("a report in the thread", func(s *slacksim.Sim) bool {
		all := s.Thread(bridge, ts)
		return len(all) > 1 && strings.Contains(textOf(all[0]), "What to do")
	})
	if n := len(f.sim.Messages(bridge)); n != 1 {
		t.Errorf("%d messages in the channel, want the person's only", n)
	}
}

func TestShortcutAsksWhichTarget(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{targets: []string{"production", "staging"}})
	ts, err := f.sim.Say(samID, bridge, "", "is it the keys?")
	if err != nil {
		t.Fatal(err)
	}
	f.sim.Shortcut(robinID, bridge, ts, Shortcuts()[0].ID)
	f.wait("the choice", func(s *slacksim.Sim) bool { _, ok := s.View(robinID); return ok })
	if d := f.sim.Submit(robinID, "", map[string]map[string]any{blockTarget: {blockTarget: "staging"}}); d.Err != nil {
		t.Fatal(d.Err)
	}
	f.wait("a report on staging in the thread", func(s *slacksim.Sim) bool {
		all := s.Thread(bridge, ts)
		return len(all) > 0 && strings.Contains(textOf(all[0]), "What to do") && strings.Contains(all[0].Text, "staging")
	})
}

func TestHomeAndLists(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{targets: []string{"production", "staging"}, viewers: []string{"S0ONCALL"}})
	f.asks()
	id := f.only().ID
	f.sim.OpenHome(robinID)
	f.wait("the home of somebody who may see it", func(s *slacksim.Sim) bool {
		v, ok := s.Home(robinID)
		return ok && strings.Contains(textOf(slacksim.Message{Blocks: v.Blocks}), id)
	})
	f.sim.OpenHome(alexID)
	f.wait("the home of somebody else", func(s *slacksim.Sim) bool { _, ok := s.Home(alexID); return ok })
	v, _ := f.sim.Home(alexID)
	if got := textOf(slacksim.Message{Blocks: v.Blocks}); strings.Contains(got, id) || strings.Contains(got, "staging") {
		t.Errorf("the home of somebody who may see nothing: %s", got)
	}
	f.says(robinID, bridge, "/jwks-flush status")
	f.tells(robinID, bridge, "waiting for approval")
	f.says(robinID, bridge, "/jwks-check history production")
	f.tells(robinID, bridge, "*History*")
	for _, line := range []string{"/jwks-flush status", "/jwks-check history"} {
		f.says(kitID, bridge, line)
	}
	f.wait("two refusals of a guest", func(s *slacksim.Sim) bool { return len(s.Ephemerals(kitID, bridge)) == 2 })
	for _, m := range f.sim.Ephemerals(kitID, bridge) {
		if got := textOf(m); !strings.Contains(got, "Guests cannot") || strings.Contains(got, "staging") {
			t.Errorf("a guest was told %s", got)
		}
	}
}

// A check that hangs does not hold up the end, and says that it will not end.
func TestShutdownInTheMiddleOfACheck(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{later: true})
	hurried, err := newSocket(f.bot.Settings, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	f.bot.socket = hurried
	gate := make(chan struct{})
	t.Cleanup(func() { close(gate) })
	f.world.set(func(w *flowWorld) { w.gate = gate })
	f.start()
	f.says(robinID, bridge, checkLine)
	f.shows(bridge, "steps done")
	f.says(samID, "identity-platform", checkLine) // privately
	f.stop()
	if err := receive(t, f.ends, "the end of the bot"); err != nil {
		t.Errorf("Run: %v", err)
	}
	m := f.shows(bridge, "interrupted by a restart of jwksbot; run it again")
	if m.Metadata.Payload["state"] != "interrupted" || strings.Contains(textOf(m), "steps done") {
		t.Errorf("the message of a check that was cut off: %s", textOf(m))
	}
	f.tells(samID, "identity-platform", "jwksbot is restarting")
}

// A panic is an answer and a line in the log, not the end of the bot.
func TestPanicIsAnswered(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	f.bot.guarded(context.Background(), origin{user: robinID, channel: bridgeID}, func() error { panic("boom") })
	f.tells(robinID, bridge, "Something went wrong inside jwksbot")
	if !strings.Contains(f.log.String(), "boom") {
		t.Error("the log does not know of it")
	}
	if _, err := await(t.Context(), func() (int, error) { panic("boom") }); err == nil {
		t.Error("a panic in work that is awaited was lost")
	}
}

// What cannot be given one way is given another.
func TestPrivateAnswersFindAWay(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	gone := f.sim.URL() + "/response/GONE"
	f.bot.private(t.Context(), origin{user: robinID, channel: bridgeID, responseURL: gone}, "in the channel")
	f.tells(robinID, bridge, "in the channel")
	f.bot.private(t.Context(), origin{user: robinID, channel: "C0PRIVATE", responseURL: gone}, "directly")
	if m := f.shows(f.sim.Direct(robinID), "directly"); m.Metadata == nil {
		t.Error("a direct answer has no metadata")
	}
	f.bot.private(t.Context(), origin{user: "U0NOBODY", responseURL: gone}, "to nobody")
	if log := f.log.String(); !strings.Contains(log, "a private answer could not be given") || strings.Contains(log, "GONE") {
		t.Errorf("the log: %s", log)
	}
}

func TestAWrongTokenEndsTheStart(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{later: true})
	f.sim.Fail("auth.test", 1000, "invalid_auth")
	err := f.bot.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "slack.bot_token") {
		t.Errorf("Run: %v", err)
	}
}

func TestAMissingScopeEndsTheStart(t *testing.T) {
	t.Parallel()
	few := slices.DeleteFunc(slacksim.DefaultScopes(), func(s string) bool { return s == "usergroups:read" || s == "groups:read" })
	f := newFlow(t, flowOptions{later: true, sim: slacksim.Options{Scopes: few}})
	err := f.bot.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "lacks the scopes usergroups:read, groups:read: add them under OAuth & Permissions") {
		t.Errorf("Run: %v", err)
	}
}

func TestAUsersTokenEndsTheStart(t *testing.T) {
	t.Parallel()
	if err := tokenProblem(&slack.AuthTestResponse{UserID: "U0ROBIN"}); err == nil || !strings.Contains(err.Error(), "user's token") {
		t.Errorf("a token without a bot: %v", err)
	}
	if err := tokenProblem(&slack.AuthTestResponse{BotID: "B0"}); err != nil {
		t.Errorf("where Slack names no scopes: %v", err)
	}
}
