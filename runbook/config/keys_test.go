package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml/parser"

	"jwksbot/runbook/approve"
	"jwksbot/runbook/cache"
	"jwksbot/runbook/redact"
)

// lamp is a group that no file has.
type lamp struct {
	Colour string        `yaml:"colour" default:"red" form:"url" need:"act" help:"of the light"`
	Secret redact.Secret `yaml:"secret" example:"${LAMP}"`
	Blinks time.Duration `yaml:"blinks"`
	Rooms  []string      `yaml:"rooms" default:"jwks:*,hall"`
	Hidden bool          `yaml:"hidden" example:"-"`
}

// read reads a text into a group as Parse reads a file into a Config.
func (l *lamp) read(t *testing.T, text string) (source, []problem) {
	t.Helper()
	tree, err := parser.ParseBytes([]byte(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	src := source{file: "lamp.yaml", line: map[string]int{}, unset: map[string]string{}}
	d := &decoder{src: &src, getenv: noEnv, found: &Problems{file: "lamp.yaml"}}
	d.value(tree.Docs[0].Body, reflect.ValueOf(l).Elem(), "")
	return src, d.found.list
}

// A key costs the line that declares it, and the one that uses it: a field
// alone is shown, read, suggested, and missed when its variable is not set.
func TestAKeyIsDeclaredOnce(t *testing.T) {
	l := withDefaults[lamp]()
	if l.Colour != "red" || !slices.Equal(l.Rooms, []string{"jwks:*", "hall"}) {
		t.Errorf("the defaults are %+v", l)
	}
	p := &page{}
	p.group(reflect.ValueOf(l), "")
	want := `colour: red                            # of the light
secret: ${LAMP}
blinks: 0s
rooms: ["jwks:*", hall]
`
	if p.String() != want {
		t.Errorf("the example is\n%s\nwant\n%s", p, want)
	}
	if got := flow(reflect.ValueOf(l)); got != `{colour: red, secret: ${LAMP}, blinks: 0s, rooms: ["jwks:*", hall]}` {
		t.Errorf("on one line it is %s", got)
	}
	src, found := l.read(t, "colour: ${COLOUR}\nblinks: 3s\nroms: [kitchen]\n")
	if l.Colour != "" || l.Blinks != 3*time.Second {
		t.Errorf("read was %+v", l)
	}
	if len(found) != 1 || found[0] != (problem{3, `unknown key "roms": did you mean "rooms"?`}) {
		t.Errorf("wrong is %v", found)
	}
	c := &Config{lines: src}
	err := c.need(reflect.ValueOf(l), "", ToAct)
	if err == nil || err.Error() != "lamp.yaml:1: colour: the environment variable COLOUR is not set" {
		t.Errorf("to act, needed is %v", err)
	}
	if err := c.need(reflect.ValueOf(l), "", ToCheck); err != nil {
		t.Errorf("to check, needed is %v", err)
	}
}

// A misspelt tag would be silent: a form that nobody checks, a use that nobody
// asks for, an example that the file does not take.
func TestDeclarationsAreInOrder(t *testing.T) {
	uses := []Use{ToCheck, ToAct, ToRecord, ToServe, ForPolicy}
	tags := []string{"yaml", "default", "example", "help", "form", "need", "style"}
	keys := 0
	var look func(group reflect.Type, path string)
	look = func(group reflect.Type, path string) {
		for _, k := range keysOf(reflect.New(group).Elem()) {
			at := join(path, k.name)
			keys++
			for _, part := range strings.Split(string(k.tag), `" `) {
				if name, _, _ := strings.Cut(part, ":"); !slices.Contains(tags, name) {
					t.Errorf("%s: tag %q", at, name)
				}
			}
			if form := k.tag.Get("form"); form != "" && formOf(form) == nil {
				t.Errorf("%s: form %q", at, form)
			}
			for _, use := range strings.Fields(k.tag.Get("need")) {
				if !slices.Contains(uses, Use(use)) {
					t.Errorf("%s: need %q", at, use)
				}
			}
			switch {
			case k.items():
				look(k.value.Type().Elem(), at)
			case k.group():
				look(k.value.Type(), at)
			}
		}
	}
	look(reflect.TypeFor[Config](), "")
	if keys < 60 {
		t.Errorf("only %d keys were looked at", keys)
	}
}

// What the domain takes when nobody says otherwise, and what the file takes,
// is the same.
func TestDefaultsAreThoseOfTheDomain(t *testing.T) {
	file, target := withDefaults[Config](), withDefaults[Target]()
	for what, pair := range map[string][2]any{
		"expires":     {target.Approval.Expires, approve.DefaultExpiry},
		"cooldown":    {target.Approval.Cooldown, approve.DefaultCooldown},
		"max_entries": {file.Snapshot.MaxEntries, cache.DefaultMaxEntries},
		"max_bytes":   {file.Snapshot.MaxBytes, int64(cache.DefaultMaxBytes)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %v in the file, %v in the domain", what, pair[0], pair[1])
		}
	}
}
