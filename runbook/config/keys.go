package config

import (
	"reflect"
	"strings"
)

// key is one declared key: a field of the structs in config.go.
type key struct {
	name  string
	tag   reflect.StructTag
	value reflect.Value
}

// keysOf lists the keys of a group in the order of their declaration.
func keysOf(group reflect.Value) []key {
	var out []key
	for i := range group.NumField() {
		f := group.Type().Field(i)
		if name := f.Tag.Get("yaml"); name != "" {
			out = append(out, key{name, f.Tag, group.Field(i)})
		}
	}
	return out
}

// items says that a key holds a list of groups.
func (k key) items() bool {
	return k.value.Kind() == reflect.Slice && k.value.Type().Elem().Kind() == reflect.Struct
}

// group says that a key holds keys of its own.
func (k key) group() bool { return k.value.Kind() == reflect.Struct }

// each calls f with every key below a group that is no group itself, and its
// path.
func each(group reflect.Value, path string, f func(path string, k key)) {
	for _, k := range keysOf(group) {
		at := join(path, k.name)
		switch {
		case k.group():
			each(k.value, at, f)
		case k.items():
			for i := range k.value.Len() {
				each(k.value.Index(i), element(at, i), f)
			}
		default:
			f(at, k)
		}
	}
}

// withDefaults makes a group of which the file has set nothing yet.
func withDefaults[T any]() (group T) {
	setDefaults(reflect.ValueOf(&group).Elem())
	return group
}

// setDefaults gives every key of a group the default of its declaration. A
// default that no key can hold is a fault of this package.
func setDefaults(group reflect.Value) {
	each(group, "", func(path string, k key) {
		text, declared := k.tag.Lookup("default")
		if !declared {
			return
		}
		if k.value.Kind() == reflect.Slice {
			k.value.Set(reflect.ValueOf(strings.Split(text, ",")))
		} else if wrong := set(k.value, text); wrong != "" {
			panic("config: the default of " + path + ": " + wrong)
		}
	})
}
