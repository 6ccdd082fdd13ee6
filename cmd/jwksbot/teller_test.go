package main

import (
	"fmt"
	"strings"
	"testing"

	"jwksbot/bot/slacksim"
)

// teller tells a story in the channel of the incident.
type teller struct {
	*testing.T
	st *stage
}

// command is typed by the engineer on call.
func (s *teller) command(line string) {
	s.Helper()
	if d := s.st.sim.Command("U0ONCALL", "C0BRIDGE", line); d.Err != nil {
		s.Fatalf("%s: %v", line, d.Err)
	}
}

// await returns the newest message whose metadata has the value.
func (s *teller) await(event, name, value string) (found slacksim.Message) {
	s.Helper()
	until(s.T, s.st.sim, fmt.Sprintf("%s with %s %q", event, name, value), func(sim *slacksim.Sim) bool {
		for _, m := range sim.Messages("C0BRIDGE") {
			if m.Metadata != nil && m.Metadata.EventType == event && m.Metadata.Payload[name] == value {
				found = m
			}
		}
		return found.TS != ""
	})
	return found
}

// shows waits until somebody is shown every one of the texts.
func (s *teller) shows(texts ...string) {
	s.Helper()
	until(s.T, s.st.sim, fmt.Sprintf("%q to be shown", texts), func(sim *slacksim.Sim) bool {
		transcript := sim.Transcript()
		for _, text := range texts {
			if !strings.Contains(transcript, text) {
				return false
			}
		}
		return true
	})
}

// press clicks a button of a message as soon as it is there.
func (s *teller) press(user string, m slacksim.Message, action string) {
	s.Helper()
	until(s.T, s.st.sim, "the button "+action, func(sim *slacksim.Sim) bool {
		now, ok := sim.Message(m.Channel, m.TS)
		return ok && now.Buttons()[action] != ""
	})
	if d := s.st.sim.Click(user, m.Channel, m.TS, action); d.Err != nil {
		s.Fatalf("%s presses %s: %v", user, action, d.Err)
	}
}

// fill submits the form that the engineer on call is shown, with what is typed
// into it.
func (s *teller) fill(typed map[string]any) {
	s.Helper()
	until(s.T, s.st.sim, "a form", func(sim *slacksim.Sim) bool { _, ok := sim.View("U0ONCALL"); return ok })
	values := map[string]map[string]any{}
	for id, v := range typed {
		values[id] = map[string]any{id: v}
	}
	if d := s.st.sim.Submit("U0ONCALL", "", values); d.Err != nil {
		s.Fatalf("form: %v", d.Err)
	}
}

// approved waits for the card of a request, which is none of the messages that
// are known, approves it, and returns the message at the end of the run.
func (s *teller) approved(known ...slacksim.Message) slacksim.Message {
	s.Helper()
	card := s.card(known...)
	s.press("U0LEAD", card, "approve")
	return card
}

func (s *teller) card(known ...slacksim.Message) (card slacksim.Message) {
	s.Helper()
	old := map[string]bool{}
	for _, m := range known {
		old[m.TS] = true
	}
	until(s.T, s.st.sim, "an approval card", func(sim *slacksim.Sim) bool {
		for _, m := range sim.Messages("C0BRIDGE") {
			if m.Metadata != nil && m.Metadata.EventType == "jwksbot_approval" && !old[m.TS] {
				card = m
				return true
			}
		}
		return false
	})
	return card
}

// ends waits until the run of a message is in a state.
func (s *teller) ends(m slacksim.Message, state string) (now slacksim.Message) {
	s.Helper()
	until(s.T, s.st.sim, "the run to be "+state, func(sim *slacksim.Sim) bool {
		now, _ = sim.Message(m.Channel, m.TS)
		return now.Metadata != nil && now.Metadata.Payload["state"] == state
	})
	return now
}
