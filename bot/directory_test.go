package bot

import (
	"net/http"
	"strings"
	"testing"

	"github.com/slack-go/slack"

	"jwksbot/bot/slacksim"
	"jwksbot/runbook/approve"
)

// directoryOf is a directory over an emulated workspace, without a bot.
func directoryOf(t *testing.T, opt slacksim.Options) (*Directory, *slacksim.Sim) {
	t.Helper()
	sim := slacksim.New(opt)
	base, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	return NewDirectory(slack.New("xoxb-demo-bot", slack.OptionAPIURL(base+"/api/"), slack.OptionHTTPClient(&http.Client{Timeout: patience}))), sim
}

func TestWhoSomebodyIs(t *testing.T) {
	d, sim := directoryOf(t, slacksim.Options{Users: append(slacksim.DefaultUsers(),
		slacksim.User{ID: "U0GONE", Name: "gone", Deleted: true},
		slacksim.User{ID: "U0SINGLE", Name: "single", UltraRestricted: true},
		slacksim.User{ID: "U0OTHER", Name: "other", TeamID: slacksim.OtherTeam})})
	for id, want := range map[string]approve.Kind{
		robinID: approve.KindMember, kitID: approve.KindGuest, "U0SINGLE": approve.KindGuest, joID: approve.KindStranger,
		"U0OTHER": approve.KindStranger, slacksim.BotUser: approve.KindBot, slacksim.SystemUser: approve.KindBot,
		"U0GONE": approve.KindGone, "U0NOBODY": approve.KindUnknown, "": approve.KindUnknown,
	} {
		p, err := d.Person(t.Context(), id)
		if err != nil || p.Kind != want || p.ID != id {
			t.Errorf("%q is %+v, %v; want %s", id, p, err, want)
		}
	}
	asked := len(sim.Calls("users.info"))
	if p, err := d.Person(t.Context(), robinID); err != nil || p.Name != "robin" {
		t.Errorf("%+v, %v", p, err)
	}
	if n := len(sim.Calls("users.info")); n != asked {
		t.Error("somebody was asked about twice within seconds")
	}
}

func TestKindsThatTheWorkspaceCannotShow(t *testing.T) {
	own := ownTeam{team: "T1", org: "E1"}
	for name, c := range map[string]struct {
		user slack.User
		want approve.Kind
	}{
		"another workspace of the organisation": {slack.User{ID: "U1", TeamID: "T2", Enterprise: slack.EnterpriseUser{EnterpriseID: "E1"}}, approve.KindMember},
		"another organisation":                  {slack.User{ID: "U1", TeamID: "T2", Enterprise: slack.EnterpriseUser{EnterpriseID: "E2"}}, approve.KindStranger},
		"a workflow":                            {slack.User{ID: "U1", TeamID: "T1", IsWorkflowBot: true}, approve.KindBot},
		"an app's user":                         {slack.User{ID: "U1", TeamID: "T1", IsAppUser: true}, approve.KindBot},
		"a deactivated bot":                     {slack.User{ID: "U1", TeamID: "T1", IsBot: true, Deleted: true}, approve.KindGone},
	} {
		if got := own.kind(&c.user); got != c.want {
			t.Errorf("%s is %s, want %s", name, got, c.want)
		}
	}
}

func TestMissingScopesAreNamed(t *testing.T) {
	d, _ := directoryOf(t, slacksim.Options{Scopes: []string{"commands", "chat:write"}})
	if _, err := d.Person(t.Context(), robinID); err == nil || !strings.Contains(err.Error(), "users:read") {
		t.Errorf("users.info: %v", err)
	}
	if _, err := d.Members(t.Context(), "S0LEADS", true); err == nil || !strings.Contains(err.Error(), "usergroups:read") {
		t.Errorf("usergroups.users.list: %v", err)
	}
	p := newChannelCache(d.api)
	if err := p.postable(t.Context(), bridgeID); err == nil || !strings.Contains(err.Error(), "channels:read") {
		t.Errorf("conversations.info: %v", err)
	}
}

func TestChannelsByName(t *testing.T) {
	d, sim := directoryOf(t, slacksim.Options{})
	p := newChannelCache(d.api)
	for name, want := range map[string]string{bridge: bridgeID, "#" + bridge: bridgeID, "C0ANY": "C0ANY", " " + bridge + " ": bridgeID} {
		if got, err := p.resolve(t.Context(), name); err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", name, got, err, want)
		}
	}
	if n := len(sim.Calls("users.conversations")); n != 1 {
		t.Errorf("channels were listed %d times", n)
	}
	if _, err := p.resolve(t.Context(), "inc-private"); err == nil || !strings.Contains(err.Error(), "not a member of #inc-private") {
		t.Errorf("a channel that the bot is not in: %v", err)
	}
	if _, err := p.resolve(t.Context(), ""); err == nil {
		t.Error("no channel at all is no error")
	}
}
