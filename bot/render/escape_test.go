package render

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"jwksbot/runbook"
)

// ours are the only control sequences that rendering writes by itself: ids of
// the fixtures, and dates.
var ours = regexp.MustCompile(`<@U0ONCALL>|<@U0LEAD>|<@U012AB3CD>|<!subteam\^S0LEADS>|<!date\^-?\d+\^[{}a-z_ ]+\|[^<>|]*>|<https://northwind\.slack\.com/archives/[A-Z0-9]+/p[0-9]+\|[a-z ]+>`)

// noStrayMentions fails on a bracket that rendering did not write: with one, a
// name in a cache could mention a channel.
func noStrayMentions(t *testing.T, s string) {
	t.Helper()
	if rest := ours.ReplaceAllString(s, ""); strings.ContainsAny(rest, "<>") {
		t.Errorf("a stray bracket in %q", runbook.Clip(rest, 400))
	}
	if strings.Count(s, "```")%2 != 0 {
		t.Errorf("a code block that does not end: %q", runbook.Clip(s, 400))
	}
}

func TestEscape(t *testing.T) {
	if got := Escape("a & b <!channel> `*_~"); got != "a &amp; b &lt;!channel&gt; `*_~" {
		t.Errorf("got %q", got)
	}
}

func TestProse(t *testing.T) {
	for in, want := range map[string]string{
		"entry `jwks:*` lacks `k<1>`.":          "entry `jwks:*` lacks `k&lt;1&gt;`.",
		"class invalid_signature stays":         "class invalid_signature stays",
		"*bold* _it_ ~gone~":                    "∗bold∗ ˍitˍ ∼gone∼",
		"a lone ` mark":                         "a lone ' mark",
		"odd ```x":                              "odd '''x",
		"two\nlines\tand <@U1>":                 "two lines and &lt;@U1&gt;",
		"turned \u202egnp.exe":                  "turned \ufffdgnp.exe",
		"  `code` first, and last `code`  ":     "`code` first, and last `code`",
		"&lt;!here&gt; written by somebody":     "&amp;lt;!here&amp;gt; written by somebody",
		"between `` nothing":                    "between '' nothing",
		"snake_case_name and _private and end_": "snake_case_name and ˍprivate and endˍ",
	} {
		if got := prose(in, 200); got != want {
			t.Errorf("prose(%q)\ngot  %q\nwant %q", in, got, want)
		}
	}
}

func TestQuotedAndCode(t *testing.T) {
	if got, want := Quoted(" ``` run `rm` \n\n now *please* ", 100), "''' run 'rm' now ∗please∗"; got != want {
		t.Errorf("quoted: %q, want %q", got, want)
	}
	if got, want := Code("jwks`:<x>\n&"), "`jwks':&lt;x&gt; &amp;`"; got != want {
		t.Errorf("code: %q, want %q", got, want)
	}
	if got := Code(" \n"); got != "(empty)" {
		t.Errorf("code of nothing: %q", got)
	}
	if got, want := codes([]string{"a", "b", "c", "d", "e"}, 3), "`a`, `b`, `c` and 2 more"; got != want {
		t.Errorf("codes: %q, want %q", got, want)
	}
}

// A cut never falls into an entity or a code mark, and never exceeds its limit.
func TestCutsAreClean(t *testing.T) {
	entity := regexp.MustCompile(`&(amp|lt|gt);`)
	for _, in := range append([]string{strings.Repeat("ab `c&d<e>` ", 100)}, monstrous...) {
		for n := 4; n < 120; n++ {
			for name, got := range map[string]string{"prose": prose(in, n), "quoted": Quoted(in, n)} {
				if utf8.RuneCountInString(got) > n {
					t.Fatalf("%s(%q, %d) has %d runes: %q", name, runbook.Clip(in, 40), n, utf8.RuneCountInString(got), got)
				}
				if strings.Count(got, "`")%2 != 0 {
					t.Fatalf("%s(%q, %d) leaves a code mark open: %q", name, runbook.Clip(in, 40), n, got)
				}
				if strings.ContainsAny(entity.ReplaceAllString(got, ""), "&<>") {
					t.Fatalf("%s(%q, %d) cuts an entity: %q", name, runbook.Clip(in, 40), n, got)
				}
			}
		}
		for _, r := range Code(in) + Quoted(in, 5000) + prose(in, 5000) {
			if unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' {
				t.Fatalf("control character %U survives", r)
			}
		}
	}
}

func TestMentions(t *testing.T) {
	for id, want := range map[string]string{
		"U012AB3CD": "<@U012AB3CD>", "W1": "<@W1>", "u012": "Ada &lt;!here&gt;", "U1>": "Ada &lt;!here&gt;", "": "Ada &lt;!here&gt;",
	} {
		if got := mention(runbook.PersonRef{ID: id, Name: "Ada <!here>"}); got != want {
			t.Errorf("mention of id %q: %q, want %q", id, got, want)
		}
	}
	for id, want := range map[string]string{"S0LEADS": "<!subteam^S0LEADS>", "S0|x": "S0|x", "": "somebody", "<!channel>": "&lt;!channel&gt;"} {
		if got := mentionID(id); got != want {
			t.Errorf("mention of %q: %q, want %q", id, got, want)
		}
	}
}
