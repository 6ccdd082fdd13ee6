package main

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"

	"jwksbot/runbook"
	"jwksbot/runbook/authoriser"
	"jwksbot/runbook/canary"
	"jwksbot/runbook/check"
	"jwksbot/runbook/commandbridge"
	"jwksbot/runbook/config"
	"jwksbot/runbook/escalate"
	"jwksbot/runbook/telemetry"
)

// making is a target that is being made ready.
type making struct {
	target *check.Target
	config config.Target
	region aws.Config
	has    func(keys ...string) bool // none of these hangs on a variable that is not set
}

// addTelemetry gives a target its readers of CloudWatch: cache and gateway
// traffic, the authoriser's log, the access log.
func (p *parts) addTelemetry(m making) error {
	t, c := m.target, m.config
	metrics, err := telemetry.NewMetrics(telemetry.MetricSettings{AWS: m.region, Serverless: c.Cache.Serverless != ""})
	if err != nil {
		return err
	}
	if c.Cache.URL == "" {
		t.Traffic = metrics
	}
	if c.Gated() {
		t.Meter = metrics
	}
	pace := p.pace(m.region.Region)
	if group := c.Gateway.AccessLogGroup; group != "" {
		access, err := telemetry.NewAccessLog(telemetry.AccessLogSettings{AWS: m.region, Group: group, Pace: pace, Clock: p.clock})
		if err != nil {
			return err
		}
		t.Access = access
	}
	if c.Authoriser.LogGroup == "" {
		return nil
	}
	var patterns []telemetry.Pattern
	for _, one := range c.Authoriser.Patterns {
		patterns = append(patterns, telemetry.Pattern(one))
	}
	logs, err := telemetry.NewLogs(telemetry.LogSettings{AWS: m.region, Group: c.Authoriser.LogGroup, Pace: pace, Clock: p.clock,
		FailurePattern: c.Authoriser.FailurePattern, SuccessPattern: c.Authoriser.SuccessPattern, Patterns: patterns})
	if err != nil {
		return err
	}
	t.Logs, t.Streams, t.Successes = logs, logs, logs
	return nil
}

// pace is what all readers of a Region's logs share: the quota is the
// account's.
func (p *parts) pace(region string) *telemetry.Pace {
	if p.paces == nil {
		p.paces = map[string]*telemetry.Pace{}
	}
	if p.paces[region] == nil {
		p.paces[region] = telemetry.NewPace()
	}
	return p.paces[region]
}

// addAuthoriser gives a target its Lambda function and its gateway.
func (p *parts) addAuthoriser(m making) error {
	t, c := m.target, m.config
	if c.Authoriser.Function != "" {
		function, err := authoriser.NewFunction(authoriser.Settings{AWS: m.region, Name: c.Authoriser.Function, Clock: p.clock})
		if err != nil {
			return err
		}
		t.Function = function
	}
	if !c.Gated() {
		return nil
	}
	gateway, err := authoriser.NewGateway(authoriser.GatewaySettings{AWS: m.region,
		RestAPI: c.Gateway.RestAPI, HTTPAPI: c.Gateway.HTTPAPI, Stage: c.Gateway.Stage})
	if err != nil {
		return err
	}
	t.API = gateway
	return nil
}

// addProof gives a target its other ways to act and to prove.
func (p *parts) addProof(m making) error {
	t, c := m.target, m.config
	if c.Cache.Via == string(runbook.RouteBridge) && m.has("commandbridge.url", "commandbridge.token") {
		bridge, err := commandbridge.New(commandbridge.Settings{URL: c.CommandBrdg.URL, Token: c.CommandBrdg.Token,
			Target: c.CommandBrdg.Target, Environment: c.CommandBrdg.Environment})
		if err != nil {
			return err
		}
		t.Bridge, t.Route = bridge, runbook.RouteBridge
	}
	if c.Canary.URL == "" || !m.has("canary.token_url", "canary.client_id", "canary.client_secret", "canary.url") {
		return nil
	}
	bird, err := canary.New(canary.Settings{TokenURL: c.Canary.TokenURL, ClientID: c.Canary.ClientID, ClientSecret: c.Canary.ClientSecret,
		Scope: c.Canary.Scope, URL: c.Canary.URL, RootCAs: p.roots})
	if err != nil {
		return err
	}
	t.Canary = bird
	return nil
}

// addEscalation gives a target its watch, and those who are called.
func (p *parts) addEscalation(m making) (err error) {
	t, e := m.target, m.config.Escalation
	t.Watch = runbook.WatchPolicy{For: m.config.Watch.For, Ratio: float64(e.Ratio), Over: e.For, MinRequests: float64(e.MinRequests), UserGroup: e.UserGroup}
	if e.PagerDutyKey != "" {
		pager, perr := escalate.NewPagerDuty(escalate.PagerDutySettings{Key: e.PagerDutyKey, URL: e.PagerDutyURL, Clock: p.clock})
		if perr == nil {
			t.Pager = pager
		}
		err = errors.Join(err, perr)
	}
	if e.SNSTopic != "" {
		topic, serr := escalate.NewSNS(m.region, e.SNSTopic)
		if serr == nil {
			t.Publisher = topic
		}
		err = errors.Join(err, serr)
	}
	return err
}
