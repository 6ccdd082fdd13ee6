package bot

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/bot/slacksim"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/journal"
)

func TestRequestApproveFlushProve(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	card := f.asks()
	id := f.only().ID
	f.tells(robinID, bridge, "Reading the live keys and the cache")

	f.clicks(alexID, card, render.ActionApprove)
	f.tells(alexID, bridge, "<!subteam^S0LEADS>")
	f.clicks(kitID, card, render.ActionDeny)
	f.tells(kitID, bridge, "Guests cannot")
	f.clicks(robinID, card, render.ActionApprove)
	f.tells(robinID, bridge, "somebody else has to approve it")
	f.clicks(samID, card, render.ActionWithdraw)
	f.tells(samID, bridge, "Only the requester can withdraw")
	if f.world.deletions() != 0 || f.run(id).State != runbook.StatePending {
		t.Fatalf("something happened before an approval: %s", f.run(id).State)
	}

	f.clicks(samID, card, render.ActionApprove)
	f.tells(samID, bridge, "The flush starts now")
	end := f.shows(bridge, "Flushed and proven")
	if end.TS != card.TS || len(cards(f.sim, bridge)) != 1 {
		t.Errorf("a run has %d messages", len(cards(f.sim, bridge)))
	}
	f.clicks(noorID, end, render.ActionApprove, slacksim.AsItStood())
	f.tells(noorID, bridge, "Already decided: sam approved it")
	f.wait("the proof in the thread", func(s *slacksim.Sim) bool { return len(s.Thread(bridge, card.TS)) > 0 })
	eventually(t, "the journal knows what is shown", func() bool {
		r := f.run(id)
		return r.Shown == r.Version && r.Post.Evidence != "" && r.Post == runbook.Post{Channel: bridgeID, TS: card.TS, Evidence: r.Post.Evidence}
	})
	if f.world.deletions() != 1 {
		t.Errorf("%d deletions", f.world.deletions())
	}
	for _, m := range append(f.sim.Messages(bridge), f.sim.Thread(bridge, card.TS)...) {
		if m.Text == "" || m.Metadata == nil || len(m.Blocks) == 0 {
			t.Errorf("a message without text, blocks or metadata: %+v", m)
		}
	}
}

func TestTwoApprovalsAreNeeded(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{required: 2})
	card := f.asks()
	f.clicks(samID, card, render.ActionApprove)
	f.tells(samID, bridge, "1 of 2")
	card = f.shows(bridge, "1 of 2")
	f.clicks(samID, card, render.ActionApprove)
	f.tells(samID, bridge, "You approved this already")
	f.clicks(noorID, card, render.ActionApprove)
	f.shows(bridge, "Flushed and proven")
}

func TestTheFormAsksForTheRest(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	f.says(robinID, bridge, "/jwks-flush")
	f.wait("the form", func(s *slacksim.Sim) bool { _, ok := s.View(robinID); return ok })
	form := func(ticket string) map[string]map[string]any {
		return map[string]map[string]any{blockTicket: {blockTicket: ticket}, blockReason: {blockReason: "keys rotated"}}
	}
	if d := f.sim.Submit(robinID, "", form("none")); d.Err != nil {
		t.Fatal(d.Err)
	}
	v, ok := f.sim.View(robinID)
	if !ok || !strings.Contains(v.Errors[blockTicket], "INC-2026-0214-001") {
		t.Fatalf("a wrong ticket is answered with %v", v.Errors)
	}
	if d := f.sim.Submit(robinID, "", form("INC-7")); d.Err != nil {
		t.Fatal(d.Err)
	}
	if _, ok := f.sim.View(robinID); ok {
		t.Error("the form stays open")
	}
	f.shows(bridge, "INC-7")
	f.says(alexID, bridge, "/jwks-flush")
	f.tells(alexID, bridge, "You may not request a mitigation")
	if _, ok := f.sim.View(alexID); ok {
		t.Error("a form for somebody who may not request")
	}
}

func TestReportsOfferTheRequest(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	f.says(robinID, bridge, checkLine)
	f.clicks(robinID, f.shows(bridge, "What to do"), render.ActionRequestFlush)
	f.wait("the form with the verdict", func(s *slacksim.Sim) bool {
		v, ok := s.View(robinID)
		return ok && strings.Contains(textOf(slacksim.Message{Blocks: v.Blocks}), "Last check")
	})
}

func TestARefusedRequestIsPrivate(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	f.world.set(func(w *flowWorld) {
		w.live = brokenProbe(503, "HTTP 503 with an HTML page instead of a key set")
	})
	f.says(robinID, bridge, askLine)
	f.tells(robinID, bridge, "Refused:")
	f.says(kitID, bridge, askLine)
	f.tells(kitID, bridge, "Guests cannot")
	f.says(robinID, bridge, "/jwks-flush production INC-1") // no reason
	f.tells(robinID, bridge, "Say in a few words why")
	if n := len(f.sim.Messages(bridge)); n != 0 {
		t.Errorf("%d messages in the channel", n)
	}
}

func TestDenyWithReasonWithdrawRequestAgain(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	card := f.asks()
	f.clicks(samID, card, render.ActionDenyReason)
	f.wait("the form", func(s *slacksim.Sim) bool { _, ok := s.View(samID); return ok })
	f.sim.Submit(samID, "", map[string]map[string]any{blockDeny: {blockDeny: "wait for the second edge"}})
	denied := f.shows(bridge, "wait for the second edge")
	f.tells(samID, bridge, "Denied. Nothing was touched.")
	f.clicks(robinID, denied, render.ActionRequestAgain)
	f.wait("the form, filled in", func(s *slacksim.Sim) bool {
		v, ok := s.View(robinID)
		return ok && strings.Contains(textOf(slacksim.Message{Blocks: v.Blocks}), "keys rotated at 02:40")
	})
	f.sim.Submit(robinID, "", nil)
	second := f.shows(bridge, "Approval needed")
	f.clicks(robinID, second, render.ActionWithdraw)
	f.tells(robinID, bridge, "Withdrawn. Nothing was touched.")
	f.shows(bridge, "Withdrawn by <@"+robinID+">")
	if f.world.deletions() != 0 {
		t.Error("something was deleted")
	}
}

func TestReminderThenExpiry(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	card := f.asks()
	f.ticks(approve.DefaultExpiry/2 + time.Second)
	f.wait("a reminder in the thread", func(s *slacksim.Sim) bool {
		all := s.Thread(bridge, card.TS)
		return len(all) == 1 && strings.Contains(textOf(all[0]), "still waiting for")
	})
	called := slices.ContainsFunc(f.sim.Mentions(bridge), func(m slacksim.Mention) bool { return m.Kind == "group" && m.ID == "S0LEADS" })
	if !called {
		t.Error("the reminder calls nobody")
	}
	f.ticks(approve.DefaultExpiry)
	end := f.shows(bridge, "Expired")
	if end.TS != card.TS || end.Buttons()[render.ActionRequestAgain] == "" || end.Buttons()[render.ActionApprove] != "" {
		t.Errorf("buttons of an expired request: %v", end.Buttons())
	}
	f.clicks(samID, end, render.ActionApprove, slacksim.AsItStood())
	f.tells(samID, bridge, "This request is over: it is expired")
	if n := len(f.sim.Thread(bridge, card.TS)); n != 1 {
		t.Errorf("%d messages in the thread, want the one reminder", n)
	}
}

// Of many clicks at once one wins, and everybody hears what became of theirs.
func TestTwentyClicksAtOnce(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{sim: slacksim.Options{Limits: slacksim.LimitsOff}})
	card := f.asks()
	before := len(f.sim.Ephemerals(samID, bridge)) + len(f.sim.Ephemerals(noorID, bridge))
	var all sync.WaitGroup
	for i := range 20 {
		user := []string{samID, noorID}[i%2]
		all.Go(func() {
			if d := f.sim.Click(user, bridge, card.TS, render.ActionApprove, slacksim.AsItStood()); d.Err != nil {
				t.Errorf("click %d: %v", i, d.Err)
			}
		})
	}
	all.Wait()
	f.shows(bridge, "Flushed and proven")
	f.wait("twenty answers", func(s *slacksim.Sim) bool {
		return len(s.Ephemerals(samID, bridge))+len(s.Ephemerals(noorID, bridge)) == before+20
	})
	won := 0
	for _, m := range append(f.sim.Ephemerals(samID, bridge), f.sim.Ephemerals(noorID, bridge)...) {
		if strings.Contains(m.Text, "The flush starts now") {
			won++
		} else if !strings.Contains(m.Text, "Already decided") && !strings.Contains(m.Text, "This request is over") {
			t.Errorf("a loser is told %q", m.Text)
		}
	}
	if won != 1 || f.world.deletions() != 1 || len(f.only().Decisions) != 1 {
		t.Errorf("%d won, %d deletions, %d decisions; want one each", won, f.world.deletions(), len(f.only().Decisions))
	}
}

// Whoever can post a button of the app, or edits what it sends, gains nothing.
func TestForgedButtons(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	for i, forged := range []struct{ action, value, says string }{
		{render.ActionApprove, "", "run that jwksbot knows"},
		{render.ActionApprove, "0214-aaaaaaaa", "no run with this id"},
		{render.ActionApprove, strings.Repeat("x", 2000), "run that jwksbot knows"},
		{render.ActionWithdraw, "0214-aaaaaaaa'; DROP TABLE runs", "run that jwksbot knows"},
		{render.ActionRequestAgain, "0214-aaaaaaaa", "run that jwksbot knows"},
		{render.ActionCheckAgain, "<!channel>", "There is no target"},
		{render.ActionDetails, "elsewhere", "There is no target"},
		{render.ActionRequestFlush, "elsewhere", "There is no target"},
		{"launch", "now", "does not know this button"},
	} {
		m := render.Message{Text: fmt.Sprintf("forged %d", i)}
		b := pressable(forged.action, forged.value, "Press")
		m.Blocks = []slack.Block{slack.NewActionBlock("", b)}
		ts, err := f.bot.send.postRetrying(t.Context(), bridgeID, "", m)
		if err != nil {
			t.Fatal(err)
		}
		before := len(f.sim.Ephemerals(alexID, bridge))
		f.clicks(alexID, slacksim.Message{Channel: bridgeID, TS: ts}, forged.action)
		f.wait("an answer", func(s *slacksim.Sim) bool { return len(s.Ephemerals(alexID, bridge)) > before })
		if got := f.sim.Ephemerals(alexID, bridge)[before].Text; !strings.Contains(got, forged.says) {
			t.Errorf("%s %.40q is answered with %q, want %q", forged.action, forged.value, got, forged.says)
		}
	}
	if n := len(f.sim.Mentions(bridge)); n != 0 {
		t.Errorf("%d mentions", n)
	}
}

// What people type is redacted before it is kept, and mentions nobody.
// sampleToken has the form of a JSON Web Token.
const sampleToken = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsyIn0.eyJzdWIiOiJ1c2VyLTEiLCJleHAiOjE3NzEwMzgwMDB9.c2lnbmF0dXJlLXNpZ25hdHVyZS1zaWduYXR1cmU"

func TestWhatPeopleTypeIsHarmless(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	token := sampleToken
	f.says(robinID, bridge, "/jwks-flush production INC-1 &lt;!channel&gt; <@"+alexID+"> <!here> *bold* token "+token)
	f.shows(bridge, "Approval needed")
	f.sim.Command(robinID, bridge, "/jwks-check production "+token)
	f.sim.Command(robinID, bridge, "/jwks-check <!channel> <!everyone>")
	f.sim.Command(robinID, bridge, "/jwks-check "+token)
	f.tells(robinID, bridge, "There is no target")
	for _, m := range f.sim.Mentions(bridge) {
		if m.Kind == "broadcast" || m.Kind == "user" && m.ID != robinID {
			t.Errorf("somebody is mentioned: %+v", m)
		}
	}
	card := cards(f.sim, bridge)[0]
	if got := textOf(card); !strings.Contains(got, "&lt;!channel&gt; &lt;@"+alexID+"&gt;") || strings.Contains(got, "&amp;lt;") {
		t.Errorf("the reason is shown as %s", got)
	}
	for _, m := range append(f.sim.Messages(bridge), f.sim.Ephemerals(robinID, bridge)...) {
		if m.Bot && strings.Contains(textOf(m), token[20:60]) {
			t.Errorf("a pasted token is shown: %s", textOf(m))
		}
	}
	run := f.only()
	if strings.Contains(run.Reason, token[20:60]) || strings.Contains(f.log.String(), token[20:60]) {
		t.Errorf("a pasted token is kept: %q", run.Reason)
	}
	for row, err := range f.journal.AuditRows(t.Context(), journal.AuditFilter{}) {
		if err != nil || strings.Contains(fmt.Sprint(row), token[20:60]) {
			t.Errorf("a pasted token is in the audit trail: %+v, %v", row, err)
		}
	}
}
