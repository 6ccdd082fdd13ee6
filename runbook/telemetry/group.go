package telemetry

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// defaultMaxPages bounds what one reading costs; a page holds up to 1 MB or
// 10,000 events (FilterLogEvents).
const defaultMaxPages = 50

// newestFirstSince is the earliest start of a window that FilterLogEvents reads
// backwards (startFromHead).
var newestFirstSince = time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)

// logsAPI is what is called of CloudWatch Logs.
type logsAPI interface {
	FilterLogEvents(context.Context, *cloudwatchlogs.FilterLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error)
	DescribeLogStreams(context.Context, *cloudwatchlogs.DescribeLogStreamsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogStreamsOutput, error)
}

// A group is one log group, read within the pace.
type group struct {
	api    logsAPI
	region string
	name   string // of the group, or its ARN for one of another account
	// What the operator has to look at when AWS refuses the name or the pattern.
	setting, patterns string
}

func newGroup(cfg aws.Config, pace *Pace, name, setting, patterns string) group {
	if pace == nil {
		pace = NewPace()
	}
	api := cloudwatchlogs.NewFromConfig(cfg, func(o *cloudwatchlogs.Options) {
		o.APIOptions = append(o.APIOptions, pace.middleware)
	})
	return group{api: api, region: cfg.Region, name: name, setting: setting, patterns: patterns}
}

// window is what to read of a group: the events from since to until (the end
// not included) that the filter pattern finds, on so many pages at most.
type window struct {
	pattern      string
	since, until time.Time
	pages        int
}

// errPageCap says that there were more pages than may be read.
var errPageCap = errors.New("more pages than one reading takes")

// read calls event for every event of the window, newest first, and page, which
// may be nil, for every page that was read.
func (g group) read(ctx context.Context, w window, page func(), event func(types.FilteredLogEvent)) error {
	in := &cloudwatchlogs.FilterLogEventsInput{
		StartTime: aws.Int64(w.since.UnixMilli()),
		EndTime:   aws.Int64(w.until.UnixMilli() - 1), // the service includes the end
	}
	if w.pattern != "" {
		in.FilterPattern = aws.String(w.pattern)
	}
	in.LogGroupName, in.LogGroupIdentifier = g.ref()
	if !w.since.Before(newestFirstSince) {
		in.StartFromHead = aws.Bool(false)
	}
	for n := 1; ; n++ {
		out, err := g.api.FilterLogEvents(ctx, in)
		if err != nil {
			return g.explain("FilterLogEvents", n-1, err)
		}
		if page != nil {
			page()
		}
		for _, e := range out.Events {
			event(e)
		}
		// A page may be empty and still have a successor.
		if aws.ToString(out.NextToken) == "" {
			return nil
		}
		if n >= w.pages {
			return errPageCap
		}
		in.NextToken = out.NextToken
	}
}

// ref names the group as requests do: by name or by ARN, never both.
func (g group) ref() (name, arn *string) {
	if isARN(g.name) {
		return nil, aws.String(g.name)
	}
	return aws.String(g.name), nil
}

// atOf is when the event happened, or the zero time.
func atOf(millis *int64) time.Time {
	if millis == nil {
		return time.Time{}
	}
	return time.UnixMilli(*millis).UTC()
}
