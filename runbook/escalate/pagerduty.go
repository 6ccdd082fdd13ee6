package escalate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/PagerDuty/go-pagerduty"

	"jwksbot/runbook"
	"jwksbot/runbook/outbound"
	"jwksbot/runbook/redact"
)

const (
	// DefaultPagerDutyURL is the Events API of PagerDuty's US service region;
	// the EU region's is https://events.eu.pagerduty.com (PagerDuty, "Service
	// Regions").
	DefaultPagerDutyURL = "https://events.pagerduty.com"
	// summaryLimit is the longest summary of an event (Events API v2, PD-CEF).
	summaryLimit = 1024
	// attempts bounds how often one call sends an event; its context may end it
	// earlier.
	attempts = 6
	// attemptWithin is how long one sending may take.
	attemptWithin = 10 * time.Second
	// firstPause doubles after every attempt, up to longestPause. PagerDuty's
	// rate limits are per minute.
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// PagerDutySettings say which service of PagerDuty is to be alarmed.
type PagerDutySettings struct {
	Key   redact.Secret // routing key (integration key) of an Events API v2 integration
	URL   string        // "": DefaultPagerDutyURL; https, or http on a loopback address
	Clock runbook.Clock // nil: real time
	HTTP  *http.Client  // nil: a plain one with the environment's proxy
}

// PagerDuty opens and closes incidents. It is safe for concurrent use.
type PagerDuty struct {
	key   redact.Secret
	url   string
	clock runbook.Clock
	http  *http.Client
}

// NewPagerDuty checks the settings; it makes no request.
func NewPagerDuty(s PagerDutySettings) (*PagerDuty, error) {
	if s.Key == "" {
		return nil, errors.New("pagerduty: no key: set escalation.pagerduty_key to the integration key of an Events API v2 integration")
	}
	base, err := eventsURL(s.URL)
	if err != nil {
		return nil, err
	}
	p := &PagerDuty{key: s.Key, url: base, clock: s.Clock, http: s.HTTP}
	if p.clock == nil {
		p.clock = runbook.SystemClock{}
	}
	if p.http == nil {
		p.http = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone(), CheckRedirect: noRedirect}
	}
	return p, nil
}

// noRedirect keeps the routing key from being sent anywhere else.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// eventsURL is the base of the Events API; the path of its one call may be
// part of what was configured.
func eventsURL(raw string) (string, error) {
	if raw == "" {
		return DefaultPagerDutyURL, nil
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "":
		return "", errors.New("pagerduty: escalation.pagerduty_url is not a URL: write " + DefaultPagerDutyURL + ", or leave it out")
	case u.User != nil || u.RawQuery != "":
		return "", errors.New("pagerduty: escalation.pagerduty_url must hold no password and no query: the key has its own setting, escalation.pagerduty_key")
	case !outbound.Private(u):
		return "", fmt.Errorf("pagerduty: escalation.pagerduty_url %q must be https, except on a loopback address: the key is sent there", raw)
	}
	return strings.TrimSuffix(strings.TrimRight(raw, "/"), "/v2/enqueue"), nil
}

// Trigger opens the incident of the alarm's key, or adds to it when it is open.
// It is repeated, with growing pauses, while PagerDuty is busy or out of order
// and ctx lasts. An answer that no repetition changes is a [runbook.Denied].
func (p *PagerDuty) Trigger(ctx context.Context, a runbook.Alarm) error {
	return p.send(ctx, "trigger", a)
}

// Resolve closes the incident of the alarm's key. One that is closed, or was
// never opened, stays so.
func (p *PagerDuty) Resolve(ctx context.Context, a runbook.Alarm) error {
	return p.send(ctx, "resolve", a)
}

func (p *PagerDuty) event(action string, a runbook.Alarm) *pagerduty.V2Event {
	e := &pagerduty.V2Event{RoutingKey: p.key.Reveal(), Action: action, DedupKey: a.Key}
	if action != "trigger" {
		return e
	}
	e.Client = "jwksbot"
	e.Payload = &pagerduty.V2Payload{
		Summary: text(a.Summary, summaryLimit), Source: a.Target, Severity: "critical",
		Component: "token validation", Class: "signing keys",
		Details: map[string]any{"target": a.Target, "run": a.Run, "ticket": text(a.Ticket, 100), "evidence": lines(a.Evidence, 30)},
	}
	if !a.At.IsZero() {
		e.Payload.Timestamp = a.At.UTC().Format(time.RFC3339)
	}
	return e
}

func (p *PagerDuty) send(ctx context.Context, action string, a runbook.Alarm) error {
	if a.Key == "" {
		return fmt.Errorf("pagerduty: %s: the alarm has no key", action)
	}
	pause := firstPause
	for n := 1; ; n++ {
		x := &exchange{http: p.http}
		err := p.once(ctx, x, p.event(action, a))
		if err == nil {
			return nil
		}
		if !x.temporary() {
			return &runbook.Denied{Err: p.explain(action, x, n, err)}
		}
		if n == attempts || ctx.Err() != nil {
			return p.explain(action, x, n, err)
		}
		if p.clock.Wait(ctx, max(pause, min(x.retryAfter, longestPause))) != nil {
			return p.explain(action, x, n, err)
		}
		pause = min(2*pause, longestPause)
	}
}

func (p *PagerDuty) once(ctx context.Context, x *exchange, e *pagerduty.V2Event) error {
	ctx, cancel := context.WithTimeout(ctx, attemptWithin)
	defer cancel()
	client := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(p.url))
	client.HTTPClient = x // the SDK forgets Retry-After and what the Events API says
	_, err := client.ManageEventWithContext(ctx, e)
	if x.status == http.StatusAccepted {
		return nil // taken, whatever its answer looks like
	}
	if err == nil {
		err = fmt.Errorf("answered %d instead of 202", x.status)
	}
	return err
}

// explain says what PagerDuty answered and what to do. It is built from the
// status and a redacted excerpt, never from the SDK's text alone, and holds no
// key.
func (p *PagerDuty) explain(action string, x *exchange, n int, err error) error {
	what := fmt.Sprintf("pagerduty: %s", action)
	said := ""
	if x.excerpt != "" {
		said = ": it says " + p.hide(x.excerpt)
	}
	switch {
	case x.err != nil:
		return fmt.Errorf("%s: no answer from %s after %s: nobody was paged by it; check escalation.pagerduty_url and outbound network access, and page by hand: %w", what, p.url, times(n), x.err)
	case x.status == http.StatusBadRequest || x.status == http.StatusForbidden || x.status == http.StatusUnauthorized:
		return fmt.Errorf("%s: refused with %d%s: check that escalation.pagerduty_key is the integration key of an Events API v2 integration, and page by hand", what, x.status, said)
	case x.status == http.StatusTooManyRequests:
		return fmt.Errorf("%s: too many events for this key (429) after %s: page by hand; it is tried again with the next point", what, times(n))
	case x.status >= 300 && x.status < 400:
		return fmt.Errorf("%s: %s redirects (%d), which is not followed with a key: set escalation.pagerduty_url to where it leads", what, p.url, x.status)
	case x.status > 0:
		return fmt.Errorf("%s: %s answered %d after %s%s: page by hand", what, p.url, x.status, times(n), said)
	}
	return errors.New(what + ": " + p.hide(err.Error()))
}

func (p *PagerDuty) hide(s string) string {
	return text(strings.ReplaceAll(s, p.key.Reveal(), "[hidden]"), 300)
}

func times(n int) string {
	if n == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", n)
}
