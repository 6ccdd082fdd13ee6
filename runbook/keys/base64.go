package keys

import (
	"encoding/base64"
	"strings"
)

// maxNumber is the longest text of one number that is read: more than a
// modulus of 64 Kibit, which no verifier takes.
const maxNumber = 16 << 10

// strictURL refuses what RFC 7515 does not write, line breaks excepted.
var strictURL = base64.RawURLEncoding.Strict()

// plainNumber says that a JSON string is written as it should be: nothing to
// strip, no escapes, not empty.
func plainNumber(raw []byte) bool {
	for _, c := range raw[1 : len(raw)-1] {
		if c == '\\' || c == '=' || c == '+' || c == '/' || c <= ' ' {
			return false
		}
	}
	return len(raw) > 2
}

// number is one base64url member of a key.
type number struct {
	text    string   // as it was written
	bytes   []byte   // as it was meant
	odd     []string // how the writing departs from RFC 7515 section 2
	problem string   // why it cannot be read; "" when it can
}

// readNumber decodes leniently, since consumers do, and says what a strict one
// would refuse.
func readNumber(raw []byte) number {
	switch {
	case len(raw) == 0:
		return number{problem: "missing"}
	case raw[0] != '"':
		return number{problem: kind(raw) + ", not a string"}
	case len(raw) > maxNumber:
		return number{problem: "too long for a key"}
	}
	if b := make([]byte, len(raw)*3/4); plainNumber(raw) {
		if i, err := strictURL.Decode(b, raw[1:len(raw)-1]); err == nil {
			return number{text: string(raw[1 : len(raw)-1]), bytes: b[:i]}
		}
	}
	n := number{text: unquote(raw)}
	if strings.Contains(n.text, "-----BEGIN") {
		// Not kept: nobody knows what PEM was pasted here.
		return number{problem: "holds PEM text instead of a number"}
	}
	s := n.text
	if t := strings.Join(strings.Fields(s), ""); t != s {
		n.odd, s = append(n.odd, "holds white space"), t
	}
	if t := strings.TrimRight(s, "="); t != s {
		n.odd, s = append(n.odd, "is padded with ="), t
	}
	if t := strings.NewReplacer("+", "-", "/", "_").Replace(s); t != s {
		n.odd, s = append(n.odd, "uses the alphabet of plain base64"), t
	}
	if s == "" {
		n.problem = "empty"
		return n
	}
	b, err := strictURL.DecodeString(s)
	if err != nil {
		if b, err = base64.RawURLEncoding.DecodeString(s); err != nil {
			n.problem = "not base64url"
			return n
		}
		n.odd = append(n.odd, "has stray bits at its end")
	}
	n.bytes = b
	return n
}

// trimZeros removes leading zero octets and says whether there were any.
func (n *number) trimZeros() bool {
	i := 0
	for i < len(n.bytes) && n.bytes[i] == 0 {
		i++
	}
	n.bytes = n.bytes[i:]
	return i > 0
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
