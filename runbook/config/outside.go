package config

import (
	"net/url"
	"strings"

	"jwksbot/runbook/outbound"
)

// validateOutside checks what lies around cache and approvals: gateway,
// CommandBridge, canary, escalation.
func (t *Target) validateOutside(c *checker) {
	t.validateGateway(c)
	t.validateBridge(c)
	t.validateCanary(c)
	t.validateEscalation(c)
}

var (
	apiID    = pattern(`^[a-z0-9]{1,32}$`)
	topicARN = pattern(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$`)
	groupID  = pattern(`^S[A-Z0-9]{2,}$`)
)

func (t *Target) validateGateway(c *checker) {
	g := t.Gateway
	for key, id := range map[string]string{"gateway.rest_api": g.RestAPI, "gateway.http_api": g.HTTPAPI} {
		if id != "" && !apiID().MatchString(id) {
			c.bad(key, "%q is no API id: it looks like a1b2c3d4e5; take it from the API's page or from its URL", id)
		}
	}
	switch {
	case g.RestAPI != "" && g.HTTPAPI != "":
		c.bad("gateway", "rest_api and http_api are both set: one gateway stands before one authoriser")
	case g.RestAPI == "" && g.HTTPAPI == "" && (g.Stage != "" || g.AccessLogGroup != "") && !c.unset("gateway.rest_api", "gateway.http_api"):
		c.bad("gateway", "rest_api or http_api is needed beside stage and access_log_group")
	case g.RestAPI != "" && g.Stage == "" && !c.unset("gateway.stage"):
		c.bad("gateway.stage", "a REST API needs the name of its stage")
	}
}

func (t *Target) validateBridge(c *checker) {
	switch t.Cache.Via {
	case "direct":
	case "commandbridge":
		if t.CommandBrdg.URL == "" && !c.unset("commandbridge.url") {
			c.bad("cache.via", "commandbridge needs commandbridge.url")
		}
	default:
		c.bad("cache.via", "%q: direct or commandbridge", t.Cache.Via)
	}
	if t.CommandBrdg.URL != "" {
		checkURL(c, "commandbridge.url", t.CommandBrdg.URL)
	}
}

func (t *Target) validateCanary(c *checker) {
	n := t.Canary
	if n.TokenURL == "" && n.URL == "" {
		return
	}
	for key, value := range map[string]string{"canary.token_url": n.TokenURL, "canary.url": n.URL, "canary.client_id": n.ClientID, "canary.client_secret": n.ClientSecret.Reveal()} {
		if value == "" && !c.unset(key) {
			c.bad(key, "needed: a canary gets a token from token_url as client_id and calls url with it")
		}
	}
	checkURL(c, "canary.token_url", n.TokenURL)
	checkURL(c, "canary.url", n.URL)
}

func (t *Target) validateEscalation(c *checker) {
	e := t.Escalation
	if e.UserGroup != "" && !groupID().MatchString(e.UserGroup) {
		c.bad("escalation.user_group", "%q is no user group: take its id (S…) from Slack, not its name", e.UserGroup)
	}
	if e.SNSTopic != "" && !topicARN().MatchString(e.SNSTopic) {
		c.bad("escalation.sns_topic", "%q is no topic: write its ARN, arn:aws:sns:REGION:ACCOUNT:NAME", e.SNSTopic)
	}
	if e.PagerDutyURL != "" {
		checkURL(c, "escalation.pagerduty_url", e.PagerDutyURL)
	}
	if e.Ratio <= 0 || e.Ratio > 1 {
		c.bad("escalation.ratio", "must be above 0%% and at most 100%%")
	}
	if t.Watch.For > maxWatch {
		c.bad("watch.for", "%s is above %s: a watch is the observation after a mitigation, not a monitor", t.Watch.For, maxWatch)
	}
	for key, d := range map[string]bool{"watch.for": t.Watch.For < 0, "escalation.for": e.For < 0, "escalation.min_requests": e.MinRequests < 0} {
		if d {
			c.bad(key, "must not be negative")
		}
	}
}

// checkURL refuses what would carry a secret, or the keys that everything hangs
// on, over an open connection.
func checkURL(c *checker, key, raw string) {
	if raw == "" {
		return
	}
	u, err := url.Parse(raw)
	switch {
	case strings.Contains(raw, "@") && (err != nil || u.User != nil || u.Host == ""): // may hold a password: it is not repeated
		c.bad(key, "the URL must not carry a user or password")
	case err != nil || u.Host == "":
		c.bad(key, "%q is no URL", raw)
	case !outbound.Private(u):
		c.bad(key, "%q must be https, except on a loopback address", raw)
	}
}
