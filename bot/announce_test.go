package bot

import (
	"strings"
	"testing"

	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
)

func TestARotationIsAnnouncedInTheTargetsChannel(t *testing.T) {
	f := newFlow(t, flowOptions{})
	report, err := f.service.Check(t.Context(), "production", robinID, check.Ask{}, check.Silent{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.bot.Announce(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	m := f.shows(bridgeID, "New signing key seen")
	if m.InThread() || m.Metadata == nil || m.Metadata.Payload["verdict"] != string(diagnose.StaleCache) {
		t.Errorf("the announcement is no report of its own: %+v", m)
	}
	if !strings.Contains(textOf(m), "Request flush") {
		t.Error("the announcement does not offer the flush")
	}
	if len(f.sim.Thread(bridgeID, m.TS)) == 0 {
		t.Error("the evidence is not in the thread")
	}
}

func TestAnAnnouncementThatCannotBePostedIsAnError(t *testing.T) {
	f := newFlow(t, flowOptions{channel: "identity-platform"}) // the bot is no member
	report, err := f.service.Check(t.Context(), "production", robinID, check.Ask{}, check.Silent{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.bot.Announce(t.Context(), report); err == nil {
		t.Error("nobody was told, and that was no error: the watcher would never try again")
	}
}
