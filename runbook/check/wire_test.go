package check_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"jwksbot/runbook"
	"jwksbot/runbook/authoriser"
	"jwksbot/runbook/cache"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/drill"
	"jwksbot/runbook/keys"
	"jwksbot/runbook/telemetry"
)

// start builds a broken world and a target that reads it through the real
// clients, discovery included.
func start(t *testing.T, o drill.Options) (*drill.World, *check.Target) {
	t.Helper()
	w, err := drill.Start(context.WithoutCancel(t.Context()), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	sdk := aws.Config{Region: drill.Region, BaseEndpoint: aws.String(w.AWSEndpoint()),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")}
	target := &check.Target{Name: "production", Issuer: w.Issuer(), JWKSURL: w.JWKSURL(), Decode: keys.Decode,
		Resource: "replication group " + drill.ReplicationGroup}
	target.Live = endpoint(t, w.JWKSURL())
	target.Entries = store(t, cache.Settings{ReplicationGroup: drill.ReplicationGroup, AWS: sdk})
	logs, err := telemetry.NewLogs(telemetry.LogSettings{AWS: sdk, Group: drill.LogGroup})
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := telemetry.NewMetrics(telemetry.MetricSettings{AWS: sdk})
	if err != nil {
		t.Fatal(err)
	}
	target.Logs, target.Traffic, target.Meter = logs, metrics, metrics
	gateway, err := authoriser.NewGateway(authoriser.GatewaySettings{AWS: sdk, RestAPI: w.RestAPIID(), HTTPAPI: w.HTTPAPIID(), Stage: drill.Stage})
	if err != nil {
		t.Fatal(err)
	}
	function, err := authoriser.NewFunction(authoriser.Settings{AWS: sdk, Name: drill.Function})
	if err != nil {
		t.Fatal(err)
	}
	access, err := telemetry.NewAccessLog(telemetry.AccessLogSettings{AWS: sdk, Group: drill.AccessLogGroup})
	if err != nil {
		t.Fatal(err)
	}
	target.API, target.Function, target.Access = gateway, function, access
	return w, target
}

func endpoint(t *testing.T, url string) *keys.Endpoint {
	t.Helper()
	e, err := keys.NewEndpoint(keys.Settings{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func store(t *testing.T, s cache.Settings) *cache.Store {
	t.Helper()
	s.Patterns = []string{"jwks:*"}
	c, err := cache.New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func checked(t *testing.T, target *check.Target) check.Report {
	t.Helper()
	r := check.NewRunner(runbook.SystemClock{}, func(step string, value any, stack []byte) {
		t.Errorf("%s panicked: %v\n%s", step, value, stack)
	})
	report, err := r.Check(t.Context(), target, check.Ask{}, check.Silent{})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Every staged incident reaches its verdict through HTTP, Redis and the AWS
// endpoints, and its report has the documented form.
func TestVerdictsOverTheWire(t *testing.T) {
	dead := closedPort(t)
	for _, c := range []struct {
		name        string
		scenario    string
		alter       func(t *testing.T, w *drill.World, target *check.Target)
		want        runbook.VerdictID
		recommended []runbook.Mitigation
		findings    []runbook.VerdictID // at least
		exit        int
	}{
		{name: "healthy", scenario: "healthy", want: diagnose.Healthy},
		{name: "stale", scenario: "stale", want: diagnose.StaleCache, recommended: []runbook.Mitigation{runbook.FlushCache}, exit: 1,
			findings: []runbook.VerdictID{diagnose.SharedCache}},
		{name: "rekeyed", scenario: "rekeyed", want: diagnose.RekeyedKid, recommended: []runbook.Mitigation{runbook.FlushCache, runbook.RestartAuthoriser}, exit: 1},
		{name: "poisoned", scenario: "poisoned", want: diagnose.PoisonedCache, recommended: []runbook.Mitigation{runbook.FlushCache}, exit: 1},
		{name: "retired", scenario: "retired", want: diagnose.RetiredKeyCached, exit: 1},
		{name: "idp-down", scenario: "idp-down", want: diagnose.LiveUnhealthy, exit: 1},
		{name: "a maintenance page", scenario: "stale", alter: broken(drill.IDPHTML), want: diagnose.LiveUnhealthy, exit: 1},
		{name: "disagree", scenario: "disagree", want: diagnose.LiveDisagrees, exit: 1},
		{name: "flapping", scenario: "stale", alter: broken(drill.IDPFlapping), want: diagnose.LiveDisagrees, exit: 1},
		{name: "cold", scenario: "cold", want: diagnose.Healthy, findings: []runbook.VerdictID{diagnose.ColdCache}},
		{name: "memory", scenario: "memory", want: diagnose.StaleMemory, recommended: []runbook.Mitigation{runbook.RestartAuthoriser}, exit: 1},
		{name: "expired", scenario: "expired", want: diagnose.ClaimsOrClock, exit: 1},
		{name: "wrong-issuer", scenario: "wrong-issuer", want: diagnose.UnknownIssuer, exit: 1},
		{name: "junk-kids", scenario: "junk-kids", want: diagnose.UnknownKids, exit: 1},
		{name: "throttled", scenario: "throttled", want: diagnose.RefetchThrottled, recommended: []runbook.Mitigation{runbook.RestartAuthoriser}, exit: 1},
		{name: "negative", scenario: "negative", want: diagnose.NegativeCache, recommended: []runbook.Mitigation{runbook.FlushCache}, exit: 1},
		{name: "foreign", scenario: "foreign", want: diagnose.StaleCache, recommended: []runbook.Mitigation{runbook.FlushCache}, exit: 1},
		{name: "new-key-type", scenario: "new-key-type", want: diagnose.UnsupportedKey, exit: 1},
		{name: "unreadable", scenario: "unreadable", want: diagnose.CacheUnreadable, exit: 2},
		{name: "gateway-results", scenario: "gateway-results", want: diagnose.GatewayResults, recommended: []runbook.Mitigation{runbook.FlushGateway}, exit: 1},
		{name: "managed-jwt", scenario: "managed-jwt", want: diagnose.ManagedAuthoriser, exit: 1},
		{name: "metadata", scenario: "metadata", want: diagnose.MetadataChanged, exit: 1},
		{name: "memory-alias", scenario: "memory-alias", want: diagnose.StaleMemory, recommended: []runbook.Mitigation{runbook.RestartAuthoriser}, exit: 1},
		{name: "env-error", scenario: "env-error", want: diagnose.StaleMemory, recommended: []runbook.Mitigation{runbook.RestartAuthoriser}, exit: 1},
		{name: "latest-differs", scenario: "latest-differs", want: diagnose.StaleMemory, recommended: []runbook.Mitigation{runbook.RestartAuthoriser}, exit: 1},
		{name: "quiet", scenario: "quiet", want: diagnose.StaleCache, recommended: []runbook.Mitigation{runbook.FlushCache}, exit: 1},
		{name: "live unreachable", scenario: "stale", want: diagnose.Inconclusive, exit: 2, findings: []runbook.VerdictID{diagnose.LiveUnreachable},
			alter: func(t *testing.T, _ *drill.World, target *check.Target) {
				target.Live = endpoint(t, "http://"+dead+"/jwks.json")
			}},
		{name: "cache unreachable", scenario: "healthy", want: diagnose.Inconclusive, exit: 2,
			alter: func(t *testing.T, _ *drill.World, target *check.Target) {
				target.Entries = store(t, cache.Settings{URL: "redis://" + dead})
			}},
		{name: "logs refused", scenario: "healthy", want: diagnose.Inconclusive, exit: 2,
			alter: func(t *testing.T, w *drill.World, target *check.Target) {
				logs, err := telemetry.NewLogs(telemetry.LogSettings{Group: "/aws/lambda/no-such-group", AWS: aws.Config{Region: drill.Region,
					BaseEndpoint: aws.String(w.AWSEndpoint()), Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")}})
				if err != nil {
					t.Fatal(err)
				}
				target.Logs = logs
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, target := start(t, drill.Options{Scenario: c.scenario, OtherKeys: 40})
			if c.alter != nil {
				c.alter(t, w, target)
			}
			report := checked(t, target)
			v := report.Diagnosis.Verdict
			if v.ID != c.want {
				for _, s := range report.Steps {
					t.Logf("%s: %s %s", s.Step, s.Status, s.Summary)
				}
				t.Fatalf("verdict %s (%s), want %s", v.ID, v.Summary, c.want)
			}
			if !slices.Equal(v.Recommended, c.recommended) || report.ExitCode() != c.exit {
				t.Errorf("recommended %v, exit code %d", v.Recommended, report.ExitCode())
			}
			for _, id := range c.findings {
				if !report.Diagnosis.Has(id) {
					t.Errorf("finding %s is missing among %v", id, report.Diagnosis.Findings)
				}
			}
			out := checkShape(t, report)
			if out.Verdict != string(c.want) || out.Target != "production" || len(out.Steps) != 6 || out.Findings[0].ID != string(c.want) {
				t.Errorf("printed %+v", out)
			}
		})
	}
}

func broken(health string) func(*testing.T, *drill.World, *check.Target) {
	return func(t *testing.T, w *drill.World, _ *check.Target) {
		if err := w.Break(health); err != nil {
			t.Fatal(err)
		}
	}
}

// The key set of another user pool in the same cache is shown with its owner,
// and is none of what was compared.
func TestForeignEntryIsShownAndLeftAlone(t *testing.T) {
	t.Parallel()
	_, target := start(t, drill.Options{Scenario: "foreign"})
	out := checkShape(t, checked(t, target))
	owners := map[string]string{}
	for _, e := range out.Keys.Cached {
		owners[e.Entry] = e.Foreign
	}
	if len(owners) != 2 || owners["jwks:current"] != "" || owners["jwks:eu-west-2_Other0001"] != "eu-west-2_Other0001" {
		t.Errorf("entries and their owners: %v", owners)
	}
	if because := strings.Join(out.Because, "\n"); strings.Contains(because, "Other0001") {
		t.Errorf("because %q", because)
	}
}

// An entry that nobody can read does not hide that tokens are being refused.
func TestUnreadableReportCountsFailures(t *testing.T) {
	t.Parallel()
	w, target := start(t, drill.Options{Scenario: "unreadable"})
	out := checkShape(t, checked(t, target))
	if because := strings.Join(out.Because, "\n"); !strings.Contains(because, w.State().SigningKid) {
		t.Errorf("because %q does not name the kid that fails", because)
	}
}

// The story of the runbook, in its report: both kids, the failures on the new
// one, and who else lives in the cache.
func TestStaleReportTellsTheStory(t *testing.T) {
	_, target := start(t, drill.Options{Scenario: "stale", OtherKeys: 40})
	out := checkShape(t, checked(t, target))
	if len(out.Keys.Live) == 0 || len(out.Keys.Cached) != 1 || len(out.Keys.Cached[0].Keys) == 0 || len(out.Keys.Logged) == 0 {
		t.Fatalf("keys %+v", out.Keys)
	}
	live, old := out.Keys.Live[0], out.Keys.Cached[0].Keys[0]
	if live.Kid == old.Kid || live.Thumbprint == old.Thumbprint || live.Kty != "RSA" || live.Alg != "RS256" || live.Use != "sig" {
		t.Errorf("live %+v, cached %+v", live, old)
	}
	if out.Keys.Cached[0].Entry != "jwks:current" || out.Keys.Cached[0].TTLSeconds <= 0 || out.Keys.Cached[0].TTLSeconds > 3600 {
		t.Errorf("cached %+v", out.Keys.Cached[0])
	}
	if out.Keys.Logged[0].Kid != live.Kid || out.Keys.Logged[0].Count == 0 || out.Failures.Count < out.Keys.Logged[0].Count || out.Failures.Classes["unknown_kid"] == 0 {
		t.Errorf("logged %+v, failures %+v", out.Keys.Logged, out.Failures)
	}
	because := strings.Join(out.Because, "\n")
	if !strings.Contains(because, live.Kid) || !strings.Contains(because, old.Kid) || !slices.Contains(out.Stranded, old.Kid) {
		t.Errorf("because %q, stranded %v", because, out.Stranded)
	}
}

// documented is the JSON of spec section 9. Members may be added, never renamed.
const documented = `{"target":"","verdict":"","recommended":[""],"findings":[{"id":"","severity":"","summary":""}],
"steps":[{"name":"","status":"","summary":"","duration_ms":0}],
"keys":{"live":[{"kid":"","thumbprint":"","kty":"","alg":"","use":""}],
"cached":[{"entry":"","format":"","ttl_seconds":0,"keys":[{"kid":"","thumbprint":"","kty":"","alg":"","use":""}]}],
"logged":[{"kid":"","count":0}]},
"failures":{"count":0,"at_least":false,"classes":{}},
"gateway":{"read":false,"kind":"","id":"","name":"","stage":"","requests":0,"client_errors":0,"server_errors":0,"spike":false,"denied":0,"denied_at_least":false,"problems":[""],
"authorisers":[{"id":"","name":"","kind":"","result_ttl_seconds":0,"function":"","qualifier":"","issuer":""}]},
"authoriser":{"read":false,"function":"","qualifier":"","version":"","runtime":"","last_modified":"","state":"","update_status":"","provisioned":0,"invoked":"","restart":"","refusal":""},
"started_at":"","duration_ms":0}`

// printed is a report as another program reads it.
type printed struct {
	Target      string   `json:"target"`
	Verdict     string   `json:"verdict"`
	Summary     string   `json:"summary"`
	Recommended []string `json:"recommended"`
	Against     []struct {
		Mitigation string `json:"mitigation"`
		Reason     string `json:"reason"`
	} `json:"against"`
	Because     []string `json:"because"`
	WouldChange string   `json:"would_change"`
	Stranded    []string `json:"stranded"`
	HardCut     string   `json:"hard_cut"`
	Findings    []struct {
		ID       string `json:"id"`
		Severity string `json:"severity"`
		Summary  string `json:"summary"`
	} `json:"findings"`
	Steps []struct {
		Name       string `json:"name"`
		Status     string `json:"status"`
		Summary    string `json:"summary"`
		DurationMS int64  `json:"duration_ms"`
	} `json:"steps"`
	Keys struct {
		Live   []printedKey `json:"live"`
		Cached []struct {
			Entry      string       `json:"entry"`
			Format     string       `json:"format"`
			TTLSeconds int64        `json:"ttl_seconds"`
			Keys       []printedKey `json:"keys"`
			Foreign    string       `json:"foreign"`
			Note       string       `json:"note"`
		} `json:"cached"`
		Logged []struct {
			Kid   string `json:"kid"`
			Count int    `json:"count"`
		} `json:"logged"`
	} `json:"keys"`
	Failures struct {
		Count   int            `json:"count"`
		AtLeast bool           `json:"at_least"`
		Classes map[string]int `json:"classes"`
	} `json:"failures"`
	Gateway struct {
		Read          bool     `json:"read"`
		Kind          string   `json:"kind"`
		ID            string   `json:"id"`
		Name          string   `json:"name"`
		Stage         string   `json:"stage"`
		Requests      float64  `json:"requests"`
		ClientErrors  float64  `json:"client_errors"`
		ServerErrors  float64  `json:"server_errors"`
		Spike         bool     `json:"spike"`
		Denied        int      `json:"denied"`
		DeniedAtLeast bool     `json:"denied_at_least"`
		Problems      []string `json:"problems"`
		Authorisers   []struct {
			ID               string `json:"id"`
			Name             string `json:"name"`
			Kind             string `json:"kind"`
			ResultTTLSeconds int64  `json:"result_ttl_seconds"`
			Function         string `json:"function"`
			Qualifier        string `json:"qualifier"`
			Issuer           string `json:"issuer"`
		} `json:"authorisers"`
	} `json:"gateway"`
	Authoriser struct {
		Read         bool   `json:"read"`
		Function     string `json:"function"`
		Qualifier    string `json:"qualifier"`
		Version      string `json:"version"`
		Runtime      string `json:"runtime"`
		LastModified string `json:"last_modified"`
		State        string `json:"state"`
		UpdateStatus string `json:"update_status"`
		Provisioned  int    `json:"provisioned"`
		Invoked      string `json:"invoked"`
		Restart      string `json:"restart"`
		Refusal      string `json:"refusal"`
	} `json:"authoriser"`
	StartedAt  string `json:"started_at"`
	DurationMS int64  `json:"duration_ms"`
}

type printedKey struct {
	Kid        string   `json:"kid"`
	Thumbprint string   `json:"thumbprint"`
	Kty        string   `json:"kty"`
	Alg        string   `json:"alg"`
	Use        string   `json:"use"`
	Usable     bool     `json:"usable"`
	Problems   []string `json:"problems"`
}

// checkShape marshals the report, holds it against the documented form, and
// reads it strictly.
func checkShape(t *testing.T, report check.Report) printed {
	t.Helper()
	b, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := json.Unmarshal([]byte(documented), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for _, problem := range append(missing("report", want, got), nulls("report", got)...) {
		t.Error(problem)
	}
	var out printed
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		t.Errorf("an undocumented form: %v", err)
	}
	statuses := []string{"ok", "warn", "fail", "error", "skipped"}
	for _, s := range out.Steps {
		if !slices.Contains(statuses, s.Status) || s.Summary == "" {
			t.Errorf("step %+v", s)
		}
	}
	return out
}

// missing lists the members of want that got lacks or has in another type.
func missing(path string, want, got any) (out []string) {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %T, not an object", path, got)}
		}
		for name, member := range want {
			value, ok := object[name]
			if !ok {
				out = append(out, path+"."+name+" is missing")
				continue
			}
			out = append(out, missing(path+"."+name, member, value)...)
		}
	case []any:
		list, ok := got.([]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %T, not a list", path, got)}
		}
		for i, element := range list {
			out = append(out, missing(fmt.Sprintf("%s[%d]", path, i), want[0], element)...)
		}
	default:
		if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) {
			out = append(out, fmt.Sprintf("%s is %T, not %T", path, got, want))
		}
	}
	return out
}

// nulls lists what is null: lists are empty, never null.
func nulls(path string, v any) (out []string) {
	switch v := v.(type) {
	case nil:
		return []string{path + " is null"}
	case map[string]any:
		for name, member := range v {
			out = append(out, nulls(path+"."+name, member)...)
		}
	case []any:
		for i, element := range v {
			out = append(out, nulls(fmt.Sprintf("%s[%d]", path, i), element)...)
		}
	}
	return out
}
