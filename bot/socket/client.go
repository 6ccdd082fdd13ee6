package socket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
)

// Settings say how a [Client] connects. API is required; every zero
// value is replaced by the default named beside it.
type Settings struct {
	// API calls apps.connections.open: a client with
	// slack.OptionAppLevelToken, and without slack.OptionRetry, so that
	// Retry-After reaches the socket, which waits with a limit of its own.
	API  *slack.Client
	Log  *slog.Logger      // discards
	HTTP *http.Client      // for "busy" answers to a response_url; 5 s timeout
	Dial *websocket.Dialer // proxy from the environment, one frame per message

	OpenWithin   time.Duration // for apps.connections.open, dialling and hello each: 10 s
	AcceptWithin time.Duration // for Receiver.Accept: 1 s of Slack's 3 s
	Silence      time.Duration // without any frame before an own ping: 30 s
	PongWithin   time.Duration // from the own ping to the end of the connection: 10 s
	Grace        time.Duration // an old connection is read after its successor is there: 60 s
	BackoffBase  time.Duration // first wait after a refused connection: 500 ms
	BackoffMax   time.Duration // longest wait, unless Slack asks for more: 30 s

	Quick Limits // of LaneQuick: 256, 16 for each person; 25 s at the end, more than a decision takes
	Slow  Limits // of LaneSlow: 256, 3 for each person; 10 s at the end
}

// Client is the Socket Mode connection of the bot.
//
// It acknowledges an envelope in the goroutine that read it, before any work;
// it opens the successor of a connection before the old one ends and reads
// both until Slack closes the old one; it hands every delivery on at most
// once; it ends on errors that time does not heal and backs off on the others.
type Client struct {
	set   Settings
	log   *slog.Logger
	wait  *backoff
	seen  *dedupe
	count counters

	ready     chan struct{} // closed at the first hello
	readyOnce sync.Once

	mu       sync.Mutex
	links    map[*link]struct{} // open connections
	made     int                // connections opened since the start
	reported int                // num_connections of the last hello
}

// maxLinks is how many connections are kept at a time. Slack allows 10 per
// app (docs.slack.dev "Using Socket Mode"), shared by all replicas.
const maxLinks = 4

// New checks the settings and returns a client that [Client.Run] runs.
func New(set Settings) (*Client, error) {
	if set.API == nil {
		return nil, errors.New("slack socket: no Slack client given")
	}
	if set.Log == nil {
		set.Log = slog.New(slog.DiscardHandler)
	}
	if set.HTTP == nil {
		set.HTTP = &http.Client{Timeout: 5 * time.Second}
	}
	if set.Dial == nil {
		// Slack does not put continuation frames together again (slack-go,
		// socketmode), so the buffer holds the largest acknowledgement.
		set.Dial = &websocket.Dialer{Proxy: http.ProxyFromEnvironment, WriteBufferSize: 32 << 10}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&set.OpenWithin, 10 * time.Second}, {&set.AcceptWithin, time.Second},
		{&set.Silence, 30 * time.Second}, {&set.PongWithin, 10 * time.Second},
		{&set.Grace, time.Minute}, {&set.Quick.Drain, 25 * time.Second}, {&set.Slow.Drain, 10 * time.Second},
		{&set.BackoffBase, 500 * time.Millisecond}, {&set.BackoffMax, 30 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	for _, n := range []struct {
		field *int
		value int
	}{{&set.Quick.All, 256}, {&set.Quick.Each, 16}, {&set.Slow.All, 256}, {&set.Slow.Each, 3}} {
		if *n.field <= 0 {
			*n.field = n.value
		}
	}
	for _, l := range []*Limits{&set.Quick, &set.Slow} {
		if l.TooMany == "" {
			l.TooMany = tooManyText
		}
	}
	return &Client{
		set: set, log: set.Log, seen: newDedupe(rememberedIDs), ready: make(chan struct{}),
		wait: newBackoff(set.BackoffBase, set.BackoffMax), links: map[*link]struct{}{},
	}, nil
}

// session is what lives as long as one call of Run.
type session struct {
	*Client
	to      Receiver
	pool    *pool
	readers sync.WaitGroup
	fail    context.CancelCauseFunc
}

// Run keeps the socket connected and delivers to the receiver until ctx ends
// (it then returns nil) or Slack answers with an error that only the operator
// can mend (a [*PermanentError]). Before it returns, acknowledgements are
// written, work under way has ended or the Drain of its lane is over, and the
// connections are closed. One Run at a time.
func (s *Client) Run(ctx context.Context, to Receiver) error {
	live, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	se := &session{Client: s, to: to, fail: fail}
	se.pool = s.newPool(context.WithoutCancel(ctx))
	err := se.keepConnected(live)
	se.shutdown()
	var permanent *PermanentError
	if errors.As(err, &permanent) || errors.As(context.Cause(live), &permanent) {
		return permanent
	}
	return nil
}

// keepConnected opens one connection after the other, each as soon as the one
// before says that it will end. It returns a permanent error, or the context's.
func (s *session) keepConnected(ctx context.Context) error {
	var current *link
	for {
		if err := s.wait.next(ctx); err != nil {
			return err
		}
		next, err := s.connect(ctx)
		if err != nil {
			var permanent *PermanentError
			if errors.As(err, &permanent) || ctx.Err() != nil {
				return err
			}
			wait := s.wait.refused(retryAfter(err))
			s.log.Warn("slack connection refused, will try again", "error", err, "wait_ms", wait.Milliseconds())
			continue
		}
		if current != nil {
			current.retireAfter(s.set.Grace)
		}
		current = next
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-current.successorNeeded:
		}
		if wait := s.afterEnd(current); wait > 0 {
			s.log.Warn("slack connection ended soon after it was opened, will wait before the next",
				"link", current.number, "reason", current.endReason(), "wait_ms", wait.Milliseconds())
		}
	}
}

// afterEnd returns how long to wait for the successor of a connection.
func (s *session) afterEnd(l *link) time.Duration {
	delivered := s.count.takeProgress()
	if l.rejected.Load() {
		return s.wait.refused(0)
	}
	return s.wait.ended(delivered || time.Since(l.opened) >= usefulLife)
}

// connect opens one connection and returns it when Slack has said hello.
func (s *session) connect(ctx context.Context) (*link, error) {
	s.makeRoom()
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	l := s.addLink(conn)
	s.readers.Go(func() { s.read(l) })
	s.readers.Go(func() { s.keepAlive(l) })
	hello := time.NewTimer(s.set.OpenWithin)
	defer hello.Stop()
	select {
	case <-l.hello:
		return l, nil
	case <-l.successorNeeded:
		if l.greeted() {
			return l, nil
		}
		return nil, fmt.Errorf("slack connection: ended before hello: %s", l.endReason())
	case <-hello.C:
		l.abort("no hello")
		return nil, fmt.Errorf("slack connection: no hello within %s", s.set.OpenWithin)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *session) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.set.OpenWithin)
	defer cancel()
	s.count.opens.Add(1)
	open, cancelOpen := context.WithTimeout(ctx, s.set.OpenWithin)
	defer cancelOpen()
	_, url, err := s.set.API.StartSocketModeContext(open)
	if err != nil {
		return nil, openError(err)
	}
	conn, resp, err := s.set.Dial.DialContext(ctx, url, nil)
	if err != nil {
		return nil, dialError(resp, err)
	}
	return conn, nil
}

// shutdown ends the session: first the readers, which have written every
// acknowledgement when they are done, within drainTimeout and closeTimeout;
// then the work, within the Drain of each lane and unwindWithin.
func (s *session) shutdown() {
	for _, l := range s.openLinks() {
		l.needSuccessor("the bot is stopping")
		l.stopReading()
	}
	read := make(chan struct{})
	go func() { s.readers.Wait(); close(read) }()
	select {
	case <-read:
	case <-time.After(drainTimeout + closeTimeout + s.set.AcceptWithin):
		for _, l := range s.openLinks() {
			l.abort("the bot is stopping")
		}
	}
	if left := s.pool.drain(); left > 0 {
		s.log.Warn("stopped with work unfinished", "envelopes", left)
	}
}
