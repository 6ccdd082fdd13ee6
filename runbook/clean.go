package runbook

import (
	"strings"
	"unicode"
)

// Clean makes text that came from outside fit for one line on a terminal: what
// moves, paints, turns the direction of writing, breaks the line or is not seen
// becomes U+FFFD, as does what is no UTF-8.
func Clean(s string) string { return clean(s, unseen) }

// CleanText is [Clean] for text of several lines, whose line ends and tabs stay.
func CleanText(s string) string {
	return clean(s, func(r rune) bool { return r != '\n' && r != '\t' && unseen(r) })
}

// CleanCell makes text fit for a cell of a table that a spreadsheet may read:
// besides, an apostrophe stands before what would be computed there ("CSV
// Injection", OWASP), also behind blanks.
func CleanCell(s string) string {
	s = Clean(s)
	if t := strings.TrimLeft(s, " \u00a0\u3000"); t != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(t)[0]) {
		return "'" + s
	}
	return s
}

func clean(s string, bad func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if bad(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// unseen says that a character shows nothing of itself: controls, format and
// direction marks, separators of lines, and those of no width, which is all that
// Unicode lets a display ignore; but for the selectors between the looks of a
// character, which follow most emoji.
func unseen(r rune) bool {
	return r > 0x7e && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point, supplement) || r < ' ' || r == 0x7f
}

// supplement are the selectors of variants that no emoji has, and the letters of
// Hangul that are blank.
var supplement = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x180b, Hi: 0x180f, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0xe0000, Hi: 0xe0fff, Stride: 1}},
}
