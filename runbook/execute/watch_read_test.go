package execute_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/runbooktest"
)

func TestSourcesOfTheWatch(t *testing.T) {
	for name, c := range map[string]struct {
		set     func(*runbooktest.World, *runbooktest.Surroundings)
		verdict runbook.WatchVerdict
		note    string
	}{
		"denials of the result cache are seen through 4xx": {func(o *runbooktest.World, s *runbooktest.Surroundings) {
			s.API.Authorisers[0].ResultTTL = 5 * time.Minute
			s.Usual = runbooktest.Minute{Requests: 1000, Denied: 200}
		}, runbook.WatchBreach, "by its 4xx answers"},
		"4xx do not count where results are not cached": {func(o *runbooktest.World, s *runbooktest.Surroundings) {
			s.Usual = runbooktest.Minute{Requests: 1000, Denied: 200}
		}, runbook.WatchCalm, ""},
		"the access log tells denials from other 4xx": {func(o *runbooktest.World, s *runbooktest.Surroundings) {
			s.API.Authorisers[0].ResultTTL = 5 * time.Minute
			s.Usual = runbooktest.Minute{Requests: 1000, Denied: 200}
			o.Target.Access = deniedCount(func(since, until time.Time) int { return int(until.Sub(since)/time.Minute) * 10 })
		}, runbook.WatchCalm, "access log"},
		"a managed authoriser logs nothing": {func(o *runbooktest.World, s *runbooktest.Surroundings) {
			s.API.Authorisers[0].Kind = runbook.ManagedJWT
			s.Usual = runbooktest.Minute{Requests: 1000, Denied: 500}
		}, runbook.WatchBreach, "4xx"},
		"a capped count is at least that": {func(o *runbooktest.World, s *runbooktest.Surroundings) { s.Cut, s.Usual.Logged = true, 150 }, runbook.WatchBreach, ""},
		"logs that cannot be read leave gaps": {func(o *runbooktest.World, s *runbooktest.Surroundings) {
			s.LogErr = errors.New("throttled")
		}, runbook.WatchBlind, "throttled"},
		"a gateway that cannot be read leaves gaps": {func(o *runbooktest.World, s *runbooktest.Surroundings) {
			s.SetupErr = errors.New("AccessDenied: allow apigateway:GET")
		}, runbook.WatchBlind, "apigateway:GET"},
		"without metrics, failures": {func(o *runbooktest.World, s *runbooktest.Surroundings) { o.Target.Meter, s.Usual.Logged = nil, 1 }, runbook.WatchBlind, "not their share"},
		"without metrics, neither failures nor successes": {func(o *runbooktest.World, s *runbooktest.Surroundings) {
			o.Target.Meter, o.Target.Successes, s.Accepted = nil, s, 0
		}, runbook.WatchBlind, "not their share"},
		"without metrics, no failure and successes": {func(o *runbooktest.World, s *runbooktest.Surroundings) { o.Target.Meter, o.Target.Successes = nil, s }, runbook.WatchCalm, "not their share"},
	} {
		t.Run(name, func(t *testing.T) {
			o := runbooktest.NewWorld(t)
			s := o.Around()
			c.set(o, s)
			run := o.Followed(t, o.Watched(t).ID, func(r runbook.Run) bool { return r.Escalation != nil })
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
	o := runbooktest.NewWorld(t)
	s := o.Around()
	id := o.Watched(t).ID
	run := o.Followed(t, id, func(r runbook.Run) bool { return r.Watch != nil && len(r.Watch.Points) == 3 })
	late := run.Watch.Points[1].At
	s.Minutes[late] = runbooktest.Minute{Requests: 2000, Logged: 600}
	s.Minutes[run.Watch.Points[2].At] = runbooktest.Minute{Requests: -1}
	run = o.Followed(t, id, func(r runbook.Run) bool { return len(r.Watch.Points) == 4 })
	if p := run.Watch.Points; p[1].Requests != 2000 || p[1].Failures != 600 || p[2].Requests != 1000 {
		t.Errorf("points %+v", p)
	}
}
