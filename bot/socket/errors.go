package socket

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/slack-go/slack"
)

// PermanentError is an answer of Slack that time does not heal. Its text tells
// the operator what to do.
type PermanentError struct {
	Code   string // Slack's error code or disconnect reason
	Advice string // what to do, a sentence without a full stop
}

// Error names the code and the cure.
func (e *PermanentError) Error() string {
	return fmt.Sprintf("slack connection: %q: %s", e.Code, e.Advice)
}

const linkDisabled = "link_disabled"

// permanent tells what to do about each error code of apps.connections.open
// and each disconnect reason that ends the bot. Slack's client ends on the
// first four only and retries the others for ever.
func permanent(code string) *PermanentError {
	const tokens = `check slack.app_token (SLACK_APP_TOKEN): create one under "Basic Information", "App-Level Tokens" of the app, with scope connections:write`
	advice := map[string]string{
		"invalid_auth":           "Slack does not know the app token; " + tokens,
		"not_authed":             "no app token was sent; " + tokens,
		"token_revoked":          "the app token was revoked; " + tokens,
		"token_expired":          "the app token has expired; " + tokens,
		"account_inactive":       "the app was removed from the workspace or its owner was deactivated; install it again, then " + tokens,
		"not_allowed_token_type": "Socket Mode needs the app-level token, which begins with xapp-, not a bot or user token (xoxb-, xoxp-); " + tokens,
		"missing_scope":          "the app token lacks the scope connections:write; " + tokens,
		"access_denied":          "the app token may not open connections (an administrator may have restricted the app); " + tokens,
		linkDisabled:             `Socket Mode is switched off for the app; switch it on under "Socket Mode" of the app's settings and start the bot again`,
	}[code]
	if advice == "" {
		return nil
	}
	return &PermanentError{Code: code, Advice: advice}
}

// openError turns an error of apps.connections.open into a permanent one or
// says what failed.
func openError(err error) error {
	var answer slack.SlackErrorResponse
	if errors.As(err, &answer) {
		if p := permanent(answer.Err); p != nil {
			return p
		}
		return fmt.Errorf("slack connection: apps.connections.open answered %q: %w", answer.Err, err)
	}
	return fmt.Errorf("slack connection: apps.connections.open: %w", err)
}

// dialError says why the WebSocket could not be opened, without the URL: its
// query is a ticket that opens a connection.
func dialError(resp *http.Response, err error) error {
	err = WithoutURL(err)
	if resp != nil {
		return fmt.Errorf("slack connection: dial WebSocket: answered %d: %w", resp.StatusCode, err)
	}
	return fmt.Errorf("slack connection: dial WebSocket: %w", err)
}

// withoutURL takes the URL out of a client's error: socket tickets and
// response URLs let anybody act who knows them.
func WithoutURL(err error) error {
	var named *url.Error
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

// retryAfter returns how long Slack asked to wait, 0 when it did not.
func retryAfter(err error) time.Duration {
	var limited *slack.RateLimitedError
	if errors.As(err, &limited) {
		return limited.RetryAfter
	}
	return 0
}
