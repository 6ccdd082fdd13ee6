package runbook

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                                  "",
		"jwks:eu-west-2_AbC ü 日本 ❤️":        "jwks:eu-west-2_AbC ü 日本 ❤️",
		"\x1b[2J\x1b]0;title\a":             "�[2J�]0;title�",
		"a\x00*\x00keys":                    "a�*�keys",
		"one\r\ntwo\tthree":                 "one��two�three",
		"c1 \u009b31m and raw \x9b31m":      "c1 �31m and raw �31m",
		"admin\u202etxt.exe\u2066\u200e":    "admin�txt.exe��",
		"zero\u200bwidth\ufeff\u2060\u00ad": "zero�width���",
		"line\u2028and\u2029paragraph":      "line�and�paragraph",
		"tags \U000e0041 \U000e0100 \u3164": "tags � � �",
		"\x7f":                              "�",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := CleanText("a\n\tb\x1b\r\n"); got != "a\n\tb��\n" {
		t.Errorf("%q", got)
	}
}

// A cell computes nothing, wherever its formula hides.
func TestCleanCell(t *testing.T) {
	for in, want := range map[string]string{
		"=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0",
		"+1":                 "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "＝1": "'＝1",
		"  =1":         "'  =1",
		"\t=1":         "�=1",
		"\n=1":         "�=1",
		"a=1":          "a=1",
		"keys rotated": "keys rotated",
		"":             "",
	} {
		if got := CleanCell(in); got != want {
			t.Errorf("CleanCell(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzClean holds that nothing is left that a terminal acts on or does not show,
// and that the rest stays.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "a\x1b[31m", "\u202e", "\xff\x9b", "日本\u200b", "\U000e0001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool {
			return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
		}) {
			t.Errorf("Clean(%q) = %q", s, got)
		}
		if utf8.RuneCountInString(got) != utf8.RuneCountInString(s) || Clean(got) != got {
			t.Errorf("Clean(%q) = %q: something else changed", s, got)
		}
	})
}
