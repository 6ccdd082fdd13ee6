package telemetry

import (
	"slices"
	"testing"
	"time"
)

func TestSuccesses(t *testing.T) {
	s := &logService{pages: [][]logEvent{{
		at(3, `{"event":"allow","kid":"a1"}`),
		at(2, `{"event":"token_accepted","kid":"b2"}`),
		at(2, `invalid signature: token not accepted kid=c3`),
		at(1, `Token validated for `+testToken(`{"kid":"b2"}`, `{}`)),
		at(1, `the request was allowed to wait`),
		at(-1, `{"event":"allow","kid":"before"}`),
	}}}
	count, kids, atLeast, err := newTestLogs(t, s, nil).Successes(t.Context(), t0, t0.Add(time.Minute))
	if count != 3 || !slices.Equal(kids, []string{"b2", "a1"}) || atLeast || err != nil {
		t.Errorf("got %d, %v, %v, %v", count, kids, atLeast, err)
	}
	if p := s.requests[0]["filterPattern"]; p != DefaultSuccessPattern() {
		t.Errorf("asked for %v", p)
	}
}

// What the operator's own pattern finds is a success, whatever it looks like.
func TestSuccessesByAnOwnPattern(t *testing.T) {
	s := &logService{pages: [][]logEvent{{at(3, `AUTHZ-1 kid=a1`), at(2, `AUTHZ-1 failed over, kid=a1`)}}}
	l := newTestLogs(t, s, func(s *LogSettings) { s.SuccessPattern = `"AUTHZ-1"` })
	count, kids, atLeast, err := l.Successes(t.Context(), t0, t0.Add(time.Minute))
	if count != 2 || !slices.Equal(kids, []string{"a1"}) || atLeast || err != nil {
		t.Errorf("got %d, %v, %v, %v", count, kids, atLeast, err)
	}
	if p := s.requests[0]["filterPattern"]; p != `"AUTHZ-1"` {
		t.Errorf("asked for %v", p)
	}
}

func TestSuccessesAreCapped(t *testing.T) {
	s := &logService{pages: [][]logEvent{{at(3, "token accepted")}, {at(2, "token accepted")}, {at(1, "token accepted")}}}
	l := newTestLogs(t, s, func(s *LogSettings) { s.MaxPages = 2 })
	count, _, atLeast, err := l.Successes(t.Context(), t0, t0.Add(time.Minute))
	if count != 2 || !atLeast || err != nil {
		t.Errorf("got %d, %v, %v", count, atLeast, err)
	}
}

// accepted and refused are lines as authorisers write them.
var (
	acceptedLines = []string{
		`{"level":"info","message":"token validated","kid":"k1","iss":"https://idp","aud":"api"}`,
		`Signature verified with key k1`,
		`{"event":"allow","kid":"k1","error":null}`,
		`{"event":"token_accepted","kid":"k1"}`,
		`{"principalId":"user","policyDocument":{"Statement":[{"Action":"execute-api:Invoke","Effect":"Allow"}]}}`,
		`{"isAuthorized":true,"context":{}}`,
		`{ isAuthorized: true }`,
		"2026-11-22T10:00:00.000Z\t3f2a-1\tINFO\tToken is valid. Payload: { sub: 'x' }",
		`[INFO] JWT verified, sub=x`,
		`Successfully authenticated user x`,
		`time=2026-11-22T10:00:00Z level=INFO msg="access granted" kid=k1`,
		`Authentication succeeded for sub x`,
		`{"fields":{"message":"Token successfully validated"}}`,
		`{"decision":"Allow"}`,
	}
	refusedLines = []string{
		`Unauthorized`,
		`User is not authorized to access this resource`,
		`{"isAuthorized":false}`,
		`{"principalId":"user","policyDocument":{"Statement":[{"Action":"execute-api:Invoke","Effect":"Deny"}]}}`,
		`token not accepted`,
		`invalid token`,
		`JWK for kid "k1" not found in the JWKS`,
		`Issuer not allowed: https://b. Expected: https://a`,
		`"nbf" not satisfied: token is valid later`,
		`{"event":"invalid_signature","kid":"k1"}`,
		`START RequestId: 3f2a Version: $LATEST`,
		`{"checks":{"token_valid":false}}`,
		`user not authenticated`,
		`allowlist loaded`,
	}
)

func TestAccepted(t *testing.T) {
	l := newTestLogs(t, &logService{}, nil)
	for _, line := range acceptedLines {
		if !l.accepted(line) {
			t.Errorf("no success: %s", line)
		}
		if !matchesPattern(t, DefaultSuccessPattern(), line) {
			t.Errorf("not found by the default pattern: %s", line)
		}
	}
	for _, line := range refusedLines {
		if l.accepted(line) {
			t.Errorf("a success: %s", line)
		}
	}
	for _, s := range shapes {
		if Failure(s.class) && l.accepted(s.line) {
			t.Errorf("a success: %s", s.line)
		}
	}
	if n := len(DefaultSuccessPattern()); n > maxPattern {
		t.Errorf("pattern has %d characters, CloudWatch Logs takes %d", n, maxPattern)
	}
}
