package main

import (
	"context"
	"time"

	"jwksbot/runbook"
)

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
