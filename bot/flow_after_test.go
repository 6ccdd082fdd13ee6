package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jwksbot/bot/slacksim"
	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/record"

	"jwksbot/bot/render"

	"github.com/slack-go/slack"
)

// onePixel is a picture, as far as the workspace looks.
var onePixel = []byte("\x89PNG\r\n\x1a\n and so on")

// form waits until somebody sees a form.
func (f *flow) form(user string) (found slacksim.View) {
	f.t.Helper()
	f.wait("a form before "+user, func(s *slacksim.Sim) bool {
		v, ok := s.View(user)
		found = v
		return ok
	})
	return found
}

func (f *flow) submits(user string, values map[string]any) {
	f.t.Helper()
	all := map[string]map[string]any{}
	for id, v := range values {
		all[id] = map[string]any{id: v}
	}
	if d := f.sim.Submit(user, "", all); d.Err != nil {
		f.t.Fatalf("submit: %v", d.Err)
	}
}

// flushes brings a run to its watch.
func (f *flow) flushes() slacksim.Message {
	f.t.Helper()
	card := f.asks()
	f.clicks(samID, card, render.ActionApprove)
	return f.shows(bridge, "Flushed, watching")
}

// pings are the messages in a thread that call a group.
func pings(s *slacksim.Sim, ts, group string) (out []slacksim.Message) {
	for _, m := range s.Thread(bridge, ts) {
		if strings.Contains(textOf(m), "<!subteam^"+group+">") {
			out = append(out, m)
		}
	}
	return out
}

// Failures that persist call the people once, in the thread and in the channel;
// who takes over is on record; and the picture of the watch comes at its end.
func TestABreachCallsPeopleOnce(t *testing.T) {
	t.Parallel()
	var drawn atomic.Int32
	f := newFlow(t, flowOptions{watch: true, settings: func(s *Settings) {
		s.Chart = func(series runbook.Series) ([]byte, error) {
			drawn.Add(1)
			if len(series.Failures) < 2 {
				return nil, errors.New("nothing to draw")
			}
			return onePixel, nil
		}
	}})
	f.world.set(func(w *flowWorld) { w.failing = 12 })
	run := f.flushes()
	f.clock.advance(14 * time.Minute)
	f.shows(bridge, "Escalated")
	f.wait("the call", func(s *slacksim.Sim) bool { return len(pings(s, run.TS, "S0IDENTITY")) == 1 })
	ping := pings(f.sim, run.TS, "S0IDENTITY")[0]
	if !strings.Contains(textOf(ping), "12 %") || ping.Buttons()[render.ActionGotIt] != "Got it" {
		t.Errorf("the call says %s", textOf(ping))
	}

	f.clicks(kitID, ping, render.ActionGotIt)
	f.tells(kitID, bridge, "Guests cannot")
	f.clicks(noorID, ping, render.ActionGotIt)
	f.tells(noorID, bridge, "You have taken over")
	f.clicks(samID, ping, render.ActionGotIt, slacksim.AsItStood())
	f.tells(samID, bridge, "noor took it over")
	f.shows(bridge, "<@"+noorID+"> took over")
	f.wait("the call without its button", func(s *slacksim.Sim) bool {
		m, _ := s.Message(bridge, ping.TS)
		return len(m.Buttons()) == 0 && strings.Contains(textOf(m), "<@"+noorID+"> took over")
	})

	f.world.set(func(w *flowWorld) { w.failing = 0 })
	f.clock.advance(time.Hour)
	f.settled(f.only().ID)
	eventually(t, "the chart is in the thread", func() bool { return len(f.sim.Files()) > 0 && f.only().Chart != "" })
	if n := len(f.sim.Files()); n != 1 || drawn.Load() != 1 || f.sim.Files()[0].AltText == "" {
		t.Errorf("%d files, %d drawn", n, drawn.Load())
	}
	if n := len(pings(f.sim, run.TS, "S0IDENTITY")); n != 1 {
		t.Errorf("the group was called %d times", n)
	}
}

// A chart that cannot be drawn or posted fails no run, and is not tried for ever.
func TestNoChartFailsNoRun(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{watch: true, settings: func(s *Settings) {
		s.Chart = func(runbook.Series) ([]byte, error) { return onePixel, nil }
	}})
	f.flushes()
	f.sim.Fail("files.getUploadURLExternal", 1, "missing_scope")
	f.clock.advance(20 * time.Minute)
	f.shows(bridge, "Flushed and proven")
	f.settled(f.only().ID)
	if got := f.only().Chart; got != noChart || len(f.sim.Files()) != 0 {
		t.Errorf("chart %q, %d files", got, len(f.sim.Files()))
	}
}

func TestStopWatching(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{watch: true})
	run := f.flushes()
	f.clicks(alexID, run, render.ActionStopWatch)
	f.form(alexID)
	f.submits(alexID, map[string]any{blockStop: "I feel like it"})
	f.tells(alexID, bridge, "You may not stop the watch")
	f.clicks(samID, run, render.ActionStopWatch)
	f.form(samID)
	f.submits(samID, map[string]any{blockStop: "the <!channel> API team confirms"})
	f.tells(samID, bridge, "The watch has ended")
	end := f.shows(bridge, "Stopped by <@"+samID+">")
	if !strings.Contains(textOf(end), "the &lt;!channel&gt; API team confirms") || end.Buttons()[render.ActionStopWatch] != "" {
		t.Errorf("the end says %s", textOf(end))
	}
	f.clicks(samID, run, render.ActionStopWatch, slacksim.AsItStood())
	f.form(samID)
	f.submits(samID, map[string]any{blockStop: "again"})
	f.tells(samID, bridge, "There is no watch to stop")
}

// What a person asks for is called as well, and the button of a next step
// leads to a request of its own with its own approval.
func TestEscalateAndUndoByButton(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{watch: true})
	run := f.flushes()
	f.clicks(samID, run, render.ActionOfNext[record.NextEscalate])
	f.form(samID)
	f.submits(samID, map[string]any{blockReason: "callers still see 401"})
	f.tells(samID, bridge, "is being called")
	f.wait("the call", func(s *slacksim.Sim) bool { return len(pings(s, run.TS, "S0IDENTITY")) == 1 })

	f.clicks(alexID, run, render.ActionOfNext[record.NextUndo])
	f.tells(alexID, bridge, "You may not request")
	f.world.set(func(w *flowWorld) { w.entry = "none" })
	f.clicks(robinID, run, render.ActionOfNext[record.NextUndo])
	if v := f.form(robinID); v.Private != f.only().ID+" undo" {
		t.Errorf("the form carries %q", v.Private)
	}
	f.submits(robinID, map[string]any{blockReason: "wrong target"})
	card := f.shows(bridge, "Approval needed to undo run")
	if !strings.Contains(textOf(card), "Writes back 1 entry") {
		t.Errorf("the card says %s", textOf(card))
	}
	f.clicks(samID, card, render.ActionApprove)
	f.shows(bridge, "Undone")
	f.world.mu.Lock()
	defer f.world.mu.Unlock()
	if f.world.entry != "old" {
		t.Errorf("the entry is %q", f.world.entry)
	}
}

// A forged form gains nothing: the service knows who submits it.
func TestForgedForms(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{watch: true})
	run := f.flushes()
	for i, id := range []string{"", "0214-aaaaaaaa undo", f.only().ID + " launch", f.only().ID} {
		from := origin{user: alexID, channel: bridgeID}
		_, do := f.bot.readForm(slack.View{CallbackID: render.CallbackNext, PrivateMetadata: id,
			State: &slack.ViewState{Values: map[string]map[string]slack.BlockAction{blockReason: {blockReason: {Value: "because"}}}}})
		if err := do(t.Context(), &from); err == nil {
			t.Errorf("form %d with %q is taken", i, id)
		}
	}
	if n := len(cards(f.sim, bridge)); n != 1 || run.TS == "" {
		t.Errorf("%d cards", n)
	}
}

// A broken glass starts at once, says so in every form of the message, and the
// approvers are told once.
func TestBreakGlass(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{glass: true})
	f.says(robinID, bridge, "/jwks-flush production")
	f.form(robinID)
	f.submits(robinID, map[string]any{blockTicket: "INC-7", blockReason: "keys rotated", blockBreakGlass: "no lead answers at 03:00"})
	f.tells(robinID, bridge, "Nobody is asked")
	end := f.shows(bridge, "Flushed and proven")
	if !strings.Contains(textOf(end), "BREAK GLASS") || !strings.Contains(textOf(end), "no lead answers at 03:00") {
		t.Errorf("the message hides it: %s", textOf(end))
	}
	f.settled(f.only().ID)
	told := pings(f.sim, end.TS, "S0LEADS")
	if len(told) != 1 || !strings.Contains(textOf(told[0]), "without approval") {
		t.Errorf("the approvers were told %d times", len(told))
	}
}

// A glass that is broken in another channel, here a private one, is told in the
// target's own too: once, with a call for the approvers, and over a restart.
func TestBreakGlassElsewhere(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{glass: true})
	if err := f.sim.Join("inc-private", slacksim.BotUser); err != nil {
		t.Fatal(err)
	}
	f.says(robinID, "inc-private", "/jwks-flush production")
	f.form(robinID)
	f.submits(robinID, map[string]any{blockTicket: "INC-7", blockReason: "keys rotated", blockBreakGlass: "no lead answers at 03:00"})
	end := f.shows("inc-private", "Flushed and proven")
	id := f.settled(f.only().ID).ID
	f.stop()
	if err := receive(t, f.ends, "the end of the bot"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.journal.Change(t.Context(), id, func(r *runbook.Run) ([]runbook.AuditEntry, error) {
		r.Outcome += " And so on." // something to show
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	f.start()
	f.shows("inc-private", "And so on.")
	f.settled(id)
	home := slices.DeleteFunc(f.sim.Messages(bridge), func(m slacksim.Message) bool { return !strings.Contains(textOf(m), "used break-glass") })
	if len(home) != 1 || !strings.Contains(home[0].Text, "<!subteam^S0LEADS>") || !strings.Contains(textOf(home[0]), "no lead answers at 03:00") {
		t.Errorf("told %d times in the target's channel: %v", len(home), home)
	}
	thread := slices.DeleteFunc(f.sim.Thread("inc-private", end.TS), func(m slacksim.Message) bool { return !strings.Contains(m.Text, "<!subteam^S0LEADS>") })
	if len(thread) != 1 {
		t.Errorf("told %d times in the thread", len(thread))
	}
}

func TestRecordOfARun(t *testing.T) {
	t.Parallel()
	var fail atomic.Bool
	f := newFlow(t, flowOptions{viewers: []string{"S0ONCALL"}, settings: func(s *Settings) {
		s.Report = func(_ context.Context, run runbook.Run) ([]byte, error) {
			if fail.Load() {
				return nil, errors.New("the audit trail is locked")
			}
			return []byte("# Record of run " + run.ID + "\n"), nil
		}
	}})
	f.says(robinID, bridge, "/jwks-check report")
	f.tells(robinID, bridge, "There is no run yet")
	card := f.asks()
	f.clicks(samID, card, render.ActionApprove)
	f.shows(bridge, "Flushed and proven")
	id := f.settled(f.only().ID).ID
	for _, line := range []string{"/jwks-check report", "/jwks-check report production", "/jwks-flush report " + id} {
		before := len(f.sim.Files())
		f.says(robinID, bridge, line)
		f.wait("the record after "+line, func(s *slacksim.Sim) bool { return len(s.Files()) > before })
	}
	m := f.tells(robinID, bridge, "is <")
	if !strings.Contains(m.Text, "p"+strings.ReplaceAll(card.TS, ".", "")) {
		t.Errorf("the answer is %q", m.Text)
	}
	if got := string(f.sim.Files()[0].Bytes); got != "# Record of run "+id+"\n" {
		t.Errorf("the file says %q", got)
	}
	f.says(alexID, bridge, "/jwks-check report "+id)
	f.tells(alexID, bridge, "You may not see")
	f.says(robinID, bridge, "/jwks-check report 0214-aaaaaaaa")
	f.tells(robinID, bridge, "There is no run 0214-aaaaaaaa")
	f.sim.Fail("files.completeUploadExternal", 1, "not_in_channel")
	f.says(robinID, bridge, "/jwks-check report")
	f.tells(robinID, bridge, "Slack did not accept the record")
	fail.Store(true)
	f.says(robinID, bridge, "/jwks-check report")
	f.tells(robinID, bridge, "because of an internal error")
}

// The chart of a check comes into its thread, and its lack hides no evidence.
func TestChartOfACheck(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{watch: true, settings: func(s *Settings) {
		s.Chart = func(series runbook.Series) ([]byte, error) {
			if !strings.HasPrefix(series.Title, "production: ") {
				return nil, fmt.Errorf("title %q", series.Title)
			}
			return onePixel, nil
		}
	}})
	f.says(robinID, bridge, checkLine)
	m := f.shows(bridge, "What to do")
	f.wait("evidence and picture in the thread", func(s *slacksim.Sim) bool {
		thread := s.Thread(bridge, m.TS)
		return len(thread) > 1 && len(thread[len(thread)-1].Files) == 1
	})
}

// A request against the verdict is refused until it says why, and what was
// typed is in the form that asks for it.
func TestARefusedRequestIsCompleted(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{watch: true})
	f.world.set(func(w *flowWorld) { w.entry = "fresh" }) // healthy: nothing is called for
	f.says(robinID, bridge, "/jwks-flush production INC-7 callers see 401 --gateway --no-flush")
	m := f.tells(robinID, bridge, "request it again with an override")
	f.clicks(robinID, m, render.ActionOverride)
	if v := f.form(robinID); !strings.Contains(homeText(v), "callers see 401") || !strings.Contains(homeText(v), "INC-7") {
		t.Errorf("what was typed is lost: %s", homeText(v))
	}
	f.submits(robinID, map[string]any{blockOverride: "the API team asked for it"})
	card := f.shows(bridge, "Approval needed to flush the gateway")
	if !strings.Contains(textOf(card), "OVERRIDE") || !strings.Contains(textOf(card), "the API team asked for it") {
		t.Errorf("the card says %s", textOf(card))
	}
	f.clicks(samID, card, render.ActionApprove)
	f.shows(bridge, "Gateway flushed, watching")
	if f.world.deletions() != 0 {
		t.Error("something was deleted without a flush")
	}
}

// A draft is one person's, for one target, for a while.
func TestDrafts(t *testing.T) {
	var d drafts
	d.keep("U1", approve.Request{Target: "production", Ticket: "INC-1"})
	for _, c := range []struct{ user, target, ticket string }{{"U1", "production", "INC-1"}, {"U1", "staging", ""}, {"U2", "production", ""}} {
		if got := d.of(c.user, c.target); got.Target != c.target || got.Ticket != c.ticket {
			t.Errorf("%s %s: %+v", c.user, c.target, got)
		}
	}
	d.kept["U1"] = draft{time.Now().Add(-draftFor), d.kept["U1"].req}
	if got := d.of("U1", "production"); got.Ticket != "" {
		t.Errorf("an old draft: %+v", got)
	}
}

// A verdict that calls for a restart alone leads there by one button, and no
// entry is touched on the way.
func TestRestartAlone(t *testing.T) {
	t.Parallel()
	f := newFlow(t, flowOptions{watch: true})
	f.world.set(func(w *flowWorld) { w.entry, w.memory = "fresh", true })
	f.says(robinID, bridge, checkLine)
	report := f.shows(bridge, "What to do")
	action := "request_restart_gateway" // whose cache would outlive the cure
	if report.Buttons()[action] != "Request restart and gateway flush" {
		t.Fatalf("the report offers %v: %s", report.Buttons(), textOf(report))
	}
	f.clicks(robinID, report, action)
	f.form(robinID)
	f.submits(robinID, map[string]any{blockTicket: "INC-8", blockReason: "old keys in memory", blockAlso: []string{alsoRestart}})
	card := f.shows(bridge, "Approval needed to restart the authoriser")
	f.clicks(samID, card, render.ActionApprove)
	f.shows(bridge, "Restarted, watching")
	f.world.mu.Lock()
	defer f.world.mu.Unlock()
	if f.world.restarts != 1 || f.world.deleted != 0 {
		t.Errorf("%d restarts, %d deletions", f.world.restarts, f.world.deleted)
	}
}
