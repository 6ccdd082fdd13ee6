package runbook

import (
	"strings"
	"testing"
	"time"
)

func TestDurationsAsPeopleSayThem(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 4 * time.Millisecond: "4 ms", time.Second: "1 s", 40 * time.Second: "40 s", 119 * time.Second: "119 s",
		2 * time.Minute: "2 min", 43*time.Minute + 20*time.Second: "43 min", 2 * time.Hour: "2 h", 2*time.Hour + 5*time.Minute: "2 h 5 min",
		47*time.Hour + 59*time.Minute: "47 h 59 min", 72 * time.Hour: "3 days",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%s is said as %q, want %q", time.Duration(d), got, want)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 41210: "41,210", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		if got := Thousands(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// Names come from caches and tokens: they must not end the code marks, and a
// long list must not fill a message.
func TestQuotedNames(t *testing.T) {
	for in, want := range map[string]string{
		"a": "`a`", "a`b": "`a'b`", "a\nb\x00": "`a b `", "a+/=_.-": "`a+/=_.-`", strings.Repeat("é", 500): "`" + strings.Repeat("é", maxQuoted) + "…`",
	} {
		if got := Quote(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if got := QuoteAll([]string{"a", "b", "c", "d", "e", "f"}); got != "`a`, `b`, `c`, `d` and 2 more" {
		t.Errorf("got %s", got)
	}
}

// A cut text has the length that was asked for, its mark included, and no half
// character.
func TestClip(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"éàü", 3, "éàü"}, {"éàüö", 3, "éà…"}, {"ab", 1, "…"},
		{"a\xffbc", 3, "a\uFFFD…"},
	} {
		if got := Clip(c.in, c.n); got != c.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", c.in, c.n, got, c.want)
		}
	}
}

func TestExactPercent(t *testing.T) {
	for r, want := range map[float64]string{0: "0 %", 0.1: "10 %", 0.101: "10.1 %", 0.07: "7 %", 0.004: "0.4 %", 0.204: "20 %", 0.29: "29 %", 0.996: "99.6 %", 1: "100 %"} {
		if got := ExactPercent(r); got != want {
			t.Errorf("%g: %q, want %q", r, got, want)
		}
	}
}
