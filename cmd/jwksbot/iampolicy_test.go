package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jwksbot/runbook/cache"
	"jwksbot/runbook/config"
)

const policyYAML = `
journal: DIR/jwksbot.db
targets:
  - name: production
    user_pool_id: eu-west-2_AbCdEfGhI
    cache: {replication_group: Prod-Cache, auth: iam, username: jwksbot}
    authoriser: {function: "arn:aws:lambda:eu-west-2:111122223333:function:authoriser:live", log_group: /aws/lambda/authoriser}
    gateway: {rest_api: a1b2c3, stage: live, access_log_group: api-access}
    escalation: {sns_topic: "arn:aws:sns:eu-west-1:111122223333:oncall"}
  - name: staging
    region: cn-north-1
    issuer: https://idp.example.com
    cache: {url: "redis://127.0.0.1:1"}
    gateway: {http_api: d4e5f6}
`

func printedPolicy(t *testing.T, yaml string, args ...string) config.IAMPolicy {
	t.Helper()
	w, out, errs := worldIn(t, yaml, map[string]string{"AWS_REGION": "eu-central-1"})
	if code := run(t.Context(), append([]string{"iam-policy"}, args...), w); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	var p config.IAMPolicy
	if err := json.Unmarshal(out.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// allow is a statement of the policy.
func allow(sid string, actions, resources []string) config.IAMStatement {
	return config.IAMStatement{Sid: sid, Effect: "Allow", Action: actions, Resource: resources}
}

func TestThePolicyIsTheSmallest(t *testing.T) {
	const group, function = "arn:aws:elasticache:eu-west-2:111122223333:replicationgroup:prod-cache", "arn:aws:lambda:eu-west-2:111122223333:function:authoriser"
	logs := "arn:aws:logs:eu-west-2:111122223333:log-group:"
	rest, cn := "arn:aws:apigateway:eu-west-2::/restapis/a1b2c3", "arn:aws-cn:apigateway:cn-north-1::/apis/d4e5f6"
	read := []config.IAMStatement{
		allow("ReadCacheGroup", []string{"elasticache:DescribeReplicationGroups"}, []string{group}),
		allow("ReadCacheConnect", []string{"elasticache:Connect"}, []string{group, "arn:aws:elasticache:eu-west-2:111122223333:user:jwksbot"}),
		allow("ReadMetrics", []string{"cloudwatch:GetMetricData"}, []string{"*"}),
		allow("ReadLogs", []string{"logs:FilterLogEvents"}, []string{logs + "/aws/lambda/authoriser:*", logs + "api-access:*"}),
		allow("ReadLogStreams", []string{"logs:DescribeLogStreams"}, []string{logs + "/aws/lambda/authoriser:*"}),
		allow("ReadFunction", []string{"lambda:GetFunctionConfiguration", "lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig"}, []string{function, function + ":*"}),
		allow("ReadGateway", []string{"apigateway:GET"}, []string{cn, cn + "/authorizers", cn + "/stages/$default", rest, rest + "/authorizers", rest + "/stages/live"}),
	}
	act := []config.IAMStatement{
		allow("ActRestart", []string{"lambda:UpdateFunctionConfiguration", "lambda:PublishVersion", "lambda:UpdateAlias"}, []string{function, function + ":*"}),
		allow("ActFlushGateway", []string{"apigateway:DELETE"}, []string{cn + "/stages/$default/cache/authorizers", rest + "/stages/live/cache/authorizers"}),
		allow("ActAnnounce", []string{"sns:Publish"}, []string{"arn:aws:sns:eu-west-1:111122223333:oncall"}),
	}
	for flag, want := range map[string][]config.IAMStatement{"": slices.Concat(read, act), "--read": read, "--act": act} {
		if diff := cmp.Diff(want, printedPolicy(t, policyYAML, strings.Fields(flag)...).Statement); diff != "" {
			t.Errorf("%q (-want +got):\n%s", flag, diff)
		}
	}
}

// What no policy of IAM can give is told beside it, where no redirection takes
// it for JSON: for each cache what its configuration allows, also where nothing
// needs AWS.
func TestRightsInRedisAreTold(t *testing.T) {
	w, out, errs := worldIn(t, `
targets:
  - {name: production, issuer: "https://idp.example.com", region: eu-west-2, cache: {replication_group: oidc, username: jwksbot, keys: ["jwks:*"]}}
  - {name: whole, issuer: "https://idp.example.com", region: eu-west-2, cache: {url: "redis://h/2", auth: none, allow_flush_all: true}}
`, nil)
	if code := run(t.Context(), []string{"iam-policy"}, w); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	usual := cache.Settings{Patterns: []string{"jwks:*"}}
	whole := cache.Settings{Patterns: []string{"jwks:*"}, URL: "redis://h/2", FlushAll: true}
	want := "In Redis, user jwksbot of replication group oidc needs: " + usual.Access() + "\n" +
		"In Redis, user default of cache h needs: " + whole.Access() + "\n"
	if errs.String() != want {
		t.Errorf("told is\n%swant\n%s", errs, want)
	}
	if !json.Valid(out.Bytes()) {
		t.Errorf("no JSON: %s", out)
	}
	w, out, errs = worldIn(t, `
targets:
  - {name: production, issuer: "https://idp.example.com", cache: {url: "rediss://bot:geheim@h"}}
`, nil)
	if code := run(t.Context(), []string{"iam-policy"}, w); code != exitOK || out.Len() > 0 || !strings.Contains(errs.String(), "user bot of cache h needs: "+usual.Access()+"\nNothing in this configuration needs AWS") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

func TestWhatIsNotConfiguredIsNotPermitted(t *testing.T) {
	p := printedPolicy(t, `
targets:
  - {name: production, issuer: "https://idp.example.com", cache: {serverless: Cache}}
`)
	want := []config.IAMStatement{
		allow("ReadCacheServerless", []string{"elasticache:DescribeServerlessCaches"}, []string{"arn:aws:elasticache:eu-central-1:*:serverlesscache:cache"}),
		allow("ReadMetrics", []string{"cloudwatch:GetMetricData"}, []string{"*"}),
	}
	if diff := cmp.Diff(want, p.Statement); diff != "" {
		t.Error(diff)
	}
	w, _, errs := worldIn(t, reportYAML, nil)
	if code := run(t.Context(), []string{"iam-policy"}, w); code != exitOK || !strings.Contains(errs.String(), "no policy") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code := run(t.Context(), []string{"iam-policy", "--read", "--act"}, w); code != exitFailed || !strings.Contains(errs.String(), "role of its own") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
