package telemetry

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"jwksbot/runbook"
)

const (
	// streamPages bounds what one look at the streams costs; a page holds 50,
	// one for each execution environment (DescribeLogStreams).
	streamPages = 10
	initPages   = 5
)

// initPattern finds the line that Lambda writes when an execution environment
// starts, in both of its log formats.
const initPattern = `?INIT_START ?"platform.initStart"`

// Streams tells the execution environments that first logged after a moment
// from those that did before and still do. The listing lags: CloudWatch Logs
// updates the time of a stream's last event "in less than an hour" (LogStream),
// so that Old is a lower bound, and a listing without new streams is not
// believed before the starts of environments have been looked for among the
// events, which are there within seconds.
func (l *Logs) Streams(ctx context.Context, after time.Time) (runbook.LogStreams, error) {
	var found runbook.LogStreams
	known := map[string]bool{} // streams from before
	err := l.listStreams(ctx, after, func(s types.LogStream) {
		first := atOf(s.FirstEventTimestamp)
		if first.IsZero() {
			first = atOf(s.CreationTime)
		}
		if first.After(after) {
			found.New++
			found.Newest = later(found.Newest, first)
			return
		}
		known[aws.ToString(s.LogStreamName)] = true
		if atOf(s.LastEventTimestamp).After(after) {
			found.Old++
		}
	})
	if err != nil || found.New > 0 {
		return found, err
	}
	started := map[string]bool{}
	w := window{initPattern, after.Truncate(time.Millisecond).Add(time.Millisecond), l.clock.Now(), initPages}
	if !w.since.Before(w.until) {
		return found, nil
	}
	err = l.read(ctx, w, nil, func(e types.FilteredLogEvent) {
		name := aws.ToString(e.LogStreamName)
		if name == "" || known[name] { // an environment that is started again keeps its stream, and its name here
			return
		}
		started[name] = true
		found.Newest = later(found.Newest, atOf(e.Timestamp))
	})
	found.New = len(started)
	if errors.Is(err, errPageCap) {
		err = nil
	}
	return found, err
}

// listStreams calls stream for the streams of the group, last event first, and
// ends at the first that is silent since the moment.
func (l *Logs) listStreams(ctx context.Context, since time.Time, stream func(types.LogStream)) error {
	in := &cloudwatchlogs.DescribeLogStreamsInput{OrderBy: types.OrderByLastEventTime, Descending: aws.Bool(true)}
	in.LogGroupName, in.LogGroupIdentifier = l.ref()
	for n := range streamPages {
		out, err := l.api.DescribeLogStreams(ctx, in)
		if err != nil {
			return l.explain("DescribeLogStreams", n, err)
		}
		for _, s := range out.LogStreams {
			stream(s)
			if last := atOf(s.LastEventTimestamp); !last.IsZero() && last.Before(since) {
				return nil
			}
		}
		if aws.ToString(out.NextToken) == "" {
			return nil
		}
		in.NextToken = out.NextToken
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
