package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"jwksbot/runbook/redact"
)

// Example is a whole file with comments, from the declarations of the keys.
func Example() string {
	p := &page{}
	p.WriteString("# jwksbot.yaml. Secrets: ${ENVIRONMENT_VARIABLE} or file:PATH. Durations are Go's: 90s, 15m, 24h.\n")
	p.group(reflect.ValueOf(withDefaults[Config]()), "")
	return p.String()
}

// page is an example that is being written.
type page struct {
	strings.Builder
	beside int // the column of the comment above
}

// column is where comments begin, unless the text is longer.
const column = 39

// line writes a line and what is to be said beside it. Beyond the column, the
// comments of neighbours stand below each other.
func (p *page) line(text, help string) {
	at := 0
	if help != "" {
		if at = column; utf8.RuneCountInString(text) >= column {
			at = max(utf8.RuneCountInString(text)+3, p.beside)
		}
		text = fmt.Sprintf("%-*s# %s", at, text, help)
	}
	p.beside = at
	p.WriteString(text + "\n")
}

func (p *page) group(group reflect.Value, indent string) {
	for _, k := range keysOf(group) {
		lead, help := indent+k.name+":", k.tag.Get("help")
		indent = strings.ReplaceAll(indent, "-", " ") // it opens the first key of an item
		switch {
		case k.tag.Get("example") == "-":
		case k.name == "targets":
			p.line(lead, help)
			p.group(reflect.ValueOf(withDefaults[Target]()), "  - ")
		case k.tag.Get("style") == "flow":
			p.line(lead+" "+flow(k.value), help)
		case k.group():
			p.line(lead, help)
			p.group(k.value, indent+"  ")
		default:
			p.line(lead+" "+k.shown(), help)
		}
	}
}

// flow is a group on one line.
func flow(group reflect.Value) string {
	var out []string
	for _, k := range keysOf(group) {
		if k.tag.Get("example") != "-" {
			out = append(out, k.name+": "+k.shown())
		}
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// shown is the value of a key in the example.
func (k key) shown() string {
	text, chosen := k.tag.Lookup("example")
	if !chosen {
		text = k.tag.Get("default")
	}
	if k.value.Kind() == reflect.Slice {
		return list(text)
	}
	if text != "" {
		return text
	}
	switch zero := k.value.Interface().(type) {
	case string, redact.Secret:
		return `""`
	case time.Duration:
		return zero.String()
	default:
		return fmt.Sprint(zero)
	}
}

// plainItem is an item that means the same without quotes.
var plainItem = pattern(`^\w+$`)

func list(text string) string {
	items := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	for i, item := range items {
		if !plainItem().MatchString(item) {
			items[i] = fmt.Sprintf("%q", item)
		}
	}
	return "[" + strings.Join(items, ", ") + "]"
}
