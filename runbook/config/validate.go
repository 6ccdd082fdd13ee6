package config

import (
	"encoding/base64"
	"fmt"
	"net"
	"path"
	"strings"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/redact"
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
	c.validateKeys(p, at)
	c.validatePeople(p, at, rules)
	if !c.lines.has("slack.bot_token") {
		checkToken(p, at("slack.bot_token"), "slack.bot_token", c.Slack.BotToken, "xoxb-", "a bot token")
	}
	if !c.lines.has("slack.app_token") {
		checkToken(p, at("slack.app_token"), "slack.app_token", c.Slack.AppToken, "xapp-", "an app-level token")
	}
	switch err := rules.Journal(c.Journal.Reveal()); {
	case c.lines.has("journal"):
	case c.Journal == "":
		p.add(at("journal"), "journal: a file name or a postgres:// URL is needed")
	case err != nil:
		p.add(at("journal"), "journal: %v", err)
	}
	if c.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			p.add(at("listen"), "listen: %q is no address: write 127.0.0.1:9090", c.Listen)
		}
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

func (c *Config) validateKeys(p *Problems, at func(string) int) {
	for path, key := range map[string]redact.Secret{"snapshot.key": c.Snapshot.Key, "audit_key": c.AuditKey} {
		if b, err := base64.StdEncoding.DecodeString(key.Reveal()); key != "" && (err != nil || len(b) != 32) {
			p.add(at(path), "%s: not 32 bytes in base64; make one with: openssl rand -base64 32", path)
		}
	}
	if c.Snapshot.MaxEntries < 1 || c.Snapshot.MaxBytes < 1 {
		p.add(at("snapshot"), "snapshot: max_entries and max_bytes must be at least 1")
	}
}

func (c *Config) validatePeople(p *Problems, at func(string) int, rules Rules) {
	seen := map[string]bool{}
	for i, person := range c.People {
		if seen[person.AWS] && person.AWS != "" {
			p.add(at(fmt.Sprintf("people[%d].aws", i)), "people[%d].aws: %q stands for two people", i, person.AWS)
		}
		seen[person.AWS] = true
		if !slackUser().MatchString(person.Slack) || !strings.HasPrefix(person.AWS, "arn:") {
			p.add(at(fmt.Sprintf("people[%d]", i)), "people[%d]: needs slack: U… (or W…) and aws: arn:…", i)
		} else if !rules.Personal(person.AWS) {
			p.add(at(fmt.Sprintf("people[%d].aws", i)), "people[%d].aws: %q does not stand for one person: name an IAM user (…:user/NAME) or the session of an SSO role (…:assumed-role/AWSReservedSSO_…/NAME); whoever assumes another role chooses the session's name", i, person.AWS)
		}
	}
}

// checkToken refuses a token of the wrong kind before Slack does. An empty one
// is the business of the command that needs it.
func checkToken(p *Problems, line int, path string, token redact.Secret, prefix, kind string) {
	if t := token.Reveal(); t != "" && !strings.HasPrefix(t, prefix) {
		p.add(line, "%s: this is no %s: it must begin with %s", path, strings.TrimPrefix(strings.TrimPrefix(kind, "an "), "a "), prefix)
	}
}

var (
	targetName  = pattern(`^[a-z0-9][a-z0-9_-]{0,39}$`)
	slackUser   = pattern(`^[UW][A-Z0-9]{2,}$`)
	slackPerson = pattern(`^[UWS][A-Z0-9]{2,}$`)
	anything    = pattern(`^([*?]|\[[^\]]*\])*$`) // a key pattern without one letter of its own
	poolID      = pattern(`^[a-z]{2}(-[a-z]+)+-\d_[A-Za-z0-9]+$`)
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
	t.validateOutside(c)
}

func (t *Target) validateAuthoriser(check *checker) {
	bad := check.bad
	for i, one := range t.Authoriser.Patterns {
		if err := check.rules.Pattern(one); err != nil {
			bad(fmt.Sprintf("authoriser.patterns[%d]", i), "%s", err)
		}
	}
	if life := t.Authoriser.TokenLifetime; life < 0 || life > 0 && life < time.Minute {
		bad("authoriser.token_lifetime", "%s is no lifetime of tokens: write 1h, or 0s when it is not known", life)
	}
}

type badFunc func(key, format string, args ...any)

func (t *Target) validateIssuer(check *checker) {
	bad := check.bad
	if t.UserPoolID != "" && !poolID().MatchString(t.UserPoolID) {
		bad("user_pool_id", "%q is no user pool id: it looks like eu-west-2_AbCdEfGhI", t.UserPoolID)
	}
	if t.UserPoolID != "" && t.Region != "" && !check.unset("region") && !strings.HasPrefix(t.UserPoolID, t.Region+"_") {
		bad("user_pool_id", "%q is not of region %s", t.UserPoolID, t.Region)
	}
	if t.UserPoolID == "" && t.JWKSURL == "" && t.Issuer == "" && !check.unset("user_pool_id", "jwks_url", "issuer") {
		bad("name", "no way to find the live keys: set user_pool_id, jwks_url or issuer")
	}
	for key, raw := range map[string]string{"jwks_url": t.JWKSURL, "issuer": t.Issuer} {
		checkURL(check, key, raw)
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
			bad("cache.url", "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	if len(c.Keys) == 0 {
		bad("cache.keys", "no pattern: nothing could ever be read; the usual one is \"jwks:*\"")
	}
	for i, k := range c.Keys {
		if _, err := path.Match(k, ""); err != nil || anything().MatchString(k) {
			bad(fmt.Sprintf("cache.keys[%d]", i), "%q would match everything, or is no pattern: name the entries that hold key sets, like \"jwks:*\"", k)
		}
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
		problem = fmt.Sprintf("%q: one of iam, password, none", c.Auth)
	}
	if problem != "" {
		check.bad("cache.auth", "%s", problem)
	}
	return problem == ""
}

func (t *Target) validateApproval(bad badFunc) {
	a := t.Approval
	groups, people := false, map[string]bool{}
	for key, list := range map[string][]string{"viewers": a.Viewers, "requesters": a.Requesters, "approvers": a.Approvers} {
		for i, id := range list {
			if !slackPerson().MatchString(id) {
				bad(fmt.Sprintf("approval.%s[%d]", key, i), "%q is neither a user (U…, W…) nor a user group (S…); take the id from Slack, not the name", id)
			}
		}
	}
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

// at is the line of a value, or of the nearest thing around it.
func (s source) at(path string) int {
	for path != "" {
		if line, ok := s.line[path]; ok {
			return line
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			break
		}
		path = path[:i]
	}
	return s.line[""]
}

// has says whether a value hangs on a variable that is not set.
func (s source) has(path string) bool { return s.unset[path] != "" }
