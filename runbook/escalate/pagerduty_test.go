package escalate

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"jwksbot/runbook"
)

const key = "R0UT1NGKEY0123456789ABCDEF012345"

// manual is a clock that only notes what it is asked to wait for.
type manual struct {
	mu    sync.Mutex
	waits []time.Duration
}

func (m *manual) Now() time.Time { return time.Date(2026, 2, 14, 3, 0, 0, 0, time.UTC) }

func (m *manual) Wait(ctx context.Context, d time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waits = append(m.waits, d)
	return ctx.Err()
}

// events is an Events API that answers from a list and then accepts.
type events struct {
	*httptest.Server
	mu      sync.Mutex
	answers []answer
	got     []map[string]any
}

type answer struct {
	status     int
	body       string
	retryAfter string
	typ        string
}

func newEvents(t *testing.T, answers ...answer) *events {
	t.Helper()
	e := &events{answers: answers}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.Close)
	return e
}

func (e *events) serve(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	var event map[string]any
	if r.Method != http.MethodPost || r.URL.Path != "/v2/enqueue" || json.Unmarshal(body, &event) != nil {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	e.got = append(e.got, event)
	a := answer{status: http.StatusAccepted, body: `{"status":"success","message":"Event processed","dedup_key":"x"}`}
	if len(e.answers) > 0 {
		a, e.answers = e.answers[0], e.answers[1:]
	}
	if a.retryAfter != "" {
		w.Header().Set("Retry-After", a.retryAfter)
	}
	if a.typ == "" {
		a.typ = "application/json"
	}
	w.Header().Set("Content-Type", a.typ)
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func pager(t *testing.T, url string) (*PagerDuty, *manual) {
	t.Helper()
	clock := &manual{}
	p, err := NewPagerDuty(PagerDutySettings{Key: key, URL: url, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return p, clock
}

var alarm = runbook.Alarm{Key: "run-7", Run: "run-7", Target: "production", Ticket: "INC-2026-0214-001",
	Summary: "34 % of requests fail since 02:41", At: time.Date(2026, 2, 14, 3, 1, 0, 0, time.UTC),
	Evidence: []string{"11 minutes above 10 %", "Authorization: Bearer abc.def.ghi"}}

func TestATriggerSaysWhatIsWrongAndAResolveNamesTheSameIncident(t *testing.T) {
	e := newEvents(t)
	p, _ := pager(t, e.URL+"/v2/enqueue") // the whole path may be configured
	if err := p.Trigger(t.Context(), alarm); err != nil {
		t.Fatal(err)
	}
	if err := p.Resolve(t.Context(), alarm); err != nil {
		t.Fatal(err)
	}
	if len(e.got) != 2 {
		t.Fatalf("%d events", len(e.got))
	}
	trigger, resolve := e.got[0], e.got[1]
	payload, _ := trigger["payload"].(map[string]any)
	for name, pair := range map[string][2]any{
		"routing key": {trigger["routing_key"], key}, "action": {trigger["event_action"], "trigger"}, "dedup": {trigger["dedup_key"], "run-7"},
		"severity": {payload["severity"], "critical"}, "source": {payload["source"], "production"}, "summary": {payload["summary"], alarm.Summary},
		"timestamp": {payload["timestamp"], "2026-02-14T03:01:00Z"}, "second action": {resolve["event_action"], "resolve"}, "second dedup": {resolve["dedup_key"], "run-7"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
	details, _ := json.Marshal(payload["custom_details"])
	if !strings.Contains(string(details), "11 minutes above") || !strings.Contains(string(details), alarm.Ticket) || strings.Contains(string(details), "abc.def.ghi") {
		t.Errorf("details: %s", details)
	}
	if _, has := resolve["payload"]; has {
		t.Error("a resolve needs no payload")
	}
}

func TestEveryAnswerIsRetriedOrExplained(t *testing.T) {
	invalid := `{"status":"invalid event","message":"Event object is invalid","errors":["routing_key ` + key + ` is unknown"]}`
	for _, c := range []struct {
		name    string
		answers []answer
		sent    int
		says    []string // nil: it went well
	}{
		{"taken", nil, 1, nil},
		{"taken, with an answer that nobody can read", []answer{{status: 202, body: "ok"}}, 1, nil},
		{"busy, then taken", []answer{{status: 429, retryAfter: "7"}, {status: 503, typ: "text/html"}}, 3, nil},
		{"busy for ever", repeat(answer{status: 429}, 20), attempts, []string{"429", "6 attempts", "page by hand"}},
		{"out of order for ever", repeat(answer{status: 500, body: "oops", typ: "text/plain"}, 20), attempts, []string{"answered 500", "oops"}},
		{"wrong key", []answer{{status: 400, body: invalid}}, 1, []string{"refused with 400", "Event object is invalid", "escalation.pagerduty_key", "[hidden]"}},
		{"forbidden", []answer{{status: 403}}, 1, []string{"403", "escalation.pagerduty_key"}},
		{"not there", []answer{{status: 404}}, 1, []string{"answered 404"}},
		{"elsewhere", []answer{{status: 302}}, 1, []string{"redirects (302)", "escalation.pagerduty_url"}},
		{"an answer of another kind", []answer{{status: 200, body: "<html>", typ: "text/html"}}, 1, []string{"answered 200"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEvents(t, c.answers...)
			p, _ := pager(t, e.URL)
			err := p.Trigger(t.Context(), alarm)
			if (err == nil) != (c.says == nil) {
				t.Fatalf("error: %v", err)
			}
			if len(e.got) != c.sent {
				t.Errorf("sent %d times, want %d", len(e.got), c.sent)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q is not in: %v", s, err)
				}
			}
			if err != nil && strings.Contains(err.Error(), key) {
				t.Errorf("the key is in: %v", err)
			}
		})
	}
}

// Over every status: what another try may change is tried again, what none
// changes is sent once and told as such.
func TestEveryStatusSaysWhetherARetryCanHelp(t *testing.T) {
	for status := 200; status < 600; status++ {
		if status == http.StatusAccepted {
			continue
		}
		e := newEvents(t, repeat(answer{status: status}, attempts)...)
		p, _ := pager(t, e.URL)
		err := p.Trigger(t.Context(), alarm)
		again := status == 408 || status == 429 || status >= 500
		want := 1
		if again {
			want = attempts
		}
		if err == nil || runbook.IsDenied(err) == again || len(e.got) != want {
			t.Errorf("%d: sent %d times, want %d; denied %v: %v", status, len(e.got), want, runbook.IsDenied(err), err)
		}
	}
}

func repeat(a answer, n int) []answer {
	out := make([]answer, n)
	for i := range out {
		out[i] = a
	}
	return out
}

func TestThePausesGrowAndFollowRetryAfter(t *testing.T) {
	e := newEvents(t, answer{status: 500}, answer{status: 429, retryAfter: "9"}, answer{status: 500}, answer{status: 429, retryAfter: "3600"})
	p, clock := pager(t, e.URL)
	if err := p.Trigger(t.Context(), alarm); err != nil {
		t.Fatal(err)
	}
	want := []time.Duration{time.Second, 9 * time.Second, 4 * time.Second, longestPause}
	if len(clock.waits) != len(want) {
		t.Fatalf("waits: %v", clock.waits)
	}
	for i := range want {
		if clock.waits[i] != want[i] {
			t.Errorf("waits: %v, want %v", clock.waits, want)
		}
	}
}

func TestNoAnswerIsSaidWithoutTheKey(t *testing.T) {
	e := newEvents(t)
	e.Close()
	p, _ := pager(t, e.URL)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, ctx := range map[string]context.Context{"refused": t.Context(), "cancelled": ctx} {
		err := p.Trigger(ctx, alarm)
		if err == nil || strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "nobody was paged") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "cancelled" && !errors.Is(err, context.Canceled) {
			t.Errorf("the cause is lost: %v", err)
		}
	}
}

func TestSettingsThatCannotPageAreRefused(t *testing.T) {
	for name, s := range map[string]PagerDutySettings{
		"no key":    {},
		"plain":     {Key: key, URL: "http://events.example"},
		"password":  {Key: key, URL: "https://me:" + key + "@events.example"},
		"query":     {Key: key, URL: "https://events.example?k=" + key},
		"no URL":    {Key: key, URL: "events"},
		"broken":    {Key: key, URL: "https://%zz" + key},
		"no scheme": {Key: key, URL: "//events.example"},
	} {
		_, err := NewPagerDuty(s)
		if err == nil || strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "escalation.pagerduty_") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p, err := NewPagerDuty(PagerDutySettings{Key: key}); err != nil || p.url != DefaultPagerDutyURL {
		t.Errorf("default: %v %v", p, err)
	}
}
