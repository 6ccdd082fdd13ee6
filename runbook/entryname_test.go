package runbook

import (
	"encoding/json"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEntryNamesAreShownEscaped(t *testing.T) {
	for name, want := range map[string]string{
		"jwks:current":      "jwks:current",
		"jwks:clé 日本":       "jwks:clé 日本",
		"\xac\xed\x00\x05t": `\xac\xed\x00\x05t`,
		`a\b`:               `a\\b`,
		`\xac`:              `\\xac`,
		"a\x1b[2J":          `a\x1b[2J`,
		"\u202egnp":         `\xe2\x80\xaegnp`,
		"\ufffd":            "\ufffd",
		"\xff\ufffd":        "\\xff\ufffd",
		"":                  "",
	} {
		if got := EntryName(name).String(); got != want {
			t.Errorf("%q is shown as %s, want %s", name, got, want)
		}
	}
}

// Names that were kept before there was an escaped form read as they were.
func TestEntryNamesOfOlderJournals(t *testing.T) {
	for kept, want := range map[string]EntryName{`"jwks:a"`: "jwks:a", `"a\\b"`: `a\b`, `"a\\xz"`: `a\xz`, `"a\\"`: `a\`} {
		var got EntryName
		if err := json.Unmarshal([]byte(kept), &got); err != nil || got != want {
			t.Errorf("%s reads as %q, %v; want %q", kept, got, err, want)
		}
	}
}

// Whatever the bytes, what is written reads back, nothing that is shown moves a
// cursor, and no two names look alike.
func FuzzEntryName(f *testing.F) {
	for _, s := range []string{"jwks:a", "\xac\xed\x00\x05t", `\xac\xed`, `\\`, `\`, "\u202e", "a\xf0\x9f"} {
		f.Add(s, s+"x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		shown := EntryName(a).String()
		if back := parseEntryName(shown); string(back) != a {
			t.Fatalf("%q is shown as %s and reads back as %q", a, shown, back)
		}
		if !utf8.ValidString(shown) {
			t.Fatalf("%q is shown as %q, which is no text", a, shown)
		}
		for _, r := range shown {
			if r != ' ' && !unicode.IsPrint(r) {
				t.Fatalf("%q is shown with %U", a, r)
			}
		}
		if a != b && shown == EntryName(b).String() {
			t.Fatalf("%q and %q are both shown as %s", a, b, shown)
		}
		kept, err := json.Marshal([]EntryName{EntryName(a)})
		if err != nil {
			t.Fatal(err)
		}
		var back []EntryName
		if err := json.Unmarshal(kept, &back); err != nil || len(back) != 1 || string(back[0]) != a {
			t.Fatalf("%q is kept as %s and reads back as %q, %v", a, kept, back, err)
		}
	})
}
