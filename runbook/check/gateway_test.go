package check

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/standin"
)

// Doors into the gateway and the function.
type (
	setupFunc   func(context.Context) (runbook.GatewaySetup, error)
	meterFunc   func() ([]runbook.GatewayPoint, error)
	deniedFunc  func(ctx context.Context, since time.Time) (int, error)
	inspectFunc func(qualifier string) (runbook.FunctionEvidence, error)
)

func (f setupFunc) Setup(ctx context.Context) (runbook.GatewaySetup, error) { return f(ctx) }

func (setupFunc) FlushResults(context.Context) error { panic("a check flushed the gateway") }

func (f meterFunc) Gateway(context.Context, runbook.GatewaySetup, time.Time, time.Time) ([]runbook.GatewayPoint, error) {
	return f()
}

func (f deniedFunc) Denied(ctx context.Context, since, _ time.Time) (int, bool, error) {
	n, err := f(ctx, since)
	return n, n >= 5000, err
}

func (f inspectFunc) Inspect(_ context.Context, qualifier string) (runbook.FunctionEvidence, error) {
	return f(qualifier)
}

func (inspectFunc) Restart(context.Context, runbook.RestartPlan, string, func(string)) (runbook.RestartResult, error) {
	panic("a check restarted the function")
}

func (inspectFunc) MoveBack(context.Context, runbook.RestartPlan, string) (runbook.RestartResult, error) {
	panic("a check moved the alias")
}

func TestTheTurnOfTheGatewaysErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		points []runbook.GatewayPoint
		known  bool
		spike  bool
		ago    time.Duration
	}{
		{"nothing", nil, false, false, 0},
		{"too few minutes", standin.Shares(4, 30), false, false, 0},
		{"steady", standin.Shares(60, 12), true, false, 0},
		{"risen", standin.Shares(46, 1, 14, 34), true, true, 14 * time.Minute},
		{"risen early", standin.Shares(10, 1, 50, 34), true, true, 50 * time.Minute},
		{"risen a little", standin.Shares(46, 1, 14, 4), true, false, 14 * time.Minute},
		{"high as ever, a little more", standin.Shares(46, 30, 14, 40), true, false, 14 * time.Minute},
		{"risen and fallen again", standin.Shares(40, 1, 14, 34, 6, 1), true, false, 0},
		{"fallen", standin.Shares(46, 34, 14, 1), true, false, 0},
		{"one odd minute", standin.Shares(56, 1, 1, 90, 3, 1), true, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev := &runbook.GatewayEvidence{Points: c.points, Until: standin.T0}
			turn, ok := diagnose.FindChangePoint(ev)
			if ok != c.known || turn.Spike != c.spike {
				t.Fatalf("turn %+v, known %t", turn, ok)
			}
			if c.ago > 0 && standin.T0.Sub(turn.At) != c.ago {
				t.Errorf("turned %s ago, want %s", standin.T0.Sub(turn.At), c.ago)
			}
		})
	}
	quiet := &runbook.GatewayEvidence{Until: standin.T0}
	for _, p := range standin.Shares(46, 0, 14, 50) {
		p.Requests, p.ClientErrors = 0.3, p.ClientErrors/400
		quiet.Points = append(quiet.Points, p)
	}
	if turn, ok := diagnose.FindChangePoint(quiet); ok {
		t.Errorf("a handful of requests turned: %+v", turn)
	}
}

// What one permission denies must not hide what the others gave.
func TestGatewayErrors(t *testing.T) {
	denied := errors.New("allow apigateway:GET on /restapis/a1b2c3")
	for _, c := range []struct {
		name   string
		api    setupFunc
		meter  meterFunc
		access deniedFunc
		want   runbook.Status
		says   []string
		not    string
	}{
		{"all in order", setupIs(standin.SetupOf(standin.LambdaOf("jwks", "auth", "live")), nil), points(standin.Shares(60, 2)...), deniedIs(3), runbook.StatusOK,
			[]string{"REST API `shop`, stage `prod`", "2 % of requests answered 4xx now, 2 % before: no spike", "3 requests denied (HTTP 401 or 403) in the last 60 min",
				"Lambda authoriser `jwks` invokes `auth:live`, each answer is repeated for 5 min"}, ""},
		{"a spike", setupIs(standin.SetupOf(standin.LambdaOf("jwks", "auth", "")), nil), points(standin.Shares(46, 1, 14, 34)...), nil, runbook.StatusFail,
			[]string{"34 % of requests answered 4xx now, 1 % until 14 min ago: spike"}, "401"},
		{"the setup is denied", setupIs(runbook.GatewaySetup{}, denied), points(standin.Shares(60, 2)...), deniedIs(5000), runbook.StatusWarn,
			[]string{"at least 5,000 requests denied", "allow apigateway:GET"}, "Lambda"},
		{"the setup is denied, and known in part", setupIs(runbook.GatewaySetup{Kind: runbook.HTTPAPI, ID: "x9", Stage: "$default"}, denied), points(standin.Shares(60, 2)...), nil, runbook.StatusWarn,
			[]string{"HTTP API `x9`, stage `$default`", "2 % of requests", "allow apigateway:GET"}, ""},
		{"the metrics are denied", setupIs(standin.SetupOf(standin.LambdaOf("jwks", "auth", "")), nil), func() ([]runbook.GatewayPoint, error) { return nil, errors.New("allow cloudwatch:GetMetricData") }, deniedIs(0), runbook.StatusWarn,
			[]string{"0 requests denied", "invokes `auth`", "allow cloudwatch:GetMetricData"}, "4xx"},
		{"the access log is denied", setupIs(standin.SetupOf(), nil), points(standin.Shares(60, 2)...), func(context.Context, time.Time) (int, error) { return 0, errors.New("allow logs:FilterLogEvents") }, runbook.StatusWarn,
			[]string{"2 % of requests", "allow logs:FilterLogEvents"}, ""},
		{"no traffic", setupIs(standin.SetupOf(standin.LambdaOf("jwks", "auth", "")), nil), points(), nil, runbook.StatusOK, []string{"no data"}, "0 %"},
		{"everything is denied", setupIs(runbook.GatewaySetup{}, denied), points(), func(context.Context, time.Time) (int, error) { return 0, errors.New("allow logs:FilterLogEvents") }, runbook.StatusError,
			[]string{"allow apigateway:GET", "allow logs:FilterLogEvents"}, ""},
		{"the access log alone", nil, nil, deniedIs(7), runbook.StatusOK, []string{"API Gateway; 7 requests denied"}, "4xx"},
		{"a managed authoriser without a name", setupIs(standin.SetupOf(runbook.GatewayAuthoriser{Kind: runbook.ManagedJWT}), nil), points(standin.Shares(60, 2)...), nil, runbook.StatusOK,
			[]string{"managed authoriser: the gateway checks tokens itself, with keys that it keeps for up to 2 h"}, ""},
		{"authorisers by their ids", setupIs(standin.SetupOf(runbook.GatewayAuthoriser{ID: "a1", Kind: runbook.ManagedJWT}, runbook.GatewayAuthoriser{ID: "a2", Kind: runbook.ManagedJWT}), nil), points(standin.Shares(60, 2)...), nil, runbook.StatusOK,
			[]string{"managed authorisers `a1`, `a2`: the gateway checks tokens itself"}, ""},
		{"a managed authoriser", setupIs(standin.SetupOf(runbook.GatewayAuthoriser{Name: "pool", Kind: runbook.ManagedUserPool}), nil), points(standin.Shares(60, 2)...), nil, runbook.StatusOK,
			[]string{"managed authoriser `pool`: the gateway checks tokens itself, with keys that it keeps for up to 60 min"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := fullTarget()
			target.API, target.Access, target.Meter = nil, nil, nil
			if c.api != nil {
				target.API = c.api
			}
			if c.meter != nil {
				target.Meter = c.meter
			}
			if c.access != nil {
				target.Access = c.access
			}
			r := NewRunner(standin.NewClock(), func(_ string, v any, stack []byte) { t.Errorf("%v\n%s", v, stack) })
			s := checked(t, r, target, Ask{}).Steps[4]
			if s.Status != c.want {
				t.Errorf("status %s: %s", s.Status, s.Summary)
			}
			for _, says := range c.says {
				if !strings.Contains(s.Summary, says) {
					t.Errorf("summary %q does not say %q", s.Summary, says)
				}
			}
			if c.not != "" && strings.Contains(s.Summary, c.not) {
				t.Errorf("summary %q says %q", s.Summary, c.not)
			}
		})
	}
}

func setupIs(s runbook.GatewaySetup, err error) setupFunc {
	return func(context.Context) (runbook.GatewaySetup, error) { return s, err }
}

func points(list ...runbook.GatewayPoint) meterFunc {
	return func() ([]runbook.GatewayPoint, error) { return list, nil }
}

func deniedIs(n int) deniedFunc {
	return func(context.Context, time.Time) (int, error) { return n, nil }
}

// The two steps that need the setup ask for it once.
func TestTheGatewayIsAskedOnceInACheck(t *testing.T) {
	asked := make(chan bool, 9)
	target := fullTarget()
	target.API = setupFunc(func(context.Context) (runbook.GatewaySetup, error) {
		asked <- true
		return standin.SetupOf(standin.LambdaOf("jwks", "auth", "live")), nil
	})
	target.Function = inspectFunc(func(q string) (runbook.FunctionEvidence, error) {
		return runbook.FunctionEvidence{Function: "auth", Qualifier: q, Mode: runbook.RestartAlias}, nil
	})
	r := NewRunner(standin.NewClock(), nil)
	checked(t, r, target, Ask{Anew: true})
	if len(asked) != 1 {
		t.Errorf("asked %d times in a check", len(asked))
	}
	if checked(t, r, target, Ask{Anew: true}); len(asked) != 2 {
		t.Errorf("asked %d times in two checks", len(asked))
	}
}
