package commandbridge

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

const token = "cb-t0ken-9f8e7d6c"

// portal answers one way and keeps what it was asked.
type portal struct {
	*httptest.Server
	mu     sync.Mutex
	got    []map[string]string
	header http.Header
}

func (p *portal) asked() []map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

func newPortal(t *testing.T, answer http.HandlerFunc) *portal {
	t.Helper()
	p := &portal{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]string
		if r.URL.Path != "/base/actions/execute" || r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&body) != nil {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		p.mu.Lock()
		p.got, p.header = append(p.got, body), r.Header
		p.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *portal) bridge(t *testing.T) *Bridge {
	t.Helper()
	b, err := New(Settings{URL: p.URL + "/base/", Token: token, Target: "oidc-cache", Environment: "production", Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func TestTheButtonIsPressedOnceWithTicketAndReason(t *testing.T) {
	p := newPortal(t, says(200, `{"success":true,"message":"Token cache flushed"}`))
	claim, err := p.bridge(t).Flush(t.Context(), "INC-2026-0214-001", "keys rotated; password=hunter22")
	if err != nil || claim != "Token cache flushed" || len(p.asked()) != 1 {
		t.Fatalf("%q, %v, %d requests", claim, err, len(p.asked()))
	}
	got := p.asked()[0]
	if strings.Contains(got["reason"], "hunter22") || !strings.HasPrefix(got["reason"], "keys rotated") {
		t.Errorf("reason: %q", got["reason"])
	}
	delete(got, "reason")
	want := map[string]string{"action": "flush-token-cache", "ticket": "INC-2026-0214-001", "target": "oidc-cache", "environment": "production"}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: %q", k, got[k])
		}
	}
	if len(got) != len(want) || p.header.Get("Authorization") != "Bearer "+token {
		t.Errorf("request: %v", got)
	}
}

func TestATicketOfAnotherKindIsNotSent(t *testing.T) {
	p := newPortal(t, says(200, `{}`))
	for _, ticket := range []string{"", "JIRA-1", "INC-", "INC-1 2", "xINC-1", "INC-1\n"} {
		if _, err := p.bridge(t).Flush(t.Context(), ticket, "why"); err == nil || !strings.Contains(err.Error(), "INC-2026-0214-001") {
			t.Errorf("%q: %v", ticket, err)
		}
	}
	if len(p.asked()) != 0 {
		t.Errorf("%d requests", len(p.asked()))
	}
}

func TestEveryAnswerIsAClaimOrExplained(t *testing.T) {
	long := strings.Repeat("flushed é ", 100)
	for _, c := range []struct {
		name   string
		status int
		body   string
		claim  string
		says   string // of the error; "": there is none
	}{
		{"sentence", 200, `{"message":"flushed"}`, "flushed", ""},
		{"accepted", 202, `{"status":"queued"}`, "queued", ""},
		{"result", 200, `{"result":"3 keys"}`, "3 keys", ""},
		{"text", 200, "flushed\n", "flushed", ""},
		{"nothing", 204, "", "(it says nothing)", ""},
		{"success that is none", 200, `{"success":false,"error":"no such cache"}`, "", "no such cache"},
		{"ok that is none", 200, `{"ok":false}`, "", "action failed"},
		{"failed status", 200, `{"status":"FAILED","message":"timeout"}`, "", "timeout"},
		{"token", 401, `{}`, "", "commandbridge.token"},
		{"right", 403, `{"error":"role"}`, "", "ask its owners"},
		{"missing", 404, `nope`, "", "commandbridge.url"},
		{"bad request", 400, `{"message":"ticket closed"}`, "", "ticket closed"},
		{"unprocessable", 422, `{"error":{"code":1}}`, "", "commandbridge.target"},
		{"busy", 409, ``, "", "busy (409)"},
		{"limited", 429, ``, "", "busy (429)"},
		{"elsewhere", 302, ``, "", "redirects"},
		{"broken", 500, `stack ` + token, "", "may have flushed"},
		{"long", 200, long, strings.TrimSpace(string([]rune(long)[:199])) + "…", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPortal(t, says(c.status, c.body))
			claim, err := p.bridge(t).Flush(t.Context(), "CHG-7", "why")
			if (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("error: %v", err)
			}
			if claim != c.claim || utf8.RuneCountInString(claim) > claimLimit {
				t.Errorf("claim: %q, want %q", claim, c.claim)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("the token is in: %v", err)
			}
			if len(p.asked()) != 1 {
				t.Errorf("%d requests", len(p.asked()))
			}
		})
	}
}

func TestALostAnswerIsNotRepeated(t *testing.T) {
	p := newPortal(t, func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = conn.Close()
		}
	})
	b := p.bridge(t)
	if _, err := b.Flush(t.Context(), "INC-1", "why"); err == nil || !strings.Contains(err.Error(), "may have flushed") || len(p.asked()) != 1 {
		t.Errorf("%v, %d requests", err, len(p.asked()))
	}
	p.Close()
	if _, err := b.Flush(t.Context(), "INC-1", "why"); err == nil || !strings.Contains(err.Error(), "nothing was flushed") {
		t.Errorf("%v", err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	good := Settings{URL: "https://cb.example", Token: token, Target: "t", Environment: "e"}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Settings){
		"plain": func(s *Settings) { s.URL = "http://cb.example" }, "password": func(s *Settings) { s.URL = "https://a:" + token + "@cb.example" },
		"query": func(s *Settings) { s.URL += "?t=" + token }, "none": func(s *Settings) { s.URL = "" },
		"token": func(s *Settings) { s.Token = "" }, "target": func(s *Settings) { s.Target = "" }, "environment": func(s *Settings) { s.Environment = "" },
	} {
		s := good
		change(&s)
		if _, err := New(s); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
