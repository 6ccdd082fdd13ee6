package telemetry

import "strings"

// A groupSet holds one bit for each list of phrases in the table.
type groupSet [maxGroups / 64]uint64

const maxGroups = 128

func (s *groupSet) add(i int) { s[i/64] |= 1 << (i % 64) }

func (s *groupSet) union(o *groupSet) {
	for i := range s {
		s[i] |= o[i]
	}
}

func (s *groupSet) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// A term is one spelling of a phrase, with the groups that hold the phrase.
type term struct {
	text   string
	groups groupSet
}

// An automaton finds every term of a set in one pass over a text (Aho and
// Corasick, made deterministic). It reads texts folded: lower case, '_' and '-'
// as blanks, quotes and backslashes left out, so that JSON inside JSON and
// snake_case read like the sentence.
type automaton struct {
	fold    [256]byte // class of a byte; 0: in no term; skip: left out
	classes int
	next    []uint16 // state*classes + class
	out     []int32  // index into hits, 0: nothing ends here
	hits    []hit
	// table is next for reading: rows instead of states, with the bit ends
	// where a term ends.
	table []uint32
}

const ends = 1 << 31

// skip is the class of bytes that are read over.
const skip = 255

// hit is what ends in one state.
type hit struct {
	groups groupSet
	words  []term // terms that count only as whole words
}

// foldByte maps a byte as the automaton reads it; ok is false for bytes that
// are left out.
func foldByte(c byte) (folded byte, ok bool) {
	switch {
	case c == '"' || c == '\'' || c == '\\' || c == '`':
		return 0, false
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A', true
	case c == '_' || c == '-' || c == '\t':
		return ' ', true
	}
	return c, true
}

// newAutomaton builds the automaton for terms given in folded form. A term of
// three letters counts as a whole word only.
func newAutomaton(terms []term) *automaton {
	a := &automaton{classes: 1}
	var class [256]byte
	for _, t := range terms {
		for i := range len(t.text) {
			if class[t.text[i]] == 0 {
				class[t.text[i]] = byte(a.classes)
				a.classes++
			}
		}
	}
	for c := range 256 {
		if f, ok := foldByte(byte(c)); ok {
			a.fold[c] = class[f]
		} else {
			a.fold[c] = skip
		}
	}
	a.build(terms, class)
	a.table = make([]uint32, len(a.next))
	for i, state := range a.next {
		a.table[i] = uint32(int(state) * a.classes)
		if a.out[state] != 0 {
			a.table[i] |= ends
		}
	}
	a.next = nil // served to build the table
	return a
}

// build grows the trie, then links every state to its longest proper suffix.
func (a *automaton) build(terms []term, class [256]byte) {
	a.next = make([]uint16, a.classes)
	a.out, a.hits = make([]int32, 1), make([]hit, 1)
	for _, t := range terms {
		state := 0
		for i := range len(t.text) {
			at := state*a.classes + int(class[t.text[i]])
			if a.next[at] == 0 {
				a.next[at] = uint16(len(a.out))
				a.next = append(a.next, make([]uint16, a.classes)...)
				a.out = append(a.out, 0)
			}
			state = int(a.next[at])
		}
		h := a.hitOf(state)
		if len(t.text) <= 3 {
			h.words = append(h.words, t)
		} else {
			h.groups.union(&t.groups)
		}
	}
	suffix := make([]uint16, len(a.out))
	queue := []int{0}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		for c := 1; c < a.classes; c++ {
			at := state*a.classes + c
			fallback := a.next[int(suffix[state])*a.classes+c]
			child := a.next[at]
			if child == 0 {
				a.next[at] = fallback
				continue
			}
			if state != 0 {
				suffix[child] = fallback
			}
			a.inherit(int(child), int(suffix[child]))
			queue = append(queue, int(child))
		}
	}
}

func (a *automaton) hitOf(state int) *hit {
	if a.out[state] == 0 {
		a.out[state] = int32(len(a.hits))
		a.hits = append(a.hits, hit{})
	}
	return &a.hits[a.out[state]]
}

// inherit adds what ends in a suffix of the state.
func (a *automaton) inherit(state, suffix int) {
	if a.out[suffix] == 0 {
		return
	}
	from := a.hits[a.out[suffix]]
	h := a.hitOf(state)
	h.groups.union(&from.groups)
	h.words = append(h.words, from.words...)
}

// find returns the groups of which a phrase occurs in text.
func (a *automaton) find(text string) (found groupSet, ok bool) {
	row := uint32(0)
	for i := range len(text) {
		c := a.fold[text[i]]
		if c == skip {
			continue
		}
		row = a.table[row+uint32(c)] // class 0, a byte of no term, leads back to the beginning
		if row&ends == 0 {
			continue
		}
		row &^= ends
		h := &a.hits[a.out[int(row)/a.classes]]
		ok = true
		if !denied(text[i+1:]) {
			found.union(&h.groups)
		}
		for _, w := range h.words {
			if start := i + 1 - len(w.text); start >= 0 && wholeWord(text, start, i+1) {
				found.union(&w.groups)
			}
		}
	}
	return found, ok
}

// wholeWord says whether text[from:to] is a word of its own, in snake_case and
// camelCase too.
func wholeWord(text string, from, to int) bool {
	if from > 0 && isAlnum(text[from-1]) && !(isUpper(text[from]) && !isUpper(text[from-1])) {
		return false
	}
	if to < len(text) && isAlnum(text[to]) && !(isUpper(text[to]) && !isUpper(text[to-1])) {
		return false
	}
	return true
}

// denied says whether a name is followed by a value that says no: a counter at
// zero, false or null, as in {"invalid_signature":0}.
func denied(after string) bool {
	after = after[:min(len(after), 64)] // bounded: it is asked at every hit
	i := 0
	for i < len(after) && (after[i] >= 'a' && after[i] <= 'z' || after[i] == '_') {
		i++
	}
	for i < len(after) && (after[i] == '"' || after[i] == '\'' || after[i] == '\\' || after[i] == ' ') {
		i++
	}
	if i >= len(after) || after[i] != ':' && after[i] != '=' {
		return false
	}
	for i++; i < len(after) && after[i] == ' '; {
		i++
	}
	for _, no := range [...]string{"0", "false", "null"} {
		if strings.HasPrefix(after[i:], no) {
			end := i + len(no)
			return end == len(after) || !isAlnum(after[end]) && after[end] != '.'
		}
	}
	return false
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || isUpper(c) || c >= '0' && c <= '9'
}
