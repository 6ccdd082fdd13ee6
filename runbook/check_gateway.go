package runbook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// setupOnce asks the gateway how it is configured, once in a check, although
// two steps want to know.
type setupOnce struct {
	api   gatewayAPI
	once  sync.Once
	setup GatewaySetup
	err   error
}

func (s *setupOnce) get(ctx context.Context) (GatewaySetup, error) {
	s.once.Do(func() {
		s.err = errors.New("the gateway did not say how it is configured")
		s.setup, s.err = s.api.Setup(ctx)
	})
	return s.setup, s.err
}

// gatewayErrors reads how many requests the gateway turns away, and who judges
// tokens there.
type gatewayErrors struct {
	t     *Target
	setup *setupOnce
}

func (gatewayErrors) Name() string { return StepGateway }

// Run reads three things that need different permissions; one that is denied
// never hides the others.
func (c gatewayErrors) Run(ctx context.Context, q Question) (Result, error) {
	ev := &GatewayEvidence{Since: q.Since, Until: q.Until}
	var errMetrics, errLog error
	var wg sync.WaitGroup
	wg.Go(func() { errLog = c.denied(ctx, q, ev) })
	errSetup := c.traffic(ctx, q, ev, &errMetrics)
	wg.Wait()
	for _, err := range []error{errSetup, errMetrics, errLog} {
		if err != nil {
			ev.Problems = append(ev.Problems, oneLine(err))
		}
	}
	if ev.Kind == "" && len(ev.Points) == 0 && ev.Denied == nil {
		err := errors.Join(errSetup, errMetrics, errLog)
		return Result{Status: StatusError, Summary: strings.Join(ev.Problems, "; ")}, err
	}
	status, summary := ev.describe()
	return Result{Status: status, Summary: summary, Evidence: Evidence{Gateway: ev}}, nil
}

// traffic reads the setup and then the metrics, which go by names in it.
func (c gatewayErrors) traffic(ctx context.Context, q Question, ev *GatewayEvidence, errMetrics *error) error {
	if c.t.API == nil {
		return nil
	}
	setup, err := c.setup.get(ctx)
	ev.GatewaySetup = setup
	if c.t.Meter != nil && setup.Kind != "" {
		ev.Points, *errMetrics = c.t.Meter.Gateway(ctx, setup, q.Since, q.Until)
	}
	return err
}

// denied counts 401 and 403 in the window, and again in its newest minutes: the
// verdict asks what happens now, not what happened before a flush.
func (c gatewayErrors) denied(ctx context.Context, q Question, ev *GatewayEvidence) error {
	if c.t.Access == nil {
		return nil
	}
	n, atLeast, err := c.t.Access.Denied(ctx, q.Since, q.Until)
	if err != nil {
		return err
	}
	ev.Denied, ev.AtLeast = &n, atLeast
	if n == 0 {
		ev.DeniedNow = &n
		return nil
	}
	now, _, err := c.t.Access.Denied(ctx, q.Until.Add(-recentMinutes*time.Minute), q.Until)
	if err != nil {
		return err
	}
	ev.DeniedNow = &now
	return nil
}

func (ev *GatewayEvidence) describe() (Status, string) {
	status := StatusOK
	parts := []string{ev.name()}
	if ev.Points != nil || ev.Denied == nil {
		parts = append(parts, ev.errorText())
	}
	if t, ok := ev.Turn(); ok && t.Spike {
		status = StatusFail
	}
	if ev.Denied != nil {
		text := plural(*ev.Denied, "request", "requests")
		if ev.AtLeast {
			text = "at least " + text
		}
		parts = append(parts, text+" denied (HTTP 401 or 403) in the last "+Duration(ev.Until.Sub(ev.Since)))
	}
	if ev.Kind != "" {
		parts = append(parts, ev.authoriserText())
	}
	if len(ev.Problems) > 0 && status == StatusOK {
		status = StatusWarn
	}
	return status, strings.Join(append(parts, ev.Problems...), "; ")
}

// oneLine writes an error, which may be several, as one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// name is the API as people call it.
func (s GatewaySetup) name() string {
	kind := map[APIKind]string{RestAPI: "REST API", HTTPAPI: "HTTP API"}[s.Kind]
	if kind == "" {
		return "API Gateway"
	}
	name := s.Name
	if name == "" {
		name = s.ID
	}
	if s.Stage != "" {
		return fmt.Sprintf("%s %s, stage %s", kind, quote(name), quote(s.Stage))
	}
	return kind + " " + quote(name)
}

func (ev *GatewayEvidence) errorText() string {
	now, ok := clientErrors(newest(ev.Points))
	if !ok {
		return fmt.Sprintf("no data: CloudWatch has no requests in the last %d min", recentMinutes)
	}
	text := percent(now) + " of requests answered 4xx now"
	switch t, known := ev.Turn(); {
	case known && t.Spike:
		text += fmt.Sprintf(", %s until %s ago: spike", percent(t.Before), Duration(ev.Until.Sub(t.At)))
	case known:
		text += fmt.Sprintf(", %s before: no spike", percent(t.Before))
	}
	if server := serverErrors(newest(ev.Points)); server >= 0.01 {
		text += fmt.Sprintf("; %s answered 5xx", percent(server))
	}
	return text
}

const shownAuthorisers = 3

// authoriserText describes the authorisers; those that do the same are named
// together.
func (s GatewaySetup) authoriserText() string {
	if len(s.Authorisers) == 0 {
		return "no authoriser of it is known"
	}
	names := map[string][]string{}
	var kinds []GatewayAuthoriser // one of each that does the same
	for _, a := range s.Authorisers {
		does := a.does()
		if _, known := names[does]; !known {
			kinds, names[does] = append(kinds, a), nil
		}
		if name := a.label(); name != "" {
			names[does] = append(names[does], name)
		}
	}
	var out []string
	for i, a := range kinds {
		if i == shownAuthorisers {
			out = append(out, "and others that differ")
			break
		}
		known := names[a.does()]
		who, does := a.is(), a.does()
		if len(known) > 1 {
			who, does = who+"s", strings.Replace(does, " invokes ", " invoke ", 1)
		}
		if len(known) > 0 {
			who += " " + quoteAll(known)
		}
		out = append(out, who+does)
	}
	return strings.Join(out, "; ")
}

// label is the authoriser's name, or what else tells it from others; "" when
// nothing does.
func (a GatewayAuthoriser) label() string { return cmp.Or(a.Name, a.ID) }

// is and does say what the authoriser is and does, around its name.
func (a GatewayAuthoriser) is() string {
	switch {
	case a.Kind == LambdaAuthoriser:
		return "Lambda authoriser"
	case a.managed():
		return "managed authoriser"
	}
	return "authoriser"
}

func (a GatewayAuthoriser) does() string {
	switch {
	case a.managed():
		return ": the gateway checks tokens itself, with keys that it keeps for up to " + Duration(a.keysKept())
	case a.Kind != LambdaAuthoriser:
		return " of an unknown kind"
	}
	text := ""
	if a.Function != "" {
		text = " invokes " + quote(qualified(a.Function, a.Qualifier))
	}
	if a.ResultTTL <= 0 {
		return text + ", answers are not cached"
	}
	return text + ", each answer is repeated for " + Duration(a.ResultTTL)
}

// keysKept is how long a managed authoriser may use its copy of the keys, as
// AWS documents it; nobody can evict it.
func (a GatewayAuthoriser) keysKept() time.Duration {
	if a.Kind == ManagedJWT {
		return 2 * time.Hour
	}
	return time.Hour
}

// managed says that the gateway validates tokens itself.
func (a GatewayAuthoriser) managed() bool {
	return a.Kind == ManagedJWT || a.Kind == ManagedUserPool
}

// qualified writes a function with its alias or version.
func qualified(function, qualifier string) string {
	if qualifier == "" {
		return function
	}
	return function + ":" + qualifier
}
