package telemetry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"

	"jwksbot/runbook"
)

const (
	// requestsPerSecond stays below the lowest quota of FilterLogEvents, five
	// a second per account and Region (CloudWatch Logs quotas), which other
	// readers of the account share.
	requestsPerSecond = 3
	// defaultMaxPages bounds what one reading costs; a page holds up to 1 MB
	// or 10,000 events (FilterLogEvents).
	defaultMaxPages = 50
)

// newestFirstSince is the earliest start of a window that FilterLogEvents reads
// backwards (startFromHead).
var newestFirstSince = time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)

// logsAPI is what is called of CloudWatch Logs.
type logsAPI interface {
	FilterLogEvents(context.Context, *cloudwatchlogs.FilterLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error)
}

// LogSettings say where the authoriser logs and how to read it.
type LogSettings struct {
	AWS   aws.Config
	Group string // name of the log group, or its ARN for one of another account
	// FailurePattern is the CloudWatch Logs filter pattern for failures;
	// empty: DefaultPattern.
	FailurePattern string
	// SuccessPattern is the filter pattern for accepted tokens; empty:
	// Successes cannot be asked for.
	SuccessPattern string
	// Patterns recognise further lines among those that FailurePattern finds;
	// messages of an own kind need both.
	Patterns []Pattern
	MaxPages int // pages that one reading may take; 0: 50
	// Clock says what time it is; nil: the system's.
	Clock runbook.Clock
}

// Logs reads the log group of one authoriser. All readings share one limit of
// three requests a second; a short one does not wait.
type Logs struct {
	api            logsAPI
	region, group  string
	failures, good string
	classifier     *Classifier
	maxPages       int
	clock          runbook.Clock
}

// NewLogs returns a reader of the log group. It makes no request; the error is
// about the settings.
func NewLogs(s LogSettings) (*Logs, error) {
	if s.Group == "" {
		return nil, errors.New("no log group: set authoriser.log_group to the log group of the authoriser, such as /aws/lambda/NAME")
	}
	if s.MaxPages < 0 {
		return nil, fmt.Errorf("log pages: %d is below zero", s.MaxPages)
	}
	classifier, err := NewClassifier(s.Patterns)
	if err != nil {
		return nil, err
	}
	l := &Logs{
		region: s.AWS.Region, group: s.Group, classifier: classifier,
		failures: s.FailurePattern, good: s.SuccessPattern,
		maxPages: s.MaxPages, clock: s.Clock,
	}
	if l.failures == "" {
		l.failures = DefaultPattern()
	}
	for name, p := range map[string]string{"failure_pattern": l.failures, "success_pattern": l.good} {
		if n := len([]rune(p)); n > maxPattern {
			return nil, fmt.Errorf("authoriser.%s has %d characters: CloudWatch Logs takes at most %d", name, n, maxPattern)
		}
	}
	if l.maxPages == 0 {
		l.maxPages = defaultMaxPages
	}
	if l.clock == nil {
		l.clock = runbook.SystemClock{}
	}
	limit := rate.NewLimiter(requestsPerSecond, requestsPerSecond)
	l.api = cloudwatchlogs.NewFromConfig(s.AWS, func(o *cloudwatchlogs.Options) {
		o.APIOptions = append(o.APIOptions, limitAttempts(limit))
	})
	return l, nil
}

// limitAttempts makes every attempt wait for the limiter, also the SDK's own
// retries, which count against the same quota.
func limitAttempts(limit *rate.Limiter) func(*middleware.Stack) error {
	wait := middleware.FinalizeMiddlewareFunc("RequestsPerSecond", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if err := limit.Wait(ctx); err != nil {
			if ctx.Err() == nil {
				err = context.DeadlineExceeded // the limiter gives up early when the turn comes after the deadline
			}
			return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("waiting for the limit of %d requests a second: %w", requestsPerSecond, err)
		}
		return next.HandleFinalize(ctx, in)
	})
	return func(stack *middleware.Stack) error { return stack.Finalize.Insert(wait, "Retry", middleware.After) }
}

// Failures reads the failures of the window from since to until (the end not
// included), newest first; an until of zero is now. With a kid only failures
// that name it count. When reading stopped early (the page cap, the context, an
// error) the evidence says what was read until then, with AtLeast set; after
// the cap the error is nil.
func (l *Logs) Failures(ctx context.Context, since, until time.Time, kid string) (runbook.LogEvidence, error) {
	if until.IsZero() {
		until = l.clock.Now()
	}
	t := newTally(since, until)
	err := l.read(ctx, l.failures, since, until, t.page, func(at time.Time, text string) {
		class, named, ok := l.classifier.Line(text)
		if ok && Failure(class) && (kid == "" || named == kid) {
			t.add(at, class, named, text)
		}
	})
	if errors.Is(err, errPageCap) {
		t.cut, err = true, nil
	} else if err != nil {
		t.cut = true
	}
	e := t.evidence()
	e.Group, e.Pattern = l.group, l.failures
	return e, err
}

// Successes counts the lines of accepted tokens in the window and the kids that
// they name, most frequent first, by the target's success pattern; atLeast says
// that reading stopped early.
func (l *Logs) Successes(ctx context.Context, since, until time.Time) (count int, kids []string, atLeast bool, err error) {
	if l.good == "" {
		return 0, nil, false, errors.New("no success pattern: set authoriser.success_pattern to a filter pattern for lines about accepted tokens")
	}
	if until.IsZero() {
		until = l.clock.Now()
	}
	t := newTally(since, until)
	err = l.read(ctx, l.good, since, until, t.page, func(_ time.Time, text string) {
		count++
		t.addKid(findKid(text))
	})
	atLeast = err != nil
	if errors.Is(err, errPageCap) {
		err = nil
	}
	for _, k := range t.topKids() {
		kids = append(kids, k.Kid)
	}
	return count, kids, atLeast, err
}

// errPageCap says that there were more pages than may be read.
var errPageCap = errors.New("more pages than one reading takes")

// read calls event for every event of the window, newest first, and page for
// every page that was read.
func (l *Logs) read(ctx context.Context, pattern string, since, until time.Time, page func(), event func(time.Time, string)) error {
	in := &cloudwatchlogs.FilterLogEventsInput{
		FilterPattern: aws.String(pattern),
		StartTime:     aws.Int64(since.UnixMilli()),
		EndTime:       aws.Int64(until.UnixMilli() - 1), // the service includes the end
	}
	if isARN(l.group) {
		in.LogGroupIdentifier = aws.String(l.group)
	} else {
		in.LogGroupName = aws.String(l.group)
	}
	if !since.Before(newestFirstSince) {
		in.StartFromHead = aws.Bool(false)
	}
	for n := 1; ; n++ {
		out, err := l.api.FilterLogEvents(ctx, in)
		if err != nil {
			return l.explain(n-1, err)
		}
		page()
		for _, e := range out.Events {
			eventOf(e, event)
		}
		// A page may be empty and still have a successor.
		if aws.ToString(out.NextToken) == "" {
			return nil
		}
		if n >= l.maxPages {
			return errPageCap
		}
		in.NextToken = out.NextToken
	}
}

func eventOf(e types.FilteredLogEvent, event func(time.Time, string)) {
	event(time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC(), aws.ToString(e.Message))
}
