package telemetry

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSampleText(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"short", "invalid signature", "invalid signature"},
		{"lines and blanks", "a\r\n\tat b\x00  c", "a at b c"},
		{"token", "x " + tokenWithKid, "x [redacted token]"},
		{"HTML", "JwksError: <!DOCTYPE html><html><body>503</body></html>", "JwksError: [HTML page]"},
		{"not UTF-8", "a\xffb", "a\uFFFDb"},
		{"long", strings.Repeat("ä", 400), strings.Repeat("ä", maxSampleText-1) + "…"},
		// A token across the end is hidden before the text is cut.
		{"token at the end", strings.Repeat("a", maxSampleText-20) + " " + tokenWithKid, strings.Repeat("a", maxSampleText-20) + " [redacted token]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := sampleText(tt.in); got != tt.want {
				t.Errorf("got %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestFindIssuer(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`JwtInvalidIssuerError: Issuer not allowed: https://b/eu-west-1_B. Expected: https://a`, "https://b/eu-west-1_B"},
		{`oidc: id token issued by a different provider, expected "https://a" got "https://b"`, "https://b"},
		{`JWT::InvalidIssuerError: Invalid issuer. Expected https://a, received https://b`, "https://b"},
		{`Expected iss claim to be: https://a, but was: https://b.`, "https://b"},
		{`IDX10205: Issuer validation failed. Issuer: 'https://b'. Did not match`, "https://b"},
		{`{"error":"invalid signature","iss":"https://b"}`, "https://b"},
		{`{"message":"{\"iss\":\"https://b\"}"}`, "https://b"},
		{`invalid signature ` + tokenWithKid, "https://idp.example"},
		{`{"iss":"https://user:hunter2@b"}`, ""},
		{`invalid signature`, ""},
	} {
		if got := findIssuer(tt.in); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

// A kid comes from a token that nobody signed: it can be anything.
func TestKidsOfStrangers(t *testing.T) {
	for _, tt := range []struct{ kid, want string }{
		{"plain", "plain"},
		{"a b <!channel>", "a b <!channel>"}, // shown as it is; Slack text is escaped where it is rendered
		{"line\nbreak", ""},
		{strings.Repeat("k", maxKid+1), ""},
		{"xoxb-1234-abcd", ""},
		{"null", ""},
		{"", ""},
	} {
		line := "invalid signature " + testToken(fmt.Sprintf(`{"alg":"RS256","kid":%q}`, tt.kid), `{}`)
		if got := findKid(line); got != tt.want {
			t.Errorf("kid %q: got %q, want %q", tt.kid, got, tt.want)
		}
	}
}

// A storm of junk kids and a week of minutes stay within bounds.
func TestTallyIsBounded(t *testing.T) {
	tal := newTally(t0, t0.Add(60*24*time.Hour))
	for i := range maxKids + 500 {
		tal.add(t0.Add(time.Hour), "unknown_kid", fmt.Sprintf("junk-%d", i), "unknown kid")
	}
	e := tal.evidence()
	if len(e.Kids) != reportedKids || e.Count != maxKids+500 || len(e.PerMinute) != maxMinutes || len(e.Samples) != maxSamples {
		t.Errorf("%d kids, %d failures, %d minutes, %d samples", len(e.Kids), e.Count, len(e.PerMinute), len(e.Samples))
	}
}
