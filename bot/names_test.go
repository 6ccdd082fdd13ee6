package bot

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"jwksbot/bot/render"
	"jwksbot/bot/slacksim"
	"jwksbot/runbook"
)

// sees is everything that somebody was shown alone, or in a view.
func (f *flow) sees(user string, channels ...string) string {
	var b strings.Builder
	for _, c := range append(channels, f.sim.Direct(user)) {
		for _, m := range f.sim.Ephemerals(user, c) {
			b.WriteString(textOf(m))
		}
		for _, m := range f.sim.Messages(c) {
			b.WriteString(textOf(m))
		}
	}
	if v, ok := f.sim.View(user); ok {
		b.WriteString(textOf(slacksim.Message{Blocks: v.Blocks}))
	}
	if v, ok := f.sim.Home(user); ok {
		b.WriteString(textOf(slacksim.Message{Blocks: v.Blocks}))
	}
	return b.String()
}

// Help, forms, unknown names, lists, the shortcut and the Home tab: none of the
// ways in tells a guest or somebody of another organisation what is looked after.
func TestNamesAreForMembersOnly(t *testing.T) {
	t.Parallel()
	written := func(s *Settings) {
		s.Report = func(context.Context, runbook.Run) ([]byte, error) { return []byte("# Record"), nil }
	}
	f := newFlow(t, flowOptions{settings: written, targets: []string{"alpha-prod", "beta-prod"}, sim: slacksim.Options{Channels: append(slacksim.DefaultChannels(),
		slacksim.Channel{ID: "C0MIXED", Name: "mixed", Members: []string{kitID, joID, robinID, slacksim.BotUser}})}})
	ts, err := f.sim.Say(robinID, "mixed", "", "is it the keys?")
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{"/jwks-check help", "/jwks-flush help", "/jwks-check", "/jwks-check nowhere", "/jwks-flush", "/jwks-flush nowhere", "/jwks-flush INC-1 because",
		"/jwks-check status", "/jwks-flush history", "/jwks-check status nowhere", "/jwks-check report", "/jwks-check report nowhere"}
	for user, no := range map[string]string{kitID: "Guests cannot use jwksbot", joID: "People of other workspaces"} {
		for i, line := range lines {
			f.says(user, "mixed", line)
			f.wait("an answer to "+line, func(s *slacksim.Sim) bool { return len(s.Ephemerals(user, "mixed")) == i+1 })
		}
		if d := f.sim.Shortcut(user, "mixed", ts, Shortcuts()[0].ID); d.Err != nil {
			t.Fatal(d.Err)
		}
		f.sim.OpenHome(user)
		f.wait("an answer to each", func(s *slacksim.Sim) bool {
			_, home := s.Home(user)
			return home && len(s.Ephemerals(user, "mixed")) == len(lines)+1
		})
		for _, m := range f.sim.Ephemerals(user, "mixed") {
			if !strings.Contains(textOf(m), no) {
				t.Errorf("%s is told %s", user, textOf(m))
			}
		}
		if all := f.sees(user, "mixed"); strings.Contains(all, "alpha") || strings.Contains(all, "beta") {
			t.Errorf("%s learns names: %s", user, all)
		}
	}
	f.says(robinID, "mixed", "/jwks-check help")
	f.tells(robinID, "mixed", "`alpha-prod`, `beta-prod`")
	f.says(robinID, "mixed", "/jwks-flush INC-1 because")
	f.tells(robinID, "mixed", "Which target? One of: alpha-prod, beta-prod.")
}

// A member learns the names of the targets that they may see or ask for.
func TestNamesAreThoseThatOneMaySee(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{targets: []string{"alpha-prod", "beta-prod"}, viewers: []string{"S0ONCALL"}})
	for _, line := range []string{"/jwks-check help", "/jwks-check nowhere", "/jwks-flush"} {
		f.says(alexID, bridge, line)
	}
	f.wait("three answers", func(s *slacksim.Sim) bool { return len(s.Ephemerals(alexID, bridge)) == 3 })
	if all := f.sees(alexID); strings.Contains(all, "alpha") {
		t.Errorf("somebody who may see no target learns names: %s", all)
	}
	f.says(robinID, bridge, "/jwks-check nowhere")
	f.tells(robinID, bridge, "You can name: alpha-prod, beta-prod.")
}

// Where Slack does not say who somebody is, they get help and no names.
func TestNoNamesForWhomNobodyKnows(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{targets: []string{"alpha-prod", "beta-prod"}})
	f.sim.Fail("users.info", 3, "internal_error")
	f.says(robinID, bridge, "/jwks-check help")
	f.tells(robinID, bridge, "It only reads")
	f.says(robinID, bridge, "/jwks-check nowhere")
	f.says(robinID, bridge, "/jwks-flush")
	f.wait("three answers", func(s *slacksim.Sim) bool { return len(s.Ephemerals(robinID, bridge)) == 3 })
	if all := f.sees(robinID, bridge); strings.Contains(all, "alpha") {
		t.Errorf("names are told to somebody unknown: %s", all)
	}
}

// With 250 targets each can be chosen in the form, and asked for.
func TestAnyOf250TargetsCanBeChosen(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 250 {
		names = append(names, fmt.Sprintf("target-%03d", i))
	}
	f := newFlow(t, flowOptions{targets: names})
	f.says(robinID, bridge, "/jwks-flush")
	f.wait("the form", func(s *slacksim.Sim) bool { _, ok := s.View(robinID); return ok })
	if d := f.sim.Submit(robinID, "", map[string]map[string]any{blockTarget: {blockTarget: "target-249"}, blockTicket: {blockTicket: "INC-7"}, blockReason: {blockReason: "rotated"}}); d.Err != nil {
		t.Fatal(d.Err)
	}
	f.shows(bridge, "Approval needed")
	if run := f.only(); run.Target != "target-249" || run.State != runbook.StatePending {
		t.Errorf("run %s of %s", run.State, run.Target)
	}
	ts, err := f.sim.Say(samID, bridge, "", "is it the keys?")
	if err != nil {
		t.Fatal(err)
	}
	f.sim.Shortcut(robinID, bridge, ts, Shortcuts()[0].ID)
	f.wait("the choice", func(s *slacksim.Sim) bool { v, ok := s.View(robinID); return ok && v.CallbackID == render.CallbackPick })
	if d := f.sim.Submit(robinID, "", map[string]map[string]any{blockTarget: {blockTarget: "target-148"}}); d.Err != nil {
		t.Fatal(d.Err)
	}
	f.wait("a report on it in the thread", func(s *slacksim.Sim) bool {
		all := s.Thread(bridge, ts)
		return len(all) > 0 && strings.Contains(all[0].Text, "target-148")
	})
}
