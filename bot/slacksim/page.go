package slacksim

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"
)

//go:embed page
var pageFiles embed.FS

// policy lets the page load only what this server serves. Scripts cannot come
// from a message even if one found a way into the markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (s *Sim) pageRoutes(mux *http.ServeMux) {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the embedded folder has a fixed name
	}
	static := http.FileServerFS(files)
	mux.Handle("GET /assets/", secured(http.StripPrefix("/assets/", static)))
	mux.Handle("GET /{$}", secured(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "index.html")
	})))
	mux.HandleFunc("GET /archives/{channel}/{message}", s.servePermalink)
	mux.HandleFunc("GET /ui/state", s.serveState)
	mux.HandleFunc("GET /ui/events", s.serveEvents)
	mux.HandleFunc("GET /ui/files/{id}", s.serveFile)
	mux.HandleFunc("POST /ui/act", s.serveAct)
}

func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

// servePermalink leads the link of a message to the page.
func (s *Sim) servePermalink(w http.ResponseWriter, r *http.Request) {
	q := url.Values{"channel": {r.PathValue("channel")}}
	p := strings.TrimPrefix(r.PathValue("message"), "p")
	if len(p) > 6 {
		q.Set("ts", p[:len(p)-6]+"."+p[len(p)-6:])
	}
	if t := r.URL.Query().Get("thread_ts"); t != "" {
		q.Set("thread", t)
	}
	http.Redirect(w, r, "/?"+q.Encode(), http.StatusFound)
}

// serveEvents tells the page, as server-sent events, that something changed.
func (s *Sim) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	beat := time.NewTicker(15 * time.Second)
	defer beat.Stop()
	for {
		s.mu.Lock()
		version, changed := s.version, s.changed
		s.mu.Unlock()
		if _, err := fmt.Fprintf(w, "data: %d\n\n", version); err != nil || out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		case <-changed:
		case <-beat.C:
		}
	}
}

// serveFile shows an uploaded file: pictures as such, everything else as text.
func (s *Sim) serveFile(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	f := s.files[r.PathValue("id")]
	s.mu.Unlock()
	if f == nil || !f.Done {
		http.NotFound(w, r)
		return
	}
	kind := http.DetectContentType(f.Bytes)
	if !isPicture(f.Bytes) {
		kind = "text/plain; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	_, _ = w.Write(f.Bytes)
}

func isPicture(b []byte) bool {
	switch http.DetectContentType(b) {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return true
	}
	return false
}

// act is one thing that a person does on the page.
type act struct {
	Kind     string                    `json:"kind"` // say, click, view_click, submit, close, shortcut, home
	As       string                    `json:"as"`
	Channel  string                    `json:"channel"`
	TS       string                    `json:"ts"`
	Thread   string                    `json:"thread"`
	Text     string                    `json:"text"`
	View     string                    `json:"view"`
	Block    string                    `json:"block"`
	Action   string                    `json:"action"`
	Callback string                    `json:"callback"`
	Value    any                       `json:"value"`
	Values   map[string]map[string]any `json:"values"`
}

func (s *Sim) serveAct(w http.ResponseWriter, r *http.Request) {
	if !sameOrigin(r) {
		http.Error(w, "only the page itself may act", http.StatusForbidden)
		return
	}
	var a act
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&a); err != nil {
		http.Error(w, "no valid JSON", http.StatusBadRequest)
		return
	}
	out := obj{"ok": true}
	if err := s.act(a); err != nil && !errors.Is(err, ErrInput) {
		out = obj{"ok": false, "error": strings.TrimPrefix(err.Error(), "slack workspace: ")}
	}
	writeJSON(w, http.StatusOK, out)
}

// sameOrigin keeps other web sites that are open in the same browser from
// pressing buttons: a JSON body needs a preflight that nobody answers here.
func sameOrigin(r *http.Request) bool {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return false
	}
	o := r.Header.Get("Origin")
	return o == "" || o == baseOf(r)
}

func (s *Sim) act(a act) error {
	opts := []ClickOption{InBlock(a.Block), Choose(a.Value)}
	switch a.Kind {
	case "say":
		return s.typed(a)
	case "click":
		return s.Click(a.As, a.Channel, a.TS, a.Action, opts...).Err
	case "view_click":
		return s.ClickView(a.As, a.View, a.Action, opts...).Err
	case "submit":
		return s.Submit(a.As, a.View, a.Values).Err
	case "close":
		return s.CloseView(a.As).Err
	case "shortcut":
		return s.Shortcut(a.As, a.Channel, a.TS, a.Callback).Err
	case "home":
		return s.OpenHome(a.As).Err
	}
	return fmt.Errorf("slack workspace: unknown act %q", a.Kind)
}

// typed is what was typed into a composer: a command or a message.
func (s *Sim) typed(a act) error {
	words := strings.TrimSpace(a.Text)
	switch {
	case words == "":
		return nil
	case strings.HasPrefix(words, "/") && a.Thread != "":
		name, _, _ := strings.Cut(words, " ")
		return fmt.Errorf("slack workspace: %s is not supported in threads. Type it in the channel", name)
	case strings.HasPrefix(words, "/"):
		return s.Command(a.As, a.Channel, words).Err
	}
	_, err := s.Say(a.As, a.Channel, a.Thread, escape(words))
	return err
}
