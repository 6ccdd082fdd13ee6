package drill

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"jwksbot/runbook"
	"jwksbot/runbook/canary"
	"jwksbot/runbook/commandbridge"
	"jwksbot/runbook/escalate"
)

// Alarms of one key are one incident, which a resolve closes; an announcement is
// heard each time.
func TestAlarmsArrive(t *testing.T) {
	w := quietWorld(t)
	pager, err := escalate.NewPagerDuty(escalate.PagerDutySettings{Key: PagerDutyKey, URL: w.PagerDutyURL(), Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	topic, err := escalate.NewSNS(sdk(w), Topic)
	if err != nil {
		t.Fatal(err)
	}
	alarm := runbook.Alarm{Key: "run-1", Run: "run-1", Target: "production", Ticket: "INC-1", Summary: "34 % of requests fail"}
	for range 2 {
		if err := pager.Trigger(t.Context(), alarm); err != nil {
			t.Fatal(err)
		}
		if _, err := topic.Publish(t.Context(), alarm); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.Incidents(); len(got) != 1 || got[0].Triggers != 2 || !got[0].Open || got[0].Summary != alarm.Summary {
		t.Errorf("incidents %+v", got)
	}
	if got := w.Notices(); len(got) != 2 || !strings.Contains(got[0].Message, alarm.Summary) || got[0].ID == got[1].ID {
		t.Errorf("notices %+v", got)
	}
	if err := pager.Resolve(t.Context(), alarm); err != nil {
		t.Fatal(err)
	}
	if got := w.State().Incidents; len(got) != 1 || got[0].Open {
		t.Errorf("incidents %+v", got)
	}
	wrong, err := escalate.NewPagerDuty(escalate.PagerDutySettings{Key: "another0another0another0another0", URL: w.PagerDutyURL(), Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	if err := wrong.Trigger(t.Context(), alarm); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("with another key: %v", err)
	}
	_, err = sns.NewFromConfig(sdk(w)).Publish(t.Context(), &sns.PublishInput{TopicArn: aws.String(Topic + "x"), Message: aws.String("x")})
	if errorCode(err) != "NotFound" {
		t.Errorf("another topic: %v", err)
	}
}

// The canary's token is a token like any other: refused while the cache is
// stale, accepted after a flush.
func TestCanaryTellsTheTruth(t *testing.T) {
	w := startWorld(t, Options{RequestsPerMinute: 30})
	bird, err := canary.New(canary.Settings{TokenURL: w.TokenURL(), ClientID: ClientID, ClientSecret: ClientSecret, URL: w.ProtectedURL()})
	if err != nil {
		t.Fatal(err)
	}
	before, err := bird.Try(t.Context())
	if err != nil || before.Accepted || before.Status != http.StatusUnauthorized || before.Kid != w.State().SigningKid {
		t.Errorf("before the flush: %+v, %v", before, err)
	}
	deleteEntry(t, w)
	eventually(t, func() error { // the environments keep the old set for some seconds
		after, err := bird.Try(t.Context())
		if err == nil && !after.Accepted {
			err = errors.New(after.Text)
		}
		return err
	})
}

// The portal's button says the same in both worlds, and only one of them does
// what it says.
func TestBridgeMayLie(t *testing.T) {
	for scenario, note := range map[string]string{"bridge": "no entry", "bridge-lies": ""} {
		t.Run(scenario, func(t *testing.T) {
			// One request a minute of an ordinary clock: nobody refills the cache.
			w := startWorld(t, Options{Scenario: scenario, RequestsPerMinute: 1, Clock: runbook.SystemClock{}})
			if !w.ViaBridge() {
				t.Error("not by way of the portal")
			}
			b, err := commandbridge.New(commandbridge.Settings{URL: w.BridgeURL(), Token: BridgeToken, Target: BridgeTarget, Environment: BridgeEnvironment})
			if err != nil {
				t.Fatal(err)
			}
			claim, err := b.Flush(t.Context(), "INC-2026-0214-001", "keys rotated")
			if err != nil || !strings.Contains(claim, "flushed") {
				t.Fatalf("claims %q, %v", claim, err)
			}
			if got := w.State().CacheNote; got != note {
				t.Errorf("cache note %q, want %q", got, note)
			}
			if got := w.Orders(); len(got) != 1 || got[0].Ticket != "INC-2026-0214-001" || got[0].Deleted > 0 != (note != "") {
				t.Errorf("orders %+v", got)
			}
		})
	}
}
