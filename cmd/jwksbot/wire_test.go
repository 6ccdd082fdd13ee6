package main

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"jwksbot/runbook"
)

// What the configuration says of tokens decides verdicts: it must get there.
func TestTheTargetKnowsHowLongItsTokensLive(t *testing.T) {
	cfg := parse(t, target("authoriser: {token_lifetime: 2h}"), noEnv)
	p, err := quietWorld().assembleWith(cfg, aws.Config{Region: "eu-west-2"}, nil, runbook.SystemClock{})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.targets[0].TokenLife; got != 2*time.Hour {
		t.Errorf("tokens live %s, want 2 h", got)
	}
}
