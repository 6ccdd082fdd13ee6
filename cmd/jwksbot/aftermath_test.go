package main

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jwksbot/bot/slacksim"
	"jwksbot/cmd/jwksbot/bottest"
	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/execute"
)

// Each world here is healed by the real bot over the wire, by what the message
// offers, and the effect is read from the world itself.
func TestWorldsAreHealed(t *testing.T) {
	t.Parallel()
	for scenario, tell := range map[string]func(*teller){
		"memory-alias":    restartIsUndone,
		"gateway-results": gatewayForgets,
		"bridge":          portalFlushes,
		"bridge-lies":     portalLies,
	} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			tell(&teller{t, startDemo(t, demoCmd{Scenario: scenario, Speed: 6})})
		})
	}
}

// restartIsUndone restarts behind an alias by the button of the report, and
// moves the alias back.
func restartIsUndone(s *teller) {
	variables := s.st.drill.Variables()
	run := s.recommended(diagnose.StaleMemory, "request_restart")
	s.ends(run, "done")
	if got := s.st.drill.Invoked(); got != "2" {
		s.Errorf("the alias invokes version %s", got)
	}
	s.signInsSucceed()
	s.press("U0ONCALL", run, "next_undo")
	s.fill(map[string]any{"reason": "the old version was in order"})
	s.ends(s.approved(run), "done")
	if got := s.st.drill.Invoked(); got != "1" {
		s.Errorf("after the undo the alias invokes version %s", got)
	}
	if now := s.st.drill.Variables(); len(now) == 0 || !maps.Equal(now, variables) {
		s.Errorf("variables were %q and are %q", variables, now)
	}
}

// gatewayForgets empties the gateway's cache.
func gatewayForgets(s *teller) {
	if s.st.drill.Remembered() == 0 {
		s.Fatal("the gateway remembers no denial")
	}
	s.ends(s.recommended(diagnose.GatewayResults, "request_gateway"), "done")
	if n := s.st.drill.Remembered(); n != 0 {
		s.Errorf("the gateway remembers %d denials", n)
	}
	s.shows("cannot be read back")
	s.signInsSucceed()
}

// portalFlushes goes through CommandBridge, and believes the cache alone.
func portalFlushes(s *teller) {
	s.command("/jwks-flush production INC-2026-0214-001 keys rotated at 02:40")
	s.ends(s.approved(), "done")
	if orders := s.st.drill.Orders(); len(orders) != 1 || orders[0].Ticket != "INC-2026-0214-001" || orders[0].Deleted == 0 {
		s.Errorf("orders %+v", orders)
	}
	s.shows("CommandBridge says", "0 of 1 old entries left")
	s.signInsSucceed()
}

// portalLies says what is left, and offers the direct way, which works.
func portalLies(s *teller) {
	s.command("/jwks-flush production INC-2026-0214-001 keys rotated at 02:40")
	first := s.approved()
	s.ends(first, "failed")
	s.shows("CommandBridge reported success, 1 old entry remains")
	s.press("U0ONCALL", first, "next_flush_direct")
	s.fill(map[string]any{"reason": "CommandBridge does nothing"})
	s.ends(s.approved(first), "done")
	if orders := s.st.drill.Orders(); len(orders) != 1 || orders[0].Deleted != 0 {
		s.Errorf("orders %+v", orders)
	}
	s.signInsSucceed()
}

// recommended checks, presses the button of the report, and has the request
// approved.
func (s *teller) recommended(want runbook.VerdictID, action string) slacksim.Message {
	s.Helper()
	s.command("/jwks-check production")
	report := s.await("jwksbot_report", "verdict", string(want))
	s.press("U0ONCALL", report, action)
	s.fill(map[string]any{"ticket": "INC-2026-0214-001", "reason": "keys rotated at 02:40"})
	return s.approved()
}

// signInsSucceed waits until nobody is refused any more.
func (s *teller) signInsSucceed() {
	s.Helper()
	s.eventually("sign-ins succeed", func() bool {
		rate := s.st.drill.State().SuccessRate
		return rate != nil && *rate == 1
	})
}

// eventually waits for what only the world knows.
func (s *teller) eventually(what string, holds func() bool) {
	s.Helper()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for deadline := bottest.Bounded(s.T, 60*time.Second); !holds(); {
		select {
		case <-look.C:
		case <-deadline.Done():
			s.Fatalf("waited for: %s\n%+v\n%s", what, s.st.drill.State(), s.st.sim.Transcript())
		}
	}
}

// A flush alone heals nothing here. The failures persist; the bot, which is
// stopped and started again meanwhile, calls people once; the restart that the
// message offers ends it, and the incident is closed.
func TestFailuresPersist(t *testing.T) {
	t.Parallel()
	demo := demoCmd{Scenario: "persistent", Speed: 40, watch: execute.DefaultWatch, Listen: "127.0.0.1:0"}
	s := &teller{T: t}
	w := quietWorld()
	var err error
	if s.st, err = demo.build(t.Context(), w, filepath.Join(t.TempDir(), "journal.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.st.close() })
	stop := s.st.start(t, w)
	s.command("/jwks-flush production INC-2026-0214-001 keys rotated at 02:40")
	run := s.ends(s.approved(), "watch")
	s.shows("of 15: ")

	stop()
	if s.st.parts, err = w.assembleWith(s.st.parts.cfg, demoAWS(s.st.drill), nil, s.st.parts.clock); err != nil {
		t.Fatal(err)
	}
	s.st.start(t, w)
	s.eventually("the on-call team is paged", func() bool { return len(s.st.drill.Incidents()) > 0 && len(s.st.drill.Notices()) > 0 })
	var ping slacksim.Message
	until(t, s.st.sim, "the call in the thread", func(sim *slacksim.Sim) bool {
		ping = slacksim.Message{}
		for _, m := range sim.Thread("C0BRIDGE", run.TS) {
			if m.Buttons()["got_it"] != "" {
				ping = m
			}
		}
		return ping.TS != ""
	})
	s.press("U0LEAD2", ping, "got_it")
	s.shows("took over")

	s.press("U0ONCALL", run, "next_restart")
	s.fill(map[string]any{"reason": "it keeps old keys in memory"})
	s.approved(run)
	s.signInsSucceed()
	s.eventually("the incident is closed", func() bool { return !s.st.drill.Incidents()[0].Open })
	if got := s.st.drill.Incidents(); len(got) != 1 || got[0].Triggers != 1 {
		t.Errorf("incidents %+v", got)
	}
	if got := s.st.drill.Notices(); len(got) != 1 {
		t.Errorf("notices %+v", got)
	}
	calls := 0
	for _, m := range s.st.sim.Thread("C0BRIDGE", run.TS) {
		if strings.Contains(m.Text, "<!subteam^S0IDENTITY") {
			calls++
		}
	}
	if calls != 1 {
		t.Errorf("the group was called %d times", calls)
	}
	s.ends(run, "failed") // the flush alone did not heal it
	s.shows("is watched instead")
	until(t, s.st.sim, "the chart", func(sim *slacksim.Sim) bool { return len(sim.Files()) > 0 })
}
