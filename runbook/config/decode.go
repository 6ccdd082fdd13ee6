package config

import (
	"fmt"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"jwksbot/runbook/redact"
)

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
	fields := map[string]reflect.Value{}
	for _, k := range keysOf(v) {
		fields[k.name] = k.value
	}
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
			d.found.add(line, "key %q is set twice", at)
		default:
			d.value(p.Value, field, at)
		}
		seen[name] = true
	}
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
		if out.Index(i).Kind() == reflect.Struct {
			setDefaults(out.Index(i))
		}
		d.value(item, out.Index(i), element(path, i))
	}
	v.Set(out)
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, path string, line int) {
	if _, ok := n.(ast.ScalarNode); !ok {
		d.found.add(line, "%s: expected one value", path)
		return
	}
	text := scalarText(n)
	if wrong := set(v, text); wrong != "" {
		d.found.add(line, "%s: %s", path, wrong)
	}
	d.resolve(v, path, line)
}

// set gives a key the value that a text stands for, and says what is wrong with
// the text.
func set(v reflect.Value, text string) (wrong string) {
	switch p := v.Addr().Interface().(type) {
	case *redact.Secret:
		*p = redact.Secret(text)
	case *string:
		*p = text
	case *time.Duration:
		dur, err := time.ParseDuration(text)
		if err != nil || dur < 0 {
			wrong = fmt.Sprintf("%q is not a duration: write 90s, 15m or 24h", text)
		}
		*p = dur
	case *Percent:
		f, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "%")), 64)
		if err != nil || !strings.HasSuffix(text, "%") || !(f > 0 && f <= 100) { // no NaN either
			wrong = fmt.Sprintf("%q is not a share: write 10%%", text)
		}
		*p = Percent(f / 100)
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			wrong = fmt.Sprintf("%q is neither true nor false", text)
		}
		*p = b
	default:
		i, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
		if err != nil {
			wrong = fmt.Sprintf("%q is not a whole number", text)
		}
		v.SetInt(i)
	}
	return wrong
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

// resolve puts what a text names, ${VARIABLE} or file:PATH, in its place. A
// variable that is not set is no problem yet: the command at hand may not need
// it.
func (d *decoder) resolve(v reflect.Value, path string, line int) {
	if v.Kind() != reflect.String {
		return
	}
	text := v.String()
	if name, ok := strings.CutPrefix(text, "file:"); ok {
		b, err := os.ReadFile(name)
		v.SetString(strings.TrimSpace(string(b)))
		switch {
		case err != nil:
			d.found.add(line, "%s: %v", path, err)
		case v.String() == "":
			d.found.add(line, "%s: the file %q is empty", path, name)
		}
		return
	}
	v.SetString(variable().ReplaceAllStringFunc(text, func(ref string) string {
		name := variable().FindStringSubmatch(ref)[1]
		value := d.getenv(name)
		if value == "" {
			d.src.unset[path] = name
		}
		return value
	}))
}

// defaults resolves the defaults that name a variable and that the file left as
// they are.
func (d *decoder) defaults(file reflect.Value) {
	each(file, "", func(path string, k key) {
		if text := k.tag.Get("default"); variable().MatchString(text) && k.value.String() == text {
			d.resolve(k.value, path, 0)
		}
	})
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

// element is the path of one item of a list.
func element(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
