package config

import (
	"time"

	"jwksbot/runbook/approve"
	"jwksbot/runbook/redact"
)

// Config is the one YAML file. Every field has a useful default, except the
// names that only its owner knows.
type Config struct {
	Slack    Slack         `yaml:"slack"`
	Journal  redact.Secret `yaml:"journal"` // a URL may carry a password
	Snapshot Snapshot      `yaml:"snapshot"`
	AuditKey redact.Secret `yaml:"audit_key"`
	People   []Person      `yaml:"people"`
	Listen   string        `yaml:"listen"`
	Targets  []Target      `yaml:"targets"`

	lines source // where each value stands, and which variables are unset
}

// Slack holds the two tokens of the app.
type Slack struct {
	BotToken redact.Secret `yaml:"bot_token"`
	AppToken redact.Secret `yaml:"app_token"`
}

// Snapshot says how long, and how much, a flush can be undone.
type Snapshot struct {
	Key        redact.Secret `yaml:"key"`
	Keep       time.Duration `yaml:"keep"`
	MaxEntries int           `yaml:"max_entries"`
	MaxBytes   int64         `yaml:"max_bytes"`
}

// Person maps an AWS identity to the Slack account of the same human.
type Person struct {
	Slack string `yaml:"slack"`
	AWS   string `yaml:"aws"`
}

// Target is one environment: an issuer, the cache of its keys, and what stands around them.
type Target struct {
	Name        string        `yaml:"name"`
	Region      string        `yaml:"region"`
	UserPoolID  string        `yaml:"user_pool_id"`
	JWKSURL     string        `yaml:"jwks_url"`
	Issuer      string        `yaml:"issuer"`
	Channel     string        `yaml:"channel"`
	Cache       Cache         `yaml:"cache"`
	Authoriser  Authoriser    `yaml:"authoriser"`
	Gateway     Gateway       `yaml:"gateway"`
	CommandBrdg CommandBridge `yaml:"commandbridge"`
	Canary      Canary        `yaml:"canary"`
	Approval    Approval      `yaml:"approval"`
	Watch       Watch         `yaml:"watch"`
	Escalation  Escalation    `yaml:"escalation"`
}

// Cache says where the entries lie and how to get there.
type Cache struct {
	ReplicationGroup string        `yaml:"replication_group"`
	Serverless       string        `yaml:"serverless"`
	URL              redact.Secret `yaml:"url"` // may carry a password
	Auth             string        `yaml:"auth"`
	Username         string        `yaml:"username"`
	Password         redact.Secret `yaml:"password"`
	Keys             []string      `yaml:"keys"`
	AllowFlushAll    bool          `yaml:"allow_flush_all"`
	Via              string        `yaml:"via"`
}

// Authoriser is the Lambda function that validates tokens, and its log.
type Authoriser struct {
	Function       string        `yaml:"function"`
	LogGroup       string        `yaml:"log_group"`
	FailurePattern string        `yaml:"failure_pattern"`
	SuccessPattern string        `yaml:"success_pattern"`
	TokenLifetime  time.Duration `yaml:"token_lifetime"`
	Patterns       []LogPattern  `yaml:"patterns"`
}

// LogPattern is one more form of a log line, and the class that it stands for.
type LogPattern struct {
	Class  string `yaml:"class"`
	Regexp string `yaml:"regexp"`
}

// Gateway is the API in front of the authoriser: one of the two ids.
type Gateway struct {
	RestAPI        string `yaml:"rest_api"`
	HTTPAPI        string `yaml:"http_api"`
	Stage          string `yaml:"stage"`
	AccessLogGroup string `yaml:"access_log_group"`
}

// CommandBridge is the other way to flush: a button of CommandBridge.
type CommandBridge struct {
	URL         string        `yaml:"url"`
	Token       redact.Secret `yaml:"token"`
	Target      string        `yaml:"target"`
	Environment string        `yaml:"environment"`
}

// Canary is a client that can sign in, for proof.
type Canary struct {
	TokenURL     string        `yaml:"token_url"`
	ClientID     string        `yaml:"client_id"`
	ClientSecret redact.Secret `yaml:"client_secret"`
	Scope        string        `yaml:"scope"`
	URL          string        `yaml:"url"`
}

// Approval says who may look, ask and approve.
type Approval struct {
	Viewers      []string      `yaml:"viewers"`
	Requesters   []string      `yaml:"requesters"`
	Approvers    []string      `yaml:"approvers"`
	Required     int           `yaml:"required"`
	SelfApproval bool          `yaml:"self_approval"`
	Expires      time.Duration `yaml:"expires"`
	Cooldown     time.Duration `yaml:"cooldown"`
	BreakGlass   bool          `yaml:"break_glass"`
	Local        bool          `yaml:"local"`
}

// Watch says how long to look after a mitigation, and how often at the live keys.
type Watch struct {
	For           time.Duration `yaml:"for"`
	RotationEvery time.Duration `yaml:"rotation_every"`
}

// Escalation says who is called when failures persist, and when they do.
type Escalation struct {
	UserGroup    string        `yaml:"user_group"`
	PagerDutyKey redact.Secret `yaml:"pagerduty_key"`
	PagerDutyURL string        `yaml:"pagerduty_url"`
	SNSTopic     string        `yaml:"sns_topic"`
	Ratio        Percent       `yaml:"ratio"`
	For          time.Duration `yaml:"for"`
	MinRequests  int           `yaml:"min_requests"`
}

// maxWatch bounds the observation after a mitigation.
const maxWatch = 6 * time.Hour

// Percent is a share between 0 and 1, written as "10%".
type Percent float64

// Default returns the configuration of an empty file.
func Default() Config {
	return Config{
		Slack:    Slack{BotToken: "${SLACK_BOT_TOKEN}", AppToken: "${SLACK_APP_TOKEN}"},
		Journal:  "jwksbot.db",
		Listen:   "127.0.0.1:9090",
		Snapshot: Snapshot{Keep: 24 * time.Hour, MaxEntries: 10000, MaxBytes: 64 << 20},
	}
}

// DefaultTarget returns an empty target.
func DefaultTarget() Target {
	return Target{
		Cache:      Cache{Keys: []string{"jwks:*"}, Via: "direct"},
		Approval:   Approval{Required: 1, Expires: approve.DefaultExpiry, Cooldown: approve.DefaultCooldown, Local: true},
		Watch:      Watch{For: 15 * time.Minute},
		Escalation: Escalation{Ratio: 0.10, For: 10 * time.Minute, MinRequests: 20},
	}
}

// Example is a whole file with comments, as `jwksbot config example` prints it.
const Example = `# jwksbot.yaml. Secrets: ${ENVIRONMENT_VARIABLE} or file:PATH. Durations are Go's: 90s, 15m, 24h.
slack:
  bot_token: ${SLACK_BOT_TOKEN}        # xoxb-…
  app_token: ${SLACK_APP_TOKEN}        # xapp-…, scope connections:write
journal: jwksbot.db                    # SQLite file, on a disk that outlives the container
snapshot:
  key: ""                              # 32 bytes in base64 encrypt what a flush could be undone with
  keep: 24h
  max_entries: 10000                   # a larger flush cannot be undone and needs an override
  max_bytes: 67108864
audit_key: ""                          # 32 bytes in base64 key the audit chain
people: []                             # {slack: U012AB3CD, aws: arn:aws:iam::111122223333:user/robin}
listen: 127.0.0.1:9090                 # /healthz, /readyz and /metrics
targets:
  - name: production
    region: eu-west-2
    user_pool_id: eu-west-2_AbCdEfGhI  # terraform output cognito_user_pool_id; or jwks_url and issuer
    channel: inc-bridge                # where it posts when nobody typed a command somewhere
    cache:
      replication_group: production-oidc-cache   # endpoints, TLS and nodes are discovered; or serverless: NAME
      url: ""                          # or redis://, rediss://, several hosts with commas for a cluster
      auth: iam                        # iam | password | none
      username: jwksbot
      password: ""
      keys: ["jwks:*"]                 # only what matches is ever read or deleted
      allow_flush_all: false           # true: a request may ask for everything on every primary
      via: direct                      # or commandbridge
    authoriser:
      function: oidc-authoriser
      log_group: /aws/lambda/oidc-authoriser
      failure_pattern: ""              # default: any of the known failure phrases
      success_pattern: ""              # default: the known phrases of an accepted token
      token_lifetime: 0s               # how long access tokens live, as set in the pool; 0s: not said, 1 h is usual and 24 h the most
      patterns: []                     # more log patterns: {class: unknown_kid, regexp: 'no key (?P<kid>\S+)'}
    gateway: {rest_api: "", http_api: "", stage: "", access_log_group: ""}   # one of the two ids
    commandbridge: {url: "", token: "", target: oidc-cache, environment: production}   # for cache.via: commandbridge
    canary: {token_url: "", client_id: "", client_secret: "", scope: "", url: ""}      # one sign-in as proof
    approval:
      viewers: []                      # empty: every full member may check
      requesters: [S0ONCALL]           # user groups (S…) and users (U…, W…); empty: nobody
      approvers: [S0LEADS, U012AB3CD]
      required: 1                      # approvals by different people, the requester's own does not count
      self_approval: false
      expires: 15m
      cooldown: 5m
      break_glass: false               # true: a requester may act alone, loudly recorded
      local: true                      # false: only jwksbot serve finds out who asks and approves, never the machine of a terminal
    watch:
      for: 15m                         # observation after a mitigation
      rotation_every: 0s               # 1m: tell the channel when a new key is live and the cache still has the old ones
    escalation:                        # failures ÷ requests above ratio for longer than for
      user_group: S0IDENTITY
      pagerduty_key: ""                # integration key of the Events API v2
      sns_topic: ""
      ratio: 10%
      for: 10m
      min_requests: 20                 # quieter minutes are pooled until they hold this many
`
