package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"jwksbot/runbook"
)

const (
	elastiCache = "AWS/ElastiCache"
	apiGateway  = "AWS/ApiGateway"
	period      = 60 // seconds; both services publish a point a minute
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

// Metrics reads the traffic of the cache and of the gateway from CloudWatch.
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
	var list []series
	for _, node := range nodes {
		of := []types.Dimension{{Name: aws.String(m.dimension), Value: aws.String(node)}}
		list = append(list, series{elastiCache, "CacheHits", of}, series{elastiCache, "CacheMisses", of})
	}
	points := map[int64]*runbook.TrafficPoint{}
	err := m.read(ctx, "cache", list, since, until, func(i int, at time.Time, sum float64) {
		p := pointAt(points, at, func() *runbook.TrafficPoint { return &runbook.TrafficPoint{At: at} })
		if list[i].name == "CacheHits" {
			p.Hits += sum
		} else {
			p.Misses += sum
		}
	})
	for _, p := range points {
		e.Points = append(e.Points, *p)
	}
	slices.SortFunc(e.Points, func(a, b runbook.TrafficPoint) int { return a.At.Compare(b.At) })
	return e, err
}

// A series is the sum per minute of one metric. Rates are made from sums later:
// a rate of CloudWatch's own cannot be added up, and a series that is missing
// would make it wrong without a sign.
type series struct {
	namespace, name string
	of              []types.Dimension
}

func (s series) label() string {
	l := s.name
	for _, d := range s.of {
		l += " " + aws.ToString(d.Value)
	}
	return l
}

func (s series) query(id string) types.MetricDataQuery {
	return types.MetricDataQuery{
		Id:         aws.String(id),
		Label:      aws.String(s.label()),
		ReturnData: aws.Bool(true),
		MetricStat: &types.MetricStat{
			Metric: &types.Metric{Namespace: aws.String(s.namespace), MetricName: aws.String(s.name), Dimensions: s.of},
			Period: aws.Int32(period),
			Stat:   aws.String("Sum"),
		},
	}
}

// pointAt returns the point of a minute, made when it is the first.
func pointAt[P any](points map[int64]*P, at time.Time, make func() *P) *P {
	p := points[at.Unix()]
	if p == nil {
		p = make()
		points[at.Unix()] = p
	}
	return p
}

// read calls add for every minute of every series, with the number of the
// series in the list. The window is cut to whole minutes.
func (m *Metrics) read(ctx context.Context, what string, list []series, since, until time.Time, add func(i int, at time.Time, sum float64)) error {
	since, until = since.Truncate(time.Minute), until.Truncate(time.Minute)
	if !since.Before(until) {
		return fmt.Errorf("%s metrics: the window from %s to %s has no complete minute", what, since.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
	}
	first, size := 0, seriesPerRequest(until.Sub(since))
	for chunk := range slices.Chunk(list, size) {
		err := m.request(ctx, chunk, since, until, func(i int, at time.Time, sum float64) { add(first+i, at, sum) })
		if err != nil {
			return explainMetrics(what, err)
		}
		first += len(chunk)
	}
	return nil
}

// seriesPerRequest keeps a request below both limits.
func seriesPerRequest(window time.Duration) int {
	perSeries := int(window/time.Minute) + 1
	return max(1, min(maxQueries, maxPoints/perSeries))
}

// request reads the series of one GetMetricData request, all its pages.
func (m *Metrics) request(ctx context.Context, list []series, since, until time.Time, add func(i int, at time.Time, sum float64)) error {
	in := &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(since),
		EndTime:   aws.Time(until), // not included by the service
		ScanBy:    types.ScanByTimestampAscending,
	}
	for i, s := range list {
		in.MetricDataQueries = append(in.MetricDataQueries, s.query("s"+strconv.Itoa(i)))
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
			addPoints(r, len(list), since, until, add)
		}
		if aws.ToString(out.NextToken) == "" {
			return nil
		}
		in.NextToken = out.NextToken
	}
	return fmt.Errorf("more than %d pages for %d series", metricPages, len(list))
}

func addPoints(r types.MetricDataResult, n int, since, until time.Time, add func(i int, at time.Time, sum float64)) {
	i, err := strconv.Atoi(strings.TrimPrefix(aws.ToString(r.Id), "s"))
	if err != nil || i < 0 || i >= n {
		return // not asked for
	}
	for j, at := range r.Timestamps {
		if j < len(r.Values) && !at.Before(since) && at.Before(until) {
			add(i, at.UTC().Truncate(time.Minute), r.Values[j])
		}
	}
}

// explain says what went wrong and what to do, for the operator.
func explainMetrics(what string, err error) error {
	code := codeOf(err)
	switch {
	case code == "AccessDenied" || code == "AccessDeniedException":
		return fmt.Errorf("%s metrics may not be read: allow cloudwatch:GetMetricData on *: %w", what, err)
	case throttled(code):
		return fmt.Errorf("%s metrics: throttled by AWS: try again in a minute: %w", what, err)
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		return fmt.Errorf("%s metrics: out of time: %w", what, err)
	}
	return fmt.Errorf("reading %s metrics: %w", what, runbook.Plainly(err))
}
