package config

import (
	"fmt"
	"strings"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
)

// Rules judge what the adapters alone can judge, each in the constructor that
// takes the value later. Reading adds the path and the line to what they say.
type Rules struct {
	Journal  func(place string) error // the journal's file or URL
	Personal func(arn string) bool    // whether an AWS identity stands for one person
	Cache    func(Cache) error        // how a cache is reached
	Pattern  func(LogPattern) error   // one more pattern for the authoriser's log
}

// validate collects everything that is wrong and can be known without a
// network.
func (c *Config) validate(p *Problems, rules Rules) {
	at := func(path string) int { return c.lines.at(path) }
	c.validateForms(p)
	c.validatePeople(p, at, rules)
	switch err := rules.Journal(c.Journal.Reveal()); {
	case c.lines.has("journal"):
	case c.Journal == "":
		p.add(at("journal"), "journal: a file name or a postgres:// URL is needed")
	case err != nil:
		p.add(at("journal"), "journal: %v", err)
	}
	if c.Snapshot.MaxEntries < 1 || c.Snapshot.MaxBytes < 1 {
		p.add(at("snapshot"), "snapshot: max_entries and max_bytes must be at least 1")
	}
	if len(c.Targets) == 0 {
		p.add(at("targets"), "targets: none; at least one environment to look after is needed")
	}
	seen := map[string]bool{}
	for i := range c.Targets {
		t := &c.Targets[i]
		pre := fmt.Sprintf("targets[%d]", i)
		t.validate(&checker{p: p, src: c.lines, pre: pre, rules: rules})
		if t.Name != "" && seen[t.Name] {
			p.add(at(pre+".name"), "%s.name: %q is used twice", pre, t.Name)
		}
		seen[t.Name] = true
	}
}

func (c *Config) validatePeople(p *Problems, at func(string) int, rules Rules) {
	seen := map[string]bool{}
	for i, person := range c.People {
		if seen[person.AWS] && person.AWS != "" {
			p.add(at(fmt.Sprintf("people[%d].aws", i)), "people[%d].aws: %q is used for two people", i, person.AWS)
		}
		seen[person.AWS] = true
		if !slackUser().MatchString(person.Slack) || !strings.HasPrefix(person.AWS, "arn:") {
			p.add(at(fmt.Sprintf("people[%d]", i)), "people[%d]: needs slack: U… (or W…) and aws: arn:…", i)
		} else if !rules.Personal(person.AWS) {
			p.add(at(fmt.Sprintf("people[%d].aws", i)), "people[%d].aws: %q does not stand for one person: name an IAM user (…:user/NAME) or the session of an SSO role (…:assumed-role/AWSReservedSSO_…/NAME); whoever assumes another role chooses the session's name", i, person.AWS)
		}
	}
}

var (
	targetName = pattern(`^[a-z0-9][a-z0-9_-]{0,39}$`)
	slackUser  = pattern(`^[UW][A-Z0-9]{2,}$`)
)

// checker takes what is wrong with one target.
type checker struct {
	p     *Problems
	src   source
	pre   string // "targets[0]"
	rules Rules
}

// unset says whether one of the values hangs on a variable that is not set:
// whether it is right shows when a command needs it.
func (c *checker) unset(keys ...string) bool {
	for _, key := range keys {
		if c.src.has(c.pre + "." + key) {
			return true
		}
	}
	return false
}

func (c *checker) bad(key, format string, args ...any) {
	if !c.unset(key) {
		c.p.add(c.src.at(c.pre+"."+key), "%s.%s: %s", c.pre, key, fmt.Sprintf(format, args...))
	}
}

func (t *Target) validate(c *checker) {
	bad := c.bad
	if !targetName().MatchString(t.Name) {
		bad("name", "%q: 1 to 40 of a-z, 0-9, - and _, as people type it after /jwks-check", t.Name)
	}
	t.validateIssuer(c)
	t.validateCache(c)
	t.validateApproval(bad)
	t.validateAuthoriser(c)
	t.validateGateway(c)
	t.validateBridge(c)
	t.validateCanary(c)
	t.validateEscalation(c)
}

func (t *Target) validateAuthoriser(check *checker) {
	bad := check.bad
	for i, one := range t.Authoriser.Patterns {
		if err := check.rules.Pattern(one); err != nil {
			bad(fmt.Sprintf("authoriser.patterns[%d]", i), "%s", err)
		}
	}
	if life := t.Authoriser.TokenLifetime; life < 0 || life > 0 && life < time.Minute {
		bad("authoriser.token_lifetime", "%s is not a token lifetime: write 1h, or 0s when it is not known", life)
	}
}

type badFunc func(key, format string, args ...any)

func (t *Target) validateIssuer(check *checker) {
	bad := check.bad
	if t.UserPoolID != "" && t.Region != "" && !check.unset("region") && !strings.HasPrefix(t.UserPoolID, t.Region+"_") {
		bad("user_pool_id", "%q is not of region %s", t.UserPoolID, t.Region)
	}
	if t.UserPoolID == "" && t.JWKSURL == "" && t.Issuer == "" && !check.unset("user_pool_id", "jwks_url", "issuer") {
		bad("name", "no way to find the live keys: set user_pool_id, jwks_url or issuer")
	}
}

func (t *Target) validateCache(check *checker) {
	c, bad := t.Cache, check.bad
	ways := 0
	for key, s := range map[string]string{"replication_group": c.ReplicationGroup, "serverless": c.Serverless, "url": c.URL.Reveal()} {
		if s != "" || check.unset("cache."+key) {
			ways++
		}
	}
	if ways != 1 {
		bad("cache", "exactly one of replication_group, serverless and url is needed")
	}
	auth := c.validateAuth(check)
	if auth && c.URL != "" && ways == 1 && !check.unset("cache.url", "cache.password", "cache.username") {
		if err := check.rules.Cache(c); err != nil {
			bad("cache.url", "%s", runbook.OneLine(err))
		}
	}
	if len(c.Keys) == 0 {
		bad("cache.keys", "no pattern: nothing could ever be read; the usual one is \"jwks:*\"")
	}
}

// validateAuth says whether the way to authenticate is in order.
func (c Cache) validateAuth(check *checker) bool {
	problem := ""
	switch c.Auth {
	case "": // a password decides
	case "none":
		if c.Password != "" {
			problem = "none, but there is a password: write password, or remove it"
		}
	case "iam":
		if c.Username == "" && !check.unset("cache.username") {
			problem = "iam needs cache.username, the id of the ElastiCache user"
		}
	case "password":
		if c.Password == "" && !strings.Contains(c.URL.Reveal(), "@") && !check.unset("cache.password", "cache.url") {
			problem = "password needs cache.password"
		}
	default:
		return !check.p.malformed[check.pre+".cache.auth"]
	}
	if problem != "" {
		check.bad("cache.auth", "%s", problem)
	}
	return problem == ""
}

func (t *Target) validateApproval(bad badFunc) {
	a := t.Approval
	groups, people := false, map[string]bool{}
	for _, id := range a.Approvers {
		groups, people[id] = groups || approve.IsGroup(id), true
	}
	switch {
	case a.Required < 1:
		bad("approval.required", "at least 1 approval is needed")
	case len(a.Approvers) > 0 && !groups && a.Required > len(people):
		bad("approval.required", "%d approvals, but only %s may give one", a.Required, runbook.Plural(len(people), "person", "people"))
	}
	if a.Expires <= 0 {
		bad("approval.expires", "must be above 0")
	}
}

func (t *Target) validateGateway(c *checker) {
	g := t.Gateway
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
	switch {
	case t.Cache.Via == "":
		c.bad("cache.via", "%q: direct or commandbridge", t.Cache.Via)
	case t.Cache.Via == "commandbridge" && t.CommandBrdg.URL == "" && !c.unset("commandbridge.url"):
		c.bad("cache.via", "commandbridge needs commandbridge.url")
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
}

func (t *Target) validateEscalation(c *checker) {
	e := t.Escalation
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
