package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"jwksbot/runbook"
)

const (
	elastiCache = "AWS/ElastiCache"
	period      = 60 // seconds; ElastiCache publishes a point a minute
	// maxQueries and maxPoints are the limits of one GetMetricData request.
	maxQueries = 500
	maxPoints  = 100_800
	// metricPages bounds the pages of one request; with the limits above a
	// request has two at most.
	metricPages = 20
)

// metricsAPI is what is called of CloudWatch.
type metricsAPI interface {
	GetMetricData(context.Context, *cloudwatch.GetMetricDataInput, ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error)
}

// MetricSettings say where the metrics are.
type MetricSettings struct {
	AWS aws.Config
	// Serverless says that the nodes asked for are names of serverless caches,
	// whose metrics have the dimension clusterId instead of CacheClusterId.
	Serverless bool
}

// Metrics reads cache traffic from CloudWatch.
type Metrics struct {
	api       metricsAPI
	dimension string
}

// NewMetrics returns a reader of metrics; it makes no request.
func NewMetrics(s MetricSettings) (*Metrics, error) {
	m := &Metrics{api: cloudwatch.NewFromConfig(s.AWS), dimension: "CacheClusterId"}
	if s.Serverless {
		m.dimension = "clusterId"
	}
	return m, nil
}

// Traffic reads hits and misses of the cache nodes (CacheClusterId of every
// member of the replication group; replicas answer reads, too) and adds them up
// per minute. The window is cut to whole minutes: the minute of until is not
// complete and left out. A minute for which no node has a point is absent. The
// error names the permission or the limit that was met; what was read until
// then is returned with it.
func (m *Metrics) Traffic(ctx context.Context, nodes []string, since, until time.Time) (runbook.TrafficEvidence, error) {
	e := runbook.TrafficEvidence{Nodes: nodes}
	if len(nodes) == 0 {
		return e, errors.New("no cache nodes to read metrics of")
	}
	since, until = since.Truncate(time.Minute), until.Truncate(time.Minute)
	if !since.Before(until) {
		return e, fmt.Errorf("cache metrics: the window from %s to %s has no complete minute", since.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
	}
	points := map[int64]*runbook.TrafficPoint{}
	var err error
	for chunk := range slices.Chunk(nodes, nodesPerRequest(until.Sub(since))) {
		if err = m.sum(ctx, chunk, since, until, points); err != nil {
			err = m.explain(err)
			break
		}
	}
	for _, p := range points {
		e.Points = append(e.Points, *p)
	}
	slices.SortFunc(e.Points, func(a, b runbook.TrafficPoint) int { return a.At.Compare(b.At) })
	return e, err
}

// nodesPerRequest keeps a request, two series per node, below both limits.
func nodesPerRequest(window time.Duration) int {
	perSeries := int(window/time.Minute) + 1
	return max(1, min(maxQueries, maxPoints/perSeries)/2)
}

// sum adds the series of nodes to points, by minute.
func (m *Metrics) sum(ctx context.Context, nodes []string, since, until time.Time, points map[int64]*runbook.TrafficPoint) error {
	in := &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(since),
		EndTime:   aws.Time(until), // not included by the service
		ScanBy:    types.ScanByTimestampAscending,
	}
	for i, node := range nodes {
		in.MetricDataQueries = append(in.MetricDataQueries,
			query("h"+strconv.Itoa(i), "CacheHits", m.dimension, node),
			query("m"+strconv.Itoa(i), "CacheMisses", m.dimension, node))
	}
	for range metricPages {
		out, err := m.api.GetMetricData(ctx, in)
		if err != nil {
			return err
		}
		for _, r := range out.MetricDataResults {
			if r.StatusCode == types.StatusCodeForbidden || r.StatusCode == types.StatusCodeInternalError {
				return fmt.Errorf("series %q: CloudWatch answered %s", aws.ToString(r.Label), r.StatusCode)
			}
			addSeries(points, r, since, until)
		}
		if aws.ToString(out.NextToken) == "" {
			return nil
		}
		in.NextToken = out.NextToken
	}
	return fmt.Errorf("more than %d pages for %d nodes", metricPages, len(nodes))
}

// query asks for the sum per minute of one metric of one node. Rates are made
// from sums later: a rate of CloudWatch's own cannot be added up, and a series
// that is missing would make it wrong without a sign.
func query(id, metric, dimension, node string) types.MetricDataQuery {
	return types.MetricDataQuery{
		Id:         aws.String(id),
		Label:      aws.String(metric + " " + node),
		ReturnData: aws.Bool(true),
		MetricStat: &types.MetricStat{
			Metric: &types.Metric{
				Namespace:  aws.String(elastiCache),
				MetricName: aws.String(metric),
				Dimensions: []types.Dimension{{Name: aws.String(dimension), Value: aws.String(node)}},
			},
			Period: aws.Int32(period),
			Stat:   aws.String("Sum"),
		},
	}
}

func addSeries(points map[int64]*runbook.TrafficPoint, r types.MetricDataResult, since, until time.Time) {
	for i, at := range r.Timestamps {
		if i >= len(r.Values) || at.Before(since) || !at.Before(until) {
			continue
		}
		at = at.UTC().Truncate(time.Minute)
		p := points[at.Unix()]
		if p == nil {
			p = &runbook.TrafficPoint{At: at}
			points[at.Unix()] = p
		}
		if id := aws.ToString(r.Id); id != "" && id[0] == 'h' {
			p.Hits += r.Values[i]
		} else {
			p.Misses += r.Values[i]
		}
	}
}

// explain says what went wrong and what to do, for the operator.
func (m *Metrics) explain(err error) error {
	code := codeOf(err)
	switch {
	case code == "AccessDenied" || code == "AccessDeniedException":
		return fmt.Errorf("cache metrics may not be read: allow cloudwatch:GetMetricData on *: %w", err)
	case throttled(code):
		return fmt.Errorf("cache metrics: throttled by AWS: try again in a minute: %w", err)
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		return fmt.Errorf("cache metrics: out of time: %w", err)
	}
	return fmt.Errorf("reading cache metrics: %w", err)
}
