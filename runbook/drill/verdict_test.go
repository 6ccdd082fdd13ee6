package drill

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	lambdas "jwksbot/runbook/authoriser"
	"jwksbot/runbook/cache"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/keys"
	"jwksbot/runbook/telemetry"
)

// readPolicy is what the checks may do in a world, and nothing else.
func readPolicy(w *World) []byte {
	api := "/restapis/" + w.RestAPIID()
	if w.HTTPAPIID() != "" {
		api = "/apis/" + w.HTTPAPIID()
	}
	return fmt.Appendf(nil, `{"Statement": [
		{"Effect": "Allow", "Action": "elasticache:DescribeReplicationGroups", "Resource": "arn:aws:elasticache:%[1]s:%[2]s:replicationgroup:%[3]s"},
		{"Effect": "Allow", "Action": "cloudwatch:GetMetricData", "Resource": "*"},
		{"Effect": "Allow", "Action": "logs:FilterLogEvents", "Resource": ["arn:aws:logs:%[1]s:%[2]s:log-group:%[4]s:*", "arn:aws:logs:%[1]s:%[2]s:log-group:%[5]s:*"]},
		{"Effect": "Allow", "Action": ["lambda:GetFunctionConfiguration", "lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig"],
			"Resource": ["arn:aws:lambda:%[1]s:%[2]s:function:%[6]s", "arn:aws:lambda:%[1]s:%[2]s:function:%[6]s:*"]},
		{"Effect": "Allow", "Action": "apigateway:GET", "Resource": ["arn:aws:apigateway:%[1]s::%[7]s", "arn:aws:apigateway:%[1]s::%[7]s/authorizers", "arn:aws:apigateway:%[1]s::%[7]s/stages/%[8]s"]}
	]}`, Region, Account, ReplicationGroup, LogGroup, AccessLogGroup, Function, api, Stage)
}

// targetOf is the world as a target of the real bot.
func targetOf(t *testing.T, w *World) *check.Target {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	live, err := keys.NewEndpoint(keys.Settings{URL: w.JWKSURL(), Clock: w.clock})
	must(err)
	entries, err := cache.New(cache.Settings{ReplicationGroup: ReplicationGroup, Auth: "none", Patterns: []string{"jwks:*"}, AWS: sdk(w), Clock: w.clock})
	must(err)
	t.Cleanup(func() { _ = entries.Close() })
	logs, err := telemetry.NewLogs(telemetry.LogSettings{AWS: sdk(w), Group: LogGroup, SuccessPattern: SuccessPattern, Clock: w.clock})
	must(err)
	metrics, err := telemetry.NewMetrics(telemetry.MetricSettings{AWS: sdk(w)})
	must(err)
	access, err := telemetry.NewAccessLog(telemetry.AccessLogSettings{AWS: sdk(w), Group: AccessLogGroup, Clock: w.clock})
	must(err)
	function, err := lambdas.NewFunction(lambdas.Settings{AWS: sdk(w), Name: Function, Clock: w.clock})
	must(err)
	return &check.Target{Name: "production", Issuer: w.Issuer(), JWKSURL: w.JWKSURL(), Decode: keys.Decode,
		Live: live, Entries: entries, Logs: logs, Traffic: metrics, Meter: metrics, Access: access, Function: function, API: theGateway(t, w)}
}

// besides are findings that must stand beside the verdict of a scenario.
var besides = map[string][]runbook.VerdictID{"cold": {diagnose.ColdCache}, "per-kid": {diagnose.ColdCache}}

// unreadable is the step that cannot read anything, where a scenario has one.
var unreadable = map[string]string{"shut-out": runbook.StepCachedKeys}

// Every scenario reaches the verdict that it promises, by the real checks over
// the wire, with no more permissions than they need.
func TestScenariosReachTheirVerdicts(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, Options{Scenario: s.Name, Clock: runbook.SystemClock{}})
			if err := w.Permit(readPolicy(w)); err != nil {
				t.Fatal(err)
			}
			runner := check.NewRunner(w.clock, func(step string, value any, stack []byte) { t.Errorf("%s panicked: %v\n%s", step, value, stack) })
			memory := &memory{first: map[string]runbook.Sighting{}}
			if err := w.Remember(t.Context(), memory, "production"); err != nil {
				t.Fatal(err)
			}
			runner.Remember(memory)
			report, err := runner.Check(t.Context(), targetOf(t, w), check.Ask{Window: time.Hour, Anew: true}, check.Silent{})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(report.Diagnosis.Verdict.ID); got != s.Verdict {
				t.Errorf("verdict %s, want %s: %s\n%s", got, s.Verdict, report.Diagnosis.Verdict.Summary, strings.Join(report.Diagnosis.Verdict.Because, "\n"))
			}
			for _, want := range besides[s.Name] {
				if !slices.ContainsFunc(report.Diagnosis.Findings, func(f runbook.Finding) bool { return f.ID == want }) {
					t.Errorf("no finding %s among %v", want, report.Diagnosis.Findings)
				}
			}
			for _, step := range report.Steps {
				if step.Status == runbook.StatusError != (step.Step == unreadable[s.Name]) || strings.Contains(step.Summary, "not permitted") {
					t.Errorf("%s: %s", step.Step, step.Summary)
				}
			}
		})
	}
}

// memory is what a bot that has watched for an hour knows.
type memory struct{ first map[string]runbook.Sighting }

func (m *memory) Seen(_ context.Context, _ string, keys []runbook.Key, at time.Time) error {
	for _, k := range keys {
		s, known := m.first[k.Thumbprint]
		if !known {
			s = runbook.Sighting{Kid: k.Kid, Thumbprint: k.Thumbprint, FirstSeen: at}
		}
		s.LastSeen = at
		m.first[k.Thumbprint] = s
	}
	return nil
}

func (m *memory) Sightings(context.Context, string) (all []runbook.Sighting, _ error) {
	for _, s := range m.first {
		all = append(all, s)
	}
	return all, nil
}

func (m *memory) LastFlush(context.Context, string) (time.Time, error) { return time.Time{}, nil }

// What is remembered of the past names keys as the reader of keys does.
func TestRememberedKeysAreTheRealOnes(t *testing.T) {
	w := quietWorld(t)
	m := &memory{first: map[string]runbook.Sighting{}}
	if err := w.Remember(t.Context(), m, "production"); err != nil {
		t.Fatal(err)
	}
	live := targetOf(t, w).Live.Probe(t.Context()).Set.Keys
	if len(m.first) != 1 || len(live) != 1 {
		t.Fatalf("remembered %+v, live %+v", m.first, live)
	}
	k := live[0]
	if s := m.first[k.Thumbprint]; s.Kid != k.Kid || s.LastSeen.Sub(s.FirstSeen) < pastLength {
		t.Errorf("remembered %+v, live %+v", m.first, k)
	}
}
