package bot

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"jwksbot/bot/render"
	"jwksbot/bot/slacksim"
)

// twoRooms is a workspace in which the target has a channel of its own.
func twoRooms() flowOptions {
	return flowOptions{channel: "inc-own", sim: slacksim.Options{Channels: append(slacksim.DefaultChannels(),
		slacksim.Channel{ID: "C0OWN", Name: "inc-own", Members: []string{robinID, samID, slacksim.BotUser}})}}
}

// A channel that became shared a moment ago gets no report, though the bot
// posted there just before.
func TestNoReportIntoAChannelThatBecameShared(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	f.says(robinID, bridge, checkLine)
	m := f.shows(bridge, "What to do")
	f.wait("evidence in the thread", func(s *slacksim.Sim) bool { return len(s.Thread(bridge, m.TS)) > 0 })
	f.sim.SetShared(bridge, true)
	f.says(samID, bridge, checkLine)
	if got := textOf(f.tells(samID, bridge, "shared with another organisation")); !strings.Contains(got, "What to do") {
		t.Errorf("the private answer holds no report: %s", got)
	}
	if n := len(f.sim.Messages(bridge)); n != 1 {
		t.Errorf("%d messages in the channel, want the one from before", n)
	}
}

// The result of a check goes to the person alone where the channel became
// shared while it ran; what the message said until then is taken back.
func TestNoResultIntoAChannelThatBecomesShared(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	gate := make(chan struct{})
	f.world.set(func(w *flowWorld) { w.gate = gate })
	f.says(robinID, bridge, checkLine)
	m := f.shows(bridge, "steps done")
	f.sim.SetShared(bridge, true)
	close(gate)
	f.tells(robinID, bridge, "What to do")
	f.shows(bridge, render.Withdrawn().Text)
	m, _ = f.sim.Message(bridge, m.TS)
	if strings.Contains(textOf(m), "production") || len(f.sim.Thread(bridge, m.TS)) != 0 {
		t.Errorf("the channel still shows %s, and %d messages in the thread", textOf(m), len(f.sim.Thread(bridge, m.TS)))
	}
}

// The card of a request follows the same rule, between the request and its
// posting as well as afterwards: it goes where the target's people are.
func TestCardsLeaveAChannelThatBecomesShared(t *testing.T) {
	t.Parallel()
	opt := twoRooms()
	opt.hidden = true
	f := newFlow(t, opt)
	f.says(robinID, bridge, askLine)
	f.tells(robinID, bridge, "Reading the live keys")
	eventually(t, "a run", func() bool { return len(f.runs()) == 1 })
	f.sim.SetShared(bridge, true)
	f.shown.Store(true)
	card := f.shows("inc-own", "Approval needed")
	if n := len(cards(f.sim, bridge)); n != 0 {
		t.Errorf("%d cards in the shared channel", n)
	}
	f.sim.SetShared("inc-own", true)
	f.sim.SetShared(bridge, false)
	f.clicks(samID, card, render.ActionDeny)
	f.tells(samID, "inc-own", "Denied")
	// The target's own channel is the one that is shared now: nothing is told
	// there until it is not.
	eventually(t, "the log says so", func() bool { return strings.Contains(f.log.String(), "does not accept messages from the bot") })
	if m, _ := f.sim.Message("inc-own", card.TS); strings.Contains(textOf(m), "Denied") {
		t.Errorf("the card tells strangers: %s", textOf(m))
	}
	f.sim.SetShared("inc-own", false)
	f.shows("inc-own", "Denied")
}

// A card that stands in a channel that becomes shared goes on in the target's.
func TestARunGoesOnWhereOnlyItsPeopleRead(t *testing.T) {
	t.Parallel()
	f := newFlow(t, twoRooms())
	card := f.asks()
	f.sim.SetShared(bridge, true)
	f.clicks(samID, card, render.ActionApprove)
	f.shows("inc-own", "Flushed and proven")
	f.shows(bridge, render.Withdrawn().Text)
	if m, _ := f.sim.Message(bridge, card.TS); strings.Contains(textOf(m), "production") || len(m.Buttons()) != 0 {
		t.Errorf("the shared channel shows %s", textOf(m))
	}
}

// Where Slack does not say who reads a channel, nothing new goes there.
func TestNothingIsPostedWhileSlackDoesNotSayWhoReads(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	f.sim.RateLimit("conversations.info", 1, time.Minute)
	f.says(robinID, bridge, checkLine)
	f.tells(robinID, bridge, "only you see this")
	f.says(robinID, bridge, askLine)
	f.tells(robinID, bridge, "so nothing was requested")
	f.says(samID, bridge, checkLine)
	f.tells(samID, bridge, "only you see this")
	if n := len(f.sim.Messages(bridge)); n != 0 || len(f.runs()) != 0 {
		t.Errorf("%d messages were posted, %d requests made", n, len(f.runs()))
	}
	if n := len(f.sim.Calls("conversations.info")); n != 1 {
		t.Errorf("Slack was asked %d times within the minute in which it wants no question", n)
	}
}

// One call answers all that wait for it.
func TestOneQuestionForAllThatWait(t *testing.T) {
	var calls atomic.Int32
	asked, answer := make(chan struct{}, 100), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		asked <- struct{}{}
		<-answer
		fmt.Fprint(w, `{"ok":true,"channel":{"id":"C0BRIDGE","is_member":true}}`)
	}))
	t.Cleanup(srv.Close)
	p := newChannelCache(slack.New("xoxb-test", slack.OptionAPIURL(srv.URL+"/")))
	var all sync.WaitGroup
	ask := func() {
		if err := p.postable(t.Context(), bridgeID); err != nil {
			t.Error(err)
		}
	}
	all.Go(ask)
	<-asked
	var waiting atomic.Int32
	for range 50 {
		all.Go(func() { waiting.Add(1); ask() })
	}
	eventually(t, "all wait", func() bool { return waiting.Load() == 50 })
	close(answer)
	all.Wait()
	before := calls.Load()
	if before >= 51 { // who came after the answer asked anew
		t.Errorf("%d calls for 51 questions", before)
	}
	ask()
	if calls.Load() != before+1 {
		t.Error("an old answer counted for something new")
	}
}
