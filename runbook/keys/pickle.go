package keys

import (
	"math"
	"strconv"

	"jwksbot/runbook/budget"
)

// isPickle knows Python's pickle from protocol 2 on (Django, django-redis), and
// the "!" that Flask's cachelib puts before it.
func isPickle(b []byte) bool {
	if len(b) > 0 && b[0] == '!' {
		b = b[1:]
	}
	return len(b) > 2 && b[0] == 0x80 && b[1] >= 2 && b[1] <= 5 && b[len(b)-1] == '.'
}

// unpickle reads a pickle as plain data. A pickle is a program; this reader
// runs only the instructions that build values. Classes are never looked up and
// functions never called: an object becomes the map of its state, the result
// of a call becomes nothing.
func unpickle(b []byte, budget *budget.Budget) ([]byte, error) {
	if b[0] == '!' {
		b = b[1:]
	}
	p := &pickleReader{cursor: cursor{b: b, budget: budget}, memo: map[int]any{}}
	for p.step() {
	}
	if p.bad || len(p.stack) == 0 {
		return nil, p.wrong("damaged, cut off or of an unknown kind")
	}
	return treeText(p.stack[len(p.stack)-1], budget)
}

// mark is what MARK leaves on the stack.
type mark struct{}

type pickleReader struct {
	cursor
	stack []any
	memo  map[int]any
}

func (p *pickleReader) push(v any) { p.stack = append(p.stack, v) }

func (p *pickleReader) pop() any {
	if len(p.stack) == 0 {
		p.bad = true
		return nil
	}
	v := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	return v
}

// top returns the value that an instruction adds to.
func (p *pickleReader) top() any {
	if len(p.stack) == 0 {
		p.bad = true
		return nil
	}
	return p.stack[len(p.stack)-1]
}

// popMark takes everything above the last mark.
func (p *pickleReader) popMark() []any {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if _, ok := p.stack[i].(mark); ok {
			if !p.charge(len(p.stack) - i) {
				return nil
			}
			items := append([]any(nil), p.stack[i+1:]...)
			p.stack = p.stack[:i]
			return items
		}
	}
	p.bad = true
	return nil
}

// step runs one instruction (pickletools.py lists them) and says whether there
// are more.
func (p *pickleReader) step() bool {
	if !p.count(0) {
		return false
	}
	switch op := p.byte(); op {
	case '.': // STOP
		return false
	case 0x80: // PROTO
		p.take(1)
	case 0x95: // FRAME
		p.take(8)
	case '(': // MARK
		p.push(mark{})
	case '0': // POP
		p.pop()
	case '1': // POP_MARK
		p.popMark()
	case '2': // DUP
		p.push(p.top())
	default:
		if !p.scalar(op) && !p.container(op) && !p.remember(op) && !p.opaque(op) {
			p.bad = true
		}
	}
	return !p.bad
}

// scalar runs the instructions that push a simple value.
func (p *pickleReader) scalar(op byte) bool {
	switch op {
	case 'N': // NONE
		p.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		p.push(op == 0x88)
	case 'K': // BININT1
		p.push(int64(p.byte()))
	case 'M': // BININT2
		p.push(int64(p.little(2)))
	case 'J': // BININT
		p.push(int64(int32(p.little(4))))
	case 0x8a: // LONG1
		p.push(signedLittle(p.take(int(p.byte()))))
	case 'I', 'L': // INT, LONG
		p.push(p.line())
	case 'F': // FLOAT
		f, err := strconv.ParseFloat(p.until('\n'), 64)
		p.bad = p.bad || err != nil
		p.push(f)
	case 'G': // BINFLOAT
		v := uint64(0)
		for _, b := range p.take(8) {
			v = v<<8 | uint64(b)
		}
		p.push(math.Float64frombits(v))
	case 'X', 'B', 'T': // BINUNICODE, BINBYTES, BINSTRING
		p.push(p.text(p.little(4)))
	case 0x8c, 'C', 'U': // SHORT_BINUNICODE, SHORT_BINBYTES, SHORT_BINSTRING
		p.push(p.text(int(p.byte())))
	case 0x8d, 0x8e, 0x96: // BINUNICODE8, BINBYTES8, BYTEARRAY8
		p.push(p.text(p.little(8)))
	case 'V': // UNICODE
		p.push(p.until('\n'))
	default:
		return false
	}
	return true
}

// line reads a decimal number; 01 and 00 are how protocol 0 writes booleans.
func (p *pickleReader) line() any {
	s := p.until('\n')
	if s == "01" || s == "00" {
		return s == "01"
	}
	if len(s) > 0 && s[len(s)-1] == 'L' {
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseInt(s, 10, 64)
	p.bad = p.bad || err != nil
	return n
}

// tooLarge stands for a number that does not fit: which one is of no interest.
const tooLarge = float64(1 << 63)

// signedLittle reads a two's complement number of any length.
func signedLittle(b []byte) any {
	if len(b) == 0 {
		return int64(0)
	}
	sign := byte(0)
	if b[len(b)-1]&0x80 != 0 {
		sign = 0xff
	}
	v := int64(int8(sign))
	for i := len(b) - 1; i >= 0; i-- {
		if i >= 8 && b[i] != sign {
			return tooLarge
		}
		v = v<<8 | int64(b[i])
	}
	if len(b) > 8 && (v < 0) != (sign != 0) {
		return tooLarge
	}
	return v
}

// container runs the instructions that build lists and dicts.
func (p *pickleReader) container(op byte) bool {
	switch op {
	case ']', ')', 0x8f: // EMPTY_LIST, EMPTY_TUPLE, EMPTY_SET
		p.push(&sequence{})
	case '}': // EMPTY_DICT
		p.push(&mapping{})
	case 'l', 't', 0x91: // LIST, TUPLE, FROZENSET
		items := p.popMark()
		p.push(&sequence{items})
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		n := int(op - 0x84)
		if len(p.stack) < n {
			p.bad = true
			return true
		}
		items := append([]any(nil), p.stack[len(p.stack)-n:]...)
		p.stack = p.stack[:len(p.stack)-n]
		p.push(&sequence{items})
	case 'd': // DICT
		m := &mapping{}
		m.set(p.popMark())
		p.push(m)
	case 'a': // APPEND
		p.extend([]any{p.pop()})
	case 'e', 0x90: // APPENDS, ADDITEMS
		p.extend(p.popMark())
	case 's': // SETITEM
		value := p.pop()
		p.setItems([]any{p.pop(), value})
	case 'u': // SETITEMS
		p.setItems(p.popMark())
	default:
		return false
	}
	return true
}

func (m *mapping) set(items []any) {
	for i := 0; i+1 < len(items); i += 2 {
		m.pairs = append(m.pairs, pair{items[i], items[i+1]})
	}
}

func (p *pickleReader) extend(items []any) {
	if list, ok := p.top().(*sequence); ok && p.charge(len(items)) {
		list.items = append(list.items, items...)
	}
}

func (p *pickleReader) setItems(items []any) {
	if m, ok := p.top().(*mapping); ok && p.charge(len(items)) {
		m.set(items)
	}
}

// remember runs the instructions of the memo.
func (p *pickleReader) remember(op byte) bool {
	switch op {
	case 0x94: // MEMOIZE
		p.memo[len(p.memo)] = p.top()
	case 'q': // BINPUT
		p.memo[int(p.byte())] = p.top()
	case 'r': // LONG_BINPUT
		p.memo[p.little(4)] = p.top()
	case 'h': // BINGET
		p.push(p.memo[int(p.byte())])
	case 'j': // LONG_BINGET
		p.push(p.memo[p.little(4)])
	default:
		return false
	}
	return true
}

// opaque runs the instructions that in Python would import and call. Here they
// only keep the stack in order: an object is an empty map until BUILD gives it
// its state.
func (p *pickleReader) opaque(op byte) bool {
	switch op {
	case 'c': // GLOBAL
		p.until('\n')
		p.until('\n')
		p.push(nil)
	case 0x93: // STACK_GLOBAL
		p.pop()
		p.pop()
		p.push(nil)
	case 'R', 0x81: // REDUCE, NEWOBJ
		p.pop()
		p.pop()
		p.push(&mapping{})
	case 0x92: // NEWOBJ_EX
		p.pop()
		p.pop()
		p.pop()
		p.push(&mapping{})
	case 'b': // BUILD
		state, ok := p.pop().(*mapping)
		if m, object := p.top().(*mapping); ok && object && m != state && p.charge(len(state.pairs)) {
			m.pairs = append(m.pairs, state.pairs...)
		}
	default:
		return false
	}
	return true
}
