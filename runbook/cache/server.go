package cache

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
)

// Limits of one connection.
const (
	dialTimeout = 3 * time.Second
	// ioTimeout bounds the wait for an answer; the context may end it sooner. No
	// command that this package sends takes a server nearly as long.
	ioTimeout = 20 * time.Second
	// connLifetime stays below the 12 h after which ElastiCache cuts a
	// connection that was authenticated with an IAM token.
	connLifetime = 11 * time.Hour
	poolSize     = 4
)

// primary is one server that accepts writes.
type primary struct {
	name   string // for people: the node group id, or host:port
	addr   string // host:port
	client *redis.Client
	// reopen makes another client of the server, whose connections send nothing
	// without the lease.
	reopen func(runbook.Lease) *redis.Client
	// masters are the addresses that the store saw as primaries; see watchRole.
	masters *sync.Map
	// fixed says that the configuration names the server itself.
	fixed bool
	// extra is what its answers may be longer than maxAnswer.
	extra atomic.Int64
}

// wasMaster says that the server was seen as a primary.
func (p *primary) wasMaster() bool {
	_, seen := p.masters.Load(p.addr)
	return seen
}

// open makes the client of one server; it connects when it is first used.
func (s *Store) open(addr, endpoint string, t Topology) *primary {
	p := &primary{name: addr, addr: addr, masters: &s.masters, fixed: s.url != nil && !t.Cluster}
	most := func() int64 { return maxAnswer + p.extra.Load() }
	p.reopen = func(lease runbook.Lease) *redis.Client {
		opts := &redis.Options{
			Addr:                  addr,
			Protocol:              2,
			Dialer:                s.dialer(addr, endpoint, t.TLS, lease, most),
			DialTimeout:           dialTimeout,
			DialerRetries:         1,
			MaxRetries:            -1,
			ReadTimeout:           ioTimeout,
			WriteTimeout:          sendWithin,
			ContextTimeoutEnabled: true,
			PoolSize:              poolSize,
			PipelinePoolSize:      -1,
			ConnMaxLifetime:       connLifetime,
			DisableIdentity:       true,
		}
		if s.settings.Auth != AuthNone {
			opts.CredentialsProviderContext = s.credentials
		}
		if s.url != nil {
			opts.DB = s.url.db
		}
		return redis.NewClient(opts)
	}
	p.client = p.reopen(nil)
	return p
}

// leased is the same server for deletions under the lease. Close its client.
func (p *primary) leased(lease runbook.Lease) *primary {
	return &primary{name: p.name, addr: p.addr, client: p.reopen(lease), reopen: p.reopen, masters: p.masters, fixed: p.fixed}
}

// dialer connects within dialTimeout, handshake included.
func (s *Store) dialer(addr, endpoint string, withTLS bool, lease runbook.Lease, most func() int64) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			conn = &boundedConn{Conn: newPromptConn(tcp, lease), most: most}
		}
		if !withTLS {
			return conn, nil
		}
		secure := tls.Client(conn, s.tlsConfig(addr, endpoint))
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, &handshakeError{err}
		}
		return secure, nil
	}
}

// exec sends a pipeline and leaves every outcome in its commands. go-redis
// leaves them without an error when it got no connection at all (a refused
// password, for one), which would read as empty answers.
func exec(ctx context.Context, pipe redis.Pipeliner) {
	cmds, err := pipe.Exec(ctx)
	if err == nil {
		return
	}
	for _, c := range cmds {
		if c.Err() != nil {
			return
		}
	}
	for _, c := range cmds {
		c.SetErr(err)
	}
}

// askHello asks a server who it is. Every user may.
func askHello(ctx context.Context, pipe redis.Pipeliner) *redis.Cmd {
	return pipe.Do(ctx, "hello", "2")
}

// helloSays is a property of the server, "" when it did not say.
func helloSays(cmd *redis.Cmd, property string) string {
	pairs, _ := cmd.Slice()
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == property {
			value, _ := pairs[i+1].(string)
			return value
		}
	}
	return ""
}

var (
	// errDemoted says that a primary has become a replica.
	errDemoted = errors.New("it was the primary and is a replica now")
	// errReplicaNow says that what was discovered as a primary is a replica.
	errReplicaNow = errors.New("it is a replica")
)

// watchRole refuses to work on a replica: it takes no deletions, and answers
// reads from data that may stand still. One that was a primary before, or that
// was discovered as one, shows a failover, which ends; one that a URL names was
// named by mistake.
func (p *primary) watchRole(hello *redis.Cmd) error {
	switch helloSays(hello, "role") {
	case "master":
		p.masters.Store(p.addr, true)
	case "replica", "slave":
		switch {
		case p.wasMaster():
			return &serverError{p.addr, errDemoted.Error() + ": a failover is going on, try again", errDemoted}
		case !p.fixed:
			return &serverError{p.addr, "it is a replica where the primary should be: a failover may be going on, try again", errReplicaNow}
		}
		return &runbook.Denied{Err: &serverError{p.addr, "it is a replica: it takes no deletions, and what it holds may be old: point cache.url at the primary", errors.New("READONLY")}}
	}
	return nil
}
