package drill

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"jwksbot/runbook"
)

const (
	// maxMetricQueries and maxDatapoints are GetMetricData's limits.
	maxMetricQueries = 500
	maxDatapoints    = 100_800
)

// dimension names one side of a metric.
type dimension struct{ Name, Value string }

// metric is one series that CloudWatch has.
type metric struct {
	namespace, name string
	dimensions      []dimension
	sum             func(minute) float64
	samples         func(minute) float64 // zero: no datapoint in that minute
}

// nodeID is the cache node of the replication group's only member.
const nodeID = ReplicationGroup + "-001"

// metrics is every series of the world. The node publishes one sample a
// minute, the gateway and the function one per request.
var metrics = sync.OnceValue(func() []metric {
	node := []dimension{{"CacheClusterId", nodeID}}
	nodeAndID := []dimension{{"CacheClusterId", nodeID}, {"CacheNodeId", "0001"}}
	api := []dimension{{"ApiName", RestAPI}}
	stage := []dimension{{"ApiName", RestAPI}, {"Stage", Stage}}
	httpAPI := []dimension{{"ApiId", httpAPIID}}
	httpStage := []dimension{{"ApiId", httpAPIID}, {"Stage", Stage}}
	function := []dimension{{"FunctionName", Function}}
	one := func(minute) float64 { return 1 }
	requests := func(m minute) float64 { return m.requests }
	rejected := func(m minute) float64 { return m.rejected }
	nothing := func(minute) float64 { return 0 }
	invocations := func(m minute) float64 { return m.invocations }
	errors := func(m minute) float64 { return m.errors }
	hits := func(m minute) float64 { return m.hits }
	misses := func(m minute) float64 { return m.misses }
	return []metric{
		{"AWS/ElastiCache", "CacheHits", node, hits, one},
		{"AWS/ElastiCache", "CacheHits", nodeAndID, hits, one},
		{"AWS/ElastiCache", "CacheMisses", node, misses, one},
		{"AWS/ElastiCache", "CacheMisses", nodeAndID, misses, one},
		{"AWS/ApiGateway", "Count", api, requests, requests},
		{"AWS/ApiGateway", "Count", stage, requests, requests},
		{"AWS/ApiGateway", "4XXError", api, rejected, requests},
		{"AWS/ApiGateway", "4XXError", stage, rejected, requests},
		{"AWS/ApiGateway", "5XXError", api, nothing, requests},
		{"AWS/ApiGateway", "5XXError", stage, nothing, requests},
		{"AWS/ApiGateway", "Count", httpAPI, requests, requests},
		{"AWS/ApiGateway", "Count", httpStage, requests, requests},
		{"AWS/ApiGateway", "4xx", httpAPI, rejected, requests},
		{"AWS/ApiGateway", "4xx", httpStage, rejected, requests},
		{"AWS/ApiGateway", "5xx", httpAPI, nothing, requests},
		{"AWS/ApiGateway", "5xx", httpStage, nothing, requests},
		{"AWS/Lambda", "Invocations", function, invocations, invocations},
		{"AWS/Lambda", "Errors", function, errors, invocations},
	}
})

type metricQuery struct {
	ID         string `cbor:"Id"`
	Expression string
	Label      string
	ReturnData *bool
	MetricStat *struct {
		Metric struct {
			Namespace, MetricName string
			Dimensions            []dimension
		}
		Period int
		Stat   string
	}
}

type metricResult struct {
	ID         string `cbor:"Id"`
	Label      string
	Timestamps []time.Time
	Values     []float64
	StatusCode string
}

func (e *endpoints) getMetricData(c awsCall) error {
	var in struct {
		MetricDataQueries  []metricQuery
		StartTime, EndTime time.Time
		ScanBy, NextToken  string
		MaxDatapoints      int
	}
	if err := c.readCBOR(&in); err != nil {
		return err
	}
	if n := len(in.MetricDataQueries); n == 0 || n > maxMetricQueries {
		return validation("The collection MetricDataQueries must have between 1 and %d members, not %d.", maxMetricQueries, n)
	}
	if !in.StartTime.Before(in.EndTime) {
		return validation("The parameter StartTime must be less than the parameter EndTime.")
	}
	if in.ScanBy != "" && in.ScanBy != "TimestampAscending" && in.ScanBy != "TimestampDescending" {
		return validation("The parameter ScanBy must be TimestampAscending or TimestampDescending.")
	}
	results := []metricResult{}
	for i, q := range in.MetricDataQueries {
		r, err := e.evaluate(q, i, in.StartTime, in.EndTime)
		if err != nil {
			return err
		}
		if in.ScanBy != "TimestampAscending" {
			slices.Reverse(r.Timestamps)
			slices.Reverse(r.Values)
		}
		if q.ReturnData == nil || *q.ReturnData {
			results = append(results, r)
		}
	}
	results, next, err := pageResults(results, in.NextToken, in.MaxDatapoints)
	if err != nil {
		return err
	}
	out := map[string]any{"MetricDataResults": results, "Messages": []any{}}
	if next != "" {
		out["NextToken"] = next
	}
	return writeCBOR(c.rw, http.StatusOK, out)
}

// evaluate reads one series, oldest point first.
func (e *endpoints) evaluate(q metricQuery, i int, start, end time.Time) (metricResult, error) {
	r := metricResult{ID: q.ID, Label: q.Label, Timestamps: []time.Time{}, Values: []float64{}, StatusCode: "Complete"}
	if q.MetricStat == nil || q.Expression != "" {
		return r, validation("The value for parameter MetricDataQueries.member.%d.Expression is not supported here: ask for MetricStat and divide yourself.", i+1)
	}
	stat := q.MetricStat
	if stat.Period <= 0 || stat.Period%60 != 0 {
		return r, validation("The parameter MetricDataQueries.member.%d.MetricStat.Period must be a multiple of 60.", i+1)
	}
	if !slices.Contains([]string{"Sum", "SampleCount", "Average"}, stat.Stat) {
		return r, validation("The value %s for parameter MetricDataQueries.member.%d.MetricStat.Stat is not supported.", stat.Stat, i+1)
	}
	r.Label = orDefault(r.Label, stat.Metric.MetricName)
	m, ok := e.findMetric(stat.Metric.Namespace, stat.Metric.MetricName, stat.Metric.Dimensions)
	if !ok {
		return r, nil // as in CloudWatch: an unknown metric is one without data
	}
	period := time.Duration(stat.Period) * time.Second
	for at := start.Truncate(period); at.Before(end); at = at.Add(period) {
		var sum, samples float64
		for t := at; t.Before(at.Add(period)); t = t.Add(time.Minute) {
			if one, ok := e.world.record.minuteAt(t); ok {
				sum, samples = sum+m.sum(one), samples+m.samples(one)
			}
		}
		if samples == 0 {
			continue
		}
		r.Timestamps = append(r.Timestamps, at.UTC())
		r.Values = append(r.Values, map[string]float64{"Sum": sum, "SampleCount": samples, "Average": sum / samples}[stat.Stat])
	}
	return r, nil
}

// exists says that the world has the series: it has one API, of one kind.
func (e *endpoints) exists(m metric) bool {
	isHTTP := m.dimensions[0].Name == "ApiId"
	return m.namespace != "AWS/ApiGateway" || isHTTP == (e.world.apiKind() == runbook.HTTPAPI)
}

func (e *endpoints) findMetric(namespace, name string, dimensions []dimension) (metric, bool) {
	for _, m := range metrics() {
		if e.exists(m) && m.namespace == namespace && m.name == name && sameDimensions(m.dimensions, dimensions) {
			return m, true
		}
	}
	return metric{}, false
}

// sameDimensions compares without regard to order.
func sameDimensions(a, b []dimension) bool {
	if len(a) != len(b) {
		return false
	}
	return !slices.ContainsFunc(a, func(d dimension) bool { return !slices.Contains(b, d) })
}

// pageResults cuts the results to limit points, counted over all series, from
// where the token says.
func pageResults(all []metricResult, token string, limit int) (page []metricResult, next string, err error) {
	if limit <= 0 || limit > maxDatapoints {
		limit = maxDatapoints
	}
	skip := 0
	if token != "" {
		if skip, err = strconv.Atoi(token); err != nil || skip <= 0 {
			return nil, "", apiError{http.StatusBadRequest, "InvalidNextToken", "The next token specified is invalid."}
		}
	}
	done := skip
	for i := range all {
		r := &all[i]
		n := min(skip, len(r.Values))
		skip -= n
		r.Timestamps, r.Values = r.Timestamps[n:], r.Values[n:]
		if len(r.Values) > limit {
			r.Timestamps, r.Values, r.StatusCode = r.Timestamps[:limit], r.Values[:limit], "PartialData"
			next = "more"
		}
		limit -= len(r.Values)
		done += len(r.Values)
	}
	if next != "" {
		next = strconv.Itoa(done)
	}
	return all, next, nil
}

func (e *endpoints) listMetrics(c awsCall) error {
	var in struct {
		Namespace, MetricName string
		Dimensions            []struct {
			Name  string
			Value *string
		}
	}
	if err := c.readCBOR(&in); err != nil {
		return err
	}
	type listed struct {
		Namespace, MetricName string
		Dimensions            []dimension
	}
	found := []listed{}
	for _, m := range metrics() {
		ok := e.exists(m) && (in.Namespace == "" || in.Namespace == m.namespace) && (in.MetricName == "" || in.MetricName == m.name)
		for _, want := range in.Dimensions {
			ok = ok && slices.ContainsFunc(m.dimensions, func(d dimension) bool {
				return d.Name == want.Name && (want.Value == nil || *want.Value == d.Value)
			})
		}
		if ok {
			found = append(found, listed{m.namespace, m.name, m.dimensions})
		}
	}
	return writeCBOR(c.rw, http.StatusOK, map[string]any{"Metrics": found})
}

func validation(format string, args ...any) apiError {
	return apiError{http.StatusBadRequest, "ValidationError", fmt.Sprintf(format, args...)}
}
