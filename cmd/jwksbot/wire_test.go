package main

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"jwksbot/runbook"
	"jwksbot/runbook/config"
)

// noEnv is an environment in which nothing is set.
func noEnv(string) string { return "" }

// planted stands in every place where a secret may stand.
const planted = "planted-s3cret"

// parse reads a configuration that is in order.
func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("test.yaml", []byte(text), noEnv, rules)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return cfg
}

// What the configuration says of tokens decides verdicts: it must get there.
func TestTheTargetKnowsHowLongItsTokensLive(t *testing.T) {
	cfg := parse(t, `
targets:
  - {name: production, issuer: "https://idp.example.com", cache: {replication_group: oidc}, authoriser: {token_lifetime: 2h}}
`)
	p, err := quietWorld().assembleWith(cfg, aws.Config{Region: "eu-west-2"}, nil, runbook.SystemClock{})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.targets[0].TokenLife; got != 2*time.Hour {
		t.Errorf("tokens live %s, want 2 h", got)
	}
}

// A variable that is not set stops the command that needs it, and no other:
// the terminal must work on a machine without Slack tokens.
func TestUnsetVariables(t *testing.T) {
	cfg := parse(t, `
journal: ${DATABASE_URL}
targets:
  - name: production
    jwks_url: ${JWKS_URL}
    cache: {url: "${REDIS_URL}", auth: password, password: "${REDIS_PASSWORD}"}
    escalation: {pagerduty_key: "${PAGERDUTY_KEY}"}
`)
	w := quietWorld()
	_, err := w.assemble(t.Context(), cfg, runbook.SystemClock{})
	want := `target "production": test.yaml:5: targets[0].jwks_url: the environment variable JWKS_URL is not set
test.yaml:6: targets[0].cache.password: the environment variable REDIS_PASSWORD is not set
test.yaml:6: targets[0].cache.url: the environment variable REDIS_URL is not set`
	if err == nil || err.Error() != want {
		t.Errorf("a check needs\n%v\nwant\n%s", err, want)
	}
	if _, err := w.openJournal(t.Context(), cfg, runbook.SystemClock{}); err == nil || !strings.Contains(err.Error(), "test.yaml:2: journal: the environment variable DATABASE_URL is not set") {
		t.Errorf("the journal needs %v", err)
	}
	err = cfg.NeedToServe()
	for _, part := range []string{"slack.bot_token: the environment variable SLACK_BOT_TOKEN is not set", "SLACK_APP_TOKEN is not set", "OAuth & Permissions", "connections:write"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("serve needs %v, without %q", err, part)
		}
	}
}
