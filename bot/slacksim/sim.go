package slacksim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Clock tells the time that is shown on messages.
type Clock interface {
	Now() time.Time
}

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

// LimitMode says how strictly the Web API's rate limits are applied.
type LimitMode int

// Rate limit modes.
const (
	// LimitsBursts applies Slack's tiers per minute and tolerates bursts, as
	// Slack does: ten posts at once in a channel, then one a second.
	LimitsBursts LimitMode = iota
	// LimitsStrict allows one post a second in a channel and no burst.
	LimitsStrict
	// LimitsOff leaves only the limits that RateLimit asks for.
	LimitsOff
)

// Options describe the workspace. The zero value is a ready demo workspace.
type Options struct {
	Workspace string        // name of the workspace; default "Northwind Identity"
	Note      string        // what somebody who looks at the page has to know, shown on top of it
	Users     []User        // default DefaultUsers
	Channels  []Channel     // default DefaultChannels
	Groups    []UserGroup   // default DefaultGroups
	Commands  []CommandHelp // commands of the app, which the page offers; others are refused as unknown; nil: the app has any
	Shortcuts []Shortcut    // message shortcuts of the app, which the page offers; nil: the app has any

	BotToken string   // default "xoxb-demo-bot"
	AppToken string   // default "xapp-demo-app"
	Scopes   []string // of the bot token; default DefaultScopes

	Clock  Clock        // times on messages; default real time
	Panel  http.Handler // serves /drill/ (paths are passed on unchanged); nil: no panel
	Seed   uint64       // of the choice among connections and of generated ids
	Limits LimitMode

	AckTimeout   time.Duration   // default 3 s
	TriggerLife  time.Duration   // default 3 s
	PingInterval time.Duration   // default 5 s
	EventRetries []time.Duration // waits before redelivery of an event; default 0, 1 min, 5 min
}

// Sim is one emulated workspace. It is an http.Handler and safe for use by
// many goroutines at once.
type Sim struct {
	opt     Options
	mux     *http.ServeMux
	methods map[string]method
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu      sync.Mutex
	rng     *rand.Rand
	changed chan struct{} // closed and replaced at every change
	version int           // counts changes
	server  *http.Server
	base    string // base URL, once it is known

	users    []User
	channels []*Channel
	groups   []UserGroup

	lastTS    int64 // microseconds; timestamps are unique and ascending
	serial    int   // of generated ids
	messages  map[string][]*Message
	files     map[string]*File
	triggers  map[string]*trigger
	responses map[string]*responseURL
	views     map[string]*View    // open views by id
	stacks    map[string][]string // user: view ids, the last one is on top
	homes     map[string]*View    // published homes by user
	mentions  []Mention
	journal   []journalLine
	calls     map[string][]Call
	socket    socketState
	faults    faultState
	buckets   map[string]*bucket
}

// New returns a workspace that listens to nothing yet: serve it as a handler,
// or call Start.
func New(o Options) *Sim {
	o.setDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sim{
		opt: o, methods: apiMethods(), ctx: ctx, cancel: cancel,
		rng:     rand.New(rand.NewPCG(o.Seed, 0x51ac)),
		changed: make(chan struct{}),
		users:   append([]User(nil), o.Users...),
		groups:  append([]UserGroup(nil), o.Groups...),

		messages:  map[string][]*Message{},
		files:     map[string]*File{},
		triggers:  map[string]*trigger{},
		responses: map[string]*responseURL{},
		views:     map[string]*View{},
		stacks:    map[string][]string{},
		homes:     map[string]*View{},
		calls:     map[string][]Call{},
		socket:    newSocketState(),
		buckets:   map[string]*bucket{},
	}
	for _, c := range o.Channels {
		c.Members = append([]string(nil), c.Members...)
		s.channels = append(s.channels, &c)
	}
	s.mux = s.routes()
	return s
}

func (o *Options) setDefaults() {
	setIfZero(&o.Workspace, "Northwind Identity")
	setIfZero(&o.BotToken, "xoxb-demo-bot")
	setIfZero(&o.AppToken, "xapp-demo-app")
	setIfZero(&o.Clock, Clock(realClock{}))
	setIfZero(&o.AckTimeout, 3*time.Second)
	setIfZero(&o.TriggerLife, 3*time.Second)
	setIfZero(&o.PingInterval, 5*time.Second)
	setIfEmpty(&o.Users, DefaultUsers)
	setIfEmpty(&o.Channels, DefaultChannels)
	setIfEmpty(&o.Groups, DefaultGroups)
	setIfEmpty(&o.Scopes, DefaultScopes)
	if o.EventRetries == nil {
		o.EventRetries = []time.Duration{0, time.Minute, 5 * time.Minute}
	}
}

func setIfZero[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func setIfEmpty[T any](p *[]T, v func() []T) {
	if *p == nil {
		*p = v()
	}
}

// ServeHTTP serves the page, the Web API below /api/ and the socket.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Sim) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{method}", s.serveAPI)
	mux.HandleFunc("GET /socket", s.serveSocket)
	mux.HandleFunc("POST /response/{id}", s.serveResponseURL)
	mux.HandleFunc("POST /upload/{id}", s.serveUpload)
	s.pageRoutes(mux)
	if s.opt.Panel != nil {
		mux.Handle("/drill/", s.opt.Panel)
	}
	return mux
}

// Start listens on addr ("127.0.0.1:0" for a free port) and returns the base
// URL of the workspace without a trailing slash. The API is at baseURL+"/api/".
func (s *Sim) Start(addr string) (baseURL string, err error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("slack workspace: listen on %q: %w", addr, err)
	}
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
	}
	s.mu.Lock()
	s.server, s.base = srv, "http://"+ln.Addr().String()
	s.mu.Unlock()
	s.wg.Go(func() { _ = srv.Serve(ln) })
	return s.base, nil
}

// URL returns the base URL of the workspace without a trailing slash, "" before
// the first request when Start was not used.
func (s *Sim) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base
}

// Close ends the server, every connection and everything that still waits for
// an acknowledgement.
func (s *Sim) Close() error {
	s.cancel()
	s.mu.Lock()
	srv := s.server
	conns := s.socket.all()
	s.mu.Unlock()
	for _, c := range conns {
		c.close()
	}
	var err error
	if srv != nil {
		err = srv.Close()
	}
	s.wg.Wait()
	return err
}

// enter counts work that Close waits for; false once Close was called. The
// caller owes a wg.Done.
func (s *Sim) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.wg.Add(1)
	return true
}

// spawn runs f in the background unless the workspace is closed; Close waits
// for it.
func (s *Sim) spawn(f func()) {
	if s.enter() {
		go func() { defer s.wg.Done(); f() }()
	}
}

// Wait returns nil as soon as cond holds. It looks again after every change in
// the workspace, and returns the context's error if that ends first.
func (s *Sim) Wait(ctx context.Context, cond func(*Sim) bool) error {
	for {
		s.mu.Lock()
		ch := s.changed
		s.mu.Unlock()
		if cond(s) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("slack workspace: condition not met: %w", ctx.Err())
		case <-ch:
		}
	}
}

// touch tells everybody who waits that something changed. s.mu is held.
func (s *Sim) touch() {
	s.version++
	close(s.changed)
	s.changed = make(chan struct{})
}

// nextTS returns a message timestamp, unique and ascending. s.mu is held.
func (s *Sim) nextTS() string {
	now := s.opt.Clock.Now().UnixMicro()
	s.lastTS = max(s.lastTS+1, now)
	return fmt.Sprintf("%d.%06d", s.lastTS/1e6, s.lastTS%1e6)
}

// newID returns an id of Slack's kind: a letter, zero, capitals and digits.
// s.mu is held.
func (s *Sim) newID(prefix string) string {
	s.serial++
	return fmt.Sprintf("%s0%s%03d", prefix, s.letters(6, "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"), s.serial)
}

func (s *Sim) letters(n int, alphabet string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[s.rng.IntN(len(alphabet))]
	}
	return string(b)
}
