package main

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"jwksbot/runbook"
)

// fetch reads a URL as the authoriser does.
func fetch(t testing.TB, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return compactJSON(t, b)
}

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
