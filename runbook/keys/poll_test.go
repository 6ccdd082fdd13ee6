package keys

import (
	"io"
	"net/http"
	"testing"
	"time"

	"jwksbot/runbook"
)

// versioned serves one key set with validators and counts what it was asked.
type versioned struct {
	etag, modified, body string
	status               int  // instead of 200
	stubborn             bool // says 304 whatever it was asked
	asked                []http.Header
}

func (v *versioned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.asked = append(v.asked, r.Header)
	if v.etag != "" {
		w.Header().Set("ETag", v.etag)
	}
	if v.modified != "" {
		w.Header().Set("Last-Modified", v.modified)
	}
	same := v.etag != "" && r.Header.Get("If-None-Match") == v.etag || v.etag == "" && v.modified != "" && r.Header.Get("If-Modified-Since") == v.modified
	switch {
	case same || v.stubborn:
		w.WriteHeader(http.StatusNotModified)
	case v.status != 0:
		w.WriteHeader(v.status)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, v.body)
	}
}

// movingClock is set by the test.
type movingClock struct {
	runbook.SystemClock
	now time.Time
}

func (c *movingClock) Now() time.Time { return c.now }

func TestPoll(t *testing.T) {
	clock := &movingClock{now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
	v := &versioned{etag: `W/"1"`, modified: "Sun, 22 Nov 2026 09:00:00 GMT", body: set(good("a"))}
	e := endpoint(t, Settings{URL: serve(t, v.ServeHTTP).URL, Clock: clock})
	check := func(step string, status int, notModified, healthy bool, kid string) {
		t.Helper()
		p := e.Poll(t.Context())
		if p.Status != status || p.NotModified != notModified || p.Healthy() != healthy || kid != "" && (len(p.Set.Keys) != 1 || p.Set.Keys[0].Kid != kid) {
			t.Errorf("%s: %+v", step, p)
		}
	}
	conditional := func() bool { return v.asked[len(v.asked)-1].Get("If-None-Match") != "" }

	check("first", 200, false, true, "a")
	if conditional() {
		t.Error("the first poll was conditional")
	}
	check("again", 304, true, true, "a")
	if got := v.asked[1]; got.Get("If-None-Match") != v.etag || got.Get("If-Modified-Since") != v.modified {
		t.Errorf("asked with %v", got)
	}
	v.etag, v.body = `"2"`, set(good("b"))
	check("rotated", 200, false, true, "b")
	check("after the rotation", 304, true, true, "b")

	// A check asks for the whole, and a broken answer in between is not what
	// the next poll is conditional on.
	if p := e.Probe(t.Context()); p.Status != 200 || p.NotModified || conditional() {
		t.Errorf("a probe asked %v and got %+v", v.asked[len(v.asked)-1], p)
	}
	v.etag, v.status = `"broken"`, 503
	check("broken", 503, false, false, "")
	check("still broken", 503, false, false, "")
	v.status = 0
	check("healed", 200, false, true, "b")

	clock.now = clock.now.Add(trusted - time.Second)
	check("within the hour", 304, true, true, "b")
	clock.now = clock.now.Add(2 * time.Second)
	check("the hour is over", 200, false, true, "b")
}

func TestPollWithLastModifiedOnly(t *testing.T) {
	v := &versioned{modified: "Sun, 22 Nov 2026 09:00:00 GMT", body: set(good("a"))}
	e := endpoint(t, Settings{URL: serve(t, v.ServeHTTP).URL})
	if p := e.Poll(t.Context()); p.Status != 200 {
		t.Errorf("%+v", p)
	}
	if p := e.Poll(t.Context()); !p.NotModified || p.Set.Usable != 1 {
		t.Errorf("%+v", p)
	}
}

// A server that says 304 to somebody who knows nothing is broken.
func TestNotModifiedUnasked(t *testing.T) {
	v := &versioned{stubborn: true}
	e := endpoint(t, Settings{URL: serve(t, v.ServeHTTP).URL})
	for _, p := range []runbook.Probe{e.Poll(t.Context()), e.Probe(t.Context()), e.Poll(t.Context())} {
		if p.Healthy() || p.NotModified || p.Problem != "it answers HTTP 304 Not Modified" {
			t.Errorf("%+v", p)
		}
	}
}

// Servers without validators are asked in full each time.
func TestPollWithoutValidators(t *testing.T) {
	v := &versioned{body: set(good("a"))}
	e := endpoint(t, Settings{URL: serve(t, v.ServeHTTP).URL})
	for range 2 {
		if p := e.Poll(t.Context()); p.Status != 200 || !p.Healthy() {
			t.Errorf("%+v", p)
		}
	}
	for _, h := range v.asked {
		if h.Get("If-None-Match") != "" || h.Get("If-Modified-Since") != "" {
			t.Errorf("asked with %v", h)
		}
	}
}
