package keys

import (
	"math"
	"slices"
	"strings"

	"jwksbot/runbook/budget"
)

// isJava knows Java's object serialisation, version 5, which Spring's Redis
// cache writes unless it is told otherwise.
var isJava = startsWith("\xac\xed\x00\x05")

// Tags and flags of the Java Object Serialization Specification, section 6.4.
const (
	tcNull, tcReference, tcClassDesc, tcObject, tcString, tcArray, tcClass      = 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76
	tcBlockData, tcEndBlockData, tcBlockDataLong, tcLongString, tcProxy, tcEnum = 0x77, 0x78, 0x7a, 0x7c, 0x7d, 0x7e

	scWriteMethod, scBlockData = 0x01, 0x08
	firstHandle                = 0x7e0000
)

// unjava reads one serialised value as plain data: an object becomes the map of
// its fields, a collection the list of what it wrote. No class is looked up.
func unjava(b []byte, budget *budget.Budget) ([]byte, error) {
	r := &javaReader{cursor: cursor{b: b[4:], budget: budget}}
	v := r.content(0)
	if r.bad {
		return nil, r.wrong("damaged, cut off or of an unknown kind")
	}
	return treeText(v, budget)
}

// javaClass is a class description.
type javaClass struct {
	name   string
	flags  byte
	fields []javaField
	super  *javaClass
}

type javaField struct {
	kind byte
	name string
}

// javaBlock is data that a class wrote by itself; end is the end of such data.
type (
	javaBlock struct{}
	javaEnd   struct{}
)

type javaReader struct {
	cursor
	handles []any
}

func (r *javaReader) utf() string { return r.text(r.big(2)) }

// hold reserves the next handle.
func (r *javaReader) hold(v any) int {
	r.handles = append(r.handles, v)
	return len(r.handles) - 1
}

func (r *javaReader) content(depth int) any {
	if !r.count(depth) {
		return nil
	}
	switch r.byte() {
	case tcNull:
		return nil
	case tcReference:
		if i := r.big(4) - firstHandle; i >= 0 && i < len(r.handles) {
			return r.handles[i]
		}
	case tcString:
		s := r.utf()
		r.hold(s)
		return s
	case tcLongString:
		s := r.text(r.big(8))
		r.hold(s)
		return s
	case tcBlockData:
		r.take(int(r.byte()))
		return javaBlock{}
	case tcBlockDataLong:
		r.take(r.big(4))
		return javaBlock{}
	case tcEndBlockData:
		return javaEnd{}
	case tcClassDesc:
		return r.class(depth)
	case tcClass:
		r.content(depth + 1)
		r.hold(nil)
		return nil
	case tcObject:
		return r.object(depth)
	case tcArray:
		return r.array(depth)
	case tcEnum:
		r.content(depth + 1)
		i := r.hold(nil)
		name := r.content(depth + 1)
		if i < len(r.handles) {
			r.handles[i] = name
		}
		return name
	}
	r.bad = true
	return nil
}

func (r *javaReader) class(depth int) any {
	c := &javaClass{name: r.utf()}
	r.take(8) // serialVersionUID
	r.hold(c)
	c.flags = r.byte()
	for n := r.big(2); n > 0 && r.charge(1); n-- {
		f := javaField{kind: r.byte(), name: r.utf()}
		if f.kind == 'L' || f.kind == '[' {
			r.content(depth + 1) // the type's name
		}
		c.fields = append(c.fields, f)
	}
	r.annotation(depth)
	c.super, _ = r.content(depth + 1).(*javaClass)
	return c
}

// annotation reads what a class wrote by itself, up to its end.
func (r *javaReader) annotation(depth int) []any {
	var items []any
	for !r.bad {
		switch v := r.content(depth + 1).(type) {
		case javaEnd:
			return items
		case javaBlock:
		default:
			items = append(items, v)
		}
	}
	return nil
}

func (r *javaReader) object(depth int) any {
	c, ok := r.content(depth + 1).(*javaClass)
	if !ok {
		r.bad = true
		return nil
	}
	m := &mapping{}
	handle := r.hold(m)
	var line []*javaClass // from the top of the hierarchy down
	for at := c; at != nil && len(line) < maxTreeDepth && r.charge(1); at = at.super {
		line = append(line, at)
	}
	slices.Reverse(line)
	var own []any
	for _, at := range line {
		for _, f := range at.fields {
			if !r.charge(1) { // a class can be named again and again, and be its own parent
				return nil
			}
			m.pairs = append(m.pairs, pair{f.name, r.field(f.kind, depth)})
		}
		if at.flags&(scWriteMethod|scBlockData) != 0 {
			own = append(own, r.annotation(depth)...)
		}
	}
	v := collection(c.name, m, own)
	if handle < len(r.handles) {
		r.handles[handle] = v
	}
	return v
}

// collection recognises the collections of java.util, which write their
// elements themselves.
func collection(class string, m *mapping, own []any) any {
	switch {
	case len(m.pairs) == 1 && strings.HasPrefix(class, "java.lang."):
		return m.pairs[0].value // Long, Integer, Boolean
	case class == "java.util.CollSer" && len(m.pairs) == 1 && m.pairs[0].value == int64(3), // Map.of
		strings.HasSuffix(class, "Map"), strings.HasSuffix(class, "Hashtable"):
		out := &mapping{}
		out.set(own)
		return out
	case len(own) > 0 || strings.HasPrefix(class, "java.util.") && strings.HasSuffix(class, "List"):
		return &sequence{own}
	}
	return m
}

func (r *javaReader) array(depth int) any {
	c, ok := r.content(depth + 1).(*javaClass)
	if !ok || len(c.name) < 2 {
		r.bad = true
		return nil
	}
	list := &sequence{}
	r.hold(list)
	n := r.big(4)
	if c.name[1] == 'B' {
		return r.text(n)
	}
	for ; n > 0 && r.count(depth); n-- {
		list.items = append(list.items, r.field(c.name[1], depth))
	}
	return list
}

// field reads one value of a type code.
func (r *javaReader) field(kind byte, depth int) any {
	switch kind {
	case 'B', 'Z':
		b := r.byte()
		if kind == 'Z' {
			return b != 0
		}
		return int64(b)
	case 'C', 'S':
		return int64(r.big(2))
	case 'I':
		return int64(int32(r.big(4)))
	case 'F':
		return float64(math.Float32frombits(uint32(r.big(4))))
	case 'J', 'D':
		return int64(r.big(8))
	case 'L', '[':
		switch v := r.content(depth + 1).(type) {
		case *javaClass, javaBlock, javaEnd:
			return nil
		default:
			return v
		}
	}
	r.bad = true
	return nil
}
