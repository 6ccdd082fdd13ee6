// Package commandbridge presses the button "Flush OIDC Token Cache" of
// CommandBridge, for teams whose rules say that a flush goes through it.
//
// What it answers is a claim and is handed on as one: whether anything was
// flushed is read from the cache by who asked. A request is never repeated
// here. When its answer was lost, the button may have been pressed; the error
// says so.
package commandbridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/outbound"
	"jwksbot/runbook/redact"
)

const (
	action         = "flush-token-cache"
	defaultTimeout = 30 * time.Second
	maxAnswer      = 64 << 10
	claimLimit     = 200 // runes
)

// ticketRule is CommandBridge's own: it refuses anything else.
var ticketRule = regexp.MustCompile(`^(INC|CHG)-[\w-]+$`)

// Settings say where CommandBridge is and what it is to flush.
type Settings struct {
	URL         string // its base; https, or http on a loopback address
	Token       redact.Secret
	Target      string        // of the action, such as "scotaccount-oidc-cache"
	Environment string        // of the action, such as "production"
	Timeout     time.Duration // for one request; 0: 30 s
	HTTP        *http.Client  // nil: a plain one
}

// Bridge is CommandBridge's flush action.
type Bridge struct {
	set Settings
	url string
}

// New checks the settings; it makes no request.
func New(s Settings) (*Bridge, error) {
	u, err := url.Parse(s.URL)
	var problems []error
	switch {
	case err != nil || u.Hostname() == "":
		problems = append(problems, errors.New("commandbridge: url is not a URL: write its base, like https://commandbridge.example"))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		problems = append(problems, errors.New("commandbridge: url must hold no password and no query: the token has its own setting"))
	case !outbound.Private(u):
		problems = append(problems, errors.New("commandbridge: url must be https, except on a loopback address: the token is sent there"))
	}
	if s.Token == "" {
		problems = append(problems, errors.New("commandbridge: token is missing"))
	}
	if s.Target == "" || s.Environment == "" {
		problems = append(problems, errors.New("commandbridge: target and environment are needed: what the button is to flush, and where"))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if s.Timeout <= 0 {
		s.Timeout = defaultTimeout
	}
	if s.HTTP == nil {
		s.HTTP = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone(), CheckRedirect: noRedirect}
	}
	return &Bridge{set: s, url: strings.TrimRight(s.URL, "/") + "/actions/execute"}, nil
}

// noRedirect keeps the token from being sent anywhere else.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// order is the body of a request.
type order struct {
	Action      string `json:"action"`
	Ticket      string `json:"ticket"`
	Reason      string `json:"reason"`
	Target      string `json:"target"`
	Environment string `json:"environment"`
}

// Flush asks for the flush, once, and returns what CommandBridge claims: at
// most 200 runes on one line, redacted.
func (b *Bridge) Flush(ctx context.Context, ticket, reason string) (claim string, err error) {
	if !ticketRule.MatchString(ticket) {
		return "", fmt.Errorf("commandbridge: it takes only tickets like INC-2026-0214-001 or CHG-42, not %q: request the flush again with one", b.show(ticket))
	}
	body, err := json.Marshal(order{action, ticket, redact.Text(reason), b.set.Target, b.set.Environment})
	if err != nil {
		return "", fmt.Errorf("commandbridge: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, b.set.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, bytes.NewReader(body))
	if err != nil {
		return "", errors.New("commandbridge: url cannot be asked")
	}
	req.GetBody = nil // net/http must not send it a second time on its own
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+b.set.Token.Reveal())
	resp, err := b.set.HTTP.Do(req)
	if err != nil {
		return "", b.lost(err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing is left to learn from it
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return "", b.lost(err)
	}
	return b.judge(resp.StatusCode, answer)
}

// lost says what is known when no answer came: nothing was sent, or nobody
// knows.
func (b *Bridge) lost(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return fmt.Errorf("commandbridge: %s cannot be reached, so that nothing was flushed by it: check commandbridge.url and the way there, or flush directly: %w", b.url, err)
	}
	return fmt.Errorf("commandbridge: no answer from %s: it may have flushed all the same; the cache tells: %w", b.url, err)
}

// reply is what is understood of an answer.
type reply struct {
	Success *bool           `json:"success"`
	OK      *bool           `json:"ok"`
	Status  any             `json:"status"`
	Message string          `json:"message"`
	Result  json.RawMessage `json:"result"`
	Output  string          `json:"output"`
	Error   json.RawMessage `json:"error"`
}

func (b *Bridge) judge(status int, body []byte) (string, error) {
	var r reply
	said := b.show(string(body))
	if json.Unmarshal(body, &r) == nil {
		said = b.show(r.words(string(body)))
	}
	switch {
	case status >= 200 && status < 300 && !r.failed():
		return said, nil
	case status >= 200 && status < 300:
		return "", fmt.Errorf("commandbridge: it says that the action failed: %s: flush directly, or ask its owners", said)
	case status == http.StatusUnauthorized:
		return "", fmt.Errorf("commandbridge: refused the token (401): check commandbridge.token")
	case status == http.StatusForbidden:
		return "", fmt.Errorf("commandbridge: the token may not run %s on %s in %s (403): ask its owners for that right: %s", action, b.set.Target, b.set.Environment, said)
	case status == http.StatusNotFound:
		return "", fmt.Errorf("commandbridge: %s does not exist (404), or it knows no %s: check commandbridge.url and target: %s", b.url, action, said)
	case status == http.StatusBadRequest || status == http.StatusUnprocessableEntity:
		return "", fmt.Errorf("commandbridge: refused the request (%d): check commandbridge.target, environment and the ticket: %s", status, said)
	case status == http.StatusConflict || status == http.StatusTooManyRequests:
		return "", fmt.Errorf("commandbridge: busy (%d): wait for what is under way there, then request again: %s", status, said)
	case status >= 300 && status < 400:
		return "", fmt.Errorf("commandbridge: %s redirects (%d), which is not followed with a token: set commandbridge.url to where it leads", b.url, status)
	}
	return "", fmt.Errorf("commandbridge: out of order (%d); it may have flushed all the same, the cache tells: %s", status, said)
}

// failed says that the answer itself tells of a failure.
func (r reply) failed() bool {
	word, _ := r.Status.(string)
	switch strings.ToLower(word) {
	case "failed", "failure", "error", "denied", "rejected":
		return true
	}
	return r.Success != nil && !*r.Success || r.OK != nil && !*r.OK
}

// words picks the sentence out of an answer.
func (r reply) words(whole string) string {
	var result, fault string
	_ = json.Unmarshal(r.Result, &result) // an object is no sentence
	_ = json.Unmarshal(r.Error, &fault)
	word, _ := r.Status.(string)
	for _, s := range []string{fault, r.Message, r.Output, result, word} {
		if strings.TrimSpace(s) != "" {
			return s
		}
	}
	return whole
}

// show makes text of others fit to be shown.
func (b *Bridge) show(s string) string {
	s = strings.ReplaceAll(s, b.set.Token.Reveal(), "[hidden]")
	s = strings.Join(strings.Fields(redact.Text(s)), " ")
	if s == "" {
		return "(it says nothing)"
	}
	return runbook.Clip(s, claimLimit)
}
