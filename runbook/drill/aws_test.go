package drill

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"jwksbot/runbook"
)

// sdk is the configuration with which the real clients talk to the world.
func sdk(w *World) aws.Config {
	return aws.Config{
		Region:       Region,
		BaseEndpoint: aws.String(w.AWSEndpoint()),
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		Retryer:      connectionsOnly,
	}
}

// connectionsOnly repeats a call whose connection broke, and nothing else: the
// SDK may close the body of a request while net/http still looks for its end,
// which closes the connection under the answer. Answers are never repeated, so
// that a test sees each of them.
func connectionsOnly() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxBackoff, o.Retryables = time.Millisecond, []retry.IsErrorRetryable{retry.RetryableConnectionError{}}
	})
}

func errorCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func sumQuery(id, namespace, name, dim, value string) cwtypes.MetricDataQuery {
	return cwtypes.MetricDataQuery{Id: aws.String(id), MetricStat: &cwtypes.MetricStat{
		Period: aws.Int32(60), Stat: aws.String("Sum"),
		Metric: &cwtypes.Metric{
			Namespace: aws.String(namespace), MetricName: aws.String(name),
			Dimensions: []cwtypes.Dimension{{Name: aws.String(dim), Value: aws.String(value)}},
		},
	}}
}

func TestCloudWatchReadsTheIncident(t *testing.T) {
	w := startWorld(t, Options{Clock: runbook.SystemClock{}})
	client := cloudwatch.NewFromConfig(sdk(w))
	end := w.clock.Now().Truncate(time.Minute)
	out, err := client.GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(end.Add(-30 * time.Minute)), EndTime: aws.Time(end), ScanBy: cwtypes.ScanByTimestampAscending,
		MetricDataQueries: []cwtypes.MetricDataQuery{
			sumQuery("hits", "AWS/ElastiCache", "CacheHits", "CacheClusterId", nodeID),
			sumQuery("misses", "AWS/ElastiCache", "CacheMisses", "CacheClusterId", nodeID),
			sumQuery("count", "AWS/ApiGateway", "Count", "ApiName", RestAPI),
			sumQuery("denied", "AWS/ApiGateway", "4XXError", "ApiName", RestAPI),
			sumQuery("nothing", "AWS/ApiGateway", "4XXError", "ApiName", "other-api"),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]float64{}
	for _, r := range out.MetricDataResults {
		values[*r.Id] = r.Values
		if len(r.Timestamps) != len(r.Values) || r.StatusCode != cwtypes.StatusCodeComplete {
			t.Errorf("%s: %d times, %d values, %s", *r.Id, len(r.Timestamps), len(r.Values), r.StatusCode)
		}
		for i, at := range r.Timestamps {
			if want := end.Add(time.Duration(i-30) * time.Minute); !at.Equal(want) {
				t.Fatalf("%s: point %d at %v, want %v", *r.Id, i, at, want)
			}
		}
	}
	total := func(id string, from, to int) (sum float64) {
		for _, v := range values[id][from:to] {
			sum += v
		}
		return sum
	}
	if denied := total("denied", 0, 15); denied != 0 {
		t.Errorf("%v refused before the rotation", denied)
	}
	if count, denied := total("count", 20, 30), total("denied", 20, 30); count < 1000 || denied < 0.7*count {
		t.Errorf("the last 10 minutes: %v requests, %v refused", count, denied)
	}
	if hits, misses := total("hits", 0, 30), total("misses", 0, 30); hits < 100 || misses < 1 || misses > 3 {
		t.Errorf("%v hits, %v misses", hits, misses)
	}
	if len(values["nothing"]) != 0 {
		t.Errorf("an unknown series has values %v", values["nothing"])
	}
}

func TestGetMetricDataPages(t *testing.T) {
	w := quietWorld(t)
	end := w.clock.Now().Truncate(time.Minute)
	pages := cloudwatch.NewGetMetricDataPaginator(cloudwatch.NewFromConfig(sdk(w)), &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(end.Add(-20 * time.Minute)), EndTime: aws.Time(end), MaxDatapoints: aws.Int32(7),
		MetricDataQueries: []cwtypes.MetricDataQuery{
			sumQuery("a", "AWS/ApiGateway", "Count", "ApiName", RestAPI),
			sumQuery("b", "AWS/ElastiCache", "CacheHits", "CacheClusterId", nodeID),
		},
	})
	times := map[string][]time.Time{}
	n := 0
	for ; pages.HasMorePages(); n++ {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.MetricDataResults {
			times[*r.Id] = append(times[*r.Id], r.Timestamps...)
		}
	}
	if n != 6 || len(times["a"]) != 20 || len(times["b"]) != 20 {
		t.Fatalf("%d pages, %d and %d points; want 6, 20, 20", n, len(times["a"]), len(times["b"]))
	}
	if !times["b"][0].Equal(end.Add(-time.Minute)) || !times["b"][19].Equal(end.Add(-20*time.Minute)) {
		t.Errorf("newest first by default: got %v … %v", times["b"][0], times["b"][19])
	}
}

func TestGetMetricDataRefusals(t *testing.T) {
	w := quietWorld(t)
	client := cloudwatch.NewFromConfig(sdk(w))
	now := w.clock.Now()
	good := []cwtypes.MetricDataQuery{sumQuery("a", "AWS/ApiGateway", "Count", "ApiName", RestAPI)}
	math := []cwtypes.MetricDataQuery{{Id: aws.String("e"), Expression: aws.String("a/b")}}
	for name, in := range map[string]*cloudwatch.GetMetricDataInput{
		"empty window": {StartTime: aws.Time(now), EndTime: aws.Time(now), MetricDataQueries: good},
		"metric math":  {StartTime: aws.Time(now.Add(-time.Hour)), EndTime: aws.Time(now), MetricDataQueries: math},
		"no query":     {StartTime: aws.Time(now.Add(-time.Hour)), EndTime: aws.Time(now), MetricDataQueries: []cwtypes.MetricDataQuery{}},
	} {
		if _, err := client.GetMetricData(t.Context(), in); errorCode(err) != "ValidationError" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestListMetrics(t *testing.T) {
	w := quietWorld(t)
	out, err := cloudwatch.NewFromConfig(sdk(w)).ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{
		Namespace: aws.String("AWS/ElastiCache"), MetricName: aws.String("CacheHits"),
		Dimensions: []cwtypes.DimensionFilter{{Name: aws.String("CacheClusterId")}},
	})
	if err != nil || len(out.Metrics) != 2 || *out.Metrics[0].Dimensions[0].Value != nodeID {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestFilterLogEventsFindsTheFailures(t *testing.T) {
	w := startWorld(t, Options{Clock: runbook.SystemClock{}})
	w.Fail(Faults{EmptyPages: true})
	now := w.clock.Now()
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(cloudwatchlogs.NewFromConfig(sdk(w)), &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: aws.String(LogGroup), StartFromHead: aws.Bool(false), Limit: aws.Int32(400),
		StartTime: aws.Int64(now.Add(-time.Hour).UnixMilli()), EndTime: aws.Int64(now.UnixMilli()),
		FilterPattern: aws.String(`?invalid_signature ?"not found in the JWKS"`),
	})
	var events []logtypes.FilteredLogEvent
	for n := 0; pages.HasMorePages(); n++ {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 && (len(out.Events) != 0 || out.NextToken == nil) {
			t.Errorf("the first page has %d events, token %v: want none and a token", len(out.Events), out.NextToken)
		}
		if len(out.Events) > 400 {
			t.Errorf("page of %d events", len(out.Events))
		}
		events = append(events, out.Events...)
	}
	if len(events) < 1000 {
		t.Fatalf("%d failures in 14 minutes", len(events))
	}
	seen := map[string]bool{}
	for i, ev := range events {
		if seen[*ev.EventId] {
			t.Fatalf("event %s twice", *ev.EventId)
		}
		seen[*ev.EventId] = true
		if i > 0 && *ev.Timestamp > *events[i-1].Timestamp {
			t.Fatalf("event %d is newer than the one before", i)
		}
	}
	if oldest := now.Sub(time.UnixMilli(*events[len(events)-1].Timestamp)); oldest > 15*time.Minute || oldest < 13*time.Minute {
		t.Errorf("the oldest failure is %v old", oldest)
	}
	kid := w.State().LiveKids[0]
	want := "\tERROR\tKidNotFoundInJwksError: JWK for kid \"" + kid + "\" not found in the JWKS\n"
	if got := *events[0].Message; !strings.HasSuffix(got, want) {
		t.Errorf("line %q, want suffix %q", got, want)
	}
}

func TestFilterLogEventsOldestFirst(t *testing.T) {
	w := quietWorld(t)
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupIdentifier: aws.String(groupARN(LogGroup)), FilterPattern: aws.String(`token_accepted -ERROR`), Limit: aws.Int32(3)}
	client := cloudwatchlogs.NewFromConfig(sdk(w))
	first, err := client.FilterLogEvents(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	in.NextToken = first.NextToken
	second, err := client.FilterLogEvents(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Events) != 3 || len(second.Events) != 3 || *first.Events[2].EventId >= *second.Events[0].EventId {
		t.Errorf("pages %+v and %+v", first.Events, second.Events)
	}
}

func TestLogsRefusals(t *testing.T) {
	w := quietWorld(t)
	client := cloudwatchlogs.NewFromConfig(sdk(w))
	for name, tt := range map[string]struct {
		in   cloudwatchlogs.FilterLogEventsInput
		want string
	}{
		"other group":  {cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("/aws/lambda/other")}, "ResourceNotFoundException"},
		"two names":    {cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(LogGroup), LogGroupIdentifier: aws.String(LogGroup)}, "InvalidParameterException"},
		"bare dash":    {cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(LogGroup), FilterPattern: aws.String("not-quoted")}, "InvalidParameterException"},
		"long pattern": {cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(LogGroup), FilterPattern: aws.String(strings.Repeat("a", 1025))}, "InvalidParameterException"},
		"token":        {cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(LogGroup), NextToken: aws.String("made up")}, "InvalidParameterException"},
		"limit":        {cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(LogGroup), Limit: aws.Int32(10_001)}, "InvalidParameterException"},
	} {
		if _, err := client.FilterLogEvents(t.Context(), &tt.in); errorCode(err) != tt.want {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
}

func TestDescribeLogs(t *testing.T) {
	w := quietWorld(t)
	client := cloudwatchlogs.NewFromConfig(sdk(w))
	streams, err := client.DescribeLogStreams(t.Context(), &cloudwatchlogs.DescribeLogStreamsInput{
		LogGroupName: aws.String(LogGroup), OrderBy: logtypes.OrderByLastEventTime, Descending: aws.Bool(true),
	})
	if err != nil || len(streams.LogStreams) != 3 {
		t.Fatalf("got %+v, %v", streams, err)
	}
	if s := streams.LogStreams; *s[0].LastEventTimestamp < *s[2].LastEventTimestamp || !strings.Contains(*s[0].LogStreamName, "/[$LATEST]") {
		t.Errorf("streams %q (%d) … (%d)", *s[0].LogStreamName, *s[0].LastEventTimestamp, *s[2].LastEventTimestamp)
	}
	two, err := client.DescribeLogStreams(t.Context(), &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: aws.String(LogGroup), Limit: aws.Int32(2)})
	if err != nil || len(two.LogStreams) != 2 || two.NextToken == nil {
		t.Fatalf("first page %+v, %v", two, err)
	}
	rest, err := client.DescribeLogStreams(t.Context(), &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: aws.String(LogGroup), NextToken: two.NextToken})
	if err != nil || len(rest.LogStreams) != 1 || rest.NextToken != nil || *rest.LogStreams[0].LogStreamName == *two.LogStreams[1].LogStreamName {
		t.Errorf("second page %+v, %v", rest, err)
	}
	groups, err := client.DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/aws/lambda/")})
	if err != nil || len(groups.LogGroups) != 1 || *groups.LogGroups[0].LogGroupName != LogGroup {
		t.Errorf("got %+v, %v", groups, err)
	}
}

func TestElastiCacheLeadsToTheRedis(t *testing.T) {
	w := quietWorld(t)
	client := elasticache.NewFromConfig(sdk(w))
	out, err := client.DescribeReplicationGroups(t.Context(), &elasticache.DescribeReplicationGroupsInput{ReplicationGroupId: aws.String(ReplicationGroup)})
	if err != nil || len(out.ReplicationGroups) != 1 {
		t.Fatalf("got %+v, %v", out, err)
	}
	g := out.ReplicationGroups[0]
	p := g.NodeGroups[0].PrimaryEndpoint
	if addr := *p.Address + ":" + strconv.Itoa(int(*p.Port)); addr != w.RedisAddr() {
		t.Errorf("primary is %s, want %s", addr, w.RedisAddr())
	}
	if *g.ClusterEnabled || *g.TransitEncryptionEnabled || *g.NodeGroups[0].NodeGroupMembers[0].CacheClusterId != g.MemberClusters[0] {
		t.Errorf("group %+v", g)
	}
	var missing *ectypes.ReplicationGroupNotFoundFault
	_, err = client.DescribeReplicationGroups(t.Context(), &elasticache.DescribeReplicationGroupsInput{ReplicationGroupId: aws.String("other")})
	if !errors.As(err, &missing) {
		t.Errorf("got %v", err)
	}
	var none *ectypes.ServerlessCacheNotFoundFault
	_, err = client.DescribeServerlessCaches(t.Context(), &elasticache.DescribeServerlessCachesInput{ServerlessCacheName: aws.String("other")})
	if !errors.As(err, &none) {
		t.Errorf("got %v", err)
	}
	if all, err := client.DescribeServerlessCaches(t.Context(), &elasticache.DescribeServerlessCachesInput{}); err != nil || len(all.ServerlessCaches) != 0 {
		t.Errorf("got %+v, %v", all, err)
	}
}

func TestFaults(t *testing.T) {
	w := quietWorld(t)
	cfg := sdk(w)
	w.Fail(Faults{
		Deny:     []string{"cloudwatch:GetMetricData", "elasticache:DescribeReplicationGroups"},
		Throttle: map[string]int{"logs:FilterLogEvents": 1},
	})
	now := w.clock.Now()
	_, err := cloudwatch.NewFromConfig(cfg).GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(now.Add(-time.Hour)), EndTime: aws.Time(now),
		MetricDataQueries: []cwtypes.MetricDataQuery{sumQuery("a", "AWS/ApiGateway", "Count", "ApiName", RestAPI)},
	})
	if errorCode(err) != "AccessDenied" || !strings.Contains(err.Error(), "not authorized to perform: cloudwatch:GetMetricData") {
		t.Errorf("cloudwatch: %v", err)
	}
	if _, err := elasticache.NewFromConfig(cfg).DescribeReplicationGroups(t.Context(), nil); errorCode(err) != "AccessDenied" {
		t.Errorf("elasticache: %v", err)
	}
	logs := cloudwatchlogs.NewFromConfig(cfg)
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(LogGroup)}
	if _, err := logs.FilterLogEvents(t.Context(), in); errorCode(err) != "ThrottlingException" {
		t.Errorf("logs, first call: %v", err)
	}
	if _, err := logs.FilterLogEvents(t.Context(), in); err != nil {
		t.Errorf("logs, second call: %v", err)
	}
	if id, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil); err != nil || *id.Arn != callerARN || *id.Account != Account {
		t.Errorf("sts: %+v, %v", id, err)
	}
}

// Who reads faster than the account's quota is throttled, as by AWS.
func TestFilterLogEventsQuota(t *testing.T) {
	w := quietWorld(t)
	client := cloudwatchlogs.NewFromConfig(sdk(w))
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(LogGroup), Limit: aws.Int32(1)}
	eventually(t, func() error {
		_, err := client.FilterLogEvents(t.Context(), in)
		if errorCode(err) == "ThrottlingException" {
			return nil
		}
		return fmt.Errorf("not throttled yet: %v", err)
	})
}

func TestSignatureIsDemanded(t *testing.T) {
	w := quietWorld(t)
	for name, tt := range map[string]struct {
		path, target, body, authorization string
		want                              string
	}{
		"unsigned logs":    {"/", "Logs_20140328.FilterLogEvents", "{}", "", `"__type":"MissingAuthenticationTokenException"`},
		"unsigned query":   {"/", "", "Action=GetCallerIdentity&Version=2011-06-15", "", "<Code>MissingAuthenticationToken</Code>"},
		"unsigned cbor":    {"/service/GraniteServiceVersion20100801/operation/ListMetrics", "", "", "", "com.amazonaws.cloudwatch#MissingAuthenticationToken"},
		"basic":            {"/", "Logs_20140328.FilterLogEvents", "{}", "Basic Zm9vOmJhcg==", "IncompleteSignatureException"},
		"other service":    {"/", "Logs_20140328.FilterLogEvents", "{}", signedFor("s3", Region), "Credential should be scoped to correct service: 'logs'."},
		"other region":     {"/", "Logs_20140328.FilterLogEvents", "{}", signedFor("logs", "eu-west-1"), "not 'eu-west-1'"},
		"unknown op":       {"/", "Logs_20140328.DeleteLogGroup", "{}", signedFor("logs", Region), "UnknownOperationException"},
		"no JSON":          {"/", "Logs_20140328.FilterLogEvents", "{", signedFor("logs", Region), "SerializationException"},
		"nothing known":    {"/", "", "", "", "<UnknownOperationException/>"},
		"presigned nobody": {"/?Action=GetCallerIdentity&Version=2011-06-15", "", "", "", "MissingAuthenticationToken"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.AWSEndpoint()+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Date", "20261122T100000Z")
		req.Header.Set("X-Amz-Target", tt.target)
		req.Header.Set("Authorization", tt.authorization)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode < 400 || !strings.Contains(string(body), tt.want) {
			t.Errorf("%s: %s %q, %v; want %q", name, resp.Status, body, err, tt.want)
		}
	}
}

func signedFor(service, region string) string {
	return "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/" + region + "/" + service + "/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0a", 32)
}

func TestPresignedCallerIdentity(t *testing.T) {
	w := quietWorld(t)
	signed, err := sts.NewPresignClient(sts.NewFromConfig(sdk(w))).PresignGetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), signed.Method, signed.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), callerARN) {
		t.Errorf("%s %q, %v", resp.Status, body, err)
	}
}
