// Package canary signs in once, for proof: it gets a token from the identity
// provider as a machine does (client credentials, RFC 6749 section 4.4), and
// calls a protected URL with it.
//
// Three things can come of it. The URL answers with success: the token was
// accepted, by whatever stands in front of it. It answers 401 or 403: the token
// was rejected. Anything else tells nothing about tokens and is an error, so
// that a broken service behind the gateway is never taken for a broken cache.
//
// Every try takes a token of its own, because an old one may have been signed
// with an old key. The token and the client's secret are in no output; of the
// token only the kid in its header is read. Nothing is retried: who asks waits
// for the answer and may ask again.
package canary

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/outbound"
	"jwksbot/runbook/redact"
)

const (
	defaultTimeout = 10 * time.Second // for one whole try
	maxAnswer      = 256 << 10
)

// Settings say who signs in where.
type Settings struct {
	TokenURL     string // the token endpoint; https, or http on a loopback address
	ClientID     string
	ClientSecret redact.Secret
	Scope        string         // scopes with blanks between; "": the client's own
	URL          string         // the protected URL that is called; https, or http on a loopback address
	RootCAs      *x509.CertPool // nil: the system's
	Timeout      time.Duration  // for one whole try; 0: 10 s
}

// Canary is one client of the identity provider. It is safe for concurrent use.
type Canary struct {
	set  Settings
	http *http.Client
}

// New checks the settings; it makes no request.
func New(s Settings) (*Canary, error) {
	var problems []error
	for key, value := range map[string]string{"token_url": s.TokenURL, "url": s.URL} {
		if err := checkURL(key, value); err != nil {
			problems = append(problems, err)
		}
	}
	if s.ClientID == "" || s.ClientSecret == "" {
		problems = append(problems, errors.New("canary: client_id and client_secret are needed: those of an app client with the client-credentials grant"))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if s.Timeout <= 0 {
		s.Timeout = defaultTimeout
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: s.RootCAs, MinVersion: tls.VersionTLS12}
	transport.DisableKeepAlives = true // a new connection each time: what a new client would see
	return &Canary{set: s, http: &http.Client{Transport: transport,
		// Followed, a redirect could carry the token to somebody else, and the
		// answer would be of another place than the one that is to be proven.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// checkURL refuses places to which a secret must not go. The text is not
// repeated where it may hold one.
func checkURL(key, raw string) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return fmt.Errorf("canary: %s is missing", key)
	case err != nil || u.Hostname() == "":
		return fmt.Errorf("canary: %s is not a URL: write one like https://auth.example/path", key)
	case u.User != nil:
		return fmt.Errorf("canary: %s must hold no user or password: the client's have their own settings", key)
	case !outbound.Private(u):
		return fmt.Errorf("canary: %s must be https, except on a loopback address: secrets are sent there", key)
	}
	return nil
}

// Try signs in and calls the protected URL, both within the timeout. The error
// says why nothing can be told.
func (c *Canary) Try(ctx context.Context) (runbook.CanaryResult, error) {
	ctx, cancel := context.WithTimeout(ctx, c.set.Timeout)
	defer cancel()
	start := time.Now()
	token, err := c.token(ctx)
	if err != nil {
		return runbook.CanaryResult{Duration: time.Since(start)}, err
	}
	r := runbook.CanaryResult{Kid: kidOf(token.Reveal())}
	err = c.call(ctx, token, &r)
	r.Duration = time.Since(start)
	return r, err
}

// token asks for a token of its own. The client authenticates with HTTP Basic,
// which every server must support (RFC 6749 section 2.3.1).
func (c *Canary) token(ctx context.Context) (redact.Secret, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if c.set.Scope != "" {
		form.Set("scope", c.set.Scope)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.set.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", errors.New("canary: token_url cannot be asked")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(c.set.ClientID), url.QueryEscape(c.set.ClientSecret.Reveal()))
	status, body, err := c.do(req)
	if err != nil {
		return "", fmt.Errorf("canary: could not tell: no token from %s: %w", place(c.set.TokenURL), err)
	}
	if status != http.StatusOK {
		return "", c.tokenError(status, body)
	}
	var answer struct {
		Token redact.Secret `json:"access_token"`
		Type  string        `json:"token_type"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" {
		return "", fmt.Errorf("canary: could not tell: %s answered 200 without an access_token: is token_url the token endpoint?", place(c.set.TokenURL))
	}
	if !printable(answer.Token.Reveal()) {
		return "", fmt.Errorf("canary: could not tell: the access_token of %s cannot be sent in a header", place(c.set.TokenURL))
	}
	return answer.Token, nil
}

// advice is what helps against the errors of RFC 6749 section 5.2.
var advice = map[string]string{
	"invalid_request":        "the provider wants something else in the request: check token_url and scope",
	"invalid_client":         "check canary.client_id and canary.client_secret; the secret may have been rotated",
	"invalid_grant":          "check that the client may use the client-credentials grant",
	"unauthorized_client":    "allow the client-credentials grant for this app client",
	"unsupported_grant_type": "the provider has no client-credentials grant at this endpoint: check canary.token_url",
	"invalid_scope":          "check canary.scope against the scopes that are allowed for this app client",
}

func (c *Canary) tokenError(status int, body []byte) error {
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	what := fmt.Sprintf("canary: could not tell: no token, %s answered %d", place(c.set.TokenURL), status)
	if json.Unmarshal(body, &answer) != nil || answer.Error == "" {
		return fmt.Errorf("%s: check canary.token_url, or wait if the identity provider is out of order", what)
	}
	said := c.hide(answer.Error)
	if answer.Description != "" {
		said += " (" + c.hide(answer.Description) + ")"
	}
	if what := advice[answer.Error]; what != "" {
		said += ": " + what
	}
	return fmt.Errorf("%s %s", what, said)
}

// call uses the token at the protected URL.
func (c *Canary) call(ctx context.Context, token redact.Secret, r *runbook.CanaryResult) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.set.URL, nil)
	if err != nil {
		return errors.New("canary: url cannot be asked")
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	where, key := place(c.set.URL), "a token"
	if r.Kid != "" {
		key = fmt.Sprintf("a token signed with %s", c.hide(r.Kid))
	}
	r.Status, _, err = c.do(req)
	switch {
	case err != nil:
		r.Text = fmt.Sprintf("could not tell: %s did not answer", where)
		return fmt.Errorf("canary: could not tell: no answer from %s: %w", where, err)
	case r.Status >= 200 && r.Status < 300:
		r.Accepted = true
		r.Text = fmt.Sprintf("%s accepted %s (%d)", where, key, r.Status)
		return nil
	case r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden:
		r.Text = fmt.Sprintf("%s rejected %s (%d)", where, key, r.Status)
		return nil
	}
	r.Text = fmt.Sprintf("could not tell: %s answered %d, which says nothing about tokens", where, r.Status)
	return fmt.Errorf("canary: %s: check canary.url: it should answer a valid token with success", r.Text)
}

// do carries out a request and reads a bounded answer. Errors of net/http name
// the URL; they are unwrapped, because a query may hold what is not for logs.
func (c *Canary) do(req *http.Request) (int, []byte, error) {
	resp, err := c.http.Do(req)
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // nothing is left to learn from it
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil && resp.StatusCode != http.StatusOK {
		err = nil // the status is enough
	}
	return resp.StatusCode, body, err
}

// place is a URL as it may be shown.
func place(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "the URL"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

// hide makes text of others fit to be shown.
func (c *Canary) hide(s string) string {
	s = redact.Text(strings.ReplaceAll(s, c.set.ClientSecret.Reveal(), "[hidden]"))
	return runbook.Clip(strings.Join(strings.Fields(s), " "), 200)
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// kidOf reads the kid from the header of a token, "" when it has none or is no
// JSON Web Token (RFC 6749 leaves the form of tokens open).
func kidOf(token string) string {
	head, _, ok := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if !ok || err != nil {
		return ""
	}
	var header struct {
		Kid string `json:"kid"`
	}
	if json.Unmarshal(raw, &header) != nil {
		return ""
	}
	return header.Kid
}
