package runbook

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// Doors into the gateway and the function.
type (
	setupFunc   func(context.Context) (GatewaySetup, error)
	meterFunc   func() ([]GatewayPoint, error)
	deniedFunc  func(ctx context.Context, since time.Time) (int, error)
	inspectFunc func(qualifier string) (FunctionEvidence, error)
)

func (f setupFunc) Setup(ctx context.Context) (GatewaySetup, error) { return f(ctx) }

func (setupFunc) FlushResults(context.Context) error { panic("a check flushed the gateway") }

func (f meterFunc) Gateway(context.Context, GatewaySetup, time.Time, time.Time) ([]GatewayPoint, error) {
	return f()
}

func (f deniedFunc) Denied(ctx context.Context, since, _ time.Time) (int, bool, error) {
	n, err := f(ctx, since)
	return n, n >= 5000, err
}

func (f inspectFunc) Inspect(_ context.Context, qualifier string) (FunctionEvidence, error) {
	return f(qualifier)
}

func (inspectFunc) Restart(context.Context, RestartPlan, string, func(string)) (RestartResult, error) {
	panic("a check restarted the function")
}

func (inspectFunc) MoveBack(context.Context, RestartPlan, string) (RestartResult, error) {
	panic("a check moved the alias")
}

// setupOf is an API with the authorisers.
func setupOf(authorisers ...GatewayAuthoriser) GatewaySetup {
	return GatewaySetup{Kind: RestAPI, ID: "a1b2c3", Name: "shop", Stage: "prod", Authorisers: authorisers}
}

// lambdaOf is a Lambda authoriser.
func lambdaOf(name, function, qualifier string) GatewayAuthoriser {
	return GatewayAuthoriser{ID: "id-" + name, Name: name, Kind: LambdaAuthoriser, Function: function, Qualifier: qualifier, ResultTTL: 5 * time.Minute}
}

// shares makes a point a minute of 100 requests until t0, with so many 4xx.
func shares(runs ...int) (out []GatewayPoint) {
	n := 0
	for i := 0; i < len(runs); i += 2 {
		n += runs[i]
	}
	at := t0.Add(-time.Duration(n) * time.Minute)
	for i := 0; i+1 < len(runs); i += 2 {
		for range runs[i] {
			out = append(out, GatewayPoint{At: at, Requests: 100, ClientErrors: float64(runs[i+1])})
			at = at.Add(time.Minute)
		}
	}
	return out
}

func TestTheTurnOfTheGatewaysErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		points []GatewayPoint
		known  bool
		spike  bool
		ago    time.Duration
	}{
		{"nothing", nil, false, false, 0},
		{"too few minutes", shares(4, 30), false, false, 0},
		{"steady", shares(60, 12), true, false, 0},
		{"risen", shares(46, 1, 14, 34), true, true, 14 * time.Minute},
		{"risen early", shares(10, 1, 50, 34), true, true, 50 * time.Minute},
		{"risen a little", shares(46, 1, 14, 4), true, false, 14 * time.Minute},
		{"high as ever, a little more", shares(46, 30, 14, 40), true, false, 14 * time.Minute},
		{"risen and fallen again", shares(40, 1, 14, 34, 6, 1), true, false, 0},
		{"fallen", shares(46, 34, 14, 1), true, false, 0},
		{"one odd minute", shares(56, 1, 1, 90, 3, 1), true, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev := &GatewayEvidence{Points: c.points, Until: t0}
			turn, ok := ev.Turn()
			if ok != c.known || turn.Spike != c.spike {
				t.Fatalf("turn %+v, known %t", turn, ok)
			}
			if c.ago > 0 && t0.Sub(turn.At) != c.ago {
				t.Errorf("turned %s ago, want %s", t0.Sub(turn.At), c.ago)
			}
		})
	}
	quiet := &GatewayEvidence{Until: t0}
	for _, p := range shares(46, 0, 14, 50) {
		p.Requests, p.ClientErrors = 0.3, p.ClientErrors/400
		quiet.Points = append(quiet.Points, p)
	}
	if turn, ok := quiet.Turn(); ok {
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
		want   Status
		says   []string
		not    string
	}{
		{"all in order", setupIs(setupOf(lambdaOf("jwks", "auth", "live")), nil), points(shares(60, 2)...), deniedIs(3), StatusOK,
			[]string{"REST API `shop`, stage `prod`", "2 % of requests answered 4xx now, 2 % before: no spike", "3 requests denied (HTTP 401 or 403) in the last 60 min",
				"Lambda authoriser `jwks` invokes `auth:live`, each answer is repeated for 5 min"}, ""},
		{"a spike", setupIs(setupOf(lambdaOf("jwks", "auth", "")), nil), points(shares(46, 1, 14, 34)...), nil, StatusFail,
			[]string{"34 % of requests answered 4xx now, 1 % until 14 min ago: spike"}, "401"},
		{"the setup is denied", setupIs(GatewaySetup{}, denied), points(shares(60, 2)...), deniedIs(5000), StatusWarn,
			[]string{"at least 5,000 requests denied", "allow apigateway:GET"}, "Lambda"},
		{"the setup is denied, and known in part", setupIs(GatewaySetup{Kind: HTTPAPI, ID: "x9", Stage: "$default"}, denied), points(shares(60, 2)...), nil, StatusWarn,
			[]string{"HTTP API `x9`, stage `$default`", "2 % of requests", "allow apigateway:GET"}, ""},
		{"the metrics are denied", setupIs(setupOf(lambdaOf("jwks", "auth", "")), nil), func() ([]GatewayPoint, error) { return nil, errors.New("allow cloudwatch:GetMetricData") }, deniedIs(0), StatusWarn,
			[]string{"0 requests denied", "invokes `auth`", "allow cloudwatch:GetMetricData"}, "4xx"},
		{"the access log is denied", setupIs(setupOf(), nil), points(shares(60, 2)...), func(context.Context, time.Time) (int, error) { return 0, errors.New("allow logs:FilterLogEvents") }, StatusWarn,
			[]string{"2 % of requests", "allow logs:FilterLogEvents"}, ""},
		{"no traffic", setupIs(setupOf(lambdaOf("jwks", "auth", "")), nil), points(), nil, StatusOK, []string{"no data"}, "0 %"},
		{"everything is denied", setupIs(GatewaySetup{}, denied), points(), func(context.Context, time.Time) (int, error) { return 0, errors.New("allow logs:FilterLogEvents") }, StatusError,
			[]string{"allow apigateway:GET", "allow logs:FilterLogEvents"}, ""},
		{"the access log alone", nil, nil, deniedIs(7), StatusOK, []string{"API Gateway; 7 requests denied"}, "4xx"},
		{"a managed authoriser without a name", setupIs(setupOf(GatewayAuthoriser{Kind: ManagedJWT}), nil), points(shares(60, 2)...), nil, StatusOK,
			[]string{"managed authoriser: the gateway checks tokens itself, with keys that it keeps for up to 2 h"}, ""},
		{"authorisers by their ids", setupIs(setupOf(GatewayAuthoriser{ID: "a1", Kind: ManagedJWT}, GatewayAuthoriser{ID: "a2", Kind: ManagedJWT}), nil), points(shares(60, 2)...), nil, StatusOK,
			[]string{"managed authorisers `a1`, `a2`: the gateway checks tokens itself"}, ""},
		{"a managed authoriser", setupIs(setupOf(GatewayAuthoriser{Name: "pool", Kind: ManagedUserPool}), nil), points(shares(60, 2)...), nil, StatusOK,
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
			r := NewRunner(newClock(), func(_ string, v any, stack []byte) { t.Errorf("%v\n%s", v, stack) })
			s := check(t, r, target, Ask{}).Steps[4]
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

func setupIs(s GatewaySetup, err error) setupFunc {
	return func(context.Context) (GatewaySetup, error) { return s, err }
}

func points(list ...GatewayPoint) meterFunc {
	return func() ([]GatewayPoint, error) { return list, nil }
}

func deniedIs(n int) deniedFunc {
	return func(context.Context, time.Time) (int, error) { return n, nil }
}

// The two steps that need the setup ask for it once.
func TestTheGatewayIsAskedOnceInACheck(t *testing.T) {
	asked := make(chan bool, 9)
	target := fullTarget()
	target.API = setupFunc(func(context.Context) (GatewaySetup, error) {
		asked <- true
		return setupOf(lambdaOf("jwks", "auth", "live")), nil
	})
	target.Function = inspectFunc(func(q string) (FunctionEvidence, error) {
		return FunctionEvidence{Function: "auth", Qualifier: q, Mode: RestartAlias}, nil
	})
	r := NewRunner(newClock(), nil)
	check(t, r, target, Ask{Anew: true})
	if len(asked) != 1 {
		t.Errorf("asked %d times in a check", len(asked))
	}
	if check(t, r, target, Ask{Anew: true}); len(asked) != 2 {
		t.Errorf("asked %d times in two checks", len(asked))
	}
}
