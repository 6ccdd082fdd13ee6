package telemetry

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	"jwksbot/runbook"
)

// metricService speaks GetMetricData over the wire (rpc-v2-cbor). It holds Sum
// points per metric and CacheClusterId and answers one minute a page.
type metricService struct {
	mu       sync.Mutex
	points   map[string]map[time.Time]float64 // by metric and values of its dimensions: "CacheHits node"
	fail     string
	status   string
	perPage  int
	requests []metricRequest
}

type metricRequest struct {
	StartTime, EndTime time.Time
	NextToken          string
	MetricDataQueries  []struct {
		Id, Label  string
		MetricStat struct {
			Metric struct {
				Namespace, MetricName string
				Dimensions            []struct{ Name, Value string }
			}
			Period int
			Stat   string
		}
	}
}

type metricResult struct {
	Id, Label, StatusCode string
	Timestamps            []cbor.Tag
	Values                []float64
}

func (s *metricService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var in metricRequest
	if err := cbor.Unmarshal(body, &in); err != nil || !strings.HasSuffix(r.URL.Path, "/operation/GetMetricData") {
		http.Error(w, fmt.Sprint(r.URL.Path, err), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.requests = append(s.requests, in)
	s.mu.Unlock()
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	w.Header().Set("Content-Type", "application/cbor")
	answer := func(v any) {
		b, err := cbor.Marshal(v)
		if err != nil {
			panic(err)
		}
		w.Write(b)
	}
	if s.fail != "" {
		w.WriteHeader(http.StatusBadRequest)
		answer(map[string]string{"__type": "com.amazonaws.cloudwatch#" + s.fail, "message": "said by AWS"})
		return
	}
	from := 0
	fmt.Sscanf(in.NextToken, "from-%d", &from)
	end := in.EndTime
	if s.perPage > 0 && in.StartTime.Add(time.Duration(from+s.perPage)*time.Minute).Before(end) {
		end = in.StartTime.Add(time.Duration(from+s.perPage) * time.Minute)
	}
	out := map[string]any{}
	if end.Before(in.EndTime) {
		out["NextToken"] = fmt.Sprintf("from-%d", from+s.perPage)
	}
	var results []metricResult
	for _, q := range in.MetricDataQueries {
		res := metricResult{Id: q.Id, Label: q.Label, StatusCode: "Complete"}
		if s.status != "" {
			res.StatusCode = s.status
		}
		key := q.MetricStat.Metric.MetricName
		for _, d := range q.MetricStat.Metric.Dimensions {
			key += " " + d.Value
		}
		series := s.points[key]
		for m := in.StartTime.Add(time.Duration(from) * time.Minute); m.Before(end); m = m.Add(time.Minute) {
			if v, ok := series[m.UTC()]; ok {
				res.Timestamps = append(res.Timestamps, cbor.Tag{Number: 1, Content: m.Unix()})
				res.Values = append(res.Values, v)
			}
		}
		results = append(results, res)
	}
	out["MetricDataResults"] = results
	answer(out)
}

func newTestMetrics(t *testing.T, s *metricService) *Metrics {
	t.Helper()
	return metricsOf(t, MetricSettings{AWS: awsConfig(t, s)})
}

func metricsOf(t *testing.T, s MetricSettings) *Metrics {
	t.Helper()
	m, err := NewMetrics(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func minute(n int) time.Time { return t0.Add(time.Duration(n) * time.Minute) }

func TestTraffic(t *testing.T) {
	s := &metricService{perPage: 2, points: map[string]map[time.Time]float64{
		"CacheHits rg-001":   {minute(0): 10, minute(1): 20, minute(4): 5},
		"CacheMisses rg-001": {minute(0): 1, minute(3): 7},
		"CacheHits rg-002":   {minute(0): 100, minute(1): 0},
		"CacheMisses rg-002": {minute(5): 99}, // the minute that is not complete
	}}
	got, err := newTestMetrics(t, s).Traffic(t.Context(), []string{"rg-001", "rg-002"}, t0.Add(10*time.Second), minute(5).Add(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	want := runbook.TrafficEvidence{Nodes: []string{"rg-001", "rg-002"}, Points: []runbook.TrafficPoint{
		{At: minute(0), Hits: 110, Misses: 1},
		{At: minute(1), Hits: 20},
		{At: minute(3), Misses: 7},
		{At: minute(4), Hits: 5},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("traffic (-want +got):\n%s", d)
	}
	if len(s.requests) < 3 {
		t.Errorf("%d requests for 5 minutes, two a page", len(s.requests))
	}
	in := s.requests[0]
	if !in.StartTime.Equal(t0) || !in.EndTime.Equal(minute(5)) {
		t.Errorf("asked from %v to %v", in.StartTime, in.EndTime)
	}
	for _, q := range in.MetricDataQueries {
		st := q.MetricStat
		if st.Metric.Namespace != "AWS/ElastiCache" || st.Stat != "Sum" || st.Period != 60 || len(st.Metric.Dimensions) != 1 || st.Metric.Dimensions[0].Name != "CacheClusterId" {
			t.Errorf("asked for %+v", q)
		}
	}
}

func TestTrafficOfServerless(t *testing.T) {
	s := &metricService{points: map[string]map[time.Time]float64{"CacheHits tokens": {minute(0): 3}}}
	got, err := metricsOf(t, MetricSettings{AWS: awsConfig(t, s), Serverless: true}).Traffic(t.Context(), []string{"tokens"}, t0, minute(2))
	if err != nil || len(got.Points) != 1 || got.Points[0].Hits != 3 {
		t.Errorf("got %+v, %v", got, err)
	}
	if d := s.requests[0].MetricDataQueries[0].MetricStat.Metric.Dimensions[0].Name; d != "clusterId" {
		t.Errorf("dimension %q", d)
	}
}

func TestTrafficOfManyNodesKeepsTheLimits(t *testing.T) {
	var nodes []string
	for i := range 600 {
		nodes = append(nodes, fmt.Sprintf("rg-%04d", i))
	}
	for _, window := range []time.Duration{time.Hour, 15 * 24 * time.Hour} {
		s := &metricService{perPage: int(window / time.Minute)}
		use := nodes
		if window > time.Hour {
			use = nodes[:5]
		}
		if _, err := newTestMetrics(t, s).Traffic(t.Context(), use, t0, t0.Add(window)); err != nil {
			t.Fatal(err)
		}
		asked := 0
		for _, in := range s.requests {
			n := len(in.MetricDataQueries)
			asked += n
			if n > maxQueries || n*int(window/time.Minute) > maxPoints {
				t.Errorf("%d queries over %v in one request", n, window)
			}
		}
		if asked < 2*len(use) {
			t.Errorf("%d queries for %d nodes", asked, len(use))
		}
	}
}

func TestTrafficErrors(t *testing.T) {
	for _, tt := range []struct {
		name  string
		s     *metricService
		nodes []string
		until time.Time
		want  string
	}{
		{"denied", &metricService{fail: "AccessDenied"}, []string{"a"}, minute(5), "allow cloudwatch:GetMetricData"},
		{"throttled", &metricService{fail: "Throttling"}, []string{"a"}, minute(5), "throttled by AWS"},
		{"other", &metricService{fail: "InternalServiceFault"}, []string{"a"}, minute(5), "reading cache metrics"},
		{"series forbidden", &metricService{status: "Forbidden"}, []string{"a"}, minute(5), "Forbidden"},
		{"no nodes", &metricService{}, nil, minute(5), "no cache nodes"},
		{"no minute", &metricService{}, []string{"a"}, t0.Add(30 * time.Second), "no complete minute"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newTestMetrics(t, tt.s).Traffic(t.Context(), tt.nodes, t0, tt.until)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if len(got.Points) != 0 {
				t.Errorf("points %v", got.Points)
			}
		})
	}
}
