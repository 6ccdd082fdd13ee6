package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// source remembers where every value of the file stands, and which variables
// it names that are not set.
type source struct {
	file  string
	line  map[string]int    // by path: "targets[0].cache.auth"
	unset map[string]string // path of a value → name of the variable
}

// at is the line of a value, or of the nearest thing around it.
func (s source) at(path string) int {
	for path != "" {
		if line, ok := s.line[path]; ok {
			return line
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			break
		}
		path = path[:i]
	}
	return s.line[""]
}

// has says whether a value hangs on a variable that is not set.
func (s source) has(path string) bool { return s.unset[path] != "" }

// problem is one thing that is wrong with the configuration.
type problem struct {
	line int
	text string
}

// Problems are all that is wrong, together.
type Problems struct {
	file string
	list []problem

	malformed map[string]bool // paths whose text has not the form that it must have
}

// Error tells them line by line, in the order of the file.
func (p *Problems) Error() string {
	slices.SortFunc(p.list, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.text, b.text))
	})
	var b strings.Builder
	for i, one := range p.list {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%d: %s", p.file, max(one.line, 1), one.text)
	}
	return b.String()
}

func (p *Problems) add(line int, format string, args ...any) {
	p.list = append(p.list, problem{line, fmt.Sprintf(format, args...)})
}

// err is nil when there are no problems.
func (p *Problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return p
}

// Read reads and validates the file. All problems come back together.
func Read(file string, getenv func(string) string, rules Rules) (*Config, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no configuration: %q does not exist. Write one with: jwksbot config example > %s", file, file)
	}
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return Parse(file, text, getenv, rules)
}

// Parse reads and validates a text; file is its name in what is told.
func Parse(file string, text []byte, getenv func(string) string, rules Rules) (*Config, error) {
	cfg := withDefaults[Config]()
	cfg.lines = source{file: file, line: map[string]int{}, unset: map[string]string{}}
	d := &decoder{src: &cfg.lines, getenv: getenv, found: &Problems{file: file}}
	tree, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey()) // the decoder refuses them, with all else
	if err != nil {
		return nil, syntaxProblem(file, err)
	}
	if len(tree.Docs) > 1 {
		d.found.add(startOf(tree.Docs[1]), "one document only: everything after the first is refused")
	}
	if len(tree.Docs) > 0 && tree.Docs[0].Body != nil {
		d.value(tree.Docs[0].Body, reflect.ValueOf(&cfg).Elem(), "")
	}
	d.defaults(reflect.ValueOf(&cfg).Elem())
	cfg.validate(d.found, rules)
	if err := d.found.err(); err != nil {
		return nil, err
	}
	return &cfg, nil
}

// syntaxProblem says where the text stops being YAML. The line itself is not
// repeated: it may hold a secret.
func syntaxProblem(file string, err error) error {
	found := &Problems{file: file}
	line, text := 1, "it ends too early"
	var at yaml.Error
	if errors.As(err, &at) {
		text = plainSyntax(at.GetMessage())
		if t := at.GetToken(); t != nil && t.Position != nil {
			line = t.Position.Line
		}
	}
	found.add(line, "not valid YAML: %s", text)
	return found
}

// plainSyntax says the two commonest mistakes as people make them.
func plainSyntax(text string) string {
	switch {
	case strings.Contains(text, "'\t'"):
		return "a tab: indent with spaces"
	case strings.Contains(text, "',' or '}' must be"):
		return text + "; inside {…} a ${VARIABLE} needs quotes: \"${VARIABLE}\""
	}
	return text
}

// startOf is the line on which a document begins.
func startOf(doc *ast.DocumentNode) int {
	switch {
	case doc.Start != nil:
		return doc.Start.Position.Line
	case doc.Body != nil:
		return doc.Body.GetToken().Position.Line
	}
	return 1
}
