package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"jwksbot/runbook"
)

// deniedPattern finds every line with one of the two numbers in it; status
// decides where they stand. A JSON pattern ({ $.status = 401 }) would find
// nothing in the other formats of access logs, nor where the status is a
// string, as in AWS's own example of the format, and nothing looks like calm.
const deniedPattern = "?401 ?403"

// AccessLogSettings say where the gateway logs its requests.
type AccessLogSettings struct {
	AWS   aws.Config
	Group string // name of the log group, or its ARN for one of another account
	// MaxPages is how many pages one reading may take; 0: 50.
	MaxPages int
	// Pace is shared by the readers of an account and Region; nil: an own one.
	Pace *Pace
	// Clock says what time it is; nil: the system's.
	Clock runbook.Clock
}

// AccessLog reads the access log of an API, in whichever of API Gateway's
// formats (JSON, CLF, XML, CSV) it is.
type AccessLog struct {
	group
	maxPages int
	clock    runbook.Clock
}

// NewAccessLog returns a reader of the access log. It makes no request; the
// error is about the settings.
func NewAccessLog(s AccessLogSettings) (*AccessLog, error) {
	if s.Group == "" {
		return nil, errors.New("no access log group: set gateway.access_log_group to the log group of the stage's access logs")
	}
	if s.MaxPages < 0 {
		return nil, fmt.Errorf("access log pages: %d is below zero", s.MaxPages)
	}
	a := &AccessLog{
		group:    newGroup(s.AWS, s.Pace, s.Group, "gateway.access_log_group to the log group of the stage's access logs", "gateway.access_log_group"),
		maxPages: s.MaxPages, clock: s.Clock,
	}
	if a.maxPages == 0 {
		a.maxPages = defaultMaxPages
	}
	if a.clock == nil {
		a.clock = runbook.SystemClock{}
	}
	return a, nil
}

// Denied counts the requests from since to until (the end not included; zero is
// now) that were answered with 401 or 403. atLeast says that reading stopped
// early. Zero is an error when the log does not say the status of requests.
func (a *AccessLog) Denied(ctx context.Context, since, until time.Time) (count int, atLeast bool, err error) {
	if until.IsZero() {
		until = a.clock.Now()
	}
	err = a.read(ctx, window{deniedPattern, since, until, a.maxPages}, nil, func(e types.FilteredLogEvent) {
		at := atOf(e.Timestamp)
		if s := status(aws.ToString(e.Message)); (s == "401" || s == "403") && !at.Before(since) && at.Before(until) {
			count++
		}
	})
	if errors.Is(err, errPageCap) {
		return count, true, nil
	}
	if err != nil || count > 0 {
		return count, err != nil, err
	}
	return 0, false, a.namesStatus(ctx, since, until)
}

// namesStatus looks at the newest lines of the window: without a status in any
// of them, no denied request was found because none could be.
func (a *AccessLog) namesStatus(ctx context.Context, since, until time.Time) error {
	lines, named := 0, false
	err := a.read(ctx, window{"", since, until, 1}, nil, func(e types.FilteredLogEvent) {
		lines++
		named = named || status(aws.ToString(e.Message)) != ""
	})
	if err != nil && !errors.Is(err, errPageCap) {
		return err
	}
	if lines > 0 && !named {
		return fmt.Errorf("access log %q does not say how requests were answered: add \"status\":\"$context.status\" to the access log format of the stage", a.name)
	}
	return nil
}

// statusNames are the members that hold the status of the answer. Those of the
// integration and of the authoriser are other numbers.
var statusNames = []string{"status", "statusCode", "status_code", "httpStatus", "http_status", "responseStatus", "response_status", "httpStatusCode"}

// statusWord is a status that stands alone between the delimiters of CLF, CSV
// and XML.
var statusWord = pattern(`(?:^|" |[,>\t]"?|\bstatus[=:] ?"?)([1-5]\d\d)(?:["<,\s]|$)`)

// status is how the request of an access log line was answered: three digits,
// or "" when the line does not say it.
func status(line string) string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "{") {
		if m := statusWord().FindStringSubmatch(line); m != nil {
			return m[1]
		}
		return ""
	}
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(line), &members) != nil {
		return ""
	}
	for _, name := range statusNames {
		if s := strings.Trim(string(members[name]), `"`); threeDigits().MatchString(s) {
			return s
		}
	}
	return ""
}

var threeDigits = pattern(`^[1-5]\d\d$`)
