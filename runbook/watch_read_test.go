package runbook

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestSourcesOfTheWatch(t *testing.T) {
	for name, c := range map[string]struct {
		set     func(*office, *surroundings)
		verdict WatchVerdict
		note    string
	}{
		"denials of the result cache are seen through 4xx": {func(o *office, s *surroundings) {
			s.setup.Authorisers[0].ResultTTL = 5 * time.Minute
			s.usual = minute{requests: 1000, denied: 200}
		}, WatchBreach, "by its 4xx answers"},
		"4xx do not count where results are not cached": {func(o *office, s *surroundings) { s.usual = minute{requests: 1000, denied: 200} }, WatchCalm, ""},
		"the access log tells denials from other 4xx": {func(o *office, s *surroundings) {
			s.setup.Authorisers[0].ResultTTL = 5 * time.Minute
			s.usual = minute{requests: 1000, denied: 200}
			o.target.Access = deniedCount(func(since, until time.Time) int { return int(until.Sub(since)/time.Minute) * 10 })
		}, WatchCalm, "access log"},
		"a managed authoriser logs nothing": {func(o *office, s *surroundings) {
			s.setup.Authorisers[0].Kind = ManagedJWT
			s.usual = minute{requests: 1000, denied: 500}
		}, WatchBreach, "4xx"},
		"a capped count is at least that": {func(o *office, s *surroundings) { s.cut, s.usual.logged = true, 150 }, WatchBreach, ""},
		"logs that cannot be read leave gaps": {func(o *office, s *surroundings) {
			s.logErr = errors.New("throttled")
		}, WatchBlind, "throttled"},
		"a gateway that cannot be read leaves gaps": {func(o *office, s *surroundings) {
			s.setupErr = errors.New("AccessDenied: allow apigateway:GET")
		}, WatchBlind, "apigateway:GET"},
		"without metrics, failures": {func(o *office, s *surroundings) { o.target.Meter, s.usual.logged = nil, 1 }, WatchBlind, "not their share"},
		"without metrics, neither failures nor successes": {func(o *office, s *surroundings) {
			o.target.Meter, o.target.Successes, s.successes = nil, s, 0
		}, WatchBlind, "not their share"},
		"without metrics, no failure and successes": {func(o *office, s *surroundings) { o.target.Meter, o.target.Successes = nil, s }, WatchCalm, "not their share"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			s := o.around()
			c.set(o, s)
			run := o.followed(t, o.watched(t).ID, func(r Run) bool { return r.Escalation != nil })
			if run.Watch.Verdict != c.verdict || !strings.Contains(run.Watch.Note, c.note) || c.note == "" && run.Watch.Note != "" {
				t.Errorf("verdict %s, note %q, text %q", run.Watch.Verdict, run.Watch.Note, run.Watch.Text)
			}
		})
	}
}

// deniedCount is an access log by itself.
type deniedCount func(since, until time.Time) int

func (f deniedCount) Denied(_ context.Context, since, until time.Time) (int, bool, error) {
	return f(since, until), false, nil
}

// Metrics that come late, or are corrected, take the place of what was read
// first; minutes that can no longer be read keep what was read.
func TestLateMetrics(t *testing.T) {
	o := newOffice(t)
	s := o.around()
	id := o.watched(t).ID
	run := o.followed(t, id, func(r Run) bool { return r.Watch != nil && len(r.Watch.Points) == 3 })
	late := run.Watch.Points[1].At
	s.minutes[late] = minute{requests: 2000, logged: 600}
	s.minutes[run.Watch.Points[2].At] = minute{requests: -1}
	run = o.followed(t, id, func(r Run) bool { return len(r.Watch.Points) == 4 })
	if p := run.Watch.Points; p[1].Requests != 2000 || p[1].Failures != 600 || p[2].Requests != 1000 {
		t.Errorf("points %+v", p)
	}
}
