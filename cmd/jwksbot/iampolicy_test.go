package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jwksbot/runbook/cache"
)

// Every operation that some adapter calls stands in the table, and no other: a
// new call without a permission would fail at night, a permission without a
// call is a gift.
func TestTheTableOfPermissionsIsWhatTheCodeCalls(t *testing.T) {
	called := map[string]bool{}
	eachGoFile(t, filepath.Join("..", ".."), func(file, _ string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		services := map[string]string{} // name in the file to service
		for _, spec := range f.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if service, ok := strings.CutPrefix(path, "github.com/aws/aws-sdk-go-v2/service/"); ok && !strings.Contains(service, "/") {
				name := service
				if spec.Name != nil {
					name = spec.Name.Name
				}
				services[name] = service
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := lit.X.(*ast.Ident); ok && services[pkg.Name] != "" && strings.HasSuffix(lit.Sel.Name, "Input") {
					called[services[pkg.Name]+"."+strings.TrimSuffix(lit.Sel.Name, "Input")] = true
				}
			}
			return true
		})
	})
	table := map[string]bool{}
	for _, p := range permissions {
		for _, op := range p.operations {
			table[op] = true
			if !called[op] {
				t.Errorf("%s is permitted and never called", op)
			}
		}
	}
	for op := range called {
		if !table[op] {
			t.Errorf("%s is called and not in the table", op)
		}
	}
	if len(called) < 10 {
		t.Errorf("only %d operations were found: the walk went wrong", len(called))
	}
}

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

func printedPolicy(t *testing.T, yaml string, args ...string) iamPolicy {
	t.Helper()
	w, out, errs := worldIn(t, yaml, map[string]string{"AWS_REGION": "eu-central-1"})
	if code := run(t.Context(), append([]string{"iam-policy"}, args...), w); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	var p iamPolicy
	if err := json.Unmarshal(out.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestThePolicyIsTheSmallest(t *testing.T) {
	const group, function = "arn:aws:elasticache:eu-west-2:111122223333:replicationgroup:prod-cache", "arn:aws:lambda:eu-west-2:111122223333:function:authoriser"
	logs := "arn:aws:logs:eu-west-2:111122223333:log-group:"
	rest, cn := "arn:aws:apigateway:eu-west-2::/restapis/a1b2c3", "arn:aws-cn:apigateway:cn-north-1::/apis/d4e5f6"
	read := []iamStatement{
		{"ReadCacheGroup", "Allow", []string{"elasticache:DescribeReplicationGroups"}, []string{group}},
		{"ReadCacheConnect", "Allow", []string{"elasticache:Connect"}, []string{group, "arn:aws:elasticache:eu-west-2:111122223333:user:jwksbot"}},
		{"ReadMetrics", "Allow", []string{"cloudwatch:GetMetricData"}, []string{"*"}},
		{"ReadLogs", "Allow", []string{"logs:FilterLogEvents"}, []string{logs + "/aws/lambda/authoriser:*", logs + "api-access:*"}},
		{"ReadLogStreams", "Allow", []string{"logs:DescribeLogStreams"}, []string{logs + "/aws/lambda/authoriser:*"}},
		{"ReadFunction", "Allow", []string{"lambda:GetFunctionConfiguration", "lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig"}, []string{function, function + ":*"}},
		{"ReadGateway", "Allow", []string{"apigateway:GET"}, []string{cn, cn + "/authorizers", cn + "/stages/$default", rest, rest + "/authorizers", rest + "/stages/live"}},
	}
	act := []iamStatement{
		{"ActRestart", "Allow", []string{"lambda:UpdateFunctionConfiguration", "lambda:PublishVersion", "lambda:UpdateAlias"}, []string{function, function + ":*"}},
		{"ActFlushGateway", "Allow", []string{"apigateway:DELETE"}, []string{cn + "/stages/$default/cache/authorizers", rest + "/stages/live/cache/authorizers"}},
		{"ActAnnounce", "Allow", []string{"sns:Publish"}, []string{"arn:aws:sns:eu-west-1:111122223333:oncall"}},
	}
	for flag, want := range map[string][]iamStatement{"": slices.Concat(read, act), "--read": read, "--act": act} {
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
	want := []iamStatement{
		{"ReadCacheServerless", "Allow", []string{"elasticache:DescribeServerlessCaches"}, []string{"arn:aws:elasticache:eu-central-1:*:serverlesscache:cache"}},
		{"ReadMetrics", "Allow", []string{"cloudwatch:GetMetricData"}, []string{"*"}},
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

// Rows of one statement must have the same resources: otherwise merging them
// would allow an action on a resource that is not its own.
func TestStatementsAreNotMixed(t *testing.T) {
	w, _, _ := worldIn(t, policyYAML, nil)
	w.config = w.getenv("JWKSBOT_CONFIG")
	cfg, err := w.readConfig()
	if err != nil {
		t.Fatal(err)
	}
	first := map[string][]string{}
	for _, p := range permissions {
		var resources []string
		for _, target := range cfg.Targets {
			resources = append(resources, p.resources(estate{target, "eu-west-2"})...)
		}
		if before, seen := first[p.sid]; seen && !slices.Equal(before, resources) {
			t.Errorf("%s: %s has resources of its own", p.sid, p.action)
		}
		first[p.sid] = resources
		if p.sid != "" && strings.HasPrefix(p.sid, "Act") != p.act {
			t.Errorf("%s is on the wrong side", p.sid)
		}
	}
}
