package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"jwksbot/runbook"
)

func healthCommand(w *world) *cobra.Command {
	c := &healthCmd{}
	cmd := w.command("health", "Ask a running bot whether it is ready (for container health checks).", c)
	cmd.Flags().StringVar(&c.Address, "address", "", "`HOST:PORT` where the bot listens; listen of the configuration without it.")
	return cmd
}

// healthCmd asks a running bot whether it is ready: the health check of the
// container, which has no shell and no curl.
type healthCmd struct{ Address string }

// run exits 0 when the bot says that it is ready.
func (c *healthCmd) run(ctx context.Context, w *world) error {
	address := c.Address
	if address == "" {
		cfg, err := w.readConfig()
		if err != nil {
			return err
		}
		address = cfg.Listen
	}
	if address == "" {
		return errors.New("health checks are switched off: listen is empty in the configuration")
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		var why *url.Error
		if errors.As(err, &why) {
			err = why.Err // without the URL, which is said already
		}
		return fmt.Errorf("no bot answers at %s: %w; one is started by: jwksbot serve", address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &exitError{exitFinding, fmt.Errorf("the bot at %s is not ready: %s", address, whyNotReady(resp))}
	}
	_, err = fmt.Fprintln(w.stdout, "ready")
	return err
}

// whyNotReady is what the bot says of itself.
func whyNotReady(resp *http.Response) string {
	var answer struct{ Why string }
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&answer) != nil || answer.Why == "" {
		return resp.Status
	}
	return answer.Why
}

// healthServer answers /healthz (the process works), /readyz (it can do its job)
// and /metrics.
type healthServer struct {
	ready   func(context.Context) readiness
	metrics http.Handler
}

// ServeHTTP answers in JSON.
func (h healthServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, code := readiness{Status: "ok"}, http.StatusOK
	switch r.URL.Path {
	case "/healthz":
	case "/readyz":
		if answer = h.ready(r.Context()); answer.Why != "" {
			code = http.StatusServiceUnavailable
		}
	case "/metrics":
		h.metrics.ServeHTTP(w, r)
		return
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer) // the asker is gone: nobody to tell
}

// Limits of the health port. Whoever asks again after healthIdle connects anew.
const (
	healthReads = 5 * time.Second
	healthIdle  = 10 * time.Second
)

// serveHealth listens until the context ends. The log tells where: port 0 is a
// free one.
func serveHealth(ctx context.Context, address string, h http.Handler, log *slog.Logger) error {
	if address == "" {
		<-ctx.Done()
		return ctx.Err()
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("health checks: %w; set listen in the configuration to a free address, or to \"\"", err)
	}
	log.Info("health checks and metrics are served", "address", l.Addr().String())
	srv := &http.Server{Handler: h, ReadHeaderTimeout: healthReads, ReadTimeout: healthReads, WriteTimeout: 2 * healthReads, IdleTimeout: healthIdle}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return ctx.Err()
}

// readiness is whether the bot can do its job, and what of it is done where.
type readiness struct {
	Status string `json:"status"`        // "ok" or "not ready"
	Why    string `json:"why,omitempty"` // what is missing first

	Slack     string `json:"slack,omitempty"`     // "ok", or what is wrong
	Journal   string `json:"journal,omitempty"`   // "ok", or what is wrong
	Posting   string `json:"posting,omitempty"`   // "here", "elsewhere", "nobody", "unknown"
	Executing string `json:"executing,omitempty"` // "here", the process that does, "nobody", "unknown"
}

// readyWithin is how long the journal may take to answer.
const readyWithin = 2 * time.Second

// readiness looks at everything that the bot needs.
func (a *app) readiness(slack func(context.Context) error) func(context.Context) readiness {
	return func(ctx context.Context) readiness {
		ctx, cancel := context.WithTimeout(ctx, readyWithin)
		defer cancel()
		r := readiness{Status: "ok", Slack: "ok", Journal: "ok", Posting: "unknown", Executing: "unknown"}
		if err := slack(ctx); err != nil {
			r.Slack = err.Error()
			r.miss(r.Slack)
		}
		if err := a.lookAtJournal(ctx, &r); err != nil {
			r.Journal = runbook.OneLine(err)
			r.miss(r.Journal)
		}
		return r
	}
}

func (a *app) lookAtJournal(ctx context.Context, r *readiness) error {
	if err := a.journal.Usable(); err != nil {
		return err
	}
	there, err := a.journal.Presented(ctx)
	if err != nil {
		return err
	}
	executor, err := a.journal.Executor(ctx)
	if err != nil {
		return err
	}
	r.Posting, r.Executing = "nobody", executor
	switch {
	case a.journal.Presenting():
		r.Posting = "here"
	case there:
		r.Posting = "elsewhere"
	default:
		r.miss("no process posts the messages of runs")
	}
	switch {
	case a.journal.Executing():
		r.Executing = "here"
	case executor == "":
		r.Executing = "nobody"
		r.miss("no process executes runs")
	}
	return nil
}

// miss notes what the bot cannot do its job without; the first is told as the
// reason.
func (r *readiness) miss(why string) {
	r.Status = "not ready"
	if r.Why == "" {
		r.Why = why
	}
}
