package telemetry

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzLogReader plants a token and a password into any log line and looks for
// them in everything that the reader gives away.
func FuzzLogReader(f *testing.F) {
	for _, s := range shapes {
		f.Add(s.line, "", "k1", uint8(1))
	}
	f.Add(`{"message":"invalid signature","kid":"`, `"}`, "a+b/c=", uint8(2))
	f.Add(`invalid signature kid=`, ` iss=https://idp`, "", uint8(3))
	f.Add(`Issuer not allowed: https://`, `. Expected: https://b`, "", uint8(4))
	f.Add("<html>\x00\xff", "\u2028</html>", "\n", uint8(5))
	c := newTestClassifier(f)
	f.Fuzz(func(t *testing.T, before, after, kid string, kind uint8) {
		const secret = "Zq9vXplantedT0kenW7"
		if strings.Contains(before+after+kid, "plantedT0ken") {
			return
		}
		header, _ := json.Marshal(map[string]string{"alg": "RS256", "kid": kid})
		token := testToken(string(header), `{"iss":"https://idp.example","sub":"`+secret+`"}`) + secret
		planted := []string{token, token, `token='` + token + `'`, "Authorization: Bearer " + secret, `"password":"` + secret + `"`}[int(kind)%5]
		line := before + " " + planted + " " + after

		class, named, ok := c.Line(line)
		if !ok && (class != "" || named != "") {
			t.Errorf("no failure, yet class %q and kid %q", class, named)
		}
		if _, known := classes[class]; ok && !known {
			t.Errorf("unknown class %q", class)
		}
		tal := newTally(t0, t0.Add(time.Minute))
		tal.add(t0, "bad_signature", named, line)
		out, err := json.Marshal(tal.evidence())
		if err != nil {
			t.Fatal(err)
		}
		if hidden := token[strings.LastIndexByte(token, '.')+1:]; strings.Contains(string(out), "plantedT0ken") || strings.Contains(string(out), hidden) {
			t.Errorf("the secret comes out of %q:\n%s", line, out)
		}
		if n := len([]rune(tal.evidence().Samples[0].Text)); n > maxSampleText {
			t.Errorf("sample has %d letters", n)
		}
	})
}

// FuzzAutomaton compares the automaton with a search for each phrase.
func FuzzAutomaton(f *testing.F) {
	for _, s := range shapes {
		f.Add(s.line)
	}
	f.Add(`{"a":"\"INVALID_signature\"","kid":"x"}`)
	all := map[string]bool{}
	for _, r := range rules {
		for _, list := range [][]string{r.any, r.with, r.not} {
			for _, p := range list {
				all[p] = true
			}
		}
	}
	var terms []term
	for p := range all {
		if len(terms) < maxGroups && len(p) > 3 {
			t := term{text: p}
			t.groups.add(len(terms))
			terms = append(terms, t)
		}
	}
	a := newAutomaton(terms)
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, ":=") {
			return // denied values are another rule
		}
		folded := make([]byte, 0, len(line))
		for i := range len(line) {
			if c, ok := foldByte(line[i]); ok {
				folded = append(folded, c)
			}
		}
		found, _ := a.find(line)
		for i, tm := range terms {
			if want := strings.Contains(string(folded), tm.text); found.has(i) != want {
				t.Errorf("%q in %q: %v, want %v", tm.text, line, !want, want)
			}
		}
	})
}

// The order in which events arrive decides nothing.
func TestTallyIsIndependentOfOrder(t *testing.T) {
	type event struct {
		at          int
		class, text string
	}
	events := []event{{1, "expired", "a"}, {2, "bad_signature", "b"}, {3, "bad_signature", "c"}, {4, "bad_signature", "d"}, {5, "bad_signature", "e"}, {61, "unknown_kid", "f"}}
	var want string
	for range 30 {
		tal := newTally(t0, t0.Add(2*time.Minute))
		for _, e := range events {
			tal.add(t0.Add(time.Duration(e.at)*time.Second), e.class, "k", e.text)
		}
		b, _ := json.Marshal(tal.evidence())
		if want == "" {
			want = string(b)
		}
		if string(b) != want {
			t.Fatalf("another order, another evidence:\n%s\n%s", b, want)
		}
		events = slices.Concat(events[1:4], events[:1], events[4:])
		slices.Reverse(events)
	}
}
