package cache

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
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
	access string // what the user needs, for errors
	client *redis.Client
	// reopen makes another client of the server, whose connections send nothing
	// without the lease.
	reopen func(*runbook.Lease) *redis.Client
	// master says that it was seen as the primary; see watchRole.
	master atomic.Bool
	// extra is what its answers may be longer than maxAnswer.
	extra atomic.Int64
}

// open makes the client of one server; it connects when it is first used.
func (s *Store) open(addr, endpoint string, t Topology) *primary {
	p := &primary{name: addr, addr: addr, access: Access(s.settings.Patterns)}
	most := func() int64 { return maxAnswer + p.extra.Load() }
	p.reopen = func(lease *runbook.Lease) *redis.Client {
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
func (p *primary) leased(lease *runbook.Lease) *primary {
	l := &primary{name: p.name, addr: p.addr, access: p.access, client: p.reopen(lease), reopen: p.reopen}
	l.master.Store(p.master.Load())
	return l
}

// dialer connects within dialTimeout, handshake included.
func (s *Store) dialer(addr, endpoint string, withTLS bool, lease *runbook.Lease, most func() int64) func(context.Context, string, string) (net.Conn, error) {
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

// errDemoted says that a primary has become a replica.
var errDemoted = errors.New("it was the primary and is a replica now")

// watchRole notices a failover where only reads are sent: a replica answers
// them, from data that may stand still. A server that was a replica from the
// start, as a URL may name one, is read all the same.
func (p *primary) watchRole(hello *redis.Cmd) error {
	switch helloSays(hello, "role") {
	case "master":
		p.master.Store(true)
	case "replica", "slave":
		if p.master.Load() {
			return &serverError{p.addr, errDemoted.Error() + ": a failover is going on, try again", errDemoted}
		}
	}
	return nil
}
