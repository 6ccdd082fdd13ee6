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

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"jwksbot/bot"
	"jwksbot/bot/socket"
	"jwksbot/runbook"
	"jwksbot/runbook/check"
	"jwksbot/runbook/journal"
)

// metrics counts what the bot does, for a monitoring system to read at
// /metrics. Labels are words of small fixed sets, never names of people, keys
// or tickets. What people decide and how runs end is counted from the journal,
// so that it is the same in every replica; the rest is of this process.
type metrics struct {
	http.Handler // answers with everything that is known now
	register     promauto.Factory

	checks        *prometheus.CounterVec // by verdict
	checkDuration prometheus.Histogram
	requests      prometheus.Counter
	decisions     *prometheus.CounterVec // by kind
	runsEnded     *prometheus.CounterVec // by state
	escalations   prometheus.Counter
	posts         *prometheus.CounterVec // by method
	postsFailed   *prometheus.CounterVec // by method
	journalErrors prometheus.Counter
}

// newMetrics begins at zero, which is said: a counter that turns up with its
// first event hides that event from whoever looks at its growth. The registry
// is of this value alone, so that no package adds what nobody asked for.
func newMetrics() *metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	// Twelve kilobytes are not worth the megabytes that a compressor holds.
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true})
	m := &metrics{Handler: handler, register: promauto.With(registry)}
	m.checks = m.counters("jwksbot_checks_total", "Checks that this process ran, by verdict.", "verdict")
	m.checkDuration = m.register.NewHistogram(prometheus.HistogramOpts{
		Name: "jwksbot_check_duration_seconds", Help: "How long checks took in this process.",
		Buckets: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30},
	})
	m.requests = m.counter("jwksbot_requests_total", "Mitigations that were requested (from the audit trail).")
	m.decisions = m.counters("jwksbot_decisions_total", "Decisions of people, and refusals of people, by kind (from the audit trail).", "kind", decisionKinds...)
	m.runsEnded = m.counters("jwksbot_runs_ended_total", "Runs that ended, by end state (from the journal).", "state", endStates()...)
	m.escalations = m.counter("jwksbot_escalations_total", "Calls for the on-call team (from the journal).")
	m.posts = m.counters("jwksbot_slack_posts_total", "Messages and files that were sent to Slack, by method.", "method", postMethods...)
	m.postsFailed = m.counters("jwksbot_slack_posts_failed_total", "Messages and files that Slack did not take, by method.", "method", postMethods...)
	m.journalErrors = m.counter("jwksbot_journal_errors_total", "Errors of the journal in work that nobody waits for.")
	m.register.NewGauge(prometheus.GaugeOpts{
		Name: "jwksbot_build_info", Help: "1, with the version of the program.", ConstLabels: prometheus.Labels{"version": version()},
	}).Set(1)
	return m
}

func (m *metrics) counter(name, help string) prometheus.Counter {
	return m.register.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

// counters makes a counter for each value of one label; values that are known
// beforehand begin at zero.
func (m *metrics) counters(name, help, label string, known ...string) *prometheus.CounterVec {
	vec := m.register.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	for _, value := range known {
		vec.WithLabelValues(value)
	}
	return vec
}

// checked counts a check.
func (m *metrics) checked(r check.Report) {
	m.checks.WithLabelValues(string(r.Diagnosis.Verdict.ID)).Inc()
	m.checkDuration.Observe(r.Duration.Seconds())
}

// answerWithin is how long what is asked during a scrape may take to answer.
const answerWithin = 2 * time.Second

// yes shows 1 while is holds. It is asked whenever somebody reads.
func (m *metrics) yes(name, help string, is func(context.Context) bool) {
	m.register.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin) // the library hands on no context
		defer cancel()
		if is(ctx) {
			return 1
		}
		return 0
	})
}

// socket shows what the connection to Slack counts itself.
func (m *metrics) socket(status func() socket.Status) {
	m.register.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "jwksbot_slack_open_connections", Help: "Socket Mode connections of this process, two during a refresh.",
	}, func() float64 { return float64(status().Connections) })
	for _, c := range []struct {
		name, help string
		of         func(socket.Status) float64
	}{
		{"jwksbot_slack_connections_total", "Socket Mode connections that were asked for.", func(s socket.Status) float64 { return float64(s.Opens) }},
		{"jwksbot_slack_acknowledged_total", "Deliveries of Slack that were acknowledged.", func(s socket.Status) float64 { return float64(s.Acked) }},
		{"jwksbot_slack_ack_errors_total", "Acknowledgements that could not be written.", func(s socket.Status) float64 { return float64(s.AckErrors) }},
		{"jwksbot_slack_busy_total", "Deliveries refused because everything was busy.", func(s socket.Status) float64 { return float64(s.Busy) }},
		{"jwksbot_panics_total", "Panics that were recovered in the receiver.", func(s socket.Status) float64 { return float64(s.Panics) }},
	} {
		m.register.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help}, func() float64 { return c.of(status()) })
	}
}

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
