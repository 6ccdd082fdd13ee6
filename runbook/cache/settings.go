package cache

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/redis/go-redis/v9/logging"
	"golang.org/x/sync/singleflight"

	"jwksbot/runbook"
	"jwksbot/runbook/redact"
)

// Ways to authenticate.
const (
	AuthNone     = "none"
	AuthPassword = "password"
	AuthIAM      = "iam" // a signed token in place of the password; ElastiCache only
)

// Defaults of the limits below which a snapshot is kept.
const (
	DefaultMaxEntries = 10_000
	DefaultMaxBytes   = 64 << 20
)

// Settings say which cache to look after. Exactly one of ReplicationGroup,
// Serverless and URL is set.
type Settings struct {
	ReplicationGroup string // ElastiCache replication group id
	Serverless       string // ElastiCache serverless cache name
	// URL is redis://host:port or rediss://host:port (TLS); several hosts with
	// commas between them are seeds of one cluster.
	URL string

	Auth     string // AuthIAM, AuthPassword or AuthNone; "" is AuthPassword when there is a Password, else AuthNone
	Username string
	Password redact.Secret

	Patterns   []string // Redis glob patterns of the entries that hold keys, in which \xNN is a byte; at least one
	FlushAll   bool     // flushes of everything may be asked for
	MaxEntries int      // most entries that List reads; 0 is DefaultMaxEntries
	MaxBytes   int64    // most bytes of values that List and Snapshot read; 0 is DefaultMaxBytes

	AWS     aws.Config     // for discovery and IAM tokens
	RootCAs *x509.CertPool // nil: the system's; the caller adds AWS_CA_BUNDLE
	Clock   runbook.Clock  // dates snapshots; nil is runbook.SystemClock
}

// Store is one cache. It is safe for concurrent use.
type Store struct {
	settings Settings
	url      *address // nil when the cache is discovered through ElastiCache
	client   *elasticache.Client

	group    singleflight.Group
	masters  sync.Map // addresses that were seen as primaries
	mu       sync.Mutex
	topology kept[Topology]
	fleet    kept[*fleet]
	closed   bool
}

// kept is a value that is good until a moment.
type kept[T any] struct {
	value T
	until time.Time
}

// quiet stops go-redis from printing dial errors, which it also returns.
var quiet = sync.OnceFunc(logging.Disable)

// New checks the settings and returns a store. It does not use the network.
func New(s Settings) (*Store, error) {
	quiet()
	store := &Store{}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if n := countSet(s.ReplicationGroup, s.Serverless, s.URL); n != 1 {
		problem("cache: give exactly one of replication_group, serverless and url, not %d", n)
	}
	if s.URL != "" {
		u, err := parseURL(s.URL)
		if err != nil {
			problem("cache: url: %w", err)
		} else {
			store.url = u
			if s.Password == "" {
				s.Password = u.password
			}
			if s.Username == "" {
				s.Username = u.username
			}
		}
	} else {
		store.client = elasticache.NewFromConfig(s.AWS)
	}
	if s.Auth == "" {
		s.Auth = AuthNone
		if s.Password != "" {
			s.Auth = AuthPassword
		}
	}
	for _, err := range checkAuth(s) {
		problem("cache: %w", err)
	}
	if len(s.Patterns) == 0 {
		problem("cache: keys: give at least one pattern, like \"jwks:*\"")
	}
	s.Patterns = bytePatterns(s.Patterns)
	for _, p := range s.Patterns {
		if strings.Trim(p, "*") == "" {
			problem("cache: keys: pattern %q matches every key: name the entries that hold key sets, like \"jwks:*\"", p)
		}
	}
	if s.MaxEntries < 0 || s.MaxBytes < 0 {
		problem("cache: max_entries and max_bytes must not be negative")
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	setDefaults(&s)
	store.settings = s
	return store, nil
}

func setDefaults(s *Settings) {
	if s.MaxEntries == 0 {
		s.MaxEntries = DefaultMaxEntries
	}
	if s.MaxBytes == 0 {
		s.MaxBytes = DefaultMaxBytes
	}
	if s.Clock == nil {
		s.Clock = runbook.SystemClock{}
	}
}

func checkAuth(s Settings) []error {
	var out []error
	switch s.Auth {
	case AuthNone:
		if s.Password != "" {
			out = append(out, errors.New("auth: none, but there is a password: set auth to password or remove it"))
		}
	case AuthPassword:
		if s.Password == "" {
			out = append(out, errors.New("auth: password, but there is no password"))
		}
	case AuthIAM:
		if s.URL != "" {
			out = append(out, errors.New("auth: iam needs replication_group or serverless, whose name is part of the token"))
		}
		if s.Username == "" {
			out = append(out, errors.New("auth: iam needs username, the id of the ElastiCache user"))
		}
	default:
		out = append(out, fmt.Errorf("auth: %q is none of iam, password, none", s.Auth))
	}
	return out
}

// Close ends the connections of the store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.dropLocked()
	return nil
}

func countSet(texts ...string) int {
	n := 0
	for _, t := range texts {
		if t != "" {
			n++
		}
	}
	return n
}

// address is a parsed URL of a cache.
type address struct {
	hosts    []string // host:port
	tls      bool
	username string
	password redact.Secret
	db       int
}

// parseURL reads redis:// and rediss:// with one or several hosts. net/url is
// not used: it refuses several hosts, and its errors repeat the whole text,
// password included.
func parseURL(text string) (*address, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	a := &address{}
	switch scheme {
	case "redis":
	case "rediss":
		a.tls = true
	default:
		return nil, errors.New("must begin with redis:// or rediss://")
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, password, _ := strings.Cut(rest[:i], ":")
		a.username, a.password = unescape(user), redact.Secret(unescape(password))
		rest = rest[i+1:]
	}
	if strings.ContainsAny(rest, "?#") { // may hold a password: it is not repeated
		return nil, errors.New("nothing may follow the hosts but the number of a database, like /0: user and password stand before an @")
	}
	hosts, db, _ := strings.Cut(rest, "/")
	if db != "" {
		n, err := strconv.Atoi(db)
		if err != nil || n < 0 {
			return nil, errors.New("the path is the number of a database, like /0")
		}
		a.db = n
	}
	for _, h := range strings.Split(hosts, ",") {
		hp, err := hostPort(strings.TrimSpace(h))
		if err != nil {
			return nil, err
		}
		a.hosts = append(a.hosts, hp)
	}
	if len(a.hosts) > 1 && a.db != 0 {
		return nil, errors.New("a cluster has database 0 only")
	}
	return a, nil
}

// URLUser is the user that the URL of a cache names; "" where it names none.
func URLUser(text string) string {
	if a, err := parseURL(text); err == nil && a.password != "" { // a lone user may be a token
		return a.username
	}
	return ""
}

// hostPort checks "host" or "host:port" and adds Redis' default port.
func hostPort(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.Trim(text, "[]"), "6379"
	}
	n, err := strconv.Atoi(port)
	if host == "" || strings.ContainsAny(host, " ?#@") || err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("%q is not host:port", text)
	}
	return net.JoinHostPort(host, port), nil
}
