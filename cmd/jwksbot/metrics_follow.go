package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"slices"
	"time"

	"jwksbot/bot"
	"jwksbot/runbook"
	"jwksbot/runbook/journal"
)

// meter makes everything countable that the app and the bot do. Call it
// before they begin.
func (a *app) meter(b *bot.Bot) *metrics {
	m := a.metrics
	if m == nil {
		m = newMetrics()
	}
	a.runner.Observe(m.checked)
	m.socket(b.Status)
	m.yes("jwksbot_slack_connected", "1 while Slack can reach this process over Socket Mode.", func(ctx context.Context) bool { return b.Ready(ctx) == nil })
	m.yes("jwksbot_executor", "1 in the one process that executes runs.", func(context.Context) bool { return a.journal.Executing() })
	m.yes("jwksbot_presenter", "1 in the one process that posts the messages of runs.", func(context.Context) bool { return a.journal.Presenting() })
	m.yes("jwksbot_journal_up", "1 while the journal answers.", func(ctx context.Context) bool {
		_, err := a.journal.AuditHead(ctx)
		return err == nil
	})
	return m
}

// slack makes the client of the Web API countable.
func (m *metrics) slack(next http.RoundTripper) http.RoundTripper { return slackTransport{m, next} }

// followEvery is how often the journal is read: other replicas write to it too.
const followEvery = 10 * time.Second

// follower counts what is new in the journal since it began to look.
type follower struct {
	metrics  *metrics
	journal  *journal.Journal
	seq      int64                   // the last row of the trail that was counted
	arrivals map[runbook.State]int64 // as they were counted; nil: it has not begun
}

// follow counts what happens from now on.
func (m *metrics) follow(ctx context.Context, j *journal.Journal) error {
	f := &follower{metrics: m, journal: j}
	for {
		if err := f.look(ctx); err != nil && ctx.Err() == nil {
			m.journalErrors.Inc()
		}
		if err := (runbook.SystemClock{}).Wait(ctx, followEvery); err != nil {
			return err
		}
	}
}

// look counts what is new; the first time it only finds out where it begins.
func (f *follower) look(ctx context.Context) error {
	arrivals, err := f.journal.Arrivals(ctx)
	if err != nil {
		return err
	}
	if f.arrivals == nil {
		head, err := f.journal.AuditHead(ctx)
		if err != nil {
			return err
		}
		f.arrivals, f.seq = arrivals, head.Seq
		return nil
	}
	for state, n := range arrivals {
		if more := n - f.arrivals[state]; more > 0 { // a journal may be put back to an older copy
			f.metrics.arrived(state, more)
		}
	}
	f.arrivals = arrivals
	for row, err := range f.journal.AuditRows(ctx, journal.AuditFilter{After: f.seq}) {
		if err != nil {
			return err
		}
		f.metrics.row(row.AuditEntry)
		f.seq = row.Seq
	}
	return nil
}

// arrived counts how many runs came to a state.
func (m *metrics) arrived(s runbook.State, n int64) {
	switch {
	case s.Ended():
		m.runsEnded.WithLabelValues(string(s)).Add(float64(n))
	case s == runbook.StateEscalate:
		m.escalations.Add(float64(n))
	}
}

// decisionKinds are the kinds of audit rows that tell of a person's decision,
// or of a refusal.
var decisionKinds = []string{string(runbook.DecideApprove), string(runbook.DecideDeny), string(runbook.DecideWithdraw), string(runbook.DecideBreakGlass), "refused"}

func endStates() []string {
	var out []string
	for _, s := range runbook.States() {
		if s.Ended() {
			out = append(out, string(s))
		}
	}
	return out
}

// row counts one row of the audit trail.
func (m *metrics) row(e runbook.AuditEntry) {
	switch {
	case e.Kind == "request":
		m.requests.Inc()
	case slices.Contains(decisionKinds, e.Kind):
		m.decisions.WithLabelValues(e.Kind).Inc()
	}
}

// postMethods are the calls of the Web API that show something to people.
var postMethods = []string{"chat.postMessage", "chat.postEphemeral", "chat.update", "files.completeUploadExternal"}

// slackTransport counts what Slack takes and what it does not.
type slackTransport struct {
	metrics *metrics
	next    http.RoundTripper
}

// RoundTrip carries a request out. Slack says in the body whether it worked.
func (s slackTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	method := path.Base(req.URL.Path)
	if !slices.Contains(postMethods, method) {
		return s.next.RoundTrip(req)
	}
	s.metrics.posts.WithLabelValues(method).Inc()
	resp, err := s.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.metrics.postsFailed.WithLabelValues(method).Inc()
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // it was read
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var answer struct {
		OK bool `json:"ok"`
	}
	if err != nil || json.Unmarshal(body, &answer) != nil || !answer.OK {
		s.metrics.postsFailed.WithLabelValues(method).Inc()
	}
	return resp, err
}
