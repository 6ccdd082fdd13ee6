package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"jwksbot/runbook"
	"jwksbot/runbook/redact"
)

// Names under which the world is known to the AWS endpoints.
const (
	Region           = "eu-west-2"
	Account          = "123456789012"
	UserPoolID       = "eu-west-2_Drill0001"
	ReplicationGroup = "drill-oidc-cache"
	Function         = "drill-authoriser"
	LogGroup         = "/aws/lambda/" + Function
	RestAPI          = "drill-gateway" // the ApiName dimension of AWS/ApiGateway
	Stage            = "live"
	AccessLogGroup   = "/aws/apigateway/drill-gateway" // of the gateway's stage
	// SuccessPattern finds the authoriser's log lines about accepted tokens.
	SuccessPattern = "token_accepted"
)

// Options say how the world is to be. The zero value is the default scenario
// with an in-process Redis.
type Options struct {
	Scenario string // a name of [Scenarios]; default "stale"

	RedisAddr     string // host:port of a real Redis without TLS; "": in-process
	RedisUsername string // "": the default user
	RedisPassword redact.Secret

	Clock             runbook.Clock // default [runbook.SystemClock]
	Latency           time.Duration // added to every HTTP answer, in real time, once the world has started
	RequestsPerMinute int           // default 120
	Seed              uint64        // of everything random except keys
	KeyName           string        // of the cached key set; default "jwks:current"
	OtherKeys         int           // session entries that share the cache
}

// World is a running drill. Its methods may be called from any goroutine.
type World struct {
	opts     Options
	scenario scenario
	settings settings
	clock    runbook.Clock

	idp        *provider
	function   *function
	authoriser *authoriser
	gateway    *gateway
	record     *record
	store      *store
	aws        *endpoints
	outside    *outside

	mini      *miniredis.Miniredis // nil with a real Redis
	idpServer *server
	awsServer *server

	outsideServer *server
	cancel        context.CancelFunc
	goroutines    sync.WaitGroup
	closing       sync.Once
}

// Start builds the world, plays its past hour and keeps it running until Close
// or until ctx ends. It takes about half a second.
func Start(ctx context.Context, o Options) (*World, error) {
	o = o.withDefaults()
	row, ok := findScenario(o.Scenario)
	if !ok {
		return nil, fmt.Errorf("start drill: unknown scenario %q: use one of %s", o.Scenario, scenarioNames())
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &World{opts: o, scenario: row, settings: defaultSettings(), clock: o.Clock, cancel: cancel}
	if row.setup != nil {
		row.setup(&w.settings)
	}
	if w.settings.perMinute > 0 {
		w.opts.RequestsPerMinute = w.settings.perMinute
	}
	if err := w.build(ctx); err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("start drill %q: %w", o.Scenario, err)
	}
	w.goroutines.Go(func() { w.gateway.run(ctx) })
	if w.mini != nil {
		w.goroutines.Go(func() { w.ageCache(ctx) })
	}
	w.idpServer.delay(o.Latency)
	w.outsideServer.delay(o.Latency)
	w.awsServer.delay(o.Latency)
	return w, nil
}

func (o Options) withDefaults() Options {
	if o.Scenario == "" {
		o.Scenario = DefaultScenario
	}
	if o.Clock == nil {
		o.Clock = runbook.SystemClock{}
	}
	if o.RequestsPerMinute <= 0 {
		o.RequestsPerMinute = 120
	}
	if o.KeyName == "" {
		o.KeyName = "jwks:current"
	}
	return o
}

// build makes the parts in the order in which they need each other and plays
// the past.
func (w *World) build(ctx context.Context) error {
	addr := w.opts.RedisAddr
	if addr == "" {
		w.mini = miniredis.NewMiniRedis()
		if err := w.mini.StartAddr("127.0.0.1:0"); err != nil {
			return fmt.Errorf("start in-process redis: %w", err)
		}
		addr = w.mini.Addr()
		if w.opts.RedisPassword != "" {
			w.mini.RequireUserAuth(orDefault(w.opts.RedisUsername, "default"), w.opts.RedisPassword.Reveal())
		}
	}
	rng := rand.New(rand.NewPCG(w.opts.Seed, 0x6a776b73))
	w.store = newStore(addr, w.opts.RedisUsername, w.opts.RedisPassword)
	w.record = newRecord(w.clock)
	w.idp = newProvider()
	w.goroutines.Go(func() { w.idp.makeKeys(ctx) })
	var err error
	if w.idpServer, err = serve(ctx, w.idp); err != nil {
		return err
	}
	w.idp.issuer = w.idpServer.url + "/" + UserPoolID
	w.function = newFunction(w)
	w.authoriser = newAuthoriser(w, rng)
	if w.settings.sealed {
		if w.authoriser.sealer, err = newSealer(); err != nil {
			return fmt.Errorf("make the cache's encryption: %w", err)
		}
	}
	w.gateway = newGateway(w, rng)
	w.aws = newEndpoints(w)
	if w.awsServer, err = serve(ctx, w.aws); err != nil {
		return err
	}
	w.outside = &outside{world: w}
	if w.outsideServer, err = serve(ctx, w.outside.handler()); err != nil {
		return err
	}
	if err := w.idp.open(); err != nil {
		return err
	}
	if err := w.store.fillSessions(ctx, w.opts.OtherKeys, rng); err != nil {
		return err
	}
	return w.playHistory(ctx)
}

// Close ends every goroutine, listener and connection of the world. It may be
// called more than once.
func (w *World) Close() error {
	w.closing.Do(func() {
		w.cancel()
		w.idpServer.close()
		w.awsServer.close()
		w.outsideServer.close()
		w.goroutines.Wait()
		if w.idp != nil {
			giveBack(w.idp.made)
		}
		if w.store != nil {
			w.store.close()
		}
		if w.mini != nil {
			w.mini.Close()
		}
	})
	return nil
}

// ageCache lets the TTLs of the in-process Redis fall with the world's clock;
// they do not move by themselves.
func (w *World) ageCache(ctx context.Context) {
	last := w.clock.Now()
	for w.clock.Wait(ctx, time.Second) == nil {
		now := w.clock.Now()
		if d := now.Sub(last); d > 0 {
			w.mini.FastForward(d)
			last = now
		}
	}
}

// AWSEndpoint is the base URL of all AWS services of this world, for
// AWS_ENDPOINT_URL.
func (w *World) AWSEndpoint() string { return w.awsServer.url }

// Issuer is the iss of the tokens.
func (w *World) Issuer() string { return w.idp.issuer }

// JWKSURL is where the identity provider publishes its keys.
func (w *World) JWKSURL() string { return w.idp.jwksURL() }

// RedisAddr is host:port of the cache.
func (w *World) RedisAddr() string { return w.store.addr }

// RedisURL is the address of the cache as a URL, without credentials.
func (w *World) RedisURL() string { return "redis://" + w.store.addr }

// KeyName is the cache entry that holds the key set.
func (w *World) KeyName() string { return w.opts.KeyName }

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}
