package keys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// jsonError is what is wrong with a text as JSON, and where.
type jsonError struct {
	at   int
	what string
	cut  bool // the text ends too early
}

// describe says it for people, with the place as byte, line and column.
func (e *jsonError) describe(b []byte) string {
	before := b[:min(e.at, len(b))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Sprintf("not JSON: %s at byte %d (line %d, column %d)", e.what, e.at, line, column)
}

// scanner walks over JSON text without building anything. It validates as
// strictly as encoding/json but has no limit of depth: its stack is a byte for
// each open bracket.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) fail(want string) *jsonError {
	if s.i >= len(s.b) {
		return &jsonError{at: len(s.b), what: "the text ends where " + want + " should follow", cut: true}
	}
	r, _ := utf8.DecodeRune(s.b[s.i:])
	return &jsonError{at: s.i, what: fmt.Sprintf("%q where %s should follow", r, want)}
}

// value steps over one value of any depth.
func (s *scanner) value() *jsonError {
	var open []byte // the bracket that will close each open container
	for {
		s.space()
		switch c := s.peek(); c {
		case '{', '[':
			s.i++
			closing := c + 2 // '{'+2 is '}', '['+2 is ']'
			s.space()
			if s.peek() != closing {
				open = append(open, closing)
				if err := s.name(closing); err != nil {
					return err
				}
				continue
			}
			s.i++
		default:
			if err := s.scalar(c); err != nil {
				return err
			}
		}
		var err *jsonError
		if open, err = s.close(open); err != nil || len(open) == 0 {
			return err
		}
	}
}

// close steps over the brackets that end after a value, and over the comma and
// name before the next one.
func (s *scanner) close(open []byte) ([]byte, *jsonError) {
	for len(open) > 0 {
		s.space()
		top := open[len(open)-1]
		switch s.peek() {
		case ',':
			s.i++
			return open, s.name(top)
		case top:
			s.i++
			open = open[:len(open)-1]
		default:
			return open, s.fail(fmt.Sprintf("a comma or %q", top))
		}
	}
	return open, nil
}

// name steps over a member name and its colon inside an object.
func (s *scanner) name(closing byte) *jsonError {
	if closing != '}' {
		return nil
	}
	s.space()
	if s.peek() != '"' {
		return s.fail("a member name in double quotes")
	}
	if err := s.str(); err != nil {
		return err
	}
	s.space()
	if s.peek() != ':' {
		return s.fail("a colon")
	}
	s.i++
	return nil
}

func (s *scanner) scalar(c byte) *jsonError {
	switch {
	case c == '"':
		return s.str()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	return s.fail("a value")
}

func (s *scanner) word(w string) *jsonError {
	for j := range len(w) {
		if s.peek() != w[j] {
			return s.fail(w)
		}
		s.i++
	}
	return nil
}

func (s *scanner) str() *jsonError {
	s.i++
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return nil
		case c < 0x20:
			return s.fail("the end of the string")
		case c == '\\':
			s.i++
			if err := s.escape(); err != nil {
				return err
			}
		default:
			s.i++
		}
	}
	return s.fail("the end of a string")
}

func (s *scanner) escape() *jsonError {
	c := s.peek()
	if c == 'u' {
		for range 4 {
			s.i++
			if c := s.peek() | 0x20; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return s.fail("a hexadecimal digit")
			}
		}
	} else if c == 0 || bytes.IndexByte([]byte(`"\/bfnrt`), c) < 0 {
		return s.fail("an escape sequence")
	}
	s.i++
	return nil
}

func (s *scanner) digits() *jsonError {
	if c := s.peek(); c < '0' || c > '9' {
		return s.fail("a digit")
	}
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.i++
	}
	return nil
}

func (s *scanner) number() *jsonError {
	if s.peek() == '-' {
		s.i++
	}
	if s.peek() == '0' {
		s.i++
	} else if err := s.digits(); err != nil {
		return err
	}
	if s.peek() == '.' {
		s.i++
		if err := s.digits(); err != nil {
			return err
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		return s.digits()
	}
	return nil
}

// members calls f with the name and the raw value of each member of an object
// that is known to be valid; it does nothing for other values.
func members(raw []byte, f func(name string, value []byte)) {
	s := &scanner{b: raw}
	s.space()
	if s.peek() != '{' {
		return
	}
	for {
		s.i++ // the brace or the comma
		s.space()
		if s.peek() != '"' {
			return
		}
		from := s.i
		if s.str() != nil {
			return
		}
		name := nameOf(raw[from:s.i])
		s.space()
		s.i++ // the colon
		value, ok := s.next()
		if !ok {
			return
		}
		f(name, value)
		s.space()
		if s.peek() != ',' {
			return
		}
	}
}

// elements calls f with the raw text of each element of an array that is known
// to be valid, until f returns false; it does nothing for other values.
func elements(raw []byte, f func(value []byte) bool) {
	s := &scanner{b: raw}
	s.space()
	if s.peek() != '[' {
		return
	}
	for {
		s.i++ // the bracket or the comma
		s.space()
		if s.peek() == ']' {
			return
		}
		value, ok := s.next()
		if !ok || !f(value) {
			return
		}
		s.space()
		if s.peek() != ',' {
			return
		}
	}
}

// next steps over one value and returns its text.
func (s *scanner) next() ([]byte, bool) {
	s.space()
	from := s.i
	if s.value() != nil {
		return nil, false
	}
	return s.b[from:s.i], true
}

// unquote returns the text of a JSON string that is known to be valid.
func unquote(raw []byte) string {
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var out string
	_ = json.Unmarshal(raw, &out) // cannot fail: the scanner accepted it
	return out
}

// unquoteBytes is unquote without a copy where none is needed.
func unquoteBytes(raw []byte) []byte {
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	return []byte(unquote(raw))
}

// nameOf is unquote for member names; those that every key has cost nothing.
func nameOf(raw []byte) string {
	switch string(raw) {
	case `"kid"`:
		return "kid"
	case `"kty"`:
		return "kty"
	case `"alg"`:
		return "alg"
	case `"use"`:
		return "use"
	case `"crv"`:
		return "crv"
	case `"n"`:
		return "n"
	case `"e"`:
		return "e"
	case `"x"`:
		return "x"
	case `"y"`:
		return "y"
	}
	return unquote(raw)
}

// kind names a raw value's type for people.
func kind(raw []byte) string {
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// isEmpty says that a raw value carries nothing: null, "", [] or {}.
func isEmpty(raw []byte) bool {
	switch raw[0] {
	case 'n':
		return true
	case '"':
		return len(raw) == 2
	case '[', '{':
		return len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0
	}
	return false
}
