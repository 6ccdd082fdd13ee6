package keys

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"

	"jwksbot/runbook/budget"
)

// isRuby knows Ruby's Marshal 4.8, which Rails.cache writes before 7.1.
var isRuby = startsWith("\x04\x08")

// isRails knows the entry format of ActiveSupport 7.1 and later.
var isRails = startsWith("\x00\x11")

// railsHeader is signature, type, time of expiry and length of the version.
const railsHeader = 2 + 1 + 8 + 4

// unrails takes the header off (activesupport/lib/active_support/cache/coder.rb):
// what follows is a string or a Marshal dump, compressed when the high bit of
// the type is set.
func unrails(b []byte, budget *budget.Budget) ([]byte, error) {
	if len(b) < railsHeader {
		return nil, errors.New("cut off")
	}
	kind, version, payload := b[2], int32(binary.LittleEndian.Uint32(b[11:])), b[railsHeader:]
	if version > 0 {
		if int64(version) > int64(len(payload)) {
			return nil, errors.New("cut off")
		}
		payload = payload[version:]
	}
	if kind&0x80 != 0 {
		return inflate(payload, budget)
	}
	return payload, nil
}

// unruby reads a value of Ruby's Marshal.dump as plain data: an object becomes
// the map of its variables, and no class is looked up.
func unruby(b []byte, budget *budget.Budget) ([]byte, error) {
	r := &rubyReader{cursor: cursor{b: b[2:], budget: budget}}
	v := r.value(0)
	if r.bad {
		return nil, r.wrong("damaged, cut off or of an unknown kind")
	}
	return treeText(cacheEntry(v), budget)
}

// cacheEntry takes the value out of an ActiveSupport::Cache::Entry; with the
// time of writing, where that is kept, as an envelope.
func cacheEntry(v any) any {
	object, ok := v.(*mapping)
	if !ok {
		return v
	}
	var value, created any
	found := false
	for _, p := range object.pairs {
		switch p.key {
		case "@v", "@value":
			value, found = p.value, true
		case "@created_at":
			created = p.value
		}
	}
	if at, ok := created.(float64); found && ok && at > 0 {
		return &mapping{[]pair{{"value", value}, {"created_at", created}}}
	}
	if found {
		return value
	}
	return v
}

type rubyReader struct {
	cursor
	symbols []string
	objects []any // by the numbers that '@' refers to
}

// long reads Marshal's variable-length integer.
func (r *rubyReader) long() int {
	switch c := int8(r.byte()); {
	case c == 0:
		return 0
	case c >= 1 && c <= 4:
		return r.little(int(c))
	case c >= -4 && c <= -1:
		return r.little(-int(c)) - 1<<(-8*int(c))
	case c > 0:
		return int(c) - 5
	default:
		return int(c) + 5
	}
}

func (r *rubyReader) bytes() string { return r.text(r.long()) }

func (r *rubyReader) keep(v any) any {
	r.objects = append(r.objects, v)
	return v
}

func (r *rubyReader) value(depth int) any {
	if !r.count(depth) {
		return nil
	}
	switch kind := r.byte(); kind {
	case '0':
		return nil
	case 'T', 'F':
		return kind == 'T'
	case 'i':
		return int64(r.long())
	case ':', ';':
		return r.symbol(kind)
	case '"':
		return r.keep(r.bytes())
	case 'f':
		return r.keep(r.float())
	case 'l':
		return r.keep(r.bignum())
	case '@':
		if i := r.long(); i >= 0 && i < len(r.objects) {
			return r.objects[i]
		}
		return nil
	case 'I': // a value with variables of its own: a string and its encoding
		v := r.value(depth + 1)
		r.pairs(&mapping{}, depth)
		return v
	case '[':
		list := &sequence{}
		r.keep(list)
		for n := r.long(); n > 0 && !r.bad; n-- {
			list.items = append(list.items, r.value(depth+1))
		}
		return list
	case '{', '}':
		m := &mapping{}
		r.keep(m)
		r.pairs(m, depth)
		if kind == '}' {
			r.value(depth + 1) // the default
		}
		return m
	case 'o':
		m := &mapping{}
		r.keep(m)
		r.value(depth + 1) // the class
		r.pairs(m, depth)
		return m
	case 'C', 'e': // a subclass, an extended object
		r.value(depth + 1)
		return r.value(depth + 1)
	case 'u', 'U': // an object that dumps itself: not looked into
		r.value(depth + 1)
		if kind == 'u' {
			r.bytes()
		} else {
			r.value(depth + 1)
		}
		return r.keep(nil)
	}
	r.bad = true
	return nil
}

func (r *rubyReader) symbol(kind byte) any {
	if kind == ':' {
		r.symbols = append(r.symbols, r.bytes())
		return r.symbols[len(r.symbols)-1]
	}
	if i := r.long(); i >= 0 && i < len(r.symbols) {
		return r.symbols[i]
	}
	r.bad = true
	return nil
}

func (r *rubyReader) float() any {
	f, err := strconv.ParseFloat(r.bytes(), 64)
	if err != nil || math.IsInf(f, 0) {
		return nil
	}
	return f
}

// bignum is an integer of more than 31 bits.
func (r *rubyReader) bignum() any {
	negative := r.byte() == '-'
	magnitude := r.take(min(r.long(), 1<<20) * 2)
	for len(magnitude) > 0 && magnitude[len(magnitude)-1] == 0 {
		magnitude = magnitude[:len(magnitude)-1]
	}
	if len(magnitude) > 8 || len(magnitude) == 8 && magnitude[7]&0x80 != 0 {
		return tooLarge
	}
	v := int64(0)
	for i := len(magnitude) - 1; i >= 0; i-- {
		v = v<<8 | int64(magnitude[i])
	}
	if negative {
		return -v
	}
	return v
}

func (r *rubyReader) pairs(m *mapping, depth int) {
	for n := r.long(); n > 0 && !r.bad; n-- {
		key := r.value(depth + 1)
		m.pairs = append(m.pairs, pair{key, r.value(depth + 1)})
	}
}
