package bot

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/bot/render"
	"jwksbot/bot/slacksim"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

// fromTerminal writes a request as the command line does: nothing is posted,
// and the channel is the name that the configuration has.
func (f *flow) fromTerminal(channel string) runbook.Run {
	f.t.Helper()
	run, _, err := f.service.Open(f.t.Context(), approve.Request{Target: "production", Ticket: "INC-9", Reason: "from a terminal",
		By: robinID, Via: runbook.ViaTerminal, Channel: channel}, check.Silent{})
	if err != nil {
		f.t.Fatal(err)
	}
	return run
}

func (f *flow) approves(id string) {
	f.t.Helper()
	if _, err := f.service.Decide(f.t.Context(), approve.Click{Run: id, Generation: 1, By: samID, Kind: runbook.DecideApprove, Via: runbook.ViaSlack}); err != nil {
		f.t.Fatal(err)
	}
}

// settled waits until a run's newest version is what Slack shows.
func (f *flow) settled(id string) runbook.Run {
	f.t.Helper()
	eventually(f.t, "run "+id+" is shown as it is", func() bool {
		r := f.run(id)
		return r.State.Ended() && r.Shown == r.Version
	})
	return f.run(id)
}

func TestARunFromTheTerminalGetsItsCard(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	run := f.fromTerminal("")
	card := f.shows(bridge, "from a terminal")
	eventually(t, "the journal knows where it is", func() bool {
		return f.run(run.ID).Post == runbook.Post{Channel: bridgeID, TS: card.TS}
	})
}

func TestOnlyTheExecutorPresents(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{hidden: true})
	f.fromTerminal("")
	f.says(robinID, bridge, checkLine)
	f.shows(bridge, "What to do") // everything else goes on
	f.stop()
	if err := receive(t, f.ends, "the end of the bot"); err != nil {
		t.Errorf("Run: %v", err)
	}
	if n := len(cards(f.sim, bridge)); n != 0 {
		t.Errorf("%d messages of runs by a process that does not execute", n)
	}
}

// Progress may be lost to a rate limit; the end may not.
func TestRateLimitedUpdatesEndWithTheEnd(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	card := f.asks()
	f.sim.RateLimit(methodUpdate, 1, 2*time.Second)
	f.clicks(samID, card, render.ActionApprove)
	f.shows(bridge, "Flushed and proven")
	calls := f.sim.Calls(methodUpdate)
	i := slices.IndexFunc(calls, func(c slacksim.Call) bool { return c.Status == 429 })
	if i < 0 || i+1 == len(calls) || calls[i+1].At.Sub(calls[i].At) < 2*time.Second {
		t.Errorf("Retry-After was not heeded: %+v", calls)
	}
}

func TestAnOutageOnlyDelays(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	f.asks()
	id := f.only().ID
	if _, err := f.service.MayRequest(t.Context(), "production", samID); err != nil { // so that Slack's last word on sam is known
		t.Fatal(err)
	}
	f.sim.Outage(true)
	f.approvedElsewhere(id)
	eventually(t, "the run ends without Slack", func() bool { return f.run(id).State == runbook.StateDone })
	f.sim.Outage(false)
	f.shows(bridge, "Flushed and proven")
	f.settled(id)
	if n := len(cards(f.sim, bridge)); n != 1 {
		t.Errorf("%d messages of one run", n)
	}
}

// approvedElsewhere is an approval by a process that can reach Slack.
func (f *flow) approvedElsewhere(id string) {
	f.t.Helper()
	_, err := f.journal.Change(f.t.Context(), id, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		r.Decisions = append(r.Decisions, runbook.Decision{By: sam, Kind: runbook.DecideApprove, Generation: r.Generation, At: f.clock.Now()})
		r.State, r.ApprovedAt, r.StartBy = runbook.StateApproved, f.clock.Now(), f.clock.Now().Add(time.Minute)
		return nil, nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func TestADeletedMessageIsPostedAnew(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	card := f.asks()
	if _, _, err := f.api.DeleteMessageContext(t.Context(), bridgeID, card.TS); err != nil {
		t.Fatal(err)
	}
	f.approves(f.only().ID)
	end := f.shows(bridge, "Flushed and proven")
	run := f.settled(f.only().ID)
	if end.TS == card.TS || run.Post.TS != end.TS || len(cards(f.sim, bridge)) != 1 {
		t.Errorf("post %+v, message %s, %d messages", run.Post, end.TS, len(cards(f.sim, bridge)))
	}
	f.wait("the proof in the thread of the new one", func(s *slacksim.Sim) bool { return len(s.Thread(bridge, end.TS)) > 0 })
}

func TestAClosedChannelIsLeftForTheTargets(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{hidden: true})
	f.fromTerminal("C0PRIVATE")
	f.shown.Store(true)
	card := f.shows(bridge, "from a terminal")
	if !strings.Contains(f.log.String(), "goes to the target's channel") {
		t.Error("the log does not say so")
	}

	// The same when it is closed between two updates.
	id := f.only().ID
	f.sim.Fail(methodUpdate, 1, "is_archived")
	f.sim.Fail("conversations.info", 1, "channel_not_found")
	if _, err := f.service.Decide(t.Context(), approve.Click{Run: id, Generation: 1, By: samID, Kind: runbook.DecideDeny, Reason: "no"}); err != nil {
		t.Fatal(err)
	}
	run := f.settled(id)
	if run.Post.TS == "" {
		t.Errorf("post %+v, card %s", run.Post, card.TS)
	}
}

// Where the command was typed the bot is no member: the card goes to the
// target's channel, and the person is told; nowhere at all: nothing is asked.
func TestWhereTheCardGoes(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	f.says(robinID, "inc-private", askLine)
	f.tells(robinID, "inc-private", "will appear in <#"+bridgeID+">. jwksbot is not a member")
	f.shows(bridge, "Approval needed")
	f.says(robinID, f.sim.Direct(robinID), "/jwks-flush production INC-2 from a direct message")
	f.shows(bridge, "from a direct message")

	f = newFlow(t, flowOptions{channel: "identity-platform"})
	f.says(robinID, "partner-contoso", askLine)
	f.tells(robinID, "partner-contoso", "Nothing was requested")
	f.says(robinID, f.sim.Direct(robinID), askLine)
	f.tells(robinID, f.sim.Direct(robinID), "/invite @jwksbot")
	if runs, err := f.journal.Runs(t.Context(), runbook.Filter{}); err != nil || len(runs) != 0 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
}

// A crash between posting and remembering: the message is known again as soon
// as somebody uses it.
func TestACopyIsAdopted(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{hidden: true})
	run := f.fromTerminal(bridgeID)
	ts, err := f.bot.send.postRetrying(t.Context(), bridgeID, "", render.Run(run, f.clock.Now()))
	if err != nil {
		t.Fatal(err)
	}
	f.clicks(samID, slacksim.Message{Channel: bridgeID, TS: ts}, render.ActionApprove)
	f.tells(samID, bridge, "The flush starts now")
	if got := f.run(run.ID).Post; got.TS != ts {
		t.Fatalf("post %+v, want the one that was clicked", got)
	}
	f.shown.Store(true)
	if end := f.shows(bridge, "Flushed and proven"); end.TS != ts || len(cards(f.sim, bridge)) != 1 {
		t.Errorf("%d messages of one run", len(cards(f.sim, bridge)))
	}
}

func TestAnOlderCopyIsRetired(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{hidden: true})
	run := f.fromTerminal(bridgeID)
	old, err := f.bot.send.postRetrying(t.Context(), bridgeID, "", render.Run(run, f.clock.Now()))
	if err != nil {
		t.Fatal(err)
	}
	f.shown.Store(true)
	eventually(t, "the run has a message", func() bool { return f.run(run.ID).Post.TS != "" })
	now := f.run(run.ID).Post.TS
	f.clicks(robinID, slacksim.Message{Channel: bridgeID, TS: old}, render.ActionApprove)
	f.tells(robinID, bridge, "somebody else has to approve it") // the click counts as any
	m := f.shows(bridge, "an older copy")
	if m.TS != old || len(m.Buttons()) != 0 || !strings.Contains(textOf(m), "p"+strings.ReplaceAll(now, ".", "")) || m.Metadata.Payload["run_id"] != run.ID {
		t.Errorf("the older copy: %s", textOf(m))
	}
	if present, _ := f.sim.Message(bridge, now); present.Buttons()[render.ActionApprove] == "" {
		t.Error("the present one lost its buttons")
	}
}

// Evidence that was cut off in the middle is continued, not repeated.
func TestEvidenceIsPostedOnce(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	card := f.asks()
	id := f.only().ID
	f.sim.Fail(methodPost, 2, "internal_error")
	f.clicks(samID, card, render.ActionApprove)
	f.shows(bridge, "Flushed and proven")
	run := f.settled(id)
	if n, want := len(f.sim.Thread(bridge, card.TS)), len(render.RunThread(run)); n != want || want == 0 {
		t.Errorf("%d messages in the thread, want %d", n, want)
	}
	if n := len(strings.Split(run.Post.Evidence, ",")); n != len(render.RunThread(run)) {
		t.Errorf("the journal knows of %d", n)
	}
}

// What ended long ago, where no bot was, is history and no news.
func TestOldNewsIsNotPosted(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{hidden: true})
	run := f.fromTerminal("")
	f.ticks(approve.DefaultExpiry + time.Second)
	f.clock.advance(oldNews + time.Hour)
	f.shown.Store(true)
	f.settled(run.ID)
	if n := len(f.sim.Messages(bridge)); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// The world moved between request and click: the card shows the new plan.
func TestAChangedWorldBringsANewPlan(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	card := f.asks()
	f.world.set(func(w *flowWorld) {
		w.live = probeOf(liveKey, liveKey2, keyNamed("third", "Dnew"))
	})
	f.clicks(samID, card, render.ActionApprove)
	f.tells(samID, bridge, "things changed since plan 1")
	if m := f.shows(bridge, "This is plan 2"); m.TS != card.TS {
		t.Error("the new plan is another message")
	}
	f.world.set(func(w *flowWorld) { w.entry, w.live = "fresh", probeOf(liveKey, liveKey2) })
	f.clicks(samID, card, render.ActionApprove)
	f.tells(samID, bridge, "Nothing is left to do")
	f.shows(bridge, "Nothing left to do")
}

func TestUrgencyAndPace(t *testing.T) {
	states := map[runbook.State]int{runbook.StateDone: 0, runbook.StateDenied: 0, runbook.StatePending: 1, runbook.StateFlush: 2}
	for s, want := range states {
		if got := urgency(runbook.Run{State: s}); got != want {
			t.Errorf("urgency of %s is %d, want %d", s, got, want)
		}
	}
	soon := time.Now().Add(time.Minute)
	p := &presenter{next: map[string]time.Time{"r": soon}, slow: map[string]time.Duration{}, seen: map[string]runbook.State{"r": runbook.StatePending}}
	for s, want := range map[runbook.State]bool{runbook.StatePending: false, runbook.StateApproved: true, runbook.StateFlush: false, runbook.StateDone: true} {
		if got := p.due(runbook.Run{ID: "r", State: s}); got != want {
			t.Errorf("a run that is %s within three seconds is due: %t, want %t", s, got, want)
		}
	}
	p.slow["r"] = time.Second
	if p.due(runbook.Run{ID: "r", State: runbook.StateDone}) {
		t.Error("a failure is repeated without waiting")
	}
}

// An update without blocks would leave the old ones in place, buttons included.
func TestEveryMessageCarriesTextBlocksAndMetadata(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{})
	f.says(robinID, bridge, checkLine)
	f.clicks(samID, f.asks(), render.ActionApprove)
	f.shows(bridge, "Flushed and proven")
	f.settled(f.only().ID)
	if _, err := f.bot.send.postRetrying(t.Context(), bridgeID, "", render.Message{Text: "just words"}); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{methodPost, methodUpdate} {
		for _, c := range f.sim.Calls(method) {
			b, err := json.Marshal(c.Args)
			if err != nil || !strings.Contains(string(b), "jwksbot_") || !strings.Contains(string(b), `"text"`) || !strings.Contains(string(b), `"blocks"`) {
				t.Errorf("%s: %s", method, b)
			}
		}
	}
}
