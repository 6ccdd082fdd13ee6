package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/google/go-cmp/cmp"

	"jwksbot/runbook"
)

type logEvent struct {
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
	Stream    string `json:"logStreamName,omitempty"`
}

// logService speaks FilterLogEvents and DescribeLogStreams over the wire
// (awsJson1.1): it answers page after page, with an error where one is set.
type logService struct {
	mu       sync.Mutex
	pages    [][]logEvent
	streams  [][]logStream
	endless  bool   // every page has a successor
	fail     string // error code of the requests failFrom to failTo, numbered from 1
	failFrom int
	failTo   int // 0: the last
	slowFrom int // request number: no answer until the client leaves
	requests []map[string]any
}

func (s *logService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation, known := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "Logs_20140328.")
	if !known || operation != "FilterLogEvents" && operation != "DescribeLogStreams" {
		http.Error(w, operation, http.StatusNotFound)
		return
	}
	var in map[string]any
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	in["operation"] = operation
	s.mu.Lock()
	s.requests = append(s.requests, in)
	n := len(s.requests)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if s.slowFrom > 0 && n >= s.slowFrom {
		<-r.Context().Done()
		return
	}
	if s.fail != "" && n >= s.failFrom && (s.failTo == 0 || n <= s.failTo) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type":%q,"message":"said by AWS"}`, s.fail)
		return
	}
	page := 0
	if token, _ := in["nextToken"].(string); token != "" {
		fmt.Sscanf(token, "page-%d", &page)
	}
	if operation == "DescribeLogStreams" {
		out := map[string]any{"logStreams": []any{}}
		if page < len(s.streams) {
			out["logStreams"] = s.streams[page]
		}
		if page+1 < len(s.streams) {
			out["nextToken"] = fmt.Sprintf("page-%d", page+1)
		}
		json.NewEncoder(w).Encode(out)
		return
	}
	out := map[string]any{"events": []logEvent{}, "searchedLogStreams": []any{}}
	if page < len(s.pages) && len(s.pages[page]) > 0 {
		out["events"] = s.pages[page]
	}
	if page+1 < len(s.pages) || s.endless {
		out["nextToken"] = fmt.Sprintf("page-%d", page+1)
	}
	json.NewEncoder(w).Encode(out)
}

func awsConfig(t *testing.T, h http.Handler) aws.Config {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return aws.Config{
		Region:       "eu-west-2",
		BaseEndpoint: aws.String(srv.URL),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "not-a-secret"}, nil
		}),
		// One retry, at once. The SDK may close the body of a request while
		// net/http still looks for its end, which closes the connection under
		// the answer ("use of closed network connection"): it counts on retries.
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.MaxBackoff = 2, time.Millisecond
			})
		},
	}
}

func newTestLogs(t *testing.T, s *logService, set func(*LogSettings)) *Logs {
	t.Helper()
	settings := LogSettings{AWS: awsConfig(t, s), Group: "/aws/lambda/authoriser"}
	if set != nil {
		set(&settings)
	}
	l, err := NewLogs(settings)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var t0 = time.Date(2026, time.November, 22, 10, 0, 0, 0, time.UTC)

// at is an event some seconds after t0.
func at(seconds int, message string) logEvent {
	return logEvent{Timestamp: t0.Add(time.Duration(seconds) * time.Second).UnixMilli(), Message: message}
}

func TestFailures(t *testing.T) {
	s := &logService{pages: [][]logEvent{
		{},
		{
			at(200, "JWK for kid \"new\" not found in the JWKS"),
			at(190, "JWK for kid \"new\" not found in the JWKS for "+tokenWithKid),
			at(185, "token validated, not found in denylist"),
		},
		{},
		{at(20, "JsonWebTokenError: invalid signature "+tokenWithKid), at(10, "Keys refreshed from JWKS endpoint"), at(-1, "jwt expired")},
	}}
	l := newTestLogs(t, s, nil)
	got, err := l.Failures(t.Context(), t0, t0.Add(4*time.Minute), "")
	if err != nil {
		t.Fatal(err)
	}
	want := runbook.LogEvidence{
		Group: "/aws/lambda/authoriser", Since: t0, Until: t0.Add(4 * time.Minute), Pattern: DefaultPattern(),
		Pages: 4, Count: 3, Classes: map[string]int{"unknown_kid": 2, "bad_signature": 1},
		Kids:       []runbook.KidCount{{Kid: "new", Count: 2}, {Kid: "from+token/1=", Count: 1}},
		PerMinute:  []runbook.MinuteCount{{At: t0, Count: 1}, {At: t0.Add(time.Minute)}, {At: t0.Add(2 * time.Minute)}, {At: t0.Add(3 * time.Minute), Count: 2}},
		KeyMinutes: []runbook.MinuteCount{{At: t0, Count: 1}, {At: t0.Add(time.Minute)}, {At: t0.Add(2 * time.Minute)}, {At: t0.Add(3 * time.Minute), Count: 2}},
		Newest:     t0.Add(200 * time.Second),
		Samples: []runbook.LogSample{
			{At: t0.Add(200 * time.Second), Class: "unknown_kid", Kid: "new", Text: `JWK for kid "new" not found in the JWKS`},
			{At: t0.Add(190 * time.Second), Class: "unknown_kid", Kid: "new", Text: `JWK for kid "new" not found in the JWKS for [redacted token]`},
			{At: t0.Add(20 * time.Second), Class: "bad_signature", Kid: "from+token/1=", Text: `JsonWebTokenError: invalid signature [redacted token]`},
		},
		Issuers: []string{"https://idp.example"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("evidence (-want +got):\n%s", d)
	}
	if len(s.requests) < 4 {
		t.Errorf("%d requests for 4 pages", len(s.requests))
	}
	for i, in := range s.requests {
		if in["startFromHead"] != false || in["logGroupName"] != "/aws/lambda/authoriser" || in["filterPattern"] != DefaultPattern() {
			t.Errorf("request %d asks for %v", i+1, in)
		}
		if in["startTime"] != float64(t0.UnixMilli()) || in["endTime"] != float64(t0.Add(4*time.Minute).UnixMilli()-1) {
			t.Errorf("request %d asks for the window %v to %v", i+1, in["startTime"], in["endTime"])
		}
	}
}

func TestFailuresOfOneKid(t *testing.T) {
	s := &logService{pages: [][]logEvent{{at(1, `unknown kid kid=a1`), at(2, `unknown kid kid=b2`), at(3, "invalid signature")}}}
	got, err := newTestLogs(t, s, nil).Failures(t.Context(), t0, t0.Add(time.Minute), "b2")
	if err != nil || got.Count != 1 || !slices.Equal(got.Kids, []runbook.KidCount{{Kid: "b2", Count: 1}}) {
		t.Errorf("got %d failures of %v, %v", got.Count, got.Kids, err)
	}
}

// Newest failures come first, whatever the endpoint does, and a class that is
// rare is shown rather than the third line of a frequent one.
func TestSamplesAreNewestFirstAndOfDifferentClasses(t *testing.T) {
	var events []logEvent
	for i := range 20 {
		events = append(events, at(i+10, fmt.Sprintf("invalid signature %d", i)))
	}
	events = append(events, at(5, "jwt expired"))
	slices.Reverse(events)
	got, err := newTestLogs(t, &logService{pages: [][]logEvent{events}}, nil).Failures(t.Context(), t0, t0.Add(time.Minute), "")
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, s := range got.Samples {
		texts = append(texts, s.Text)
	}
	if want := []string{"invalid signature 19", "invalid signature 18", "jwt expired"}; !slices.Equal(texts, want) {
		t.Errorf("samples %q, want %q", texts, want)
	}
}

func TestPageCap(t *testing.T) {
	s := &logService{pages: [][]logEvent{{at(150, "jwt expired")}, {at(100, "jwt expired")}, {at(50, "jwt expired")}}, endless: true}
	l := newTestLogs(t, s, func(s *LogSettings) { s.MaxPages = 2 })
	got, err := l.Failures(t.Context(), t0, t0.Add(3*time.Minute), "")
	if err != nil || !got.AtLeast || got.Count != 2 || got.Pages != 2 {
		t.Errorf("got %d failures on %d pages, at least %v, %v", got.Count, got.Pages, got.AtLeast, err)
	}
	// What was not read is not zero.
	if want := []runbook.MinuteCount{{At: t0.Add(time.Minute), Count: 1}, {At: t0.Add(2 * time.Minute), Count: 1}}; !slices.Equal(got.PerMinute, want) {
		t.Errorf("per minute %v, want %v", got.PerMinute, want)
	}
}

func TestFailuresReturnsWhatItHasOnErrors(t *testing.T) {
	pages := [][]logEvent{{at(30, "jwt expired")}, {at(10, "jwt expired")}}
	for _, tt := range []struct{ code, want string }{
		{"ThrottlingException", "throttled by AWS after 1 pages"},
		{"AccessDeniedException", "allow logs:FilterLogEvents on arn:aws:logs:eu-west-2:ACCOUNT:log-group:/aws/lambda/authoriser:*"},
		{"ResourceNotFoundException", `log group "/aws/lambda/authoriser" does not exist in eu-west-2: set authoriser.log_group`},
		{"InvalidParameterException", "check authoriser.failure_pattern"},
		{"ExpiredTokenException", "AWS refused the credentials"},
		{"ServiceUnavailableException", `reading log group "/aws/lambda/authoriser"`},
	} {
		t.Run(tt.code, func(t *testing.T) {
			s := &logService{pages: pages, fail: tt.code, failFrom: 2}
			got, err := newTestLogs(t, s, nil).Failures(t.Context(), t0, t0.Add(time.Minute), "")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if codeOf(err) != tt.code {
				t.Errorf("the chain lost the code %s: %v", tt.code, err)
			}
			if got.Count != 1 || !got.AtLeast || got.Pages != 1 || len(got.Samples) != 1 {
				t.Errorf("evidence %+v", got)
			}
		})
	}
}

// The SDK's own retries of a throttled request are attempts, too: they wait for
// the limiter and the reading goes on.
func TestThrottledOnceIsRetried(t *testing.T) {
	s := &logService{pages: [][]logEvent{{at(30, "jwt expired")}}, fail: "ThrottlingException", failFrom: 1, failTo: 1}
	got, err := newTestLogs(t, s, nil).Failures(t.Context(), t0, t0.Add(time.Minute), "")
	if err != nil || got.Count != 1 || got.AtLeast {
		t.Errorf("got %d failures, %v", got.Count, err)
	}
}

func TestDeadline(t *testing.T) {
	s := &logService{pages: [][]logEvent{{at(30, "jwt expired")}, {at(10, "jwt expired")}}, slowFrom: 2}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	got, err := newTestLogs(t, s, nil).Failures(ctx, t0, t0.Add(time.Minute), "")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "out of time after 1 pages") {
		t.Errorf("error %v", err)
	}
	if got.Count != 1 || !got.AtLeast {
		t.Errorf("evidence %+v", got)
	}
}

// A turn of the limiter that comes after the deadline is the deadline.
func TestLimiterHonoursTheDeadline(t *testing.T) {
	s := &logService{endless: true}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	got, err := newTestLogs(t, s, nil).Failures(ctx, t0, t0.Add(time.Minute), "")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if got.Pages > requestsPerSecond || !got.AtLeast {
		t.Errorf("%d pages within 100 ms at %d a second", got.Pages, requestsPerSecond)
	}
}

func TestLogSettings(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  LogSettings
		want string
	}{
		{"no group", LogSettings{}, "authoriser.log_group"},
		{"class", LogSettings{Group: "g", Patterns: []Pattern{{Class: "nope", Regexp: "x"}}}, `log pattern 1: class "nope"`},
		{"regexp", LogSettings{Group: "g", Patterns: []Pattern{{Class: "expired", Regexp: "("}}}, "missing closing )"},
		{"empty regexp", LogSettings{Group: "g", Patterns: []Pattern{{Class: "expired"}}}, "has no regexp"},
		{"pattern too long", LogSettings{Group: "g", FailurePattern: strings.Repeat("x", 1025)}, "authoriser.failure_pattern has 1025 characters"},
		{"pages", LogSettings{Group: "g", MaxPages: -1}, "below zero"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewLogs(tt.set); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// The group may be an ARN, and windows before 2024 cannot be read backwards.
func TestOldWindowAndARN(t *testing.T) {
	s := &logService{pages: [][]logEvent{{}}}
	arn := "arn:aws:logs:eu-west-2:123456789012:log-group:/x"
	l := newTestLogs(t, s, func(s *LogSettings) { s.Group = arn })
	old := time.Date(2023, 12, 31, 0, 0, 0, 0, time.UTC)
	if _, err := l.Failures(t.Context(), old, old.Add(time.Hour), ""); err != nil {
		t.Fatal(err)
	}
	if _, set := s.requests[0]["startFromHead"]; set || s.requests[0]["logGroupIdentifier"] != arn {
		t.Errorf("asked for %v", s.requests[0])
	}
}
