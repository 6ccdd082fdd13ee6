package runbook

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// EntryName is the name of a cache entry in a record: any bytes, since Redis
// takes any (Spring's default serialiser writes "\xac\xed\x00\x05t…"). JSON can
// hold text only, and would put U+FFFD for what is none: two names became one,
// and neither was the one in the cache. As text a name is escaped, and what is
// escaped reads back as the same bytes.
type EntryName string

// String is the name as people see it: what is no printable text is written
// as \xNN, a backslash as \\, so that no two names look alike.
func (n EntryName) String() string {
	s := string(n)
	if strings.IndexFunc(s, unprintable) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case unprintable(r) || r == utf8.RuneError && size == 1:
			for _, c := range []byte(s[i : i+size]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// unprintable says that a character is escaped in a name that is shown. Letters
// of every script stay; what moves the cursor or cannot be seen does not.
func unprintable(r rune) bool { return r == '\\' || r != ' ' && !unicode.IsPrint(r) || unseen(r) }

// MarshalText writes the escaped form.
func (n EntryName) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads the escaped form, and names as they were written before
// there was one.
func (n *EntryName) UnmarshalText(text []byte) error {
	*n = parseEntryName(string(text))
	return nil
}

// parseEntryName reads a name as it is shown. A backslash that begins no escape
// stands for itself.
func parseEntryName(text string) EntryName {
	if !strings.Contains(text, `\`) {
		return EntryName(text)
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		rest := text[i:]
		switch c, ok := escapedByte(rest); {
		case ok:
			b.WriteByte(c)
			i += len(`\xNN`)
		case strings.HasPrefix(rest, `\\`):
			b.WriteByte('\\')
			i += 2
		default:
			b.WriteByte(text[i])
			i++
		}
	}
	return EntryName(b.String())
}

// escapedByte reads \xNN at the beginning of s.
func escapedByte(s string) (byte, bool) {
	if len(s) < 4 || s[0] != '\\' || s[1] != 'x' {
		return 0, false
	}
	c, err := strconv.ParseUint(s[2:4], 16, 8)
	return byte(c), err == nil
}

// QuoteName quotes the name of an entry inside a sentence.
func QuoteName[T ~string](name T) string { return Quote(EntryName(name).String()) }

// QuoteNames quotes the first few names of a list.
func QuoteNames[T ~string](names []T) string {
	shown := make([]string, len(names))
	for i, n := range names {
		shown[i] = EntryName(n).String()
	}
	return QuoteAll(shown)
}
