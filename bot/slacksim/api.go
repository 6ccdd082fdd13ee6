package slacksim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

type obj = map[string]any

// maxBody is the largest request body that is read.
const maxBody = 4 << 20

// Call is one request of the bot to the Web API, as it was answered.
type Call struct {
	Method string
	At     time.Time      // real time
	Args   map[string]any // without the token
	Error  string         // "" when it was ok, else Slack's code; "ratelimited" for 429
	Status int            // HTTP status
}

// method is one method of the Web API.
type method struct {
	scopes []string // any one of these is enough; none: no scope is needed
	tier   int      // calls a minute: see tierPerMinute
	app    bool     // wants the app-level token
	run    func(*Sim, *call) (obj, error)
}

// apiMethods is every method that the workspace knows, in one table.
func apiMethods() map[string]method {
	read := []string{"channels:read", "groups:read", "im:read", "mpim:read"}
	write := []string{"chat:write"}
	return map[string]method{
		"auth.test":                    {tier: 4, run: (*Sim).authTest},
		"apps.connections.open":        {tier: 3, app: true, run: (*Sim).connectionsOpen},
		"chat.postMessage":             {scopes: write, run: (*Sim).postMessage},
		"chat.update":                  {scopes: write, tier: 3, run: (*Sim).updateMessage},
		"chat.delete":                  {scopes: write, tier: 3, run: (*Sim).deleteMessage},
		"chat.postEphemeral":           {scopes: write, tier: 4, run: (*Sim).postEphemeral},
		"chat.getPermalink":            {tier: 4, run: (*Sim).getPermalink},
		"conversations.info":           {scopes: read, tier: 3, run: (*Sim).conversationInfo},
		"conversations.list":           {scopes: read, tier: 2, run: (*Sim).conversationList},
		"conversations.members":        {scopes: read, tier: 4, run: (*Sim).conversationMembers},
		"conversations.open":           {scopes: []string{"im:write", "chat:write"}, tier: 3, run: (*Sim).conversationOpen},
		"users.conversations":          {scopes: read, tier: 3, run: (*Sim).userConversations},
		"users.info":                   {scopes: []string{"users:read"}, tier: 4, run: (*Sim).userInfo},
		"users.list":                   {scopes: []string{"users:read"}, tier: 2, run: (*Sim).userList},
		"usergroups.list":              {scopes: []string{"usergroups:read"}, tier: 2, run: (*Sim).groupList},
		"usergroups.users.list":        {scopes: []string{"usergroups:read"}, tier: 2, run: (*Sim).groupUsers},
		"views.open":                   {tier: 4, run: (*Sim).viewOpen},
		"views.push":                   {tier: 4, run: (*Sim).viewPush},
		"views.update":                 {tier: 4, run: (*Sim).viewUpdate},
		"views.publish":                {tier: 4, run: (*Sim).viewPublish},
		"files.getUploadURLExternal":   {scopes: []string{"files:write"}, tier: 4, run: (*Sim).uploadURL},
		"files.completeUploadExternal": {scopes: []string{"files:write"}, tier: 4, run: (*Sim).completeUpload},
		"reactions.add":                {scopes: []string{"reactions:write"}, tier: 3, run: (*Sim).addReaction},
		"assistant.threads.setStatus":  {scopes: write, tier: 3, run: func(*Sim, *call) (obj, error) { return obj{}, nil }},
	}
}

// apiError is an answer with ok false.
type apiError struct {
	code     string
	messages []string // response_metadata.messages
	needed   string   // of missing_scope
	provided string
}

func (e *apiError) Error() string { return e.code }

func refuse(code string) error { return &apiError{code: code} }

// call is one request, with its arguments from whatever encoding it came in.
type call struct {
	method string
	base   string // base URL that the client used
	token  string
	args   obj
}

func (c *call) str(name string) string {
	switch v := c.args[name].(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func (c *call) has(name string) bool { _, ok := c.args[name]; return ok }

func (c *call) truth(name string) bool {
	v := c.str(name)
	return v == "true" || v == "1"
}

// data returns an argument that is JSON: a value of a JSON body, or a string of
// a form that holds JSON.
func (c *call) data(name string) (any, error) {
	v, ok := c.args[name]
	text, isText := v.(string)
	if !ok || !isText {
		return v, nil
	}
	if text == "" {
		return nil, nil
	}
	var out any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("argument %q: %w", name, err)
	}
	return out, nil
}

func (s *Sim) serveAPI(w http.ResponseWriter, r *http.Request) {
	c := &call{method: r.PathValue("method"), base: baseOf(r)}
	readErr := c.read(r)
	s.mu.Lock()
	status, retry, answer := s.answer(c, readErr)
	if m, ok := s.methods[c.method]; ok && !m.app {
		w.Header().Set("X-OAuth-Scopes", strings.Join(s.opt.Scopes, ","))
		w.Header().Set("X-Accepted-OAuth-Scopes", strings.Join(m.scopes, ","))
	}
	code, _ := answer["error"].(string)
	s.calls[c.method] = append(s.calls[c.method], Call{Method: c.method, At: time.Now(), Args: c.args, Error: code, Status: status})
	s.touch()
	s.mu.Unlock()
	if retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(retry))
	}
	writeJSON(w, status, answer)
}

// answer decides on one call. s.mu is held.
func (s *Sim) answer(c *call, readErr error) (status, retryAfter int, answer obj) {
	m, known := s.methods[c.method]
	s.learnBase(c.base)
	if s.faults.outage {
		return http.StatusInternalServerError, 0, obj{"ok": false, "error": "internal_error"}
	}
	if !known {
		return http.StatusOK, 0, obj{"ok": false, "error": "unknown_method", "req_method": c.method}
	}
	if code, ok := s.faults.take(c.method); ok {
		return http.StatusOK, 0, obj{"ok": false, "error": code}
	}
	if wait := s.limited(c, m); wait > 0 {
		return http.StatusTooManyRequests, wait, obj{"ok": false, "error": "ratelimited"}
	}
	out, err := obj(nil), readErr
	if err == nil {
		err = s.authorise(c, m)
	}
	if err == nil {
		out, err = m.run(s, c)
	}
	if err != nil {
		return http.StatusOK, 0, errorAnswer(err)
	}
	out["ok"] = true
	return http.StatusOK, 0, out
}

func errorAnswer(err error) obj {
	var e *apiError
	if !errors.As(err, &e) {
		e = &apiError{code: "invalid_arguments", messages: []string{"[ERROR] " + err.Error()}}
	}
	out := obj{"ok": false, "error": e.code}
	if len(e.messages) > 0 {
		out["errors"] = plainMessages(e.messages)
		out["response_metadata"] = obj{"messages": e.messages}
	}
	if e.needed != "" {
		out["needed"], out["provided"] = e.needed, e.provided
	}
	return out
}

// plainMessages are the messages without their level, as in "errors".
func plainMessages(in []string) []string {
	out := make([]string, len(in))
	for i, m := range in {
		out[i] = strings.TrimPrefix(m, "[ERROR] ")
	}
	return out
}

// authorise checks the token, its kind and its scopes.
func (s *Sim) authorise(c *call, m method) error {
	want := s.opt.BotToken
	other := s.opt.AppToken
	if m.app {
		want, other = other, want
	}
	switch c.token {
	case want:
	case "":
		return refuse("not_authed")
	case other:
		return refuse("not_allowed_token_type")
	default:
		return refuse("invalid_auth")
	}
	if m.app || len(m.scopes) == 0 {
		return nil
	}
	for _, sc := range m.scopes {
		if slices.Contains(s.opt.Scopes, sc) {
			return nil
		}
	}
	return s.missingScope(m.scopes[0])
}

func (s *Sim) missingScope(needed string) error {
	return &apiError{code: "missing_scope", needed: needed, provided: strings.Join(s.opt.Scopes, ",")}
}

// read takes token and arguments from query, form or JSON body.
func (c *call) read(r *http.Request) error {
	c.args = obj{}
	for k, v := range r.URL.Query() {
		c.args[k] = v[0]
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	r.Body = http.MaxBytesReader(nil, r.Body, maxBody)
	var err error
	switch kind {
	case "application/json":
		err = c.readJSON(r.Body)
	case "multipart/form-data":
		err = r.ParseMultipartForm(maxBody)
	default:
		err = r.ParseForm()
	}
	for k, v := range r.PostForm {
		c.args[k] = v[0]
	}
	c.token = c.str("token")
	delete(c.args, "token")
	if t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		c.token = t
	}
	if err != nil {
		return &apiError{code: "invalid_json", messages: []string{"[ERROR] " + err.Error()}}
	}
	return nil
}

func (c *call) readJSON(body io.Reader) error {
	b, err := io.ReadAll(body)
	if err != nil || len(b) == 0 {
		return err
	}
	args := obj{}
	if err := json.Unmarshal(b, &args); err != nil {
		return err
	}
	for k, v := range args {
		c.args[k] = v
	}
	delete(c.args, "token") // a token in a JSON body is ignored by Slack
	return nil
}

func baseOf(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// learnBase remembers where clients reach the workspace when it is served by
// somebody else's server. s.mu is held.
func (s *Sim) learnBase(base string) {
	if s.base == "" {
		s.base = base
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}
