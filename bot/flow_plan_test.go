package bot

import (
	"testing"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/bot/slacksim"
	"jwksbot/runbook"
)

// A card that still shows plan 1 approves nothing of plan 2, whoever presses and
// however often: the update of the card may come late.
func TestAStaleCardApprovesNothing(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	card := f.asks()
	f.world.set(func(w *flowWorld) {
		w.live = probeOf(liveKey, liveKey2, keyNamed("third", "Dnew"))
	})
	f.sim.RateLimit(methodUpdate, 1000, time.Minute)
	f.clicks(samID, card, render.ActionApprove)
	f.tells(samID, bridge, "things changed since plan 1")
	for _, by := range []string{samID, noorID} {
		f.clicks(by, card, render.ActionApprove)
		f.tells(by, bridge, "you were shown plan 1, and this is plan 2 now (the live keys changed)")
	}
	if run := f.only(); run.State != runbook.StatePending || run.Generation != 2 || len(run.Decisions) != 0 || f.world.deletions() != 0 {
		t.Errorf("%s, plan %d, decisions %+v, %d deletions", run.State, run.Generation, run.Decisions, f.world.deletions())
	}
}

// The buttons of a card from before plans had numbers decide nothing; the card
// is posted anew, and its buttons count.
func TestACardThatNamesNoPlanDecidesNothing(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	card := f.asks()
	id := f.only().ID
	eventually(t, "the card is remembered", func() bool { r := f.run(id); return r.Shown == r.Version })
	old := render.Message{Text: "an old card", Blocks: []slack.Block{slack.NewActionBlock("",
		pressable(render.ActionApprove, id, "Approve"), pressable(render.ActionDeny, id, "Deny"), pressable(render.ActionDenyReason, id, "Deny with reason"))}}
	for _, action := range []string{render.ActionApprove, render.ActionDeny, render.ActionDenyReason} {
		if err := f.bot.send.updateRetrying(t.Context(), card.Channel, card.TS, old); err != nil {
			t.Fatal(err)
		}
		before := len(f.sim.Ephemerals(samID, bridge))
		f.clicks(samID, card, action)
		f.wait("an answer", func(s *slacksim.Sim) bool { return len(s.Ephemerals(samID, bridge)) > before })
		f.tells(samID, bridge, "does not say which plan it showed")
		if run := f.run(id); run.State != runbook.StatePending || len(run.Decisions) != 0 {
			t.Fatalf("%s: %s, decisions %+v", action, run.State, run.Decisions)
		}
		if action == render.ActionApprove {
			f.shows(bridge, "Approval needed")
		}
	}
	if err := f.bot.send.updateRetrying(t.Context(), card.Channel, card.TS, render.Run(f.run(id), f.clock.Now())); err != nil {
		t.Fatal(err)
	}
	f.clicks(samID, card, render.ActionApprove)
	f.shows(bridge, "Flushed and proven")
}
