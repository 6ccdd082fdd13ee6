package keys

import (
	"encoding/json"
	"errors"
)

// Limits of a value that a language serialised.
const (
	maxTreeDepth = 64
	maxTreeNodes = 1 << 18
)

var errTree = errors.New("too large or too deep")

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
func treeText(v any) ([]byte, error) {
	if s, ok := v.(string); ok {
		return []byte(s), nil
	}
	w := &treeWriter{}
	if err := w.write(v, 0); err != nil {
		return nil, err
	}
	return w.out, nil
}

type treeWriter struct {
	out   []byte
	nodes int
}

func (w *treeWriter) write(v any, depth int) error {
	if w.nodes++; w.nodes > maxTreeNodes || depth > maxTreeDepth || len(w.out) > maxInflated {
		return errTree
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
			w.out = append(append(w.out, nameText(p.key)...), ':')
			if err := w.write(p.value, depth+1); err != nil {
				return err
			}
		}
		w.out = append(w.out, '}')
	case string, int64, float64, bool:
		b, err := json.Marshal(v)
		if err != nil {
			b = []byte("null") // an infinite number
		}
		w.out = append(w.out, b...)
	default:
		w.out = append(w.out, "null"...)
	}
	return nil
}

// nameText is a map key as the name of a JSON member.
func nameText(key any) []byte {
	s, ok := key.(string)
	if !ok {
		b, err := json.Marshal(key)
		if err != nil {
			b = nil
		}
		s = string(b)
	}
	b, _ := json.Marshal(s) // a string always marshals
	return b
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

// cursor reads a serialised value byte by byte; bad is set when it ends early.
type cursor struct {
	b     []byte
	nodes int
	bad   bool
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

// until returns the bytes before the next end, and steps over it.
func (c *cursor) until(end byte) string {
	for i, b := range c.b {
		if b == end {
			out := string(c.b[:i])
			c.b = c.b[i+1:]
			return out
		}
	}
	c.bad, c.b = true, nil
	return ""
}

// count refuses values of too many nodes or levels.
func (c *cursor) count(depth int) bool {
	c.nodes++
	if c.nodes > maxTreeNodes || depth > maxTreeDepth {
		c.bad = true
	}
	return !c.bad
}
