package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"jwksbot/runbook"
	"jwksbot/runbook/cache"
	"jwksbot/runbook/check"
	"jwksbot/runbook/journal"
	"jwksbot/runbook/keys"
	"jwksbot/runbook/redact"
	"jwksbot/runbook/telemetry"
)

// parts are the pieces that every command with a configuration needs.
type parts struct {
	cfg     *config
	clock   runbook.Clock
	targets []*check.Target
	runner  *check.Runner
	stores  []*cache.Store
	metrics *metrics                   // nil: nobody reads them
	roots   *x509.CertPool             // nil: the system's
	paces   map[string]*telemetry.Pace // of reading logs, by Region

	terminal bool // they are those of a command, not of serve
}

func (w *world) readConfig() (*config, error) { return readConfig(w.config, w.getenv) }

// assemble makes the targets ready; it uses no network.
func (w *world) assemble(ctx context.Context, cfg *config, clock runbook.Clock) (*parts, error) {
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
func (w *world) assembleWith(cfg *config, base aws.Config, roots *x509.CertPool, clock runbook.Clock) (*parts, error) {
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
	pre := fmt.Sprintf("targets[%d]", i)
	if err := p.cfg.need(under(pre, "region", "user_pool_id", "jwks_url", "issuer", "cache.replication_group", "cache.serverless",
		"cache.url", "cache.auth", "cache.username", "cache.password", "authoriser.function", "authoriser.log_group",
		"gateway.rest_api", "gateway.http_api", "gateway.stage", "gateway.access_log_group")...); err != nil {
		return err
	}
	region := base.Copy()
	if c.Region != "" {
		region.Region = c.Region
	}
	t := &check.Target{Name: c.Name, Channel: c.Channel, Resource: c.Cache.resource(), AllowAll: c.Cache.AllowFlushAll, Patterns: c.Cache.Keys, Decode: keys.Decode, Policy: c.Approval.policy()}
	t.Issuer, t.JWKSURL = c.issuer()
	t.TokenLife = c.Authoriser.TokenLifetime
	endpoint, err := keys.NewEndpoint(keys.Settings{URL: t.JWKSURL, RootCAs: p.roots, Clock: p.clock, UserAgent: "jwksbot/" + version()})
	if err != nil {
		return err
	}
	t.Live = endpoint
	settings := c.Cache.settings()
	settings.MaxEntries, settings.MaxBytes = p.cfg.Snapshot.MaxEntries, p.cfg.Snapshot.MaxBytes
	settings.AWS, settings.RootCAs, settings.Clock = region, p.roots, p.clock
	store, err := cache.New(settings)
	if err != nil {
		return err
	}
	p.stores = append(p.stores, store)
	t.Entries = store
	m := making{t, c, region, func(keys ...string) bool { return p.cfg.need(under(pre, keys...)...) == nil }}
	for _, add := range []func(making) error{p.addTelemetry, p.addAuthoriser, p.addProof, p.addEscalation} {
		if err := add(m); err != nil {
			return err
		}
	}
	p.targets = append(p.targets, t)
	return nil
}

// settings are what the file says of a cache.
func (c cacheConfig) settings() cache.Settings {
	return cache.Settings{ReplicationGroup: c.ReplicationGroup, Serverless: c.Serverless, URL: c.URL.Reveal(),
		Auth: c.Auth, Username: c.Username, Password: c.Password, Patterns: c.Keys, FlushAll: c.AllowFlushAll}
}

// user is who the bot is in Redis; "": whoever needs no name.
func (c cacheConfig) user() string { return cmp.Or(c.Username, cache.URLUser(c.URL.Reveal())) }

func under(pre string, keys ...string) []string {
	for i := range keys {
		keys[i] = pre + "." + keys[i]
	}
	return keys
}

// resource is what a flush changes: what is locked and cooled down.
func (c cacheConfig) resource() string {
	switch {
	case c.ReplicationGroup != "":
		return "replication group " + c.ReplicationGroup
	case c.Serverless != "":
		return "serverless cache " + c.Serverless
	}
	return "cache " + hosts(c.URL.Reveal())
}

// hosts is what may be said of a cache URL: never its user or password.
func hosts(raw string) string {
	var out []string
	for _, one := range strings.Split(raw, ",") {
		if _, rest, ok := strings.Cut(one, "://"); ok {
			one = rest
		}
		one = one[strings.LastIndex(one, "@")+1:]
		host, _, _ := strings.Cut(one, "/")
		out = append(out, strings.TrimSpace(host))
	}
	return strings.Join(out, ",")
}

// issuer returns the issuer and the URL of its keys.
func (c targetConfig) issuer() (issuer, jwksURL string) {
	issuer, jwksURL = c.Issuer, c.JWKSURL
	if c.UserPoolID != "" {
		region := c.Region
		if region == "" {
			region = poolRegion(c.UserPoolID)
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

func (a approvalConfig) policy() runbook.Policy {
	return runbook.Policy{Viewers: a.Viewers, Requesters: a.Requesters, Approvers: a.Approvers,
		Required: a.Required, SelfApproval: a.SelfApproval, Expires: a.Expires, Cooldown: a.Cooldown, BreakGlass: a.BreakGlass, ServeOnly: !a.Local}
}

// openJournal opens the journal of the configuration.
func (w *world) openJournal(ctx context.Context, cfg *config, clock runbook.Clock) (*journal.Journal, error) {
	s, err := w.journalSettings(cfg, clock)
	if err != nil {
		return nil, err
	}
	return journal.Open(ctx, s)
}

func (w *world) journalSettings(cfg *config, clock runbook.Clock) (journal.Settings, error) {
	if err := cfg.need("journal", "snapshot.key", "audit_key"); err != nil {
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
