package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"jwksbot/bot"
	"jwksbot/runbook"
	"jwksbot/runbook/journal"
)

// meter makes everything countable that the office and the bot do. Call it
// before they begin.
func (o *office) meter(b *bot.Bot) *metrics {
	m := o.metrics
	if m == nil {
		m = newMetrics()
	}
	o.runner.Observe(m.checked)
	m.socket(b.Status)
	m.yes("jwksbot_slack_connected", "1 while Slack can reach this process over Socket Mode.", func(ctx context.Context) bool { return b.Ready(ctx) == nil })
	m.yes("jwksbot_executor", "1 in the one process that executes runs.", func(context.Context) bool { return o.journal.Executing() })
	m.yes("jwksbot_journal_up", "1 while the journal answers.", func(ctx context.Context) bool {
		_, err := o.journal.AuditHead(ctx)
		return err == nil
	})
	return m
}

// slack makes the client of the Web API countable.
func (m *metrics) slack(next http.RoundTripper) http.RoundTripper { return slackTransport{m, next} }

// followEvery is how often the trail is read: other replicas write to it too.
const followEvery = 10 * time.Second

// follow counts the rows that are added to the audit trail from now on.
func (m *metrics) follow(ctx context.Context, j *journal.Journal) error {
	seq := int64(-1)
	for {
		next, err := m.read(ctx, j, seq)
		if err != nil && ctx.Err() == nil {
			m.journalErrors.Inc()
		}
		seq = next
		if err := (runbook.SystemClock{}).Wait(ctx, followEvery); err != nil {
			return err
		}
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

// read counts the rows after seq, -1 being the end of the trail, and returns
// the number of the last one.
func (m *metrics) read(ctx context.Context, j *journal.Journal, seq int64) (int64, error) {
	if seq < 0 {
		head, err := j.AuditHead(ctx)
		if err != nil {
			return seq, err
		}
		return head.Seq, nil
	}
	for row, err := range j.AuditRows(ctx, journal.AuditFilter{After: seq}) {
		if err != nil {
			return seq, err
		}
		m.row(row.AuditEntry)
		seq = row.Seq
	}
	return seq, nil
}

// row counts one row of the audit trail.
func (m *metrics) row(e runbook.AuditEntry) {
	switch {
	case e.Kind == "request":
		m.requests.Inc()
	case slices.Contains(decisionKinds, e.Kind):
		m.decisions.WithLabelValues(e.Kind).Inc()
	}
	if to := endOf(e); to != "" {
		m.runsEnded.WithLabelValues(string(to)).Inc()
	}
	if e.Kind == "state" && strings.Contains(firstClause(e.Detail), " to "+string(runbook.StateEscalate)) {
		m.escalations.Inc()
	}
}

// endOf is the state in which a row says that a run ended, "" if none. The end
// of a request is written by the decision itself, or as "expired: …".
func endOf(e runbook.AuditEntry) runbook.State {
	switch e.Kind {
	case string(runbook.DecideDeny):
		return runbook.StateDenied
	case string(runbook.DecideWithdraw):
		return runbook.StateWithdrawn
	case "state":
		words := strings.Fields(firstClause(e.Detail))
		if len(words) > 0 {
			if s := runbook.State(words[len(words)-1]); slices.Contains(endStates(), string(s)) {
				return s
			}
		}
	}
	return ""
}

func firstClause(detail string) string {
	before, _, _ := strings.Cut(detail, ":")
	return before
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
