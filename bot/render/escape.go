package render

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"jwksbot/runbook"
)

// Everything that is interpolated into a message goes through one of these:
// prose for sentences of the runbook (their code marks are kept), Quoted for
// what people typed, Code for names, codeLines for whole blocks, plain for
// plain_text objects. None of them lets a text mention anybody, end a code
// mark, start a line or format what follows it.

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Escape replaces & < > and nothing else: with that no mention, link or date
// can begin (docs.slack.dev/messaging/formatting-message-text).
func Escape(s string) string { return escaper.Replace(s) }

// tame replaces what would break a line or its reading order. Marks that turn
// the direction of text around could make a name look like another one, so
// they are made visible.
func tame(r rune) rune {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\u0085':
		return ' '
	case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069',
		r == '\u200e', r == '\u200f', r == '\u061c', r == utf8.RuneError:
		return utf8.RuneError
	}
	return r
}

// unformat replaces a character that could begin or end formatting with one
// that looks alike. Inside a word (invalid_signature) it stays, since Slack
// formats at the edges of words only.
func unformat(r, before, after rune) rune {
	if isWord(before) && isWord(after) {
		return r
	}
	switch r {
	case '*':
		return '\u2217' // asterisk operator
	case '_':
		return '\u02cd' // modifier letter low macron
	case '~':
		return '\u223c' // tilde operator
	}
	return r
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// markup builds one line of mrkdwn that never grows beyond its limit in runes.
type markup struct {
	out   strings.Builder
	left  int
	full  bool
	inner bool // inside a code mark
}

// add writes a rune, escaped; a rune that does not fit ends the line.
func (m *markup) add(r rune) {
	if m.full {
		return
	}
	s, n := "", 1
	switch r {
	case '&', '<', '>':
		s = Escape(string(r))
		n = len(s)
	}
	if n > m.left-2 { // room for the mark and the ellipsis
		m.full = true
		return
	}
	m.left -= n
	if s != "" {
		m.out.WriteString(s)
		return
	}
	m.out.WriteRune(r)
}

func (m *markup) mark() {
	if m.full || m.left < 4 {
		m.full = true
		return
	}
	m.out.WriteByte('`')
	m.left--
	m.inner = !m.inner
}

func (m *markup) text() string {
	if m.full {
		m.out.WriteString(ellipsis)
	}
	if m.inner {
		m.out.WriteByte('`')
	}
	return m.out.String()
}

// enough cuts what cannot be shown in n runes anyhow, before work is put into
// it: markup is never shorter than what it stands for.
func enough(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n < 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// prose renders a sentence of the runbook in at most n runes. Pairs of
// backticks are code marks and are kept; everything else is literal.
func prose(s string, n int) string {
	m := &markup{left: n}
	parts := strings.Split(enough(s, n), "`")
	if len(parts)%2 == 0 { // one mark without its partner
		last := len(parts) - 1
		parts[last-1] += "'" + parts[last]
		parts = parts[:last]
	}
	for i, part := range parts {
		switch {
		case i%2 == 0:
			m.literal(part)
		case strings.TrimSpace(part) == "":
			m.literal("''")
		default:
			m.mark()
			for _, r := range part {
				m.add(tame(r))
			}
			m.mark()
		}
	}
	return m.text()
}

func (m *markup) literal(s string) {
	runes := []rune(s)
	for i, r := range runes {
		runes[i] = tame(r)
	}
	for i, r := range runes {
		if m.full {
			return
		}
		before, after := ' ', ' '
		if i > 0 {
			before = runes[i-1]
		}
		if i < len(runes)-1 {
			after = runes[i+1]
		}
		m.add(unformat(r, before, after))
	}
}

// Quoted renders what a person typed, in at most n runes, on one line and
// without any formatting.
func Quoted(s string, n int) string {
	m := &markup{left: n}
	m.literal(enough(strings.Join(strings.Fields(strings.ReplaceAll(s, "`", "'")), " "), n))
	return m.text()
}

// Code renders a name in code marks, in at most LimitName runes.
func Code(s string) string {
	s = strings.TrimSpace(strings.Map(tame, strings.ReplaceAll(enough(s, LimitName), "`", "'")))
	if s == "" {
		return "(empty)"
	}
	m := &markup{left: LimitName}
	m.mark()
	for _, r := range s {
		m.add(r)
	}
	if m.full {
		return m.text()
	}
	m.mark()
	return m.text()
}

// codes lists names in code marks and says how many more there are.
func codes(names []string, shown int) string {
	out := make([]string, 0, shown)
	for i, s := range names {
		if i == shown {
			return strings.Join(out, ", ") + " and " + runbook.Plural(len(names)-shown, "more", "more")
		}
		out = append(out, Code(s))
	}
	return strings.Join(out, ", ")
}

// plain renders text for a plain_text object, where nothing is parsed: the
// brackets go all the same, since clients and bridges differ.
func plain(s string, n int) string {
	s = strings.NewReplacer("<", "‹", ">", "›").Replace(strings.Map(tame, s))
	return runbook.Clip(strings.TrimSpace(s), n)
}

var (
	userID  = regexp.MustCompile(`^[UW][A-Z0-9]{1,30}$`)
	groupID = regexp.MustCompile(`^S[A-Z0-9]{1,30}$`)
)

// IsUserID says that a text is the id of a person, and may stand for the
// conversation with them.
func IsUserID(s string) bool { return userID.MatchString(s) }

// mention names a person: by the id if it is one of Slack's, else in words.
func mention(p runbook.PersonRef) string {
	if userID.MatchString(p.ID) {
		return "<@" + p.ID + ">"
	}
	if label := Quoted(p.Label(), LimitName); label != "" {
		return label
	}
	return "somebody"
}

// mentionID names an entry of a policy: a user, a user group, or plain text.
func mentionID(id string) string {
	if groupID.MatchString(id) {
		return "<!subteam^" + id + ">"
	}
	return mention(runbook.PersonRef{ID: id})
}

// atTime writes a moment in the reader's own time zone; where Slack does not
// render it, in UTC.
func atTime(t time.Time) string { return moment(t, "{time_secs}", "15:04:05 MST") }

// atDay writes a moment with its date.
func atDay(t time.Time) string {
	return moment(t, "{date_short_pretty} {time}", "2 Jan 15:04 MST")
}

func moment(t time.Time, format, fallback string) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return fmt.Sprintf("<!date^%d^%s|%s>", t.Unix(), format, t.UTC().Format(fallback))
}
