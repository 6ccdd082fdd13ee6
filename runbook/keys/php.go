package keys

import (
	"strconv"
	"strings"

	"jwksbot/runbook/budget"
)

// isPHP knows the beginnings of PHP's serialize(): Laravel's Cache::remember
// and Symfony's PSR-6 pools store key sets so.
func isPHP(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	switch b[0] {
	case 's', 'a', 'O', 'b', 'i':
		return b[1] == ':' && (b[2] >= '0' && b[2] <= '9') && strings.ContainsAny(string(b[3:min(len(b), 24)]), ":;")
	}
	return false
}

// unphp reads a value of PHP's serialize(). Objects become maps of their
// properties; no class is looked up.
func unphp(b []byte, budget *budget.Budget) ([]byte, error) {
	p := &phpReader{cursor{b: b, budget: budget}}
	v := p.value(0)
	if p.bad {
		return nil, p.wrong("damaged or cut off")
	}
	return treeText(v, budget)
}

type phpReader struct{ cursor }

func (p *phpReader) value(depth int) any {
	if !p.count(depth) {
		return nil
	}
	switch kind := p.byte(); kind {
	case 'N':
		p.take(1)
		return nil
	case 'b':
		p.take(1)
		return p.until(';') == "1"
	case 'i', 'r', 'R':
		p.take(1)
		n, err := strconv.ParseInt(p.until(';'), 10, 64)
		p.bad = p.bad || err != nil
		if kind != 'i' {
			return nil // a reference to something read before
		}
		return n
	case 'd':
		p.take(1)
		f, err := strconv.ParseFloat(p.until(';'), 64)
		p.bad = p.bad || err != nil
		return f
	case 's':
		p.take(1)
		s := p.quoted()
		p.expect(';')
		return s
	case 'a':
		p.take(1)
		m := p.pairs(depth, plainName)
		if !p.charge(len(m.pairs)) { // the list that it may be
			return nil
		}
		return plainMap(m)
	case 'O':
		p.take(1)
		p.quoted() // the class
		p.expect(':')
		return p.pairs(depth, propertyName)
	}
	p.bad = true
	return nil
}

// quoted reads a length and that many bytes in quotes.
func (p *phpReader) quoted() string {
	n := p.length()
	p.expect('"')
	s := p.text(n)
	p.expect('"')
	return s
}

func (p *phpReader) length() int {
	n, err := strconv.Atoi(p.until(':'))
	if err != nil {
		p.bad = true
		return 0
	}
	return n
}

func (p *phpReader) expect(c byte) {
	if p.byte() != c {
		p.bad = true
	}
}

func plainName(s string) string { return s }

// propertyName takes off what marks a property as protected ("\x00*\x00name") or
// private ("\x00Class\x00name").
func propertyName(s string) string {
	if strings.HasPrefix(s, "\x00") {
		return s[strings.LastIndexByte(s, 0)+1:]
	}
	return s
}

func (p *phpReader) pairs(depth int, name func(string) string) *mapping {
	m := &mapping{}
	n := p.length()
	p.expect('{')
	for i := 0; i < n && !p.bad; i++ {
		key := p.value(depth + 1)
		if s, ok := key.(string); ok {
			key = name(s)
		}
		m.pairs = append(m.pairs, pair{key, p.value(depth + 1)})
	}
	p.expect('}')
	return m
}
