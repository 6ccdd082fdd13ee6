package main

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"jwksbot/bot/socket"
	"jwksbot/runbook/check"
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
