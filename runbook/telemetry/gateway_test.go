package telemetry

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jwksbot/runbook"
)

func TestGateway(t *testing.T) {
	for _, tt := range []struct {
		name       string
		api        runbook.GatewaySetup
		points     map[string]map[time.Time]float64
		dimensions [][2]string
	}{
		{
			"REST API, by name and stage",
			runbook.GatewaySetup{Kind: runbook.RestAPI, ID: "a1b2", Name: "portal", Stage: "live"},
			map[string]map[time.Time]float64{
				"Count portal live":    {minute(0): 100, minute(1): 40, minute(3): 7},
				"4XXError portal live": {minute(0): 12, minute(1): 0},
				"5XXError portal live": {minute(1): 2},
				"Count portal":         {minute(0): 999}, // all stages
				"Count a1b2 live":      {minute(0): 999},
			},
			[][2]string{{"ApiName", "portal"}, {"Stage", "live"}},
		},
		{
			"HTTP API, by id and stage",
			runbook.GatewaySetup{Kind: runbook.HTTPAPI, ID: "a1b2", Name: "portal", Stage: "$default"},
			map[string]map[time.Time]float64{
				"Count a1b2 $default": {minute(0): 100, minute(1): 40, minute(3): 7},
				"4xx a1b2 $default":   {minute(0): 12, minute(1): 0},
				"5xx a1b2 $default":   {minute(1): 2},
			},
			[][2]string{{"ApiId", "a1b2"}, {"Stage", "$default"}},
		},
		{
			"no stage: the whole API",
			runbook.GatewaySetup{Kind: runbook.HTTPAPI, ID: "a1b2"},
			map[string]map[time.Time]float64{
				"Count a1b2": {minute(0): 100, minute(1): 40, minute(3): 7},
				"4xx a1b2":   {minute(0): 12},
				"5xx a1b2":   {minute(1): 2},
			},
			[][2]string{{"ApiId", "a1b2"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &metricService{perPage: 2, points: tt.points}
			got, err := newTestMetrics(t, s).Gateway(t.Context(), tt.api, t0.Add(20*time.Second), minute(4).Add(30*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			want := []runbook.GatewayPoint{
				{At: minute(0), Requests: 100, ClientErrors: 12},
				{At: minute(1), Requests: 40, ServerErrors: 2},
				{At: minute(3), Requests: 7},
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("points (-want +got):\n%s", d)
			}
			for _, q := range s.requests[0].MetricDataQueries {
				var dims [][2]string
				for _, d := range q.MetricStat.Metric.Dimensions {
					dims = append(dims, [2]string{d.Name, d.Value})
				}
				if q.MetricStat.Metric.Namespace != "AWS/ApiGateway" || q.MetricStat.Stat != "Sum" || q.MetricStat.Period != 60 || cmp.Diff(tt.dimensions, dims) != "" {
					t.Errorf("asked for %+v", q)
				}
			}
		})
	}
}

// An API without traffic, or one that CloudWatch does not know, has no points:
// that is no zero.
func TestGatewayWithoutData(t *testing.T) {
	got, err := newTestMetrics(t, &metricService{}).Gateway(t.Context(), runbook.GatewaySetup{Kind: runbook.HTTPAPI, ID: "gone"}, t0, minute(5))
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestGatewayErrors(t *testing.T) {
	rest := runbook.GatewaySetup{Kind: runbook.RestAPI, ID: "a1b2", Name: "portal", Stage: "live"}
	for _, tt := range []struct {
		name string
		s    *metricService
		api  runbook.GatewaySetup
		want string
	}{
		{"denied", &metricService{fail: "AccessDenied"}, rest, "gateway metrics may not be read: allow cloudwatch:GetMetricData"},
		{"throttled", &metricService{fail: "Throttling"}, rest, "gateway metrics: throttled by AWS"},
		{"series forbidden", &metricService{status: "Forbidden"}, rest, `series "Count portal live": CloudWatch answered Forbidden`},
		{"no name", &metricService{}, runbook.GatewaySetup{Kind: runbook.RestAPI, ID: "a1b2"}, "check gateway.rest_api"},
		{"no kind", &metricService{}, runbook.GatewaySetup{ID: "a1b2"}, "not rest or http"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newTestMetrics(t, tt.s).Gateway(t.Context(), tt.api, t0, minute(5))
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(got) != 0 {
				t.Errorf("got %v, error %v, want %q", got, err, tt.want)
			}
		})
	}
}
