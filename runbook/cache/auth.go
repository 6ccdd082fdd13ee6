package cache

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"jwksbot/runbook/outbound"
	"jwksbot/runbook/redact"
)

// emptySHA256 is the hash of an empty body, which the signature covers.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// credentials returns what a new connection to a server authenticates with.
func (s *Store) credentials(ctx context.Context) (user, password string, err error) {
	switch s.settings.Auth {
	case AuthPassword:
		return s.settings.Username, s.settings.Password.Reveal(), nil
	case AuthIAM:
		token, err := s.iamToken(ctx)
		return s.settings.Username, token.Reveal(), err
	}
	return "", "", nil
}

// iamToken signs a token for one connection: a presigned request without its
// scheme, good for 15 minutes (ElastiCache user guide, "Authenticating with
// IAM"). It is computed locally in about 0.1 ms, so that none is kept.
func (s *Store) iamToken(ctx context.Context) (redact.Secret, error) {
	cfg := s.settings.AWS
	if cfg.Credentials == nil || cfg.Region == "" {
		return "", &authError{errors.New("IAM token: no AWS credentials or region: set AWS_REGION and give the bot a role")}
	}
	creds, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return "", &authError{fmt.Errorf("IAM token: AWS credentials: %w", err)}
	}
	name := s.settings.ReplicationGroup
	q := url.Values{"Action": {"connect"}, "User": {s.settings.Username}, "X-Amz-Expires": {"900"}}
	if s.settings.Serverless != "" {
		name = s.settings.Serverless
		q.Set("ResourceType", "ServerlessCache")
	}
	target := "http://" + strings.ToLower(name) + "/?" + q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return "", &authError{fmt.Errorf("IAM token: cache name %q: %w", name, err)}
	}
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, creds, req, emptySHA256, "elasticache", cfg.Region, s.settings.Clock.Now())
	if err != nil {
		return "", &authError{fmt.Errorf("IAM token: sign: %w", err)}
	}
	return redact.Secret(strings.TrimPrefix(signed, "http://")), nil
}

// authError is a failure to make credentials; its text is fit for operators.
type authError struct{ err error }

func (e *authError) Error() string { return e.err.Error() }
func (e *authError) Unwrap() error { return e.err }

// refusePlain is the rule that secrets travel over TLS only.
func (s *Store) refusePlain(addr string, withTLS bool) error {
	if withTLS || s.settings.Auth == AuthNone || loopback(addr) {
		return nil
	}
	what := "a password"
	if s.settings.Auth == AuthIAM {
		what = "an IAM token"
	}
	return fmt.Errorf("redis %q: %s is never sent without TLS: switch on encryption in transit (or use rediss://)", addr, what)
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	return outbound.Loopback(host)
}

// tlsConfig verifies the certificate for the host name of addr; a bare IP
// address, which a cluster may announce, is verified for the endpoint's name.
func (s *Store) tlsConfig(addr, endpoint string) *tls.Config {
	host, _, _ := net.SplitHostPort(addr)
	if net.ParseIP(host) != nil {
		if name, _, err := net.SplitHostPort(endpoint); err == nil && net.ParseIP(name) == nil {
			host = name
		}
	}
	return &tls.Config{ServerName: host, RootCAs: s.settings.RootCAs, MinVersion: tls.VersionTLS12}
}

// unescape undoes percent-encoding in the user part of a URL.
func unescape(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
