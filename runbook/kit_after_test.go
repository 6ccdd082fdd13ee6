package runbook

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// minute is what a test says about one minute: requests, failures in the
// authoriser's log, 4xx of the gateway. A negative number of requests is a
// minute without any point.
type minute struct{ requests, logged, denied float64 }

// surroundings stand in for all that lies around the cache: gateway, function,
// logs, pager, subscription service.
type surroundings struct {
	mu    sync.Mutex
	clock Clock

	minutes map[time.Time]minute
	usual   minute // of minutes that are not named
	logErr  error
	cut     bool // the log reading stopped at its cap

	setup    GatewaySetup
	setupErr error
	flushErr error
	emptied  int

	function   FunctionEvidence
	restart    func() (RestartResult, error)
	restarted  []string // runs
	movedBack  []string
	streams    LogStreams
	streamsErr error

	successes int
	kids      []string
	sign      CanaryResult
	rejects   int // sign-ins before sign

	claim     string
	bridgeErr error
	asked     []string // tickets
	onBridge  func()

	pages, resolves, published int
	pageErr, publishErr        error
	alarms                     []Alarm
}

// around gives the office's target a gateway, a log group, a function and
// people to call.
func (o *office) around() *surroundings {
	s := &surroundings{clock: o.clock, minutes: map[time.Time]minute{}, usual: minute{requests: 1000},
		setup: GatewaySetup{Kind: HTTPAPI, ID: "a1b2c3", Stage: "prod", Authorisers: []GatewayAuthoriser{
			{ID: "x", Name: "jwt-lambda", Kind: LambdaAuthoriser, Function: "authoriser", Qualifier: "live"}}},
		function:  FunctionEvidence{Function: "authoriser", Qualifier: "live", Version: "12", Mode: RestartAlias, Revision: "r1", AliasRevision: "a1", CodeSHA: "sha"},
		streams:   LogStreams{New: 2},
		successes: 3, kids: []string{"b"}, claim: "flushed",
	}
	s.restart = func() (RestartResult, error) {
		return RestartResult{Version: "13", Previous: "12", UpdatedAt: o.clock.Now(), Proof: []string{"alias live points to version 13"}}, nil
	}
	o.target.API, o.target.Meter, o.target.Logs = s, s, s
	o.target.Function, o.target.Streams = s, s
	o.target.Pager, o.target.Publisher = s, s
	o.target.Watch = WatchPolicy{For: DefaultWatch, Ratio: DefaultRatio, Over: DefaultOver, MinRequests: DefaultMinRequests, UserGroup: "S0IDENTITY"}
	return s
}

func (s *surroundings) at(m time.Time) minute {
	if x, ok := s.minutes[m]; ok {
		return x
	}
	return s.usual
}

// Gateway shows the newest two minutes incompletely, as CloudWatch does.
func (s *surroundings) Gateway(_ context.Context, api GatewaySetup, since, until time.Time) ([]GatewayPoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if api.ID != s.setup.ID {
		return nil, errors.New("no such API")
	}
	var out []GatewayPoint
	for m := since.Truncate(time.Minute); m.Before(until); m = m.Add(time.Minute) {
		x := s.at(m)
		switch {
		case x.requests < 0:
			continue
		case s.clock.Now().Sub(m) < 3*time.Minute:
			x.requests, x.denied = x.requests/10, x.denied/10
		}
		out = append(out, GatewayPoint{At: m, Requests: x.requests, ClientErrors: x.denied})
	}
	return out, nil
}

// Failures are the log lines of the minutes asked for.
func (s *surroundings) Failures(_ context.Context, since, until time.Time, _ string) (LogEvidence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ev := LogEvidence{Since: since, Until: until, Classes: map[string]int{}, AtLeast: s.cut}
	for m := since.Truncate(time.Minute); m.Before(until); m = m.Add(time.Minute) {
		n := int(s.at(m).logged)
		ev.Count += n
		ev.Classes[ClassUnknownKid] += n
		ev.KeyMinutes = append(ev.KeyMinutes, MinuteCount{At: m, Count: n})
	}
	ev.PerMinute = ev.KeyMinutes
	return ev, s.logErr
}

// Setup is the gateway as it is set up.
func (s *surroundings) Setup(context.Context) (GatewaySetup, error) { return s.setup, s.setupErr }

// FlushResults counts.
func (s *surroundings) FlushResults(context.Context) error {
	s.emptied++
	return s.flushErr
}

// Inspect is the function as it is.
func (s *surroundings) Inspect(_ context.Context, qualifier string) (FunctionEvidence, error) {
	ev := s.function
	if ev.Qualifier != qualifier {
		ev.Qualifier, ev.Mode = qualifier, RestartLatest
	}
	return ev, nil
}

// Restart notes the run and answers as the test says.
func (s *surroundings) Restart(_ context.Context, plan RestartPlan, run string, progress func(string)) (RestartResult, error) {
	progress("waits for the update")
	res, err := s.restart()
	if err == nil {
		s.restarted = append(s.restarted, run)
	}
	return res, err
}

// MoveBack notes the run.
func (s *surroundings) MoveBack(_ context.Context, plan RestartPlan, run string) (RestartResult, error) {
	s.movedBack = append(s.movedBack, run)
	return RestartResult{Version: plan.Version, Previous: "13", UpdatedAt: s.clock.Now()}, nil
}

// Streams answers as the test says.
func (s *surroundings) Streams(context.Context, time.Time) (LogStreams, error) {
	return s.streams, s.streamsErr
}

// Successes answers as the test says.
func (s *surroundings) Successes(context.Context, time.Time, time.Time) (int, []string, bool, error) {
	return s.successes, s.kids, false, nil
}

// Try signs in as the test says.
func (s *surroundings) Try(context.Context) (CanaryResult, error) {
	if s.rejects--; s.rejects >= 0 {
		return CanaryResult{Status: 401}, nil
	}
	return s.sign, nil
}

// Flush notes the ticket and claims what the test says.
func (s *surroundings) Flush(_ context.Context, ticket, _ string) (string, error) {
	s.asked = append(s.asked, ticket)
	if s.onBridge != nil {
		s.onBridge()
	}
	return s.claim, s.bridgeErr
}

// Trigger pages.
func (s *surroundings) Trigger(_ context.Context, a Alarm) error {
	if s.pageErr != nil {
		return s.pageErr
	}
	s.pages++
	s.alarms = append(s.alarms, a)
	return nil
}

// Resolve ends the incident.
func (s *surroundings) Resolve(context.Context, Alarm) error {
	s.resolves++
	return nil
}

// Publish sends to the subscribers.
func (s *surroundings) Publish(context.Context, Alarm) (string, error) {
	s.published++
	return "m-1", s.publishErr
}

// followed executes minute after minute of a watch until the run is in another
// state than watch and escalate, or stop says so.
func (o *office) followed(t *testing.T, id string, stop func(Run) bool) Run {
	t.Helper()
	for n := 0; n < 500; n++ {
		run := o.run(t, id)
		if run.State != StateWatch && run.State != StateEscalate || stop != nil && stop(run) {
			return run
		}
		if wait := run.Due().Sub(o.clock.Now()); wait > 0 {
			o.clock.advance(wait)
		}
		o.advance(t, id)
	}
	t.Fatal("the watch does not end")
	return Run{}
}

// watched brings a run to the first minute of its watch. The mitigation ends
// within the minute 03:00, so that 03:01 is the first that is watched.
func (o *office) watched(t *testing.T) Run {
	t.Helper()
	o.clock.advance(20 * time.Second)
	o.refill("keys b=2", 1)
	return o.until(t, o.approve(t, request("U0ANN")).ID, StateWatch)
}

// from sets the n minutes from the k-th watched one on.
func (s *surroundings) from(k, n int, m minute) {
	for i := range n {
		s.minutes[t0.Add(time.Duration(k+i)*time.Minute)] = m
	}
}
