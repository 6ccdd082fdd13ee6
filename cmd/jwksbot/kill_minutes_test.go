package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/bot/slacksim"
	"jwksbot/runbook"
	"jwksbot/runbook/drill"
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
	v := newVictim(t, victimOptions{Options: drill.Options{Scenario: "memory-alias", RequestsPerMinute: 40}, clock: newSharedClock(t), journal: journalURL})
	v.start()
	v.command("/jwks-check production")
	v.press("U0ONCALL", v.await("jwksbot_report", "verdict", string(runbook.StaleMemory)), "request_restart")
	v.fill(map[string]any{"ticket": "INC-2026-0214-001", "reason": "keys rotated at 02:40"})
	card, run := v.asked()
	v.diesAt("PUT configuration", run, runbook.StateRestart, func() { v.press("U0LEAD", card, "approve") })
	v.diesPassing("POST versions", run, runbook.StateRestart)
	v.diesPassing("PUT "+drill.Alias, run, runbook.StateRestart)
	v.start()
	v.pass(run, "the end", ended)
	v.ends(card, "done")
	v.once(run, "effect restart-authoriser")
	if got := v.st.drill.Invoked(); got != "2" {
		t.Errorf("the alias invokes version %s", got)
	}

	v.press("U0ONCALL", card, "next_undo")
	v.fill(map[string]any{"reason": "the old version was in order"})
	back, undo := v.asked(card)
	v.diesAt("PUT "+drill.Alias, undo, runbook.StateRestore, func() { v.press("U0LEAD", back, "approve") })
	v.start()
	v.pass(undo, "the end", ended)
	v.ends(back, "done")
	v.once(undo, "effect restore")
	if got := v.st.drill.Invoked(); got != "1" {
		t.Errorf("after the undo the alias invokes version %s", got)
	}
	if updates, moves := v.gate.succeeded("PUT configuration"), v.gate.succeeded("PUT "+drill.Alias); updates != 1 || moves != 2 {
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
	v := newVictim(t, victimOptions{Options: drill.Options{Scenario: "persistent", RequestsPerMinute: 40},
		clock: newSharedClock(t), watch: runbook.DefaultWatch,
		edit: []string{"canary:", "# canary:"}}) // it would be rejected for half a minute
	v.start()
	v.command("/jwks-flush production INC-2026-0214-001 keys rotated at 02:40")
	card, run := v.asked()
	v.press("U0LEAD", card, "approve")
	v.pass(run, "three minutes", func(r runbook.Run) bool { return r.Watch != nil && len(r.Watch.Points) >= 3 })
	v.dies(run, runbook.StateWatch)
	v.jump(5 * time.Minute)
	v.start()
	v.pass(run, "the minutes in which nobody watched", func(r runbook.Run) bool { return len(r.Watch.Points) >= 8 })
	v.diesPassing("GetMetricData", run, runbook.StateWatch)
	v.diesPassing("trigger", run, runbook.StateEscalate)
	v.diesPassing("Publish", run, runbook.StateEscalate)
	v.start()
	v.pass(run, "the watch after the call", func(r runbook.Run) bool { return r.State == runbook.StateWatch })

	v.press("U0ONCALL", card, "next_restart")
	v.fill(map[string]any{"reason": "it keeps old keys in memory"})
	second, restart := v.asked(card)
	v.press("U0LEAD", second, "approve")
	v.pass(restart, "the second watch", func(r runbook.Run) bool { return r.State == runbook.StateWatch })
	v.dies(run, runbook.StateWatch)
	v.jump(8 * time.Minute)
	v.diesAt("resolve", run, runbook.StateWatch, nil)
	v.start()
	v.pass(run, "the end", ended)
	v.dies(restart, runbook.StateWatch)
	v.jump(10 * time.Minute)
	v.start()
	v.pass(restart, "the end", ended)
	v.ends(card, "done")
	v.shows("is watched instead")
	v.ends(second, "done")

	v.once(run, "effect flush-cache", "escalate", "effect page", "effect publish", "resolve")
	v.once(restart, "effect restart-authoriser")
	v.everyMinute(run)
	v.everyMinute(restart)
	if n := len(v.run(restart).Watch.Points); n != int(runbook.DefaultWatch.Minutes()) {
		t.Errorf("the second watch has %d minutes", n)
	}
	// A page may be sent again: it has the key of the one incident.
	if got := v.st.drill.Incidents(); len(got) != 1 || got[0].Open {
		t.Errorf("incidents %+v", got)
	}
	if got := v.st.drill.Notices(); len(got) != 1 {
		t.Errorf("notices %+v", got)
	}
	if n := len(v.calls(card)); n != 1 {
		t.Errorf("the group was called %d times", n)
	}
}

func ended(r runbook.Run) bool { return r.State.Ended() }

// jump lets time pass at once, and waits until the drill has made the requests of
// that time: its services tell nothing before.
func (v *victim) jump(d time.Duration) {
	v.Helper()
	if err := v.clock.jump(d); err != nil {
		v.Fatal(err)
	}
	newest := v.clock.Now().Add(-10 * time.Second)
	v.eventually("the drill's requests", func() bool {
		return slices.ContainsFunc(v.st.drill.State().Series, func(p drill.Point) bool {
			return p.OK+p.Failed > 0 && p.At.After(newest)
		})
	})
}

// pass lets time pass until the run is so: from minute to minute of its watch,
// each when the program has taken the one before, and in other waits by ten
// seconds.
func (v *victim) pass(run, what string, so func(runbook.Run) bool) {
	v.Helper()
	v.stands(run, what, func(r runbook.Run) bool {
		if so(r) {
			return true
		}
		switch now := v.clock.Now(); {
		case r.State == runbook.StateWatch && r.Watch != nil && now.Before(r.Watch.NextAt):
			v.jump(r.Watch.NextAt.Sub(now))
		case r.State.Holds() && r.State != runbook.StateApproved:
			v.jump(10 * time.Second)
		}
		return false
	})
}

// diesPassing is [victim.diesAt] for a call that the program makes when time has
// passed.
func (v *victim) diesPassing(call, run string, in runbook.State) {
	v.Helper()
	v.diesAt(call, run, in, func() {
		v.pass(run, call, func(runbook.Run) bool { return v.gate.keeps() })
	})
}

// everyMinute holds that the watch has each minute of its time once.
func (v *victim) everyMinute(run string) {
	v.Helper()
	points := v.run(run).Watch.Points
	for i, p := range points {
		if want := points[0].At.Add(time.Duration(i) * time.Minute); !p.At.Equal(want) {
			v.Errorf("point %d of %d of the watch is of %v, want %v", i, len(points), p.At, want)
			return
		}
	}
}

// calls are the messages in the thread of a run that call the group.
func (v *victim) calls(m slacksim.Message) (calls []slacksim.Message) {
	for _, in := range v.st.sim.Thread("C0BRIDGE", m.TS) {
		if strings.Contains(in.Text, "<!subteam^S0IDENTITY") {
			calls = append(calls, in)
		}
	}
	return calls
}
