package drill

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FilterLogEvents's limits for a page, and how many events one call looks
// through: a page may therefore be partly full or empty.
const (
	pageEvents = 10_000
	pageBytes  = 1 << 20
	pageScan   = 10_000
)

// filterQuota is how many FilterLogEvents calls a second an account has in most
// regions (CloudWatch Logs quotas), counted in real time.
const filterQuota = 10

var errNoLogGroup = apiError{http.StatusBadRequest, "ResourceNotFoundException", "The specified log group does not exist."}

// groupRef is how requests name a log group.
type groupRef struct {
	LogGroupName       string `json:"logGroupName"`
	LogGroupIdentifier string `json:"logGroupIdentifier"`
}

func (g groupRef) check() error {
	if (g.LogGroupName == "") == (g.LogGroupIdentifier == "") {
		return invalidParameter("Exactly one of logGroupName and logGroupIdentifier must be given.")
	}
	if g.is(LogGroup) || g.is(AccessLogGroup) {
		return nil
	}
	return errNoLogGroup
}

// is says that the request names this group.
func (g groupRef) is(group string) bool {
	return g.LogGroupName == group || g.LogGroupIdentifier == group || g.LogGroupIdentifier == groupARN(group)
}

func groupARN(group string) string {
	return "arn:aws:logs:" + Region + ":" + Account + ":log-group:" + group
}

type filterInput struct {
	groupRef
	LogStreamNames      []string `json:"logStreamNames"`
	LogStreamNamePrefix string   `json:"logStreamNamePrefix"`
	StartTime           int64    `json:"startTime"`
	EndTime             *int64   `json:"endTime"`
	FilterPattern       string   `json:"filterPattern"`
	Limit               *int     `json:"limit"`
	NextToken           string   `json:"nextToken"`
	StartFromHead       *bool    `json:"startFromHead"`
}

type filteredEvent struct {
	EventID       string `json:"eventId"`
	IngestionTime int64  `json:"ingestionTime"`
	LogStreamName string `json:"logStreamName"`
	Message       string `json:"message"`
	Timestamp     int64  `json:"timestamp"`
}

// position is what a nextToken stands for: the direction, and the last event
// that was looked at, by number; 0 for none yet.
type position struct {
	Newest bool `json:"d"`
	After  int  `json:"a"`
}

func (p position) token() string {
	b, _ := json.Marshal(p) // two plain fields: cannot fail
	return "Bxkq6kVGFtq2y_" + base64.RawURLEncoding.EncodeToString(b)
}

func parsePosition(token string) (p position, err error) {
	body, ok := strings.CutPrefix(token, "Bxkq6kVGFtq2y_")
	b, err := base64.RawURLEncoding.DecodeString(body)
	if !ok || err != nil || json.Unmarshal(b, &p) != nil {
		return p, invalidParameter("The specified nextToken is invalid.")
	}
	return p, nil
}

// withinQuota counts a FilterLogEvents call, and says whether the account still
// has it.
func (e *endpoints) withinQuota() bool {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.filterCalls = slices.DeleteFunc(e.filterCalls, func(t time.Time) bool { return now.Sub(t) >= time.Second })
	if len(e.filterCalls) >= filterQuota {
		return false
	}
	e.filterCalls = append(e.filterCalls, now)
	return true
}

func (e *endpoints) filterLogEvents(c awsCall) error {
	if !e.withinQuota() {
		return jsonProtocol.throttled
	}
	var in filterInput
	if err := c.readJSON(&in); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	filter, err := parseFilter(in.FilterPattern)
	if err != nil {
		return err
	}
	p := position{Newest: in.StartFromHead != nil && !*in.StartFromHead}
	if in.NextToken != "" {
		if p, err = parsePosition(in.NextToken); err != nil {
			return err
		}
	}
	out := struct {
		Events             []filteredEvent `json:"events"`
		NextToken          string          `json:"nextToken,omitempty"`
		SearchedLogStreams []any           `json:"searchedLogStreams"`
	}{Events: []filteredEvent{}, SearchedLogStreams: []any{}}
	if in.NextToken == "" && e.emptyPages() {
		out.NextToken = p.token()
		return writeAWSJSON(c.rw, http.StatusOK, out)
	}
	events, more := e.page(in, filter, &p)
	if more {
		out.NextToken = p.token()
	}
	out.Events = events
	return writeAWSJSON(c.rw, http.StatusOK, out)
}

// check refuses what AWS refuses before it looks at an event.
func (in filterInput) check() error {
	switch {
	case in.groupRef.check() != nil:
		return in.groupRef.check()
	case in.Limit != nil && (*in.Limit < 1 || *in.Limit > pageEvents):
		return invalidParameter("1 validation error detected: Value at 'limit' failed to satisfy constraint: Member must have value between 1 and 10000")
	case len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != "":
		return invalidParameter("logStreamNames and logStreamNamePrefix cannot be used together.")
	case in.EndTime != nil && *in.EndTime < in.StartTime:
		return invalidParameter("End time must not be before start time.")
	}
	return nil
}

// page looks through events from the position on, moves it, and says whether
// some are left.
func (e *endpoints) page(in filterInput, filter logFilter, p *position) (found []filteredEvent, more bool) {
	end, limit := e.world.clock.Now().UnixMilli(), pageEvents
	if in.EndTime != nil {
		end = *in.EndTime
	}
	if in.Limit != nil {
		limit = *in.Limit
	}
	window := e.world.record.window
	if in.is(AccessLogGroup) {
		window = e.world.record.accessWindow
	}
	events := remaining(window(in.StartTime, end), *p)
	found = []filteredEvent{}
	bytes := 0
	for scanned := range len(events) {
		ev := events[scanned]
		if p.Newest {
			ev = events[len(events)-1-scanned]
		}
		if scanned == pageScan || len(found) == limit {
			return found, true
		}
		if in.wants(ev.stream) && filter.matches(ev.message) {
			if bytes += len(ev.message); bytes > pageBytes && len(found) > 0 {
				return found, true
			}
			found = append(found, filteredEvent{fmt.Sprintf("%056d", ev.id), ev.at + 300, ev.stream, ev.message, ev.at})
		}
		p.After = ev.id
	}
	return found, false
}

// remaining are the events of the window that the position has not passed.
func remaining(events []logEvent, p position) []logEvent {
	if p.After == 0 {
		return events
	}
	i, found := slices.BinarySearchFunc(events, p.After, func(ev logEvent, id int) int { return cmp.Compare(ev.id, id) })
	if p.Newest {
		return events[:i]
	}
	if found {
		i++
	}
	return events[i:]
}

func (in filterInput) wants(stream string) bool {
	if len(in.LogStreamNames) > 0 {
		return slices.Contains(in.LogStreamNames, stream)
	}
	return strings.HasPrefix(stream, in.LogStreamNamePrefix)
}

// describeLogStreams lists the streams of the execution environments.
func (e *endpoints) describeLogStreams(c awsCall) error {
	var in struct {
		groupRef
		LogStreamNamePrefix string `json:"logStreamNamePrefix"`
		OrderBy             string `json:"orderBy"`
		Descending          bool   `json:"descending"`
		Limit               *int   `json:"limit"`
		NextToken           string `json:"nextToken"`
	}
	if err := c.readJSON(&in); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	byTime := in.OrderBy == "LastEventTime"
	if byTime && in.LogStreamNamePrefix != "" {
		return invalidParameter("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	streams := slices.DeleteFunc(e.world.record.logStreams(), func(s logStream) bool {
		return in.is(AccessLogGroup) || !strings.HasPrefix(s.name, in.LogStreamNamePrefix)
	})
	if byTime {
		slices.SortStableFunc(streams, func(a, b logStream) int { return cmp.Compare(a.last, b.last) })
	}
	if in.Descending {
		slices.Reverse(streams)
	}
	limit := pageStreams
	if in.Limit != nil {
		limit = *in.Limit
	}
	streams, next, err := pageOfStreams(streams, in.NextToken, limit)
	if err != nil {
		return err
	}
	list := []map[string]any{}
	for _, s := range streams {
		list = append(list, map[string]any{
			"logStreamName": s.name, "creationTime": s.first, "firstEventTimestamp": s.first,
			"lastEventTimestamp": s.last, "lastIngestionTime": s.last + 300,
			"arn": groupARN(LogGroup) + ":log-stream:" + s.name, "storedBytes": 0,
		})
	}
	out := map[string]any{"logStreams": list}
	if next != "" {
		out["nextToken"] = next
	}
	return writeAWSJSON(c.rw, http.StatusOK, out)
}

// pageStreams is the most that DescribeLogStreams lists at once.
const pageStreams = 50

func pageOfStreams(all []logStream, token string, limit int) (page []logStream, next string, err error) {
	from := 0
	if token != "" {
		if from, err = strconv.Atoi(token); err != nil || from <= 0 || from > len(all) {
			return nil, "", invalidParameter("The specified nextToken is invalid.")
		}
	}
	if limit < 1 || limit > pageStreams {
		return nil, "", invalidParameter("1 validation error detected: Value at 'limit' failed to satisfy constraint: Member must have value between 1 and 50")
	}
	end := min(from+limit, len(all))
	if end < len(all) {
		next = strconv.Itoa(end)
	}
	return all[from:end], next, nil
}

// describeLogGroups lists the groups of the authoriser and of the gateway.
func (e *endpoints) describeLogGroups(c awsCall) error {
	var in struct {
		Prefix  string `json:"logGroupNamePrefix"`
		Pattern string `json:"logGroupNamePattern"`
	}
	if err := c.readJSON(&in); err != nil {
		return err
	}
	groups := []map[string]any{}
	for _, group := range []string{AccessLogGroup, LogGroup} {
		if !strings.HasPrefix(group, in.Prefix) || !strings.Contains(strings.ToLower(group), strings.ToLower(in.Pattern)) {
			continue
		}
		groups = append(groups, map[string]any{
			"logGroupName": group, "arn": groupARN(group) + ":*", "logGroupArn": groupARN(group),
			"creationTime": e.world.clock.Now().Add(-90 * 24 * time.Hour).UnixMilli(), "storedBytes": 0,
		})
	}
	return writeAWSJSON(c.rw, http.StatusOK, map[string]any{"logGroups": groups})
}
