package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
)

// heldGate stands between the program and the HTTP services of a drill. It
// counts the calls that were answered with success, and can keep one answer
// back: what was called has happened, and the caller does not learn of it.
type heldGate struct {
	mu    sync.Mutex
	calls map[string]int
	hold  string        // the call whose next answer is kept back; "": none
	held  chan struct{} // closed when it is
}

// before puts the gate before a service and returns its address there.
func (g *heldGate) before(t *testing.T, service string) (address string) {
	t.Helper()
	to, err := url.Parse(service)
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(to)
	through.ErrorLog = log.New(io.Discard, "", 0) // callers are killed here
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		through.ServeHTTP(answer, r)
		if g.keepsBack(callName(r, body), answer.Code) {
			<-r.Context().Done() // the caller is dead
			return
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // the caller may be dead
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// keepBack lets the next call of the name happen and keeps its answer from the
// caller. held is closed when that has come to pass.
func (g *heldGate) keepBack(call string) (held <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold, g.held = call, make(chan struct{})
	return g.held
}

// keeps says that the answer is kept back.
func (g *heldGate) keeps() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.hold == ""
}

func (g *heldGate) keepsBack(call string, status int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if status >= http.StatusMultipleChoices {
		return false
	}
	if g.calls == nil {
		g.calls = map[string]int{}
	}
	g.calls[call]++
	if g.hold != call {
		return false
	}
	g.hold = ""
	close(g.held)
	return true
}

// succeeded is how often the call was answered with success.
func (g *heldGate) succeeded(call string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[call]
}

// callName is the operation where the protocol names one, the action of an
// event, or the method and the end of the path: "GetMetricData", "Publish",
// "trigger", "PUT configuration".
func callName(r *http.Request, body []byte) string {
	if _, name, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return name
	}
	if _, name, ok := strings.Cut(r.URL.Path, "/operation/"); ok {
		return name
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Has("Action") {
		return form.Get("Action")
	}
	var event struct {
		Action string `json:"event_action"`
	}
	if json.Unmarshal(body, &event) == nil && event.Action != "" {
		return event.Action
	}
	return r.Method + " " + path.Base(r.URL.Path)
}
