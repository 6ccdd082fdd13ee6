package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// arrows says what each package may import besides the standard library, by
// prefix. A package that is not listed here may not exist.
var arrows = map[string][]string{
	"cmd/jwksbot":                  nil, // everything: the only composition root
	"cmd/jwksbot/bottest":          {"jwksbot/runbook", "jwksbot/runbook/drill", "jwksbot/runbook/cache/redistest", "jwksbot/bot/slacksim", "github.com/redis/go-redis/v9"},
	"bot":                          {"jwksbot/runbook", "jwksbot/bot/render", "jwksbot/bot/socket", "github.com/slack-go/slack", "jwksbot/runbook/check", "jwksbot/runbook/approve", "jwksbot/runbook/record", "jwksbot/runbook/redact"},
	"bot/render":                   {"jwksbot/runbook", "github.com/slack-go/slack", "jwksbot/runbook/diagnose", "jwksbot/runbook/check", "jwksbot/runbook/approve", "jwksbot/runbook/record", "jwksbot/runbook/redact"},
	"bot/socket":                   {"github.com/slack-go/slack", "github.com/gorilla/websocket"},
	"bot/slacksim":                 {"github.com/gorilla/websocket"},
	"runbook/diagnose":             {"jwksbot/runbook"},
	"runbook/check":                {"jwksbot/runbook", "jwksbot/runbook/diagnose", "jwksbot/runbook/budget"},
	"runbook/approve":              {"jwksbot/runbook", "jwksbot/runbook/diagnose", "jwksbot/runbook/check", "jwksbot/runbook/redact"},
	"runbook/execute":              {"jwksbot/runbook", "jwksbot/runbook/diagnose", "jwksbot/runbook/check", "jwksbot/runbook/approve", "jwksbot/runbook/redact"},
	"runbook/record":               {"jwksbot/runbook", "jwksbot/runbook/diagnose", "jwksbot/runbook/check", "jwksbot/runbook/approve", "jwksbot/runbook/execute", "jwksbot/runbook/redact"},
	"runbook/redact":               {},
	"runbook/budget":               {"jwksbot/runbook"},
	"runbook/outbound":             {},
	"runbook/standin":              {"jwksbot/runbook", "jwksbot/runbook/budget"},
	"runbook/runbooktest":          {"jwksbot/runbook", "jwksbot/runbook/check", "jwksbot/runbook/approve", "jwksbot/runbook/execute", "jwksbot/runbook/standin"},
	"runbook":                      {},
	"runbook/keys":                 {"jwksbot/runbook", "github.com/lestrrat-go/jwx/v2", "github.com/klauspost/compress", "jwksbot/runbook/redact", "jwksbot/runbook/outbound", "jwksbot/runbook/budget"},
	"runbook/keys/hostiletest":     {"jwksbot/runbook", "jwksbot/runbook/budget"},
	"runbook/cache":                {"jwksbot/runbook", "github.com/redis/go-redis/v9", "github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/service/elasticache", "github.com/aws/smithy-go", "golang.org/x/sync", "jwksbot/runbook/redact", "jwksbot/runbook/outbound", "jwksbot/runbook/budget"},
	"runbook/cache/redistest":      {},
	"runbook/telemetry":            {"jwksbot/runbook", "github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/service/cloudwatch", "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs", "github.com/aws/smithy-go", "golang.org/x/time/rate", "jwksbot/runbook/redact", "jwksbot/runbook/outbound", "jwksbot/runbook/budget"},
	"runbook/authoriser":           {"jwksbot/runbook", "github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/service/lambda", "github.com/aws/aws-sdk-go-v2/service/apigateway", "github.com/aws/aws-sdk-go-v2/service/apigatewayv2", "github.com/aws/smithy-go", "jwksbot/runbook/redact", "jwksbot/runbook/outbound", "jwksbot/runbook/budget"},
	"runbook/journal":              {"jwksbot/runbook", "github.com/dbos-inc/dbos-transact-golang", "modernc.org/sqlite", "github.com/jackc/pgx/v5", "jwksbot/runbook/redact", "jwksbot/runbook/outbound", "jwksbot/runbook/budget"},
	"runbook/journal/postgrestest": {"github.com/jackc/pgx/v5"},
	"runbook/escalate":             {"jwksbot/runbook", "github.com/PagerDuty/go-pagerduty", "github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/service/sns", "github.com/aws/smithy-go", "jwksbot/runbook/redact", "jwksbot/runbook/outbound", "jwksbot/runbook/budget"},
	"runbook/canary":               {"jwksbot/runbook", "jwksbot/runbook/redact", "jwksbot/runbook/outbound", "jwksbot/runbook/budget"},
	"runbook/commandbridge":        {"jwksbot/runbook", "jwksbot/runbook/redact", "jwksbot/runbook/outbound", "jwksbot/runbook/budget"},
	"runbook/chart":                {"jwksbot/runbook", "github.com/go-analyze/charts", "jwksbot/runbook/redact", "jwksbot/runbook/outbound", "jwksbot/runbook/budget"},
	"runbook/identity":             {"jwksbot/runbook", "github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/service/sts", "github.com/aws/smithy-go", "jwksbot/runbook/redact", "jwksbot/runbook/outbound", "jwksbot/runbook/budget"},
	"runbook/remote":               {"jwksbot/runbook", "jwksbot/runbook/check", "jwksbot/runbook/approve", "jwksbot/runbook/redact"},
	"runbook/config":               {"jwksbot/runbook", "jwksbot/runbook/approve", "jwksbot/runbook/redact", "jwksbot/runbook/outbound", "github.com/goccy/go-yaml", "github.com/aws/aws-sdk-go-v2/aws/arn"},
	"runbook/drill":                {"jwksbot/runbook", "github.com/fxamacker/cbor/v2", "github.com/alicebob/miniredis/v2", "jwksbot/runbook/redact"},
}

// exact lists imports of the project itself that are meant without what lies
// below them.
var exact = map[string]bool{"jwksbot/runbook": true}

// demoOnly are packages that only the demo and tests may import.
var demoOnly = map[string]bool{"jwksbot/bot/slacksim": true, "jwksbot/runbook/drill": true, "jwksbot/runbook/cache/redistest": true, "jwksbot/runbook/keys/hostiletest": true, "jwksbot/runbook/journal/postgrestest": true,
	"jwksbot/cmd/jwksbot/bottest": true}

func TestImportsFollowTheArrows(t *testing.T) {
	root := filepath.Join("..", "..")
	checked := 0
	eachGoFile(t, root, func(file, pkg string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		allowed, known := arrows[pkg]
		if !known {
			t.Errorf("%s: package %s is not part of the house; add it to the arrows on purpose", file, pkg)
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			checked++
			if demoOnly[path] && !demoOnly["jwksbot/"+pkg] && !strings.HasSuffix(file, filepath.Join("jwksbot", "demo.go")) {
				t.Errorf("%s imports %s, which is for the demo and for tests", file, path)
			}
			if pkg != "cmd/jwksbot" && !mayImport(path, allowed) {
				t.Errorf("%s: package %s must not import %s", file, pkg, path)
			}
		}
	})
	if checked < 100 {
		t.Fatalf("only %d imports were looked at: the walk went wrong", checked)
	}
}

func mayImport(path string, allowed []string) bool {
	first, _, _ := strings.Cut(path, "/")
	if !strings.Contains(first, ".") && first != "jwksbot" {
		return true // the standard library
	}
	for _, a := range allowed {
		if path == a || !exact[a] && strings.HasPrefix(path, a+"/") {
			return true
		}
	}
	return false
}

// eachGoFile calls f for every Go file of the repository with the folder of
// its package.
func eachGoFile(t *testing.T, root string, f func(file, pkg string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || len(d.Name()) > 2 && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err == nil {
			f(path, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheTopLevelIsTheHouse(t *testing.T) {
	allowed := map[string]bool{"cmd": true, "bot": true, "runbook": true, "go.mod": true, "go.sum": true, "Dockerfile": true, "manifest.yaml": true,
		"README.md": true, "SECURITY.md": true, "CHANGELOG.md": true}
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !allowed[e.Name()] && !strings.HasPrefix(e.Name(), ".") && !strings.HasSuffix(e.Name(), ".db") {
			t.Errorf("%s does not belong to the top level", e.Name())
		}
	}
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	names := 0
	eachGoFile(t, filepath.Join("..", ".."), func(file, _ string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			for name, documented := range exported(decl) {
				names++
				if !documented {
					t.Errorf("%s: %s has no comment", file, name)
				}
			}
		}
	})
	if names < 100 {
		t.Fatalf("only %d exported names were looked at: the walk went wrong", names)
	}
}

// exported lists the exported names of a declaration and whether each has a
// comment: its own, its line's, or that of its group.
func exported(decl ast.Decl) map[string]bool {
	out := map[string]bool{}
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && (d.Recv == nil || receiverExported(d.Recv)) {
			out[d.Name.Name] = d.Doc != nil
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					out[s.Name.Name] = d.Doc != nil || s.Doc != nil
				}
			case *ast.ValueSpec:
				for _, n := range s.Names {
					if n.IsExported() {
						out[n.Name] = d.Doc != nil || s.Doc != nil || s.Comment != nil
					}
				}
			}
		}
	}
	return out
}

func receiverExported(recv *ast.FieldList) bool {
	typ := recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if index, ok := typ.(*ast.IndexExpr); ok {
		typ = index.X
	}
	ident, ok := typ.(*ast.Ident)
	return ok && ident.IsExported()
}
