package telemetry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"jwksbot/runbook"
)

// LogSettings say where the authoriser logs and how to read it.
type LogSettings struct {
	AWS   aws.Config
	Group string // name of the log group, or its ARN for one of another account
	// FailurePattern is the CloudWatch Logs filter pattern for failures;
	// empty: DefaultPattern.
	FailurePattern string
	// SuccessPattern is the filter pattern for accepted tokens; every line that
	// it finds counts as one. Empty: known phrases, which are looked at again.
	SuccessPattern string
	// Patterns recognise further lines among those that FailurePattern finds;
	// messages of an own kind need both.
	Patterns []Pattern
	MaxPages int // pages that one reading may take; 0: 50
	// Pace is shared by the readers of an account and Region; nil: an own one.
	Pace *Pace
	// Clock says what time it is; nil: the system's.
	Clock runbook.Clock
}

// Logs reads the log group of one authoriser.
type Logs struct {
	group
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
		group:    newGroup(s.AWS, s.Pace, s.Group, "authoriser.log_group to the log group of the authoriser", "authoriser.failure_pattern and success_pattern"),
		failures: s.FailurePattern, good: s.SuccessPattern, classifier: classifier,
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
	return l, nil
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
	err := l.read(ctx, window{l.failures, since, until, l.maxPages}, t.page, func(e types.FilteredLogEvent) {
		text := aws.ToString(e.Message)
		class, named, ok := l.classifier.Line(text)
		if ok && Failure(class) && (kid == "" || named == kid) {
			t.add(atOf(e.Timestamp), class, named, text)
		}
	})
	if errors.Is(err, errPageCap) {
		t.cut, err = true, nil
	} else if err != nil {
		t.cut = true
	}
	e := t.evidence()
	e.Group, e.Pattern = l.name, l.failures
	return e, err
}
