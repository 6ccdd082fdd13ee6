package config

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every operation that some adapter calls stands in the table, and no other: a
// new call without a permission would fail at night, a permission without a
// call is a gift.
func TestTheTableOfPermissionsIsWhatTheCodeCalls(t *testing.T) {
	called := map[string]bool{}
	err := filepath.WalkDir(filepath.Join("..", "..", "runbook"), func(file string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
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
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
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

// Rows of one statement must have the same resources: otherwise merging them
// would allow an action on a resource that is not its own.
func TestStatementsAreNotMixed(t *testing.T) {
	cfg := parse(t, `
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
`, noEnv)
	first := map[string][]string{}
	for _, p := range permissions {
		var resources []string
		for _, target := range cfg.Targets {
			resources = append(resources, p.resources(scope{target, "eu-west-2"})...)
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
