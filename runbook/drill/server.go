package drill

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"jwksbot/runbook"
)

// server is one loopback listener and its requests.
type server struct {
	url  string
	http *http.Server
	done chan struct{}

	mu      sync.Mutex
	latency time.Duration
}

// serve answers h on a free loopback port until close.
func serve(ctx context.Context, h http.Handler) (*server, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	s := &server{url: "http://" + l.Addr().String(), done: make(chan struct{})}
	s.http = &http.Server{
		Handler:           s.slow(h),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(l) // always an error, and always that of close
	}()
	return s, nil
}

func (s *server) delay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency = d
}

// slow holds every request back by the latency, in real time.
func (s *server) slow(h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		d := s.latency
		s.mu.Unlock()
		if (runbook.SystemClock{}).Wait(r.Context(), d) == nil {
			h.ServeHTTP(rw, r)
		}
	})
}

func (s *server) close() {
	if s == nil {
		return
	}
	_ = s.http.Close()
	<-s.done
}
