package drill

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"jwksbot/runbook"
	lambdas "jwksbot/runbook/authoriser"
	"jwksbot/runbook/telemetry"
)

// theFunction finds the function as the bot does: by way of the gateway.
func theFunction(t *testing.T, w *World) (f *lambdas.Function, qualifier string) {
	t.Helper()
	setup, err := theGateway(t, w).Setup(t.Context())
	if err != nil || len(setup.Authorisers) == 0 || setup.Authorisers[0].Function != Function {
		t.Fatalf("setup %+v, %v", setup, err)
	}
	f, err = lambdas.NewFunction(lambdas.Settings{AWS: sdk(w), Name: setup.Authorisers[0].Function, Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	return f, setup.Authorisers[0].Qualifier
}

func theGateway(t *testing.T, w *World) *lambdas.Gateway {
	t.Helper()
	g, err := lambdas.NewGateway(lambdas.GatewaySettings{AWS: sdk(w), RestAPI: w.RestAPIID(), HTTPAPI: w.HTTPAPIID(), Stage: Stage})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func planFor(e runbook.FunctionEvidence) runbook.RestartPlan {
	return runbook.RestartPlan{Function: e.Function, Qualifier: e.Qualifier, Version: e.Version, Mode: e.Mode,
		Revision: e.Revision, AliasRevision: e.AliasRevision, CodeSHA: e.CodeSHA, Provisioned: e.Provisioned}
}

// A restart heals what a flush cannot: the environments are really other ones,
// and the variables are as they were.
func TestRestartHealsStaleMemory(t *testing.T) {
	for scenario, version := range map[string]string{"memory": "$LATEST", "memory-alias": "2"} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, Options{Scenario: scenario, RequestsPerMinute: 60})
			signInsSucceed(t, w, false)
			variables, streams := w.Variables(), names(w.record.logStreams())
			f, qualifier := theFunction(t, w)
			e, err := f.Inspect(t.Context(), qualifier)
			if err != nil || e.Refusal != "" {
				t.Fatalf("%+v, %v", e, err)
			}
			got, err := f.Restart(t.Context(), planFor(e), "run-1", nil)
			if err != nil || got.Version != version || w.Invoked() != version {
				t.Fatalf("%+v, %v; invoked is %s", got, err, w.Invoked())
			}
			signInsSucceed(t, w, true)
			if !maps.Equal(w.Variables(), variables) || len(variables) != 3 {
				t.Errorf("variables were %q and are %q", variables, w.Variables())
			}
			eventually(t, func() error {
				for _, s := range w.record.logStreams() {
					if !slices.Contains(streams, s.name) && strings.Contains(s.name, "/["+version+"]") {
						return nil
					}
				}
				return fmt.Errorf("no new stream of %s", version)
			})
			logs, err := telemetry.NewLogs(telemetry.LogSettings{AWS: sdk(w), Group: LogGroup, Clock: w.clock})
			if err != nil {
				t.Fatal(err)
			}
			if found, err := logs.Streams(t.Context(), got.UpdatedAt); err != nil || found.New == 0 {
				t.Errorf("read back: %+v, %v", found, err)
			}
		})
	}
}

func names(streams []logStream) (all []string) {
	for _, s := range streams {
		all = append(all, s.name)
	}
	return all
}

func TestAliasMovesBack(t *testing.T) {
	t.Parallel()
	w := startWorld(t, Options{Scenario: "memory-alias", RequestsPerMinute: 30})
	f, qualifier := theFunction(t, w)
	e, err := f.Inspect(t.Context(), qualifier)
	if err != nil || e.Provisioned != 2 {
		t.Fatalf("%+v, %v", e, err)
	}
	if _, err := f.Restart(t.Context(), planFor(e), "run-1", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := f.MoveBack(t.Context(), planFor(e), "run-1"); err != nil || w.Invoked() != "1" {
		t.Errorf("invoked is %s, %v", w.Invoked(), err)
	}
}

func TestRestartIsRefused(t *testing.T) {
	for scenario, says := range map[string]string{
		"env-error":      "could not read the environment variables",
		"latest-differs": "differs from version 1, which alias live invokes, in: code.",
	} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, Options{Scenario: scenario, RequestsPerMinute: 30})
			f, qualifier := theFunction(t, w)
			before, variables := w.function.revisions, w.Variables()
			e, err := f.Inspect(t.Context(), qualifier)
			if err != nil || e.Mode != runbook.RestartNone || !strings.Contains(e.Refusal, says) {
				t.Fatalf("%+v, %v", e, err)
			}
			plan := planFor(e)
			if plan.Mode = runbook.RestartLatest; qualifier != "" {
				plan.Mode = runbook.RestartAlias
			}
			_, err = f.Restart(t.Context(), plan, "run-1", nil)
			var refusal *runbook.Refusal
			if !errors.As(err, &refusal) || !strings.Contains(refusal.Text, says) {
				t.Errorf("restart: %v", err)
			}
			if w.function.revisions != before || !maps.Equal(w.Variables(), variables) {
				t.Error("something was written")
			}
		})
	}
}

// The endpoints have Lambda's rules: RevisionId counts, an update shuts out
// others, and what is given replaces the whole.
func TestLambdaRules(t *testing.T) {
	w := quietWorld(t)
	client := lambda.NewFromConfig(sdk(w))
	update := func(in lambda.UpdateFunctionConfigurationInput) error {
		in.FunctionName = aws.String(Function)
		_, err := client.UpdateFunctionConfiguration(t.Context(), &in)
		return err
	}
	now, err := client.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(Function)})
	if err != nil {
		t.Fatal(err)
	}
	if err := update(lambda.UpdateFunctionConfigurationInput{Description: aws.String("x"), RevisionId: aws.String("stale")}); errorCode(err) != "PreconditionFailedException" {
		t.Errorf("stale revision: %v", err)
	}
	if err := update(lambda.UpdateFunctionConfigurationInput{Environment: &types.Environment{Variables: map[string]string{"ONLY": "1"}}, RevisionId: now.RevisionId}); err != nil {
		t.Fatal(err)
	}
	if got := w.Variables(); !maps.Equal(got, map[string]string{"ONLY": "1"}) {
		t.Errorf("variables %q", got)
	}
	if err := update(lambda.UpdateFunctionConfigurationInput{Description: aws.String("y")}); err != nil && errorCode(err) != "ResourceConflictException" {
		t.Errorf("during an update: %v", err)
	}
	for _, name := range []string{"other", Function + "x"} {
		if _, err := client.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(name)}); errorCode(err) != "ResourceNotFoundException" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := client.GetAlias(t.Context(), &lambda.GetAliasInput{FunctionName: aws.String(Function), Name: aws.String(Alias)}); errorCode(err) != "ResourceNotFoundException" {
		t.Errorf("alias: %v", err)
	}
}

// The gateway repeats denials until its cache is flushed; then the authoriser,
// which is in order, is asked again.
func TestGatewayRepeatsDenialsUntilFlushed(t *testing.T) {
	t.Parallel()
	w := startWorld(t, Options{Scenario: "gateway-results"})
	if w.Remembered() == 0 {
		t.Fatal("the gateway remembers no denial")
	}
	setup, err := theGateway(t, w).Setup(t.Context())
	if err != nil || len(setup.Authorisers) != 2 || setup.Authorisers[0].ResultTTL.Hours() != 1 || setup.Name != RestAPI {
		t.Errorf("setup %+v, %v", setup, err)
	}
	if err := theGateway(t, w).FlushResults(t.Context()); err != nil {
		t.Fatal(err)
	}
	signInsSucceed(t, w, true)
	if n := w.Remembered(); n != 0 {
		t.Errorf("%d denials are remembered", n)
	}
}

// A JWT authoriser is not impressed by anything that the bot can do.
func TestManagedAuthoriserWaits(t *testing.T) {
	t.Parallel()
	w := startWorld(t, Options{Scenario: "managed-jwt"})
	setup, err := theGateway(t, w).Setup(t.Context())
	if err != nil || len(setup.Authorisers) != 1 || setup.Authorisers[0].Kind != runbook.ManagedJWT || setup.Authorisers[0].Issuer != w.Issuer() {
		t.Fatalf("setup %+v, %v", setup, err)
	}
	var refusal *runbook.Refusal
	if err := theGateway(t, w).FlushResults(t.Context()); !errors.As(err, &refusal) || !strings.Contains(refusal.Text, "two hours") {
		t.Errorf("flush: %v", err)
	}
	deleteEntry(t, w)
	signInsSucceed(t, w, false)
}

// A flush alone heals nothing where the old keys are in memory as well; flush and
// restart do.
func TestPersistentNeedsBoth(t *testing.T) {
	t.Parallel()
	w := startWorld(t, Options{Scenario: "persistent"})
	deleteEntry(t, w)
	signInsSucceed(t, w, false)
	f, qualifier := theFunction(t, w)
	e, err := f.Inspect(t.Context(), qualifier)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Restart(t.Context(), planFor(e), "run-1", nil); err != nil {
		t.Fatal(err)
	}
	signInsSucceed(t, w, true)
}

// What the gateway's metrics and access log say is what happened.
func TestGatewayIsMeasured(t *testing.T) {
	for _, scenario := range []string{"stale", "managed-jwt", "gateway-results"} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, Options{Scenario: scenario, Clock: runbook.SystemClock{}})
			setup, err := theGateway(t, w).Setup(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			metrics, err := telemetry.NewMetrics(telemetry.MetricSettings{AWS: sdk(w)})
			if err != nil {
				t.Fatal(err)
			}
			now := w.clock.Now()
			points, err := metrics.Gateway(t.Context(), setup, now.Add(-12*60e9), now)
			if err != nil || len(points) < 11 {
				t.Fatalf("%d points, %v", len(points), err)
			}
			denied := 0.0
			for _, p := range points {
				denied += p.ClientErrors
				if p.Requests != 120 || p.ServerErrors != 0 {
					t.Errorf("point %+v", p)
				}
			}
			access, err := telemetry.NewAccessLog(telemetry.AccessLogSettings{AWS: sdk(w), Group: AccessLogGroup, Clock: w.clock})
			if err != nil {
				t.Fatal(err)
			}
			n, atLeast, err := access.Denied(t.Context(), points[0].At, points[len(points)-1].At.Add(60e9))
			if err != nil || atLeast || float64(n) != denied || n < 500 {
				t.Errorf("%d in the access log (%v, %v), %v by the metric", n, atLeast, err, denied)
			}
		})
	}
}
