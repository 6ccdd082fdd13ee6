package telemetry

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// fastPace is for tests with more pages than three a second allow.
func fastPace() *Pace { return &Pace{rate.NewLimiter(rate.Inf, 1)} }

func newTestAccessLog(t *testing.T, s *logService, set func(*AccessLogSettings)) *AccessLog {
	t.Helper()
	settings := AccessLogSettings{AWS: awsConfig(t, s), Group: "api-access"}
	if set != nil {
		set(&settings)
	}
	a, err := NewAccessLog(settings)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestStatus(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{`{"requestId":"401","status":200}`, "200"},
		{`{"requestId":"x","status":"401"}`, "401"},
		{`{"requestId":"x","statusCode":403,"integrationStatus":401}`, "403"},
		{`{"requestId":"x","http_status":"401"}`, "401"},
		{`{"requestId":"x","integrationStatus":401}`, ""},
		{`{"requestId":"x","status":"-"}`, ""},
		{`{"requestId":"x","status":null}`, ""},
		{`{"requestId":"x","status":4010}`, ""},
		{`{"requestId":"x","status":40`, ""}, // cut
		{`10.0.0.1 - - [22/Nov/2026:10:00:00 +0000] "GET /a?code=403 HTTP/1.1" 401 27 401-403`, "401"},
		{`10.0.0.1,-,-,22/Nov/2026:10:00:00 +0000,GET,/,HTTP/1.1,403,27,x`, "403"},
		{`<request id="x"> <ip>10.0.0.1</ip> <status>401</status> </request>`, "401"},
		{`requestId=x status=401 path=/`, "401"},
		{`requestId 401abc`, ""},
		{``, ""},
	} {
		if got := status(tt.line); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.line, got, tt.want)
		}
	}
}

func TestDenied(t *testing.T) {
	s := &logService{pages: [][]logEvent{
		{at(30, `{"requestId":"a","status":"401"}`), at(29, `{"requestId":"401","status":"200"}`)},
		{},
		{at(10, `{"requestId":"b","status":403}`), at(9, `{"requestId":"c","status":"404"}`), at(-1, `{"requestId":"d","status":401}`)},
	}}
	count, atLeast, err := newTestAccessLog(t, s, nil).Denied(t.Context(), t0, t0.Add(time.Minute))
	if count != 2 || atLeast || err != nil {
		t.Errorf("got %d, %v, %v", count, atLeast, err)
	}
	if in := s.requests[0]; in["filterPattern"] != "?401 ?403" || in["logGroupName"] != "api-access" || in["startTime"] != float64(t0.UnixMilli()) {
		t.Errorf("asked for %v", in)
	}
}

func TestDeniedIsCapped(t *testing.T) {
	line := at(1, `{"status":401}`)
	s := &logService{pages: [][]logEvent{{line}, {line}, {line}}, endless: true}
	count, atLeast, err := newTestAccessLog(t, s, func(s *AccessLogSettings) { s.MaxPages = 2 }).Denied(t.Context(), t0, t0.Add(time.Minute))
	if count != 2 || !atLeast || err != nil {
		t.Errorf("got %d, %v, %v", count, atLeast, err)
	}
}

// None were denied only where the log would say so.
func TestNoneDenied(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"calm", `{"requestId":"a","status":"200"}`, ""},
		{"no status in the format", `{"requestId":"a","ip":"10.0.0.1"}`, `access log "api-access" does not say how requests were answered: add "status":"$context.status"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &logService{pages: [][]logEvent{{at(1, tt.line)}}}
			count, atLeast, err := newTestAccessLog(t, s, nil).Denied(t.Context(), t0, t0.Add(time.Minute))
			if count != 0 || atLeast || (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %d, %v, %v", count, atLeast, err)
			}
		})
	}
	if count, _, err := newTestAccessLog(t, &logService{}, nil).Denied(t.Context(), t0, t0.Add(time.Minute)); count != 0 || err != nil {
		t.Errorf("an empty log: %d, %v", count, err)
	}
}

func TestAccessLogErrors(t *testing.T) {
	for _, tt := range []struct{ code, want string }{
		{"ResourceNotFoundException", `log group "api-access" does not exist in eu-west-2: set gateway.access_log_group`},
		{"AccessDeniedException", "allow logs:FilterLogEvents on arn:aws:logs:eu-west-2:ACCOUNT:log-group:api-access:*"},
	} {
		_, _, err := newTestAccessLog(t, &logService{fail: tt.code, failFrom: 1}, nil).Denied(t.Context(), t0, t0.Add(time.Minute))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.code, err)
		}
	}
	if _, err := NewAccessLog(AccessLogSettings{}); err == nil || !strings.Contains(err.Error(), "gateway.access_log_group") {
		t.Errorf("without a group: %v", err)
	}
}

// Readers that share a pace share its turns.
func TestReadersShareThePace(t *testing.T) {
	pace := &Pace{rate.NewLimiter(rate.Every(time.Hour), 1)} // one turn, and no other soon
	s := &logService{}
	l := newTestLogs(t, s, func(s *LogSettings) { s.Pace = pace })
	a := newTestAccessLog(t, s, func(s *AccessLogSettings) { s.Pace = pace })
	if !pace.limit.Allow() {
		t.Fatal("the first turn is not there")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, logged := l.Failures(ctx, t0, t0.Add(time.Minute), "")
	_, _, denied := a.Denied(ctx, t0, t0.Add(time.Minute))
	for _, err := range []error{logged, denied} {
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "waiting for the limit") {
			t.Errorf("error %v", err)
		}
	}
	if len(s.requests) > 0 {
		t.Errorf("asked out of turn: %v", s.requests)
	}
}
