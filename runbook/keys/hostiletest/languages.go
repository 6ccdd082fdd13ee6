package hostiletest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
)

// pickleStates lets two objects take over each other's state in turn, so that
// both grow like Fibonacci numbers (BUILD).
func pickleStates(r *rand.Rand, size int) string {
	var b strings.Builder
	b.WriteString("\x80\x02}q\x00K\x01K\x01s}q\x01K\x02K\x02s")
	for b.Len() < size-12 {
		b.WriteString("h\x00h\x01b0h\x01h\x00b0")
	}
	return b.String() + fmt.Sprintf("h%c.", r.IntN(2))
}

// pickleDoubling puts each list twice into the next one.
func pickleDoubling(_ *rand.Rand, size int) string {
	var b strings.Builder
	b.WriteString("\x80\x04](K\x01K\x01eq\x00")
	for i := 1; b.Len() < size-12 && i < 250; i++ {
		fmt.Fprintf(&b, "](h%ch%ceq%c", i-1, i-1, i)
	}
	return b.String() + "."
}

func pickleTuples(r *rand.Rand, size int) string {
	return "\x80\x04K\x01" + strings.Repeat("2\x86", min((size-5)/2, 20+r.IntN(60))) + "."
}

func pickleString(_ *rand.Rand, size int) string {
	s := strings.Repeat("\x01", size/2)
	head := "\x80\x04X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s + "q\x00]("
	return head + strings.Repeat("h\x00", max(0, size-len(head)-2)/2) + "e."
}

func pickleNumbers(r *rand.Rand, size int) string {
	var b strings.Builder
	b.WriteString("\x80\x02](")
	for b.Len() < size-300 {
		switch n := 100 + r.IntN(155); r.IntN(3) {
		case 0:
			b.WriteString("\x8a" + string(rune(n&0x7f)) + strings.Repeat("\x7f", n&0x7f))
		case 1:
			b.WriteString("L" + strings.Repeat("9", n) + "L\n")
		default:
			b.WriteString("F" + strings.Repeat("9", n) + "\n")
		}
	}
	return b.String() + "e."
}

// rubyLong writes Marshal's variable-length integer.
func rubyLong(n int) string {
	if n < 123 {
		return string([]byte{byte(n + 5)})
	}
	return "\x03" + string([]byte{byte(n), byte(n >> 8), byte(n >> 16)})
}

func rubyBignum(_ *rand.Rand, size int) string {
	n := max(1, (size-8)/2)
	return "\x04\x08l+" + rubyLong(n) + strings.Repeat("\xff", 2*n)
}

// rubyLinks nests arrays of two, the second element of which is the first.
func rubyLinks(r *rand.Rand, size int) string {
	depth := min(40+r.IntN(20), size/8)
	b := "[" + rubyLong(1) + "i\x06"
	for i := depth; i > 0; i-- {
		b = "[" + rubyLong(2) + b + "@" + rubyLong(i)
	}
	return "\x04\x08" + b
}

func rubySymbols(_ *rand.Rand, size int) string {
	name := strings.Repeat("\x02", size/2)
	n := size / 4
	return "\x04\x08[" + rubyLong(n+1) + ":" + rubyLong(len(name)) + name + strings.Repeat(";\x00", n)
}

func railsLinks(r *rand.Rand, size int) string {
	return "\x00\x11\x80" + strings.Repeat("\x00", 8) + "\xff\xff\xff\xff" + deflated(rubyLinks(r, 4*size))
}

func javaUTF(s string) string { return string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }

// javaParents describes a class of many fields that is its own parent, and
// makes many objects of it.
func javaParents(_ *rand.Rand, size int) string {
	fields := size / 6
	class := "\x72" + javaUTF("A") + strings.Repeat("\x00", 8) + "\x02" + string([]byte{byte(fields >> 8), byte(fields)}) + strings.Repeat("B\x00\x00", fields) +
		"\x78\x71\x00\x7e\x00\x00"
	return "\xac\xed\x00\x05\x73" + class + strings.Repeat("\x00", size/3)
}

// javaReferences nests arrays of two, the second element of which is the first.
func javaReferences(r *rand.Rand, size int) string {
	depth := min(30+r.IntN(8), size/12)
	class := "\x72" + javaUTF("[Ljava.lang.Object;") + strings.Repeat("\x00", 8) + "\x02\x00\x00\x78\x70"
	b := "\x70"
	for i := depth; i > 0; i-- {
		of := "\x71\x00\x7e\x00\x00" // the class above
		if i == 1 {
			of = class
		}
		inner := fmt.Sprintf("\x71\x00\x7e\x00%c", i+1)
		if i == depth {
			inner = "\x70"
		}
		b = "\x75" + of + "\x00\x00\x00\x02" + b + inner
	}
	return "\xac\xed\x00\x05" + b
}

func javaStrings(_ *rand.Rand, size int) string {
	s := strings.Repeat("\x01", size/2)
	n := size / 10
	class := "\x72" + javaUTF("[Ljava.lang.Object;") + strings.Repeat("\x00", 8) + "\x02\x00\x00\x78\x70"
	return "\xac\xed\x00\x05\x75" + class + string(binary.BigEndian.AppendUint32(nil, uint32(n+1))) + "\x74" + javaUTF(s) + strings.Repeat("\x71\x00\x7e\x00\x02", n)
}

func phpDeep(_ *rand.Rand, size int) string {
	n := size / 10
	return strings.Repeat("a:1:{i:0;", n) + "N;" + strings.Repeat("}", n)
}

func phpWide(_ *rand.Rand, size int) string {
	n := size / 6
	return fmt.Sprintf("a:%d:{%s}", n, strings.Repeat("N;N;N;", n/2+1))
}

func phpNumbers(r *rand.Rand, size int) string {
	kind := []string{"d", "i"}[r.IntN(2)]
	return kind + ":" + strings.Repeat("9", size-3) + ";"
}
