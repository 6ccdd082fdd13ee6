package authoriser

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jwksbot/runbook"
	"jwksbot/runbook/check"
)

func TestInspect(t *testing.T) {
	service, f := stage(t)
	service.withAlias(2)
	e, err := f.Inspect(t.Context(), "live")
	want := runbook.FunctionEvidence{
		Function: name, ARN: "arn:aws:lambda:eu-west-2:123456789012:function:" + name, Qualifier: "live", Version: "7", Runtime: "nodejs24.x",
		LastModified: time.Date(2026, time.February, 13, 9, 0, 0, 0, time.UTC), State: "Active", UpdateStatus: "Successful",
		Provisioned: 2, Mode: runbook.RestartAlias, Revision: "rev-0", AliasRevision: "alias-0", CodeSHA: "c0de",
	}
	if diff := cmp.Diff(want, e); err != nil || diff != "" {
		t.Errorf("error %v, difference:\n%s", err, diff)
	}
	for _, qualifier := range []string{"", "$LATEST"} {
		e, err := f.Inspect(t.Context(), qualifier)
		if err != nil || e.Mode != runbook.RestartLatest || e.Version != "$LATEST" || e.Refusal != "" || e.Qualifier != "" {
			t.Errorf("%q: %+v, %v", qualifier, e, err)
		}
	}
}

// refusals are all reasons not to restart: how the world is made so, the
// qualifier that the gateway invokes, and what is said.
var refusals = []struct {
	name, qualifier string
	set             func(s *lambdaService)
	says            []string
}{
	{"a numbered version", "7", nil, []string{"invokes version 7 itself", "alias"}},
	{"variables that cannot be read", "", func(s *lambdaService) {
		s.versions[latest]["Environment"] = config{"Error": config{"ErrorCode": "AccessDeniedException", "Message": "kms"}}
	}, []string{"environment variables of $LATEST", "AccessDeniedException", "kms:Decrypt"}},
	{"variables of the version that cannot be read", "live", func(s *lambdaService) {
		s.versions["7"]["Environment"] = config{"Error": config{"ErrorCode": "KMSAccessDenied"}}
	}, []string{"environment variables of version 7"}},
	{"an image configuration that cannot be read", "", func(s *lambdaService) {
		s.versions[latest]["ImageConfigResponse"] = config{"Error": config{"ErrorCode": "InvalidImage"}}
	}, []string{"image configuration"}},
	{"a weighted alias", "live", func(s *lambdaService) {
		s.alias["RoutingConfig"] = config{"AdditionalVersionWeights": config{"6": 0.1}}
	}, []string{"weighted", "canary"}},
	{"an update in progress", "", func(s *lambdaService) {
		s.versions[latest]["LastUpdateStatus"], s.finishesAt = "InProgress", s.clock.Now().Add(time.Hour)
	}, []string{"Somebody else is updating $LATEST", "Wait"}},
	{"a failed update", "live", func(s *lambdaService) {
		s.versions[latest]["LastUpdateStatus"], s.versions[latest]["LastUpdateStatusReason"] = "Failed", "no IP addresses left."
	}, []string{"last update of $LATEST failed (no IP addresses left)"}},
	{"a pending function", "", state("Pending"), []string{"Pending", "Wait until it is Active"}},
	{"an inactive function", "live", state("Inactive"), []string{"Inactive", "Invoke it once"}},
	{"a failed function", "", state("Failed"), []string{"Failed", "Lambda console"}},
	{"a state that is new", "", state("Deactivating"), []string{"Deactivating"}},
	{"a capacity provider", "", func(s *lambdaService) {
		s.versions[latest]["CapacityProviderConfig"] = config{"LambdaManagedInstancesCapacityProviderConfig": config{"CapacityProviderArn": "arn:x"}}
	}, []string{"capacity provider"}},
	{"concurrency of the version itself", "live", func(s *lambdaService) {
		s.ready["7"] = config{"Status": "READY", "RequestedProvisionedConcurrentExecutions": 5}
	}, []string{"belongs to version 7 itself"}},
	{"concurrency that is being allocated", "live", func(s *lambdaService) {
		s.ready["live"], s.readyAt = config{"Status": "IN_PROGRESS", "RequestedProvisionedConcurrentExecutions": 5}, s.clock.Now().Add(time.Hour)
	}, []string{"IN_PROGRESS"}},
	{"other code", "live", change("CodeSha256", "0ther"), []string{"differs from version 7", "code", "alias live", "Deploy $LATEST"}},
	{"another variable", "live", change("Environment", config{"Variables": config{"REDIS": "rediss://cache:6379", "CLIENT_SECRET": "hunter3", "EMPTY": ""}}),
		[]string{"in: environment (CLIENT_SECRET)."}},
	{"a variable that is missing instead of empty", "live", change("Environment", config{"Variables": config{"REDIS": "rediss://cache:6379", "CLIENT_SECRET": "hunter2"}}),
		[]string{"environment (EMPTY)"}},
	{"other layers", "live", change("Layers", []any{config{"Arn": "arn:aws:lambda:eu-west-2:1:layer:otel:8"}}), []string{"layers"}},
	{"no layers", "live", change("Layers", nil), []string{"layers"}},
	{"another role", "live", change("Role", "arn:aws:iam::123456789012:role/other"), []string{"in: role."}},
	{"another handler", "live", change("Handler", "index.other"), []string{"handler"}},
	{"other memory", "live", change("MemorySize", 512), []string{"memory"}},
	{"another timeout", "live", change("Timeout", 6), []string{"timeout"}},
	{"another runtime", "live", change("Runtime", "nodejs26.x"), []string{"runtime"}},
	{"another runtime patch", "live", change("RuntimeVersionConfig", config{"RuntimeVersionArn": "arn:2"}), []string{"runtime version"}},
	{"another VPC", "live", change("VpcConfig", config{"SubnetIds": []any{"subnet-a"}, "SecurityGroupIds": []any{"sg-1"}}), []string{"VPC"}},
	{"another architecture", "live", change("Architectures", []any{"arm64"}), []string{"architecture"}},
	{"tracing", "live", change("TracingConfig", config{"Mode": "Active"}), []string{"tracing"}},
	{"ephemeral storage", "live", change("EphemeralStorage", config{"Size": 1024}), []string{"ephemeral storage"}},
	{"a KMS key", "live", change("KMSKeyArn", "arn:aws:kms:x"), []string{"KMS key"}},
	{"a dead letter queue", "live", change("DeadLetterConfig", config{"TargetArn": "arn:aws:sqs:x"}), []string{"dead letter"}},
	{"a file system", "live", change("FileSystemConfigs", []any{config{"Arn": "arn:efs", "LocalMountPath": "/mnt/x"}}), []string{"file systems"}},
	{"SnapStart", "live", change("SnapStart", config{"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}), []string{"SnapStart"}},
	{"an image configuration", "live", change("ImageConfigResponse", config{"ImageConfig": config{"Command": []any{"x"}}}), []string{"image configuration"}},
	{"logging", "live", change("LoggingConfig", config{"LogFormat": "JSON"}), []string{"logging"}},
	{"durable execution", "live", change("DurableConfig", config{"RetentionPeriodInDays": 3}), []string{"DurableConfig"}},
	{"tenancy", "live", change("TenancyConfig", config{"TenantIsolationMode": "PER_TENANT"}), []string{"TenancyConfig"}},
}

func state(state string) func(*lambdaService) {
	return change("State", state)
}

func change(key string, value any) func(*lambdaService) {
	return func(s *lambdaService) { s.versions[latest][key] = value }
}

// Every reason is told at the check and holds again when the plan, which was
// made before, is carried out; nothing is written.
func TestRefusals(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			service, f := stage(t)
			service.withAlias(0)
			plan := runbook.RestartPlan{Function: name, Qualifier: c.qualifier, Version: "7", Mode: runbook.RestartAlias, Revision: "rev-0", AliasRevision: "alias-0", CodeSHA: "c0de"}
			if c.qualifier == "" {
				plan.Mode, plan.Version, plan.AliasRevision = runbook.RestartLatest, latest, ""
			}
			if c.set != nil {
				c.set(service)
			}
			e, err := f.Inspect(t.Context(), c.qualifier)
			if err != nil || e.Mode != runbook.RestartNone {
				t.Fatalf("mode %q, error %v", e.Mode, err)
			}
			for _, words := range c.says {
				if !strings.Contains(e.Refusal, words) {
					t.Errorf("says %q, without %q", e.Refusal, words)
				}
			}
			if strings.Contains(e.Refusal, "hunter") {
				t.Errorf("tells a secret: %s", e.Refusal)
			}
			_, err = f.Restart(t.Context(), plan, "0214-run", nil)
			r := asRefusal(t, err, runbook.RefusedUnsafe)
			if !strings.HasPrefix(r.Text, e.Refusal) || !strings.HasSuffix(r.Text, "Nothing was changed.") {
				t.Errorf("refused with %q", r.Text)
			}
			if len(service.writes) > 0 {
				t.Errorf("wrote %q", service.writes)
			}
		})
	}
}

// What differs by nature, or is only written differently, is no difference.
func TestNoDifference(t *testing.T) {
	service, f := stage(t)
	service.withAlias(0)
	maps.Copy(service.versions["7"], config{"Description": "before", "LastModified": "2026-01-01T00:00:00.000+0000", "ConfigSha256": "x",
		"Architectures": []any{}, "KMSKeyArn": "", "FunctionArn": "arn:aws:lambda:eu-west-2:123456789012:function:" + name + ":7"})
	if e, err := f.Inspect(t.Context(), "live"); err != nil || e.Refusal != "" {
		t.Errorf("refused with %q, %v", e.Refusal, err)
	}
}

// An alias may point to $LATEST, which is then renewed as if it were invoked
// directly.
func TestAliasOfLatest(t *testing.T) {
	service, f := stage(t)
	service.withAlias(0)
	service.alias["FunctionVersion"] = latest
	plan := planOf(t, f, "live")
	if plan.Mode != runbook.RestartLatest || plan.Version != latest {
		t.Fatalf("plan %+v", plan)
	}
	if _, err := f.Restart(t.Context(), plan, "0214-run", nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"UpdateFunctionConfiguration"}, service.writes); diff != "" {
		t.Error(diff)
	}
}

func TestInspectNamesWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name, qualifier, op string
		fault               fault
		says                []string
	}{
		{"permission to read", "", "GetFunctionConfiguration", fault{status: 403, code: "AccessDeniedException"}, []string{`reading function "oidc-authoriser" is not permitted: allow lambda:GetFunctionConfiguration on function:oidc-authoriser`}},
		{"permission to read the alias", "live", "GetAlias", fault{status: 403, code: "AccessDeniedException"}, []string{"allow lambda:GetAlias on function:oidc-authoriser"}},
		{"permission to read concurrency", "live", "GetProvisionedConcurrencyConfig", fault{status: 403, code: "AccessDeniedException"}, []string{"allow lambda:GetProvisionedConcurrencyConfig on function:oidc-authoriser"}},
		{"the function", "", "GetFunctionConfiguration", fault{status: 404, code: "ResourceNotFoundException"}, []string{`function "oidc-authoriser" does not exist in eu-west-2`, "authoriser.function", "ARN"}},
		{"the alias", "blue", "", fault{}, []string{`alias "blue" of function "oidc-authoriser", which the gateway invokes, does not exist`}},
		{"the version", "6", "", fault{}, []string{`version 6 of function "oidc-authoriser" does not exist`}},
		{"room in the quota", "", "GetFunctionConfiguration", fault{status: 429, code: "TooManyRequestsException"}, []string{"throttled by AWS", "try again"}},
		{"good credentials", "", "GetFunctionConfiguration", fault{status: 403, code: "UnrecognizedClientException"}, []string{"refused the credentials"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			service, f := stage(t)
			service.withAlias(0)
			service.fail[c.op] = []fault{c.fault, c.fault, c.fault, c.fault, c.fault, c.fault}
			e, err := f.Inspect(t.Context(), c.qualifier)
			if err == nil || e.Mode != runbook.RestartNone || !strings.Contains(e.Refusal, err.Error()) {
				t.Fatalf("mode %q, refusal %q, error %v", e.Mode, e.Refusal, err)
			}
			for _, words := range c.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("says %q, without %q", err, words)
				}
			}
		})
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct{ name, says string }{
		{"", "set authoriser.function"},
		{"no function!", "names no Lambda function"},
		{"oidc-authoriser:live", "leave it out"},
	} {
		if _, err := NewFunction(Settings{Name: c.name}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v", c.name, err)
		}
	}
	f, err := NewFunction(Settings{Name: "arn:aws:lambda:us-east-1:999999999999:function:other"})
	if err != nil || f.name != "other" || f.where != "us-east-1" {
		t.Errorf("%+v, %v", f, err)
	}
}

// The runbook takes both as they are.
func TestFitsTheRunbook(t *testing.T) {
	_, f := stage(t)
	g := gateway(t, newGatewayService(), GatewaySettings{HTTPAPI: httpID})
	target := check.Target{Name: "production", Function: f, API: g}
	e, err := target.Function.Inspect(t.Context(), "")
	if err != nil || e.Function != name {
		t.Errorf("%+v, %v", e, err)
	}
}
