package runbook

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Clip cuts a text to n characters and shows that it did. It reads no more of a
// long text than it keeps.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	last, seen := 0, 0 // where the last character that may stay begins
	for i := range s {
		if seen++; seen == n {
			last = i
		}
		if seen > n {
			return strings.ToValidUTF8(s[:last], "\uFFFD") + "…"
		}
	}
	return s
}

// OneLine writes an error, which may be several, as one line.
func OneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// Verb is the form of a verb that fits the number.
func Verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Capital writes the first letter of a sentence as a capital.
func Capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// maxQuoted is the length in runes beyond which a quoted name is cut.
const maxQuoted = 120

// Quote puts names into code marks, as both Slack and Markdown show them. What
// would end the marks or the line is replaced.
func Quote(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '`':
			return '\''
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxQuoted {
		s = string(r[:maxQuoted]) + "…"
	}
	return "`" + s + "`"
}

// QuoteAll quotes a few names and counts the rest.
func QuoteAll(list []string) string {
	const shown = 4
	out := make([]string, 0, shown)
	for i, s := range list {
		if i == shown {
			return strings.Join(out, ", ") + " and " + Plural(len(list)-shown, "more", "more")
		}
		out = append(out, Quote(s))
	}
	return strings.Join(out, ", ")
}

// AndList joins parts of a sentence: "a, b and c".
func AndList(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// Plural writes a count with its noun: "1 entry", "3 entries".
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%s %s", Thousands(int64(n)), many)
}

// Thousands writes a number with separators: 41,210.
func Thousands(n int64) string {
	s := fmt.Sprintf("%d", n)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Duration writes a time span as people say it: "43 min", "2 h 5 min", "40 s".
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	case d < 48*time.Hour:
		m := int(d.Round(time.Minute).Minutes())
		if m%60 == 0 {
			return fmt.Sprintf("%d h", m/60)
		}
		return fmt.Sprintf("%d h %d min", m/60, m%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Percent writes a ratio: "12 %".
func Percent(r float64) string { return fmt.Sprintf("%.0f %%", r*100) }

// ExactPercent writes a ratio so that 10.1 % is not shown as 10 %, nor 99.6 % as
// 100 %. In between the digit after the point tells nobody anything.
func ExactPercent(r float64) string {
	if whole := math.Abs(r*100-math.Round(r*100)) < 1e-9; whole || r >= 0.2 && r < 0.9 {
		return Percent(r)
	}
	return fmt.Sprintf("%.1f %%", r*100)
}
