package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"jwksbot/runbook"
	"jwksbot/runbook/cache"
	"jwksbot/runbook/check"
	"jwksbot/runbook/config"
	"jwksbot/runbook/identity"
	"jwksbot/runbook/journal"
	"jwksbot/runbook/keys"
	"jwksbot/runbook/redact"
	"jwksbot/runbook/telemetry"
)

// parts are the pieces that every command with a configuration needs.
type parts struct {
	cfg     *config.Config
	clock   runbook.Clock
	targets []*check.Target
	runner  *check.Runner
	stores  []*cache.Store
	metrics *metrics                   // nil: nobody reads them
	roots   *x509.CertPool             // nil: the system's
	paces   map[string]*telemetry.Pace // of reading logs, by Region

	terminal bool // they are those of a command, not of serve
}

func (w *world) readConfig() (*config.Config, error) { return config.Read(w.config, w.getenv, rules) }

// rules are what the adapters say of their settings, for a file that is read.
var rules = config.Rules{
	Journal:  journal.CheckURL,
	Personal: identity.Personal,
	Pattern:  func(p config.LogPattern) error { return telemetry.Pattern(p).Validate() },
	Cache: func(c config.Cache) error {
		s := cacheSettings(c)
		s.Patterns = []string{"jwks:*"} // which entries is a question of its own
		_, err := cache.New(s)
		return err
	},
}

// assemble makes the targets ready; it uses no network.
func (w *world) assemble(ctx context.Context, cfg *config.Config, clock runbook.Clock) (*parts, error) {
	base, err := loadAWS(ctx)
	if err != nil {
		return nil, err
	}
	roots, err := caBundle(w.getenv("AWS_CA_BUNDLE"))
	if err != nil {
		return nil, err
	}
	return w.assembleWith(cfg, base, roots, clock)
}

// assembleWith makes the targets ready with given AWS settings and roots.
func (w *world) assembleWith(cfg *config.Config, base aws.Config, roots *x509.CertPool, clock runbook.Clock) (*parts, error) {
	p := &parts{cfg: cfg, clock: clock, roots: roots}
	for i := range cfg.Targets {
		if err := p.addTarget(i, base); err != nil {
			return nil, fmt.Errorf("target %q: %w", cfg.Targets[i].Name, err)
		}
	}
	p.runner = check.NewRunner(clock, func(step string, value any, stack []byte) {
		w.log.Error("a check panicked", "step", step, "panic", fmt.Sprint(value), "stack", string(stack))
	})
	return p, nil
}

// caBundle adds the certificates of AWS_CA_BUNDLE to the system's; nil leaves
// the system's alone.
func caBundle(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: no certificate in %q", file)
	}
	return pool, nil
}

func (p *parts) addTarget(i int, base aws.Config) error {
	c := p.cfg.Targets[i]
	if err := p.cfg.NeedOf(i, config.ToCheck); err != nil {
		return err
	}
	region := base.Copy()
	if c.Region != "" {
		region.Region = c.Region
	}
	t := &check.Target{Name: c.Name, Channel: c.Channel, Resource: c.Cache.Resource(), AllowAll: c.Cache.AllowFlushAll, Patterns: c.Cache.Keys, Decode: keys.Decode, Policy: c.Approval.Policy()}
	t.Issuer, t.JWKSURL = issuerOf(c)
	t.TokenLife = c.Authoriser.TokenLifetime
	endpoint, err := keys.NewEndpoint(keys.Settings{URL: t.JWKSURL, RootCAs: p.roots, Clock: p.clock, UserAgent: "jwksbot/" + version()})
	if err != nil {
		return err
	}
	t.Live = endpoint
	settings := cacheSettings(c.Cache)
	settings.MaxEntries, settings.MaxBytes = p.cfg.Snapshot.MaxEntries, p.cfg.Snapshot.MaxBytes
	settings.AWS, settings.RootCAs, settings.Clock = region, p.roots, p.clock
	store, err := cache.New(settings)
	if err != nil {
		return err
	}
	p.stores = append(p.stores, store)
	t.Entries = store
	m := making{t, c, region, func(keys ...string) bool { return p.cfg.Ready(i, keys...) }}
	for _, add := range []func(making) error{p.addTelemetry, p.addAuthoriser, p.addProof, p.addEscalation} {
		if err := add(m); err != nil {
			return err
		}
	}
	p.targets = append(p.targets, t)
	return nil
}

// cacheSettings are what the file says of a cache.
func cacheSettings(c config.Cache) cache.Settings {
	return cache.Settings{ReplicationGroup: c.ReplicationGroup, Serverless: c.Serverless, URL: c.URL.Reveal(),
		Auth: c.Auth, Username: c.Username, Password: c.Password, Patterns: c.Keys, FlushAll: c.AllowFlushAll}
}

// redisUser is who the bot is in Redis; "": whoever needs no name.
func redisUser(c config.Cache) string { return cmp.Or(c.Username, cache.URLUser(c.URL.Reveal())) }

// issuerOf returns the issuer and the URL of its keys.
func issuerOf(c config.Target) (issuer, jwksURL string) {
	issuer, jwksURL = c.Issuer, c.JWKSURL
	if c.UserPoolID != "" {
		region := c.Region
		if region == "" {
			region = config.PoolRegion(c.UserPoolID)
		}
		if issuer == "" {
			issuer = keys.CognitoIssuer(region, c.UserPoolID)
		}
		if jwksURL == "" {
			jwksURL = keys.CognitoURL(region, c.UserPoolID)
		}
	}
	if jwksURL == "" {
		jwksURL = trimSlash(issuer) + "/.well-known/jwks.json"
	}
	return issuer, jwksURL
}

// openJournal opens the journal of the configuration.
func (w *world) openJournal(ctx context.Context, cfg *config.Config, clock runbook.Clock) (*journal.Journal, error) {
	s, err := w.journalSettings(cfg, clock)
	if err != nil {
		return nil, err
	}
	return journal.Open(ctx, s)
}

func (w *world) journalSettings(cfg *config.Config, clock runbook.Clock) (journal.Settings, error) {
	if err := cfg.Need(config.ToRecord); err != nil {
		return journal.Settings{}, err
	}
	return journal.Settings{URL: cfg.Journal.Reveal(), Clock: clock, Log: w.log, AuditLog: w.auditLog,
		SnapshotKey: decodeKey(cfg.Snapshot.Key), AuditKey: decodeKey(cfg.AuditKey), SnapshotKeep: cfg.Snapshot.Keep}, nil
}

// decodeKey decodes a key whose form was validated when it was read.
func decodeKey(s redact.Secret) []byte {
	b, _ := base64.StdEncoding.DecodeString(s.Reveal())
	return b
}

// close ends the connections to the caches.
func (p *parts) close() {
	for _, s := range p.stores {
		_ = s.Close() // nothing is lost with an idle connection
	}
}

// loadAWS reads the environment and the shared files as every AWS tool does.
// Credentials are looked for when the first call needs them. What the SDK
// remarks by itself is for its developers: what matters comes as an error.
func loadAWS(ctx context.Context) (aws.Config, error) {
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithLogger(logging.Nop{}))
	if err != nil {
		return aws.Config{}, fmt.Errorf("AWS settings: %w", err)
	}
	cfg.Credentials = plainCredentials{cfg.Credentials}
	return cfg, nil
}

// plainCredentials says in one sentence that there are no credentials, and what
// to do. The SDK says it with the whole way that it searched, and every call of
// a check repeats that.
type plainCredentials struct{ aws.CredentialsProvider }

// Retrieve returns the credentials.
func (c plainCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	got, err := c.CredentialsProvider.Retrieve(ctx)
	if err == nil || ctx.Err() != nil {
		return got, err
	}
	return got, &runbook.Plain{Text: noCredentials(err), Err: err}
}

func noCredentials(err error) string {
	var ended *ssocreds.InvalidTokenError
	var answer smithy.APIError
	switch {
	case errors.As(err, &ended):
		return "the AWS SSO session has ended: log in again with aws sso login"
	case errors.As(err, &answer):
		return fmt.Sprintf("AWS gives this program no credentials: %s: %s", answer.ErrorCode(), answer.ErrorMessage())
	}
	return "no AWS credentials that work: log in (aws sso login), set AWS_PROFILE, or give this machine a role"
}
