package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"jwksbot/runbook/redact"
)

// source remembers where every value of the file stands, and which variables
// it names that are not set.
type source struct {
	file  string
	line  map[string]int    // by path: "targets[0].cache.auth"
	unset map[string]string // path of a value → name of the variable
}

// problem is one thing that is wrong with the configuration.
type problem struct {
	line int
	text string
}

// Problems are all that is wrong, together.
type Problems struct {
	file string
	list []problem
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
	cfg := Default()
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
	d.text(&cfg.Slack.BotToken, "slack.bot_token", 0)
	d.text(&cfg.Slack.AppToken, "slack.app_token", 0)
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
	found.add(line, "no valid YAML: %s", text)
	return found
}

// plainSyntax says the two commonest mistakes as people make them.
func plainSyntax(text string) string {
	switch {
	case strings.Contains(text, "'\t'"):
		return "a tab: indent with blanks"
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

// decoder fills a struct from the tree, value by value, so that one wrong
// value never hides the others.
type decoder struct {
	src    *source
	getenv func(string) string
	found  *Problems
}

func (d *decoder) value(n ast.Node, v reflect.Value, path string) {
	n = unwrap(n)
	line := n.GetToken().Position.Line
	d.src.line[path] = line
	if n.Type() == ast.NullType {
		return // "key:" without a value keeps the default
	}
	switch {
	case n.Type() == ast.AliasType:
		d.found.add(line, "%s: aliases (*name) are not read: write the value out", orFile(path))
	case v.Kind() == reflect.Struct:
		d.mapping(n, v, path)
	case v.Kind() == reflect.Slice:
		d.sequence(n, v, path)
	default:
		d.scalar(n, v, path, line)
	}
}

// unwrap goes through anchors and tags.
func unwrap(n ast.Node) ast.Node {
	for {
		switch t := n.(type) {
		case *ast.AnchorNode:
			n = t.Value
		case *ast.TagNode:
			n = t.Value
		default:
			return n
		}
	}
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, path string) {
	var pairs []*ast.MappingValueNode
	switch t := n.(type) {
	case *ast.MappingNode:
		pairs = t.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{t}
	default:
		d.found.add(n.GetToken().Position.Line, "%s: expected names and values", orFile(path))
		return
	}
	fields := fieldsOf(v)
	seen := map[string]bool{}
	for _, p := range pairs {
		name := p.Key.GetToken().Value
		line := p.Key.GetToken().Position.Line
		at := join(path, name)
		field, known := fields[name]
		switch {
		case p.Key.IsMergeKey():
			d.found.add(line, "%s: merge keys (<<) are not read: write the values out", orFile(path))
		case !known:
			d.found.add(line, "unknown key %q%s", at, suggest(name, fields))
		case seen[name]:
			d.found.add(line, "key %q stands here twice", at)
		default:
			d.value(p.Value, field, at)
		}
		seen[name] = true
	}
}

func fieldsOf(v reflect.Value) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag != "" {
			out[tag] = v.Field(i)
		}
	}
	return out
}

// suggest names the known key that is nearest to a mistyped one.
func suggest(name string, fields map[string]reflect.Value) string {
	names := make([]string, 0, len(fields))
	for f := range fields {
		names = append(names, f)
	}
	sort.Strings(names)
	for _, f := range names {
		if Near(f, strings.ToLower(strings.ReplaceAll(name, "-", "_"))) {
			return fmt.Sprintf(": did you mean %q?", f)
		}
	}
	return fmt.Sprintf(": known here are %s", strings.Join(names, ", "))
}

// Near says whether a known name was probably meant: up to two wrong, missing
// or swapped letters in it, or half of it.
func Near(known, typed string) bool {
	if len(typed) >= 3 && (strings.HasPrefix(known, typed) || strings.HasPrefix(typed, known)) {
		return true
	}
	if len(typed) > 2*len(known) {
		return false
	}
	row := make([]int, len(typed)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(known) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(typed) {
			cost := diagonal
			if known[i] != typed[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(typed)] <= min(2, (len(known)+1)/3)
}

func (d *decoder) sequence(n ast.Node, v reflect.Value, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.found.add(n.GetToken().Position.Line, "%s: expected a list", path)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		if t, ok := out.Index(i).Addr().Interface().(*Target); ok {
			*t = DefaultTarget()
		}
		d.value(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(out)
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, path string, line int) {
	if _, ok := n.(ast.ScalarNode); !ok {
		d.found.add(line, "%s: expected one value", path)
		return
	}
	text := scalarText(n)
	switch p := v.Addr().Interface().(type) {
	case *redact.Secret:
		*p = redact.Secret(text)
		d.text(p, path, line)
	case *string:
		s := redact.Secret(text)
		d.text(&s, path, line)
		*p = s.Reveal()
	case *time.Duration:
		dur, err := time.ParseDuration(text)
		if err != nil || dur < 0 {
			d.found.add(line, "%s: %q is no duration: write 90s, 15m or 24h", path, text)
		}
		*p = dur
	case *Percent:
		f, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "%")), 64)
		if err != nil || !strings.HasSuffix(text, "%") || !(f > 0 && f <= 100) { // no NaN either
			d.found.add(line, "%s: %q is no share: write 10%%", path, text)
		}
		*p = Percent(f / 100)
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			d.found.add(line, "%s: %q is neither true nor false", path, text)
		}
		*p = b
	default:
		i, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
		if err != nil {
			d.found.add(line, "%s: %q is no whole number", path, text)
		}
		v.SetInt(i)
	}
}

// scalarText is the value as it is meant, without quotes or block markers.
func scalarText(n ast.Node) string {
	switch t := n.(type) {
	case *ast.StringNode:
		return t.Value
	case *ast.LiteralNode:
		return t.Value.Value
	}
	return n.GetToken().Value
}

// variable is how a value names an environment variable.
var variable = pattern(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// text resolves ${VARIABLE} and file:PATH. A variable that is not set is no
// problem yet: the command at hand may not need it.
func (d *decoder) text(s *redact.Secret, path string, line int) {
	text := s.Reveal()
	if name, ok := strings.CutPrefix(text, "file:"); ok {
		b, err := os.ReadFile(name)
		*s = redact.Secret(strings.TrimSpace(string(b)))
		switch {
		case err != nil:
			d.found.add(line, "%s: %v", path, err)
		case *s == "":
			d.found.add(line, "%s: the file %q is empty", path, name)
		}
		return
	}
	*s = redact.Secret(variable().ReplaceAllStringFunc(text, func(ref string) string {
		name := variable().FindStringSubmatch(ref)[1]
		value := d.getenv(name)
		if value == "" {
			d.src.unset[path] = name
		}
		return value
	}))
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func orFile(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}
