package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"jwksbot/bot"
	"jwksbot/runbook"
)

// metrics counts what the bot does, for a monitoring system to read at
// /metrics. Labels are words of small fixed sets, never names of people, keys
// or tickets. What people decide and how runs end is counted from the audit
// trail, so that it is the same in every replica; the rest is of this process.
//
// The text format of Prometheus (version 0.0.4, "Exposition formats") is lines
// of a name and a number. It is written here: a client library would bring
// more code than the bot has, and its memory, for these thirty lines.
type metrics struct {
	mu       sync.Mutex
	counters map[string]map[string]float64 // name, labels, value
	checks   histogram
	started  time.Time

	// read when somebody asks
	socket    func() bot.SocketStatus
	healthy   func(context.Context) error
	executing func() bool
	journal   func(context.Context) error
}

// counted are the counters and what they are about.
var counted = map[string]string{
	"jwksbot_checks_total":             "Checks that this process ran, by verdict.",
	"jwksbot_requests_total":           "Mitigations that were requested (from the audit trail).",
	"jwksbot_decisions_total":          "Decisions of people, and refusals of people, by kind (from the audit trail).",
	"jwksbot_runs_ended_total":         "Runs that ended, by end state (from the audit trail).",
	"jwksbot_escalations_total":        "Calls for the on-call team (from the audit trail).",
	"jwksbot_slack_posts_failed_total": "Messages and files that Slack did not take, by method.",
	"jwksbot_slack_posts_total":        "Messages and files that were sent to Slack, by method.",
	"jwksbot_journal_errors_total":     "Errors of the journal in work that nobody waits for.",
	"jwksbot_slack_acknowledged_total": "Deliveries of Slack that were acknowledged.",
	"jwksbot_slack_ack_errors_total":   "Acknowledgements that could not be written.",
	"jwksbot_slack_busy_total":         "Deliveries refused because everything was busy.",
	"jwksbot_slack_connections_total":  "Socket Mode connections that were asked for.",
	"process_cpu_seconds_total":        "Total user and system CPU time spent in seconds.",
	"jwksbot_panics_total":             "Panics that were recovered in the receiver.",
}

// newMetrics begins at zero, which is said: a counter that turns up with its
// first event hides that event from whoever looks at its growth.
func newMetrics() *metrics {
	m := &metrics{counters: map[string]map[string]float64{}, checks: newHistogram(), started: time.Now()}
	for _, name := range []string{"jwksbot_requests_total", "jwksbot_escalations_total", "jwksbot_journal_errors_total"} {
		m.counters[name] = map[string]float64{"": 0}
	}
	for name, values := range map[string]map[string][]string{
		"jwksbot_decisions_total":          {"kind": decisionKinds},
		"jwksbot_runs_ended_total":         {"state": endStates()},
		"jwksbot_slack_posts_total":        {"method": postMethods},
		"jwksbot_slack_posts_failed_total": {"method": postMethods},
	} {
		m.counters[name] = map[string]float64{}
		for of, words := range values {
			for _, word := range words {
				m.counters[name][label(of, word)] = 0
			}
		}
	}
	return m
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

// count adds one. labels are written as the format wants them: {kind="deny"}.
func (m *metrics) count(name, labels string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counters[name] == nil {
		m.counters[name] = map[string]float64{}
	}
	m.counters[name][labels]++
}

// label makes a set of one label. Values are the program's own words.
func label(name, value string) string { return "{" + name + "=" + strconv.Quote(value) + "}" }

// checked counts a check.
func (m *metrics) checked(r runbook.Report) {
	m.count("jwksbot_checks_total", label("verdict", string(r.Diagnosis.Verdict.ID)))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.checks.add(r.Duration.Seconds())
}

// histogram has the buckets of how long a check takes.
type histogram struct {
	bounds []float64
	counts []uint64 // the last one is of everything above the bounds
	sum    float64
}

func newHistogram() histogram {
	bounds := []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30}
	return histogram{bounds: bounds, counts: make([]uint64, len(bounds)+1)}
}

func (h *histogram) add(v float64) {
	i, _ := slices.BinarySearch(h.bounds, v)
	h.counts[i]++
	h.sum += v
}

func (h *histogram) write(p *exposition, name, help string) {
	p.head(name, "histogram", help)
	total := uint64(0)
	for i, n := range h.counts {
		total += n
		le := "+Inf"
		if i < len(h.bounds) {
			le = strconv.FormatFloat(h.bounds[i], 'g', -1, 64)
		}
		p.value(name+"_bucket", label("le", le), float64(total))
	}
	p.value(name+"_sum", "", h.sum)
	p.value(name+"_count", "", float64(total))
}

// exposition writes the text format.
type exposition struct{ out io.Writer }

func (p *exposition) head(name, kind, help string) {
	fmt.Fprintf(p.out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (p *exposition) value(name, labels string, v float64) {
	fmt.Fprintf(p.out, "%s%s %s\n", name, labels, strconv.FormatFloat(v, 'g', -1, 64))
}

func (p *exposition) gauge(name, help string, v float64) {
	p.head(name, "gauge", help)
	p.value(name, "", v)
}

func (p *exposition) counter(name string, v float64) {
	p.head(name, "counter", counted[name])
	p.value(name, "", v)
}

func (p *exposition) yes(name, help string, is bool) {
	v := 0.0
	if is {
		v = 1
	}
	p.gauge(name, help, v)
}

// ServeHTTP answers with everything that is known now.
func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var b strings.Builder
	p := &exposition{&b}
	m.gauges(r.Context(), p)
	m.write(p)
	processMetrics(p, m.started)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = io.WriteString(w, b.String()) // the asker is gone: nobody to tell
}

// answerWithin is how long the journal may take to show that it answers.
const answerWithin = 2 * time.Second

func (m *metrics) gauges(ctx context.Context, p *exposition) {
	if m.healthy != nil {
		p.yes("jwksbot_slack_connected", "1 while Slack can reach this process over Socket Mode.", m.healthy(ctx) == nil)
	}
	if m.executing != nil {
		p.yes("jwksbot_executor", "1 in the one process that executes runs.", m.executing())
	}
	if m.journal != nil {
		ctx, cancel := context.WithTimeout(ctx, answerWithin)
		defer cancel()
		p.yes("jwksbot_journal_up", "1 while the journal answers.", m.journal(ctx) == nil)
	}
	if m.socket != nil {
		s := m.socket()
		p.gauge("jwksbot_slack_open_connections", "Socket Mode connections of this process, two during a refresh.", float64(s.Connections))
		p.counter("jwksbot_slack_connections_total", float64(s.Opens))
		p.counter("jwksbot_slack_acknowledged_total", float64(s.Acked))
		p.counter("jwksbot_slack_ack_errors_total", float64(s.AckErrors))
		p.counter("jwksbot_slack_busy_total", float64(s.Busy))
		p.counter("jwksbot_panics_total", float64(s.Panics))
	}
	p.head("jwksbot_build_info", "gauge", "1, with the version of the program.")
	p.value("jwksbot_build_info", label("version", version()), 1)
}

func (m *metrics) write(p *exposition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(m.counters)) {
		p.head(name, "counter", counted[name])
		for _, labels := range slices.Sorted(maps.Keys(m.counters[name])) {
			p.value(name, labels, m.counters[name][labels])
		}
	}
	m.checks.write(p, "jwksbot_check_duration_seconds", "How long checks took in this process.")
}
