package config

import (
	"time"

	"jwksbot/runbook/redact"
)

// Config is the one YAML file, and the place where its keys are declared, in
// the order in which the example shows them. A [redact.Secret] is never shown.
// The tags of a field say the rest:
//
//	yaml     its name
//	default  its value when the file does not set it; a list's items are separated by commas
//	example  what the example shows instead of the default; "-": the key is not shown
//	help     what stands beside it in the example
//	form     what its text must look like, see formOf
//	need     what cannot be done while its variable is not set, see Use
//	style    "flow": the example shows the group on one line
type Config struct {
	Slack    Slack         `yaml:"slack"`
	Journal  redact.Secret `yaml:"journal" default:"jwksbot.db" need:"record" help:"SQLite file, on a disk that outlives the container"` // a URL may carry a password
	Snapshot Snapshot      `yaml:"snapshot"`
	AuditKey redact.Secret `yaml:"audit_key" form:"key" need:"record" help:"32 bytes in base64 key the audit chain"`
	People   []Person      `yaml:"people" help:"{slack: U012AB3CD, aws: arn:aws:iam::111122223333:user/robin}"`
	Listen   string        `yaml:"listen" default:"127.0.0.1:9090" form:"address" help:"/healthz, /readyz and /metrics"`
	Targets  []Target      `yaml:"targets"`

	lines source // where each value stands, and which variables are unset
}

// Slack holds the two tokens of the app.
type Slack struct {
	BotToken redact.Secret `yaml:"bot_token" default:"${SLACK_BOT_TOKEN}" form:"bot token" need:"serve" help:"xoxb-…"`
	AppToken redact.Secret `yaml:"app_token" default:"${SLACK_APP_TOKEN}" form:"app-level token" need:"serve" help:"xapp-…, scope connections:write"`
}

// Snapshot says how long, and how much, a flush can be undone.
type Snapshot struct {
	Key        redact.Secret `yaml:"key" form:"key" need:"record" help:"32 bytes in base64 encrypt what a flush could be undone with"`
	Keep       time.Duration `yaml:"keep" default:"24h"`
	MaxEntries int           `yaml:"max_entries" default:"10000" help:"a larger flush cannot be undone and needs an override"`
	MaxBytes   int64         `yaml:"max_bytes" default:"67108864"`
}

// Person maps an AWS identity to the Slack account of the same human.
type Person struct {
	Slack string `yaml:"slack"`
	AWS   string `yaml:"aws"`
}

// Target is one environment: an issuer, the cache of its keys, and what stands
// around them.
type Target struct {
	Name        string        `yaml:"name" example:"production"`
	Region      string        `yaml:"region" example:"eu-west-2" need:"check policy"`
	UserPoolID  string        `yaml:"user_pool_id" example:"eu-west-2_AbCdEfGhI" form:"user pool" need:"check policy" help:"terraform output cognito_user_pool_id; or jwks_url and issuer"`
	JWKSURL     string        `yaml:"jwks_url" example:"-" form:"url" need:"check"`
	Issuer      string        `yaml:"issuer" example:"-" form:"url" need:"check"`
	Channel     string        `yaml:"channel" example:"inc-bridge" help:"where it posts when nobody typed a command somewhere"`
	Cache       Cache         `yaml:"cache"`
	Authoriser  Authoriser    `yaml:"authoriser"`
	Gateway     Gateway       `yaml:"gateway" style:"flow" help:"one of the two ids"`
	CommandBrdg CommandBridge `yaml:"commandbridge" style:"flow" help:"for cache.via: commandbridge"`
	Canary      Canary        `yaml:"canary" style:"flow" help:"one sign-in as proof"`
	Approval    Approval      `yaml:"approval"`
	Watch       Watch         `yaml:"watch"`
	Escalation  Escalation    `yaml:"escalation" help:"failures ÷ requests above ratio for longer than for"`
}

// Cache says where the entries lie and how to get there.
type Cache struct {
	ReplicationGroup string        `yaml:"replication_group" example:"production-oidc-cache" need:"check policy" help:"endpoints, TLS and nodes are discovered; or serverless: NAME"`
	Serverless       string        `yaml:"serverless" example:"-" need:"check policy"`
	URL              redact.Secret `yaml:"url" need:"check policy" help:"or redis://, rediss://, several hosts with commas for a cluster"` // may carry a password
	Auth             string        `yaml:"auth" example:"iam" form:"one of iam, password, none" need:"check" help:"iam | password | none"`
	Username         string        `yaml:"username" example:"jwksbot" need:"check policy"`
	Password         redact.Secret `yaml:"password" need:"check"`
	Keys             []string      `yaml:"keys" default:"jwks:*" form:"entries" help:"only what matches is ever read or deleted"`
	AllowFlushAll    bool          `yaml:"allow_flush_all" help:"true: a request may ask for everything on every primary"`
	Via              string        `yaml:"via" default:"direct" form:"direct or commandbridge" help:"or commandbridge"`
}

// Authoriser is the Lambda function that validates tokens, and its log.
type Authoriser struct {
	Function       string        `yaml:"function" example:"oidc-authoriser" need:"check policy"`
	LogGroup       string        `yaml:"log_group" example:"/aws/lambda/oidc-authoriser" need:"check policy"`
	FailurePattern string        `yaml:"failure_pattern" help:"default: any of the known failure phrases"`
	SuccessPattern string        `yaml:"success_pattern" help:"default: the known phrases of an accepted token"`
	TokenLifetime  time.Duration `yaml:"token_lifetime" help:"how long access tokens live, as set in the pool; 0s: not said, 1 h is usual and 24 h the most"`
	Patterns       []LogPattern  `yaml:"patterns" help:"more log patterns: {class: unknown_kid, regexp: 'no key (?P<kid>\\S+)'}"`
}

// LogPattern is one more form of a log line, and the class that it stands for.
type LogPattern struct {
	Class  string `yaml:"class"`
	Regexp string `yaml:"regexp"`
}

// Gateway is the API in front of the authoriser: one of the two ids.
type Gateway struct {
	RestAPI        string `yaml:"rest_api" form:"api" need:"check policy"`
	HTTPAPI        string `yaml:"http_api" form:"api" need:"check policy"`
	Stage          string `yaml:"stage" need:"check policy"`
	AccessLogGroup string `yaml:"access_log_group" need:"check policy"`
}

// CommandBridge is the other way to flush: a button of CommandBridge.
type CommandBridge struct {
	URL         string        `yaml:"url" form:"url" need:"act"`
	Token       redact.Secret `yaml:"token" need:"act"`
	Target      string        `yaml:"target" example:"oidc-cache"`
	Environment string        `yaml:"environment" example:"production"`
}

// Canary is a client that can sign in, for proof.
type Canary struct {
	TokenURL     string        `yaml:"token_url" form:"url" need:"act"`
	ClientID     string        `yaml:"client_id" need:"act"`
	ClientSecret redact.Secret `yaml:"client_secret" need:"act"`
	Scope        string        `yaml:"scope"`
	URL          string        `yaml:"url" form:"url" need:"act"`
}

// Approval says who may look, ask and approve.
type Approval struct {
	Viewers      []string      `yaml:"viewers" form:"people" help:"empty: every full member may check"`
	Requesters   []string      `yaml:"requesters" example:"S0ONCALL" form:"people" help:"user groups (S…) and users (U…, W…); empty: nobody"`
	Approvers    []string      `yaml:"approvers" example:"S0LEADS, U012AB3CD" form:"people"`
	Required     int           `yaml:"required" default:"1" help:"approvals by different people, the requester's own does not count"`
	SelfApproval bool          `yaml:"self_approval"`
	Expires      time.Duration `yaml:"expires" default:"15m"`
	Cooldown     time.Duration `yaml:"cooldown" default:"5m"`
	BreakGlass   bool          `yaml:"break_glass" help:"true: a requester may act alone, loudly recorded"`
	Local        bool          `yaml:"local" default:"true" help:"false: only jwksbot serve finds out who asks and approves, never the machine of a terminal"`
}

// Watch says how long to look after a mitigation, and how often at the live
// keys.
type Watch struct {
	For           time.Duration `yaml:"for" default:"15m" help:"observation after a mitigation"`
	RotationEvery time.Duration `yaml:"rotation_every" help:"1m: tell the channel when a new key is live and the cache still has the old ones"`
}

// Escalation says who is called when failures persist, and when they do.
type Escalation struct {
	UserGroup    string        `yaml:"user_group" example:"S0IDENTITY" form:"group" need:"act"`
	PagerDutyKey redact.Secret `yaml:"pagerduty_key" need:"act" help:"integration key of the Events API v2"`
	PagerDutyURL string        `yaml:"pagerduty_url" example:"-" form:"url" need:"act"`
	SNSTopic     string        `yaml:"sns_topic" form:"topic" need:"act policy"`
	Ratio        Percent       `yaml:"ratio" default:"10%"`
	For          time.Duration `yaml:"for" default:"10m"`
	MinRequests  int           `yaml:"min_requests" default:"20" help:"quieter minutes are pooled until they hold this many"`
}

// Percent is a share between 0 and 1, written as "10%".
type Percent float64

// maxWatch bounds the observation after a mitigation.
const maxWatch = 6 * time.Hour
