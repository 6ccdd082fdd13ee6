package drill

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
)

func TestPanel(t *testing.T) {
	w := quietWorld(t)
	panel := httptest.NewServer(http.StripPrefix("/drill", w.Panel()))
	defer panel.Close()
	call := func(method, path string, form url.Values, want int) map[string]any {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, panel.URL+"/drill"+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var got map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != want {
			t.Fatalf("%s %s: %s, %v; want %d", method, path, resp.Status, err, want)
		}
		return got
	}
	state := call(http.MethodGet, "", nil, http.StatusOK)
	if n := len(state["series"].([]any)); n != 36 {
		t.Errorf("%d points, want 36", n)
	}
	if n := len(state["minutes"].([]any)); n != 60 {
		t.Errorf("%d minutes, want 60", n)
	}
	rotated := call(http.MethodPost, "/rotate", url.Values{"overlap": {"1"}}, http.StatusOK)
	if n := len(rotated["live_kids"].([]any)); n != 2 || rotated["signing_kid"] == state["signing_kid"] {
		t.Errorf("after an overlap rotation: %v", rotated["live_kids"])
	}
	for _, health := range []string{IDPHTML, IDPFlapping, IDPDisagreeing, IDPUnavailable} {
		if s := call(http.MethodPost, "/break", url.Values{"health": {health}}, http.StatusOK); s["idp"] != health {
			t.Errorf("idp %v, want %s", s["idp"], health)
		}
	}
	if s := call(http.MethodPost, "/heal", nil, http.StatusOK); s["idp"] != IDPHealthy {
		t.Errorf("idp %v after heal", s["idp"])
	}
	call(http.MethodPost, "/break", url.Values{"health": {"rainy"}}, http.StatusBadRequest)
	call(http.MethodPost, "/dance", nil, http.StatusNotFound)
	call(http.MethodDelete, "", nil, http.StatusMethodNotAllowed)
}

func TestPanelRefusesOtherSites(t *testing.T) {
	w := quietWorld(t)
	req := httptest.NewRequest(http.MethodPost, "/rotate", nil)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	rec := httptest.NewRecorder()
	w.Panel().ServeHTTP(rec, req)
	if rec.Code != http.StatusForbidden || !w.State().RotatedAt.IsZero() {
		t.Errorf("answered %d, rotated at %v", rec.Code, w.State().RotatedAt)
	}
}

// Latency is on every answer of both servers, from the end of the start.
func TestLatency(t *testing.T) {
	const latency = 50 * time.Millisecond
	w := startWorld(t, Options{Scenario: "healthy", RequestsPerMinute: 6, Latency: latency, Clock: runbook.SystemClock{}})
	for _, url := range []string{w.JWKSURL(), w.AWSEndpoint()} {
		began := time.Now()
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if took := time.Since(began); took < latency {
			t.Errorf("%s answered after %v", url, took)
		}
	}
}
