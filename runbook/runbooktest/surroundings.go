package runbooktest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/execute"
	"jwksbot/runbook/standin"
)

// Minute is what a test says about one minute: requests, failures in the
// authoriser's log, 4xx of the gateway. A negative number of requests is a
// minute without any point.
type Minute struct{ Requests, Logged, Denied float64 }

// Surroundings stand in for all that lies around the cache: gateway, function,
// logs, pager, subscription service.
type Surroundings struct {
	mu    sync.Mutex
	clock runbook.Clock

	Minutes map[time.Time]Minute
	Usual   Minute // of minutes that are not named
	LogErr  error
	Cut     bool // the log reading stopped at its cap

	API      runbook.GatewaySetup
	SetupErr error
	flushErr error
	Emptied  int

	Function   runbook.FunctionEvidence
	Restarting func() (runbook.RestartResult, error)
	Restarted  []string // runs
	MovedBack  []string
	NewStreams runbook.LogStreams
	StreamsErr error

	Accepted int
	Kids     []string
	Sign     runbook.CanaryResult
	Rejects  int // sign-ins before sign

	claim     string
	BridgeErr error
	Asked     []string // tickets
	OnBridge  func()

	Pages, Resolves, Published int
	PageErr, PublishErr        error
	Alarms                     []runbook.Alarm
}

// Around gives the world's target a gateway, a log group, a function and
// people to call.
func (o *World) Around() *Surroundings {
	s := &Surroundings{clock: o.Clock, Minutes: map[time.Time]Minute{}, Usual: Minute{Requests: 1000},
		API: runbook.GatewaySetup{Kind: runbook.HTTPAPI, ID: "a1b2c3", Stage: "prod", Authorisers: []runbook.GatewayAuthoriser{
			{ID: "x", Name: "jwt-lambda", Kind: runbook.LambdaAuthoriser, Function: "authoriser", Qualifier: "live"}}},
		Function:   runbook.FunctionEvidence{Function: "authoriser", Qualifier: "live", Version: "12", Mode: runbook.RestartAlias, Revision: "r1", AliasRevision: "a1", CodeSHA: "sha"},
		NewStreams: runbook.LogStreams{New: 2},
		Accepted:   3, Kids: []string{"b"}, claim: "flushed",
	}
	s.Restarting = func() (runbook.RestartResult, error) {
		return runbook.RestartResult{Version: "13", Previous: "12", UpdatedAt: o.Clock.Now(), Proof: []string{"alias live points to version 13"}}, nil
	}
	o.Target.API, o.Target.Meter, o.Target.Logs = s, s, s
	o.Target.Function, o.Target.Streams = s, s
	o.Target.Pager, o.Target.Publisher = s, s
	o.Target.Watch = runbook.WatchPolicy{For: execute.DefaultWatch, Ratio: execute.DefaultRatio, Over: execute.DefaultOver, MinRequests: execute.DefaultMinRequests, UserGroup: "S0IDENTITY"}
	return s
}

func (s *Surroundings) at(m time.Time) Minute {
	if x, ok := s.Minutes[m]; ok {
		return x
	}
	return s.Usual
}

// Gateway shows the newest two minutes incompletely, as CloudWatch does.
func (s *Surroundings) Gateway(_ context.Context, api runbook.GatewaySetup, since, until time.Time) ([]runbook.GatewayPoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if api.ID != s.API.ID {
		return nil, errors.New("no such API")
	}
	var out []runbook.GatewayPoint
	for m := since.Truncate(time.Minute); m.Before(until); m = m.Add(time.Minute) {
		x := s.at(m)
		switch {
		case x.Requests < 0:
			continue
		case s.clock.Now().Sub(m) < 3*time.Minute:
			x.Requests, x.Denied = x.Requests/10, x.Denied/10
		}
		out = append(out, runbook.GatewayPoint{At: m, Requests: x.Requests, ClientErrors: x.Denied})
	}
	return out, nil
}

// Failures are the log lines of the minutes asked for.
func (s *Surroundings) Failures(_ context.Context, since, until time.Time, _ string) (runbook.LogEvidence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ev := runbook.LogEvidence{Since: since, Until: until, Classes: map[string]int{}, AtLeast: s.Cut}
	for m := since.Truncate(time.Minute); m.Before(until); m = m.Add(time.Minute) {
		n := int(s.at(m).Logged)
		ev.Count += n
		ev.Classes[runbook.ClassUnknownKid] += n
		ev.KeyMinutes = append(ev.KeyMinutes, runbook.MinuteCount{At: m, Count: n})
	}
	ev.PerMinute = ev.KeyMinutes
	return ev, s.LogErr
}

// Setup is the gateway as it is set up.
func (s *Surroundings) Setup(context.Context) (runbook.GatewaySetup, error) { return s.API, s.SetupErr }

// FlushResults counts.
func (s *Surroundings) FlushResults(context.Context) error {
	s.Emptied++
	return s.flushErr
}

// Inspect is the function as it is.
func (s *Surroundings) Inspect(_ context.Context, qualifier string) (runbook.FunctionEvidence, error) {
	ev := s.Function
	if ev.Qualifier != qualifier {
		ev.Qualifier, ev.Mode = qualifier, runbook.RestartLatest
	}
	return ev, nil
}

// Restart notes the run and answers as the test says.
func (s *Surroundings) Restart(_ context.Context, plan runbook.RestartPlan, run string, progress func(string)) (runbook.RestartResult, error) {
	progress("waits for the update")
	res, err := s.Restarting()
	if err == nil {
		s.Restarted = append(s.Restarted, run)
	}
	return res, err
}

// MoveBack notes the run.
func (s *Surroundings) MoveBack(_ context.Context, plan runbook.RestartPlan, run string) (runbook.RestartResult, error) {
	s.MovedBack = append(s.MovedBack, run)
	return runbook.RestartResult{Version: plan.Version, Previous: "13", UpdatedAt: s.clock.Now()}, nil
}

// Streams answers as the test says.
func (s *Surroundings) Streams(context.Context, time.Time) (runbook.LogStreams, error) {
	return s.NewStreams, s.StreamsErr
}

// Successes answers as the test says.
func (s *Surroundings) Successes(context.Context, time.Time, time.Time) (int, []string, bool, error) {
	return s.Accepted, s.Kids, false, nil
}

// Try signs in as the test says.
func (s *Surroundings) Try(context.Context) (runbook.CanaryResult, error) {
	if s.Rejects--; s.Rejects >= 0 {
		return runbook.CanaryResult{Status: 401}, nil
	}
	return s.Sign, nil
}

// Flush notes the ticket and claims what the test says.
func (s *Surroundings) Flush(_ context.Context, ticket, _ string) (string, error) {
	s.Asked = append(s.Asked, ticket)
	if s.OnBridge != nil {
		s.OnBridge()
	}
	return s.claim, s.BridgeErr
}

// Trigger pages.
func (s *Surroundings) Trigger(_ context.Context, a runbook.Alarm) error {
	if s.PageErr != nil {
		return s.PageErr
	}
	s.Pages++
	s.Alarms = append(s.Alarms, a)
	return nil
}

// Resolve ends the incident.
func (s *Surroundings) Resolve(context.Context, runbook.Alarm) error {
	s.Resolves++
	return nil
}

// Publish sends to the subscribers.
func (s *Surroundings) Publish(context.Context, runbook.Alarm) (string, error) {
	s.Published++
	return "m-1", s.PublishErr
}

// Followed executes minute after minute of a watch until the run is in another
// state than watch and escalate, or stop says so.
func (o *World) Followed(t *testing.T, id string, stop func(runbook.Run) bool) runbook.Run {
	t.Helper()
	for n := 0; n < 500; n++ {
		run := o.Run(t, id)
		if run.State != runbook.StateWatch && run.State != runbook.StateEscalate || stop != nil && stop(run) {
			return run
		}
		if wait := run.Due().Sub(o.Clock.Now()); wait > 0 {
			o.Clock.Advance(wait)
		}
		o.Advance(t, id)
	}
	t.Fatal("the watch does not end")
	return runbook.Run{}
}

// Watched brings a run to the first minute of its watch. The mitigation ends
// within the minute 03:00, so that 03:01 is the first that is watched.
func (o *World) Watched(t *testing.T) runbook.Run {
	t.Helper()
	o.Clock.Advance(20 * time.Second)
	o.Refill("keys b=2", 1)
	return o.Until(t, o.Approve(t, Request("U0ANN")).ID, runbook.StateWatch)
}

// From sets the n minutes from the k-th watched one on.
func (s *Surroundings) From(k, n int, m Minute) {
	for i := range n {
		s.Minutes[standin.T0.Add(time.Duration(k+i)*time.Minute)] = m
	}
}
