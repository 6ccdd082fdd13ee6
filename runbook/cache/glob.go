package cache

import (
	"slices"
	"strconv"
	"strings"
)

// matcher decides which keys belong to a target.
type matcher struct {
	patterns []string
	// scan is the pattern for SCAN MATCH: the only one, or what all of them
	// have in common at the beginning, so that one pass finds everything.
	scan  string
	exact bool // scan alone decides
	// meant, if there is one, decides further among names that match.
	meant func(name string) bool
}

func newMatcher(patterns []string) matcher {
	if len(patterns) == 1 {
		return matcher{patterns: patterns, scan: patterns[0], exact: true}
	}
	common := literalPrefix(patterns[0])
	for _, p := range patterns[1:] {
		l := literalPrefix(p)
		n := 0
		for n < len(common) && n < len(l) && common[n] == l[n] {
			n++
		}
		common = common[:n]
	}
	return matcher{patterns: patterns, scan: common + "*"}
}

// literalPrefix is the beginning of a pattern without special characters.
func literalPrefix(pattern string) string {
	if i := strings.IndexAny(pattern, `*?[]\^`); i >= 0 {
		return pattern[:i]
	}
	return pattern
}

// only keeps names for which meant is true, too.
func (m matcher) only(meant func(name string) bool) matcher {
	m.meant = meant
	return m
}

// keep returns the names that match, in place.
func (m matcher) keep(names []string) []string {
	if m.exact && m.meant == nil {
		return names
	}
	return slices.DeleteFunc(names, func(n string) bool { return !m.matches(n) })
}

func (m matcher) matches(name string) bool {
	if !m.exact && !slices.ContainsFunc(m.patterns, func(p string) bool { return globMatch(p, name) }) {
		return false
	}
	return m.meant == nil || m.meant(name)
}

// globMatch matches like Redis' KEYS and SCAN MATCH (stringmatchlen in
// util.c): * ? [a-z] [^x] and \ to escape, byte by byte. Unlike Redis it
// remembers only the last star, which decides the same and cannot explode.
func globMatch(p, s string) bool {
	var pi, si int
	star, mark := -1, 0
	for si < len(s) {
		if pi < len(p) && p[pi] == '*' {
			star, mark = pi, si
			pi++
			continue
		}
		if n, ok := matchOne(p[pi:], s[si]); ok {
			pi += n
			si++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		pi, si = star+1, mark
	}
	return strings.Trim(p[pi:], "*") == ""
}

// matchOne matches one byte against the first element of a pattern that does
// not begin with a star, and returns the element's length.
func matchOne(p string, c byte) (int, bool) {
	switch {
	case p == "":
		return 0, false
	case p[0] == '?':
		return 1, true
	case p[0] == '[':
		return matchClass(p, c)
	case p[0] == '\\' && len(p) > 1:
		return 2, p[1] == c
	}
	return 1, p[0] == c
}

// matchClass matches "[…]". Like in Redis, a class that is never closed ends
// with the pattern.
func matchClass(p string, c byte) (int, bool) {
	i := 1
	not := i < len(p) && p[i] == '^'
	if not {
		i++
	}
	found := false
	for ; i < len(p) && p[i] != ']'; i++ {
		switch {
		case p[i] == '\\' && i+1 < len(p):
			i++
			found = found || p[i] == c
		case i+2 < len(p) && p[i+1] == '-':
			lo, hi := p[i], p[i+2]
			if lo > hi {
				lo, hi = hi, lo
			}
			found = found || lo <= c && c <= hi
			i += 2
		default:
			found = found || p[i] == c
		}
	}
	return min(i+1, len(p)), found != not
}

// slotOf is the hash slot of a key: CRC16 of what stands between the first
// braces, or of all of it (Redis cluster specification, "Key distribution
// model").
func slotOf(key string) int {
	if i := strings.IndexByte(key, '{'); i >= 0 {
		if j := strings.IndexByte(key[i+1:], '}'); j > 0 {
			key = key[i+1 : i+1+j]
		}
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % 16384
}

// bytePatterns turns the \xNN of patterns into the byte: names of keys may be
// any bytes (Spring's default serialiser begins them with \xac\xed), and a
// configuration is text. A byte that Redis would read as a star or the like is
// escaped.
func bytePatterns(patterns []string) []string {
	out := make([]string, len(patterns))
	for i, p := range patterns {
		var b strings.Builder
		for len(p) > 0 {
			if n, err := strconv.ParseUint(p[min(2, len(p)):min(4, len(p))], 16, 8); err == nil && len(p) >= 4 && p[:2] == `\x` {
				if strings.IndexByte(`*?[]\^-`, byte(n)) >= 0 {
					b.WriteByte('\\')
				}
				b.WriteByte(byte(n))
				p = p[4:]
				continue
			}
			n := 1
			if p[0] == '\\' && len(p) > 1 {
				n = 2 // an escape of Redis' own, also of a backslash
			}
			b.WriteString(p[:n])
			p = p[n:]
		}
		out[i] = b.String()
	}
	return out
}
