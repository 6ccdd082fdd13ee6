package canary

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
)

const secret = "s3cr3t-of-the-client/+"

var token = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"new-key"}`)) + "." +
	base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"canary"}`)) + ".c2lnbmF0dXJl"

// provider is an identity provider and a protected URL behind it.
type provider struct {
	*httptest.Server
	tokenStatus int
	tokenBody   string
	status      int
	calls       int
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{tokenStatus: 200, tokenBody: fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, token), status: 200}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "canary" || password != "s3cr3t-of-the-client%2F%2B" || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "api/read" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_request"}`)
			return
		}
		w.WriteHeader(p.tokenStatus)
		fmt.Fprint(w, p.tokenBody)
	})
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		p.calls++
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		if p.status == 0 {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Location", "/login")
		w.WriteHeader(p.status)
		fmt.Fprint(w, "hello")
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) settings() Settings {
	return Settings{TokenURL: p.URL + "/oauth2/token", ClientID: "canary", ClientSecret: secret, Scope: "api/read", URL: p.URL + "/me?key=hush"}
}

func TestATokenIsAcceptedRejectedOrTellsNothing(t *testing.T) {
	for _, c := range []struct {
		status   int
		accepted bool
		unknown  bool
	}{
		{200, true, false}, {204, true, false}, {401, false, false}, {403, false, false},
		{302, false, true}, {404, false, true}, {429, false, true}, {500, false, true}, {503, false, true},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			p := newProvider(t)
			p.status = c.status
			r, err := try(t, p.settings())
			if r.Accepted != c.accepted || (err != nil) != c.unknown || r.Status != c.status || r.Kid != "new-key" || p.calls != 1 {
				t.Errorf("%+v, %v, %d calls", r, err, p.calls)
			}
			if !strings.Contains(r.Text, fmt.Sprint(c.status)) || c.unknown && !strings.Contains(r.Text, "could not tell") {
				t.Errorf("text: %q", r.Text)
			}
			quiet(t, r, err)
		})
	}
}

func TestWhatTheProviderSaysIsExplained(t *testing.T) {
	for _, c := range []struct {
		status     int
		body, says string
	}{
		{400, `{"error":"invalid_client","error_description":"Client ` + "s3cr3t-of-the-client/+" + ` unknown"}`, "canary.client_secret"},
		{401, `{"error":"invalid_client"}`, "canary.client_id"},
		{400, `{"error":"unauthorized_client"}`, "allow the client-credentials grant"},
		{400, `{"error":"invalid_scope","error_description":"no such scope"}`, "canary.scope"},
		{400, `{"error":"unsupported_grant_type"}`, "canary.token_url"},
		{400, `{"error":"invalid_grant"}`, "client-credentials grant"},
		{400, `{"error":"something_new"}`, "something_new"},
		{500, `<html>`, "answered 500"},
		{302, ``, "answered 302"},
		{200, `<html>`, "without an access_token"},
		{200, `{"access_token":""}`, "without an access_token"},
		{200, `{"access_token":"a\nb"}`, "cannot be sent"},
	} {
		t.Run(c.says, func(t *testing.T) {
			p := newProvider(t)
			p.tokenStatus, p.tokenBody = c.status, c.body
			r, err := try(t, p.settings())
			if err == nil || r.Accepted || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "could not tell") || p.calls != 0 {
				t.Errorf("%+v, %v, %d calls", r, err, p.calls)
			}
			quiet(t, r, err)
		})
	}
}

func TestATryEndsInTime(t *testing.T) {
	p := newProvider(t)
	p.status = 0
	s := p.settings()
	s.Timeout = 50 * time.Millisecond
	r, err := try(t, s)
	if !errors.Is(err, context.DeadlineExceeded) || r.Accepted {
		t.Errorf("%+v, %v", r, err)
	}
	quiet(t, r, err)
}

func TestAnOpaqueTokenHasNoKid(t *testing.T) {
	for _, s := range []string{"", "opaque", "a.b.c", "e30.e30.e30", base64.RawURLEncoding.EncodeToString([]byte(`{"kid":7}`)) + ".x.y"} {
		if kid := kidOf(s); kid != "" {
			t.Errorf("%q has %q", s, kid)
		}
	}
}

func TestSettingsThatWouldLeakAreRefused(t *testing.T) {
	good := Settings{TokenURL: "https://auth.example/token", ClientID: "a", ClientSecret: "b", URL: "https://api.example/me"}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Settings){
		"token_url": func(s *Settings) { s.TokenURL = "http://auth.example/token" },
		"url":       func(s *Settings) { s.URL = "http://api.example/" + secret },
		"user":      func(s *Settings) { s.URL = "https://me:" + secret + "@api.example/" },
		"missing":   func(s *Settings) { s.TokenURL = "" },
		"client_id": func(s *Settings) { s.ClientID = "" },
		"secret":    func(s *Settings) { s.ClientSecret = "" },
	} {
		s := good
		change(&s)
		if _, err := New(s); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func try(t *testing.T, s Settings) (runbook.CanaryResult, error) {
	t.Helper()
	c, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return c.Try(t.Context())
}

// quiet fails when a secret came out.
func quiet(t *testing.T, r runbook.CanaryResult, err error) {
	t.Helper()
	out := fmt.Sprintf("%+v %v", r, err)
	for _, s := range []string{secret, token, "c2lnbmF0dXJl", "hush"} {
		if strings.Contains(out, s) {
			t.Errorf("%q came out: %s", s, out)
		}
	}
}
