package bot

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/bot/render"
	"jwksbot/bot/slacksim"
)

func homeText(v slacksim.View) string {
	b, err := json.Marshal(v.Blocks)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// home waits until somebody's Home tab says some words.
func (f *flow) home(user, words string) (found slacksim.View) {
	f.t.Helper()
	f.wait("a Home tab with "+words, func(s *slacksim.Sim) bool {
		v, ok := s.Home(user)
		found = v
		return ok && strings.Contains(homeText(v), words)
	})
	return found
}

func (f *flow) opensHome(user string) {
	f.t.Helper()
	if d := f.sim.OpenHome(user); d.Err != nil {
		f.t.Fatal(d.Err)
	}
}

// The Home tab shows what waits, with the way to its card, and follows it.
func TestHomeFollowsARun(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	f.opensHome(samID)
	f.home(samID, "not checked since jwksbot started")
	card := f.asks()
	link := "p" + strings.ReplaceAll(card.TS, ".", "") + "|open the card to decide"
	f.home(samID, link)
	f.home(samID, "*Stale cache*") // the checks of the request
	f.clicks(samID, card, render.ActionApprove)
	f.home(samID, "✅ done")
	if got := homeText(f.home(samID, "check again")); !strings.Contains(got, "since then run") {
		t.Errorf("the verdict from before the flush stands as if it were news: %s", got)
	}
}

// A Home tab has no channel: a check from there is answered in its other tab.
func TestCheckFromHome(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	f.opensHome(robinID)
	v := f.home(robinID, "Check now")
	if d := f.sim.ClickView(robinID, v.ID, render.ActionCheckAgain); d.Err != nil {
		t.Fatal(d.Err)
	}
	f.shows(f.sim.Direct(robinID), "What to do")
	f.home(robinID, "*Stale cache*")
	if n := len(f.sim.Messages(bridge)); n != 0 {
		t.Errorf("%d messages in the channel of the target", n)
	}
	v, _ = f.sim.Home(robinID)
	if d := f.sim.ClickView(robinID, v.ID, render.ActionRequest); d.Err != nil {
		t.Fatal(d.Err)
	}
	f.wait("the form", func(s *slacksim.Sim) bool { _, ok := s.View(robinID); return ok })
}

func TestHomeOfWhoMaySeeNothing(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{viewers: []string{"S0ONCALL"}})
	f.asks()
	f.opensHome(alexID)
	if got := homeText(f.home(alexID, "S0ONCALL")); strings.Contains(got, "INC-") {
		t.Errorf("somebody who may see nothing is shown %s", got)
	}
}

// Whoever does not look any more is not published to, and a round stays below
// what Slack takes in a minute.
func TestOnlyOpenHomesAreKept(t *testing.T) {
	h := newHomeTabs()
	for i := range 3 * maxHomeTabs {
		h.noteOpened(fmt.Sprintf("U%02d", i))
	}
	got := h.openTabs()
	slices.Sort(got)
	if len(got) != maxHomeTabs || got[len(got)-1] != fmt.Sprintf("U%02d", 3*maxHomeTabs-1) {
		t.Errorf("kept are %v", got)
	}
	for n := 1; n <= maxHomeTabs; n++ {
		if perMinute := float64(n) * float64(time.Minute) / float64(homeEvery+time.Duration(n)*homePace); perMinute > 100 {
			t.Errorf("%d open Home tabs make %.0f calls a minute", n, perMinute)
		}
	}
	for u := range h.opened {
		h.opened[u] = time.Now().Add(-homeTabKept - time.Second)
	}
	if got := h.openTabs(); len(got) != 0 {
		t.Errorf("kept after %s: %v", homeTabKept, got)
	}
}
