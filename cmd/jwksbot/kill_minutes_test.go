package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/bot/slacksim"
	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/drill"
	"jwksbot/runbook/execute"
	"jwksbot/runbook/journal/postgrestest"
)

// TestKilledBetweenTwoWrites kills the program with SIGKILL after each of the
// three writes that move an alias to new execution environments, and after the
// one that moves it back: none is made twice.
func TestKilledBetweenTwoWrites(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { killedBetweenTwoWrites(t, "") })
	t.Run("postgres", func(t *testing.T) {
		var server postgrestest.Server
		t.Cleanup(server.Stop)
		killedBetweenTwoWrites(t, server.Database(t))
	})
}

func killedBetweenTwoWrites(t *testing.T, journalURL string) {
	k := newKilledBot(t, killedBotOptions{Options: drill.Options{Scenario: "memory-alias", RequestsPerMinute: 40}, clock: newSharedClock(t), journal: journalURL})
	k.start()
	k.command("/jwks-check production")
	k.press("U0ONCALL", k.await("jwksbot_report", "verdict", string(diagnose.StaleMemory)), "request_restart")
	k.fill(map[string]any{"ticket": "INC-2026-0214-001", "reason": "keys rotated at 02:40"})
	card, run := k.asked()
	k.diesAt("PUT configuration", run, runbook.StateRestart, func() { k.press("U0LEAD", card, "approve") })
	k.diesPassing("POST versions", run, runbook.StateRestart)
	k.diesPassing("PUT "+drill.Alias, run, runbook.StateRestart)
	k.start()
	k.pass(run, "the end", ended)
	k.ends(card, "done")
	k.once(run, "effect restart-authoriser")
	if got := k.st.drill.Invoked(); got != "2" {
		t.Errorf("the alias invokes version %s", got)
	}

	k.press("U0ONCALL", card, "next_undo")
	k.fill(map[string]any{"reason": "the old version was in order"})
	back, undo := k.asked(card)
	k.diesAt("PUT "+drill.Alias, undo, runbook.StateRestore, func() { k.press("U0LEAD", back, "approve") })
	k.start()
	k.pass(undo, "the end", ended)
	k.ends(back, "done")
	k.once(undo, "effect restore")
	if got := k.st.drill.Invoked(); got != "1" {
		t.Errorf("after the undo the alias invokes version %s", got)
	}
	if updates, moves := k.gate.succeeded("PUT configuration"), k.gate.succeeded("PUT "+drill.Alias); updates != 1 || moves != 2 {
		t.Errorf("%d updates and %d moves of the alias, want 1 and 2", updates, moves)
	}
}

// TestKilledWhileFailuresPersist kills the program with SIGKILL between two
// minutes of a watch, while it reads one, and after each call for people: the
// watch has every minute once, also those in which nobody watched, and everybody
// is called once. After a restart of the authoriser it is killed when it has
// closed the incident.
func TestKilledWhileFailuresPersist(t *testing.T) {
	t.Parallel()
	k := newKilledBot(t, killedBotOptions{Options: drill.Options{Scenario: "persistent", RequestsPerMinute: 40},
		clock: newSharedClock(t), watch: execute.DefaultWatch,
		edit: []string{"canary:", "# canary:"}}) // it would be rejected for half a minute
	k.start()
	k.command("/jwks-flush production INC-2026-0214-001 keys rotated at 02:40")
	card, run := k.asked()
	k.press("U0LEAD", card, "approve")
	k.pass(run, "three minutes", func(r runbook.Run) bool { return r.Watch != nil && len(r.Watch.Points) >= 3 })
	k.dies(run, runbook.StateWatch)
	k.jump(5 * time.Minute)
	k.start()
	k.pass(run, "the minutes in which nobody watched", func(r runbook.Run) bool { return len(r.Watch.Points) >= 8 })
	k.diesPassing("GetMetricData", run, runbook.StateWatch)
	k.diesPassing("trigger", run, runbook.StateEscalate)
	k.diesPassing("Publish", run, runbook.StateEscalate)
	k.start()
	k.pass(run, "the watch after the call", func(r runbook.Run) bool { return r.State == runbook.StateWatch })

	k.press("U0ONCALL", card, "next_restart")
	k.fill(map[string]any{"reason": "it keeps old keys in memory"})
	second, restart := k.asked(card)
	k.press("U0LEAD", second, "approve")
	k.pass(restart, "the second watch", func(r runbook.Run) bool { return r.State == runbook.StateWatch })
	k.dies(run, runbook.StateWatch)
	k.jump(8 * time.Minute)
	k.diesAt("resolve", run, runbook.StateWatch, nil)
	k.start()
	k.pass(run, "the end", ended)
	k.dies(restart, runbook.StateWatch)
	k.jump(10 * time.Minute)
	k.start()
	k.pass(restart, "the end", ended)
	k.ends(card, "done")
	k.shows("is watched instead")
	k.ends(second, "done")

	k.once(run, "effect flush-cache", "escalate", "effect page", "effect publish", "resolve")
	k.once(restart, "effect restart-authoriser")
	k.everyMinute(run)
	k.everyMinute(restart)
	if n := len(k.run(restart).Watch.Points); n != int(execute.DefaultWatch.Minutes()) {
		t.Errorf("the second watch has %d minutes", n)
	}
	// A page may be sent again: it has the key of the one incident.
	if got := k.st.drill.Incidents(); len(got) != 1 || got[0].Open {
		t.Errorf("incidents %+v", got)
	}
	if got := k.st.drill.Notices(); len(got) != 1 {
		t.Errorf("notices %+v", got)
	}
	if n := len(k.calls(card)); n != 1 {
		t.Errorf("the group was called %d times", n)
	}
}

func ended(r runbook.Run) bool { return r.State.Ended() }

// jump lets time pass at once, and waits until the drill has made the requests of
// that time: its services tell nothing before.
func (k *killedBot) jump(d time.Duration) {
	k.Helper()
	if err := k.clock.jump(d); err != nil {
		k.Fatal(err)
	}
	newest := k.clock.Now().Add(-10 * time.Second)
	k.eventually("the drill's requests", func() bool {
		return slices.ContainsFunc(k.st.drill.State().Series, func(p drill.Point) bool {
			return p.OK+p.Failed > 0 && p.At.After(newest)
		})
	})
}

// pass lets time pass until the run is so: from minute to minute of its watch,
// each when the program has taken the one before, and in other waits by ten
// seconds.
func (k *killedBot) pass(run, what string, so func(runbook.Run) bool) {
	k.Helper()
	k.stands(run, what, func(r runbook.Run) bool {
		if so(r) {
			return true
		}
		switch now := k.clock.Now(); {
		case r.State == runbook.StateWatch && r.Watch != nil && now.Before(r.Watch.NextAt):
			k.jump(r.Watch.NextAt.Sub(now))
		case r.State.Holds() && r.State != runbook.StateApproved:
			k.jump(10 * time.Second)
		}
		return false
	})
}

// diesPassing is [killedBot.diesAt] for a call that the program makes when time has
// passed.
func (k *killedBot) diesPassing(call, run string, in runbook.State) {
	k.Helper()
	k.diesAt(call, run, in, func() {
		k.pass(run, call, func(runbook.Run) bool { return k.gate.keeps() })
	})
}

// everyMinute holds that the watch has each minute of its time once.
func (k *killedBot) everyMinute(run string) {
	k.Helper()
	points := k.run(run).Watch.Points
	for i, p := range points {
		if want := points[0].At.Add(time.Duration(i) * time.Minute); !p.At.Equal(want) {
			k.Errorf("point %d of %d of the watch is of %v, want %v", i, len(points), p.At, want)
			return
		}
	}
}

// calls are the messages in the thread of a run that call the group.
func (k *killedBot) calls(m slacksim.Message) (calls []slacksim.Message) {
	for _, in := range k.st.sim.Thread("C0BRIDGE", m.TS) {
		if strings.Contains(in.Text, "<!subteam^S0IDENTITY") {
			calls = append(calls, in)
		}
	}
	return calls
}
