package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"jwksbot/runbook/budget"
)

// maxTreeDepth is how deep a value that a language serialised may be nested.
const maxTreeDepth = 64

var (
	errTree = errors.New("too large or too deep")
	// errSpent ends a reading early; the budget says why.
	errSpent = errors.New("not read to the end")
)

// pair is one member of an ordered map in a serialised value.
type pair struct{ key, value any }

// mapping is an ordered map: a PHP array, a Python dict, a Ruby hash, or the
// members of an object.
type mapping struct{ pairs []pair }

// sequence is a list, a tuple or a set. It is a pointer type, since formats
// with references fill a list after they referred to it.
type sequence struct{ items []any }

// treeText turns a serialised value into the text to be read next: a string is the
// text itself, anything else is written as JSON. A value that contains itself
// or multiplies through references ends at the limits.
func treeText(v any, b *budget.Budget) ([]byte, error) {
	if s, ok := v.(string); ok {
		if !b.Bytes(len(s)) {
			return nil, errSpent
		}
		return []byte(s), nil
	}
	w := &treeWriter{budget: b}
	if err := w.write(v, 0); err != nil {
		return nil, err
	}
	return w.out, nil
}

type treeWriter struct {
	out    []byte
	budget *budget.Budget
}

func (w *treeWriter) write(v any, depth int) error {
	if depth > maxTreeDepth || len(w.out) > maxInflated {
		return errTree
	}
	if !w.budget.Nodes(1) {
		return errSpent
	}
	switch v := v.(type) {
	case *sequence:
		w.out = append(w.out, '[')
		for i, item := range v.items {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			if err := w.write(item, depth+1); err != nil {
				return err
			}
		}
		w.out = append(w.out, ']')
	case *mapping:
		w.out = append(w.out, '{')
		for i, p := range v.pairs {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			if err := w.scalar(nameOfKey(p.key)); err != nil {
				return err
			}
			w.out = append(w.out, ':')
			if err := w.write(p.value, depth+1); err != nil {
				return err
			}
		}
		w.out = append(w.out, '}')
	case string, int64, float64, bool:
		return w.scalar(v)
	default:
		w.out = append(w.out, "null"...)
	}
	return nil
}

// scalar writes a simple value.
func (w *treeWriter) scalar(v any) error {
	if s, ok := v.(string); ok {
		n := quotedSize(s)
		if !w.budget.Steps(4*n) || !w.budget.Bytes(marshalBytes*n) || !w.room(n) {
			return errSpent
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte("null") // an infinite number
	}
	w.out = append(w.out, b...)
	return nil
}

// marshalBytes is the memory for each byte of a string that is written: a
// buffer that grows, and a copy of it.
const marshalBytes = 3

// quotedSize is at least the length of a string as JSON.
func quotedSize(s string) int {
	n := len(s) + 2
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c >= 0x7f {
			n += 5 // as in \u0001
		}
	}
	return n
}

// room charges the growth of the text before it happens.
func (w *treeWriter) room(n int) bool {
	if len(w.out)+n <= cap(w.out) {
		return true
	}
	size := 2*len(w.out) + n
	if !w.budget.Bytes(size) {
		return false
	}
	w.out = slices.Grow(w.out, size-len(w.out))
	return true
}

// nameOfKey is a map key as the name of a JSON member; what is no scalar has
// none.
func nameOfKey(key any) string {
	switch key := key.(type) {
	case string:
		return key
	case int64, float64, bool, nil:
		if b, err := json.Marshal(key); err == nil {
			return string(b)
		}
		return ""
	}
	return "{}"
}

// plainMap turns a map whose keys are 0, 1, 2, … into a list, which is how PHP
// writes one.
func plainMap(m *mapping) any {
	for i, p := range m.pairs {
		if p.key != int64(i) {
			return m
		}
	}
	list := &sequence{}
	for _, p := range m.pairs {
		list.items = append(list.items, p.value)
	}
	return list
}

// cursor reads a serialised value byte by byte; bad is set when it ends early,
// or when the budget does.
type cursor struct {
	b      []byte
	budget *budget.Budget
	bad    bool
}

// take returns the next n bytes.
func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

// little and big read an unsigned number of n bytes, at most 8.
func (c *cursor) little(n int) int {
	v := uint64(0)
	for i, b := range c.take(n) {
		v |= uint64(b) << (8 * i)
	}
	return limitInt(v)
}

func (c *cursor) big(n int) int {
	v := uint64(0)
	for _, b := range c.take(n) {
		v = v<<8 | uint64(b)
	}
	return limitInt(v)
}

// limitInt keeps a claimed length from becoming negative.
func limitInt(v uint64) int { return int(min(v, 1<<62)) }

// text returns a copy of the next n bytes.
func (c *cursor) text(n int) string {
	b := c.take(n)
	if c.bad = c.bad || !c.budget.Bytes(len(b)) || !c.budget.Steps(len(b)); c.bad {
		return ""
	}
	return string(b)
}

// until returns the bytes before the next end, and steps over it.
func (c *cursor) until(end byte) string {
	i := bytes.IndexByte(c.b, end)
	if i < 0 {
		c.bad, c.b = true, nil
		return ""
	}
	out := c.text(i)
	c.take(1)
	return out
}

// count refuses values of too many levels, and what the budget does not bear.
func (c *cursor) count(depth int) bool {
	c.bad = c.bad || depth > maxTreeDepth
	return c.charge(1)
}

// charge accounts for n values that are about to be built.
func (c *cursor) charge(n int) bool {
	c.bad = c.bad || !c.budget.Nodes(n)
	return !c.bad
}

// wrong is what is wrong with a value that could not be read.
func (c *cursor) wrong(otherwise string) error {
	if c.budget.Spent() {
		return errSpent
	}
	return errors.New(otherwise)
}
