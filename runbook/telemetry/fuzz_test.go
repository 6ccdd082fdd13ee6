package telemetry

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// plantings are the ways in which a secret gets into a log line. Each holds the
// word "planted", in some case, where the secret itself is.
func plantings(kid string) []string {
	const secret = "Zq9vXplantedT0kenW7"
	header, _ := json.Marshal(map[string]string{"alg": "RS256", "kid": kid}) // strings always marshal
	token := testToken(string(header), `{"iss":"https://idp.example","sub":"`+secret+`"}`) + secret
	return []string{
		token,
		`token='` + token + `'`,
		"Authorization: Bearer " + token,
		"Authorization: Bearer " + secret,
		"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("user:planted")) + secret,
		`"authorization":"Bearer ` + secret + `"`,
		`"password":"` + secret + `"`,
		"password=" + secret,
		"redis://user:" + secret + "@cache:6379",
		"AKIAPLANTEDQ7W8E9R0T",
		"aws_secret_access_key=" + secret + "/abcdefghijklmnop+qrst",
		"xoxb-1234567890-" + secret,
		"xapp-1-A0-1234567890-" + secret,
		"https://hooks.slack.com/services/T0/B0/" + secret,
		"-----BEGIN PRIVATE KEY-----\nMIIE" + secret + "\n-----END PRIVATE KEY-----",
	}
}

// FuzzLogReader plants a secret into any log line and looks for it in all that
// the reader gives away.
func FuzzLogReader(f *testing.F) {
	for i, s := range shapes {
		f.Add(s.line, "", "k1", uint8(i))
	}
	f.Add(`{"message":"invalid signature","kid":"`, `"}`, "a+b/c=", uint8(2))
	f.Add(`invalid signature kid=`, ` iss=https://idp`, "", uint8(3))
	f.Add(`Issuer not allowed: https://`, `. Expected: https://b`, "", uint8(4))
	f.Add("<html>\x00\xff", "\u2028</html>", "\n", uint8(5))
	c := newTestClassifier(f)
	f.Fuzz(func(t *testing.T, before, after, kid string, kind uint8) {
		if strings.Contains(strings.ToLower(before+after+kid), "planted") {
			return
		}
		all := plantings(kid)
		planted := all[int(kind)%len(all)]
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
		tal.addKid(named)
		out, err := json.Marshal(tal.evidence())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(string(out)), "planted") {
			t.Errorf("the secret comes out of %q:\n%s", line, out)
		}
		if n := len([]rune(tal.evidence().Samples[0].Text)); n > maxSampleText {
			t.Errorf("sample has %d letters", n)
		}
	})
}

// FuzzWrappedLine: what is recognised bare is recognised in every wrapping of
// runtimes and loggers, and nothing more, with the same kid.
func FuzzWrappedLine(f *testing.F) {
	for i := range logWrappings {
		f.Add("", shapes[i].line, "", uint8(i))
		f.Add("x ", shapes[len(shapes)-1-i].line, " (denied)", uint8(i))
	}
	c := newTestClassifier(f)
	f.Fuzz(func(t *testing.T, before, line, after string, kind uint8) {
		text := before + line + after
		if !utf8.ValidString(text) || len(text) > 2000 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f || r > 0x7e }) {
			return // what escapes are made of; the shapes have those
		}
		text = strings.TrimSpace(text)
		w := logWrappings[int(kind)%len(logWrappings)]
		class, kid, _ := c.Line(text)
		if wrapped, in, _ := c.Line(w.wrap(text)); wrapped != class || in != kid {
			t.Errorf("%s: %s\n got %q, kid %q\nbare %q, kid %q", w.name, w.wrap(text), wrapped, in, class, kid)
		}
	})
}

// FuzzAccessLog: one request is answered alike in every format of access logs,
// whatever the client writes into its part of the line.
func FuzzAccessLog(f *testing.F) {
	f.Add("/a?b=403", "curl/8 401", uint16(401))
	f.Add(`/"x" 200 `, "", uint16(200))
	f.Add("", "</status>", uint16(403))
	f.Fuzz(func(t *testing.T, path, agent string, code uint16) {
		want := fmt.Sprint(100 + code%500)
		text, _ := json.Marshal(map[string]string{"path": path, "userAgent": agent, "status": want, "integrationStatus": "200"})
		number, _ := json.Marshal(map[string]any{"requestId": agent, "httpMethod": path, "status": 100 + code%500})
		for _, line := range []string{string(text), string(number)} {
			if got := status(line); got != want {
				t.Errorf("%s: got %q, want %q", line, got, want)
			}
		}
		// The gateway writes paths percent-encoded and quotes escaped; what the
		// client controls stands behind the status in the formats that AWS gives
		// as examples, but for the path.
		escaped := url.PathEscape(path)
		for _, line := range []string{
			`10.0.0.1 - - [22/Nov/2026:10:00:00 +0000] "GET /` + escaped + ` HTTP/1.1" ` + want + ` 27 ` + agent,
			`10.0.0.1,-,-,22/Nov/2026:10:00:00 +0000,GET,/` + strings.ReplaceAll(escaped, ",", "%2C") + `,HTTP/1.1,` + want + `,27,` + agent,
		} {
			if strings.HasPrefix(line, "{") || strings.ContainsAny(line, "\r\n") {
				continue
			}
			if got := status(line); got != want {
				t.Errorf("%s: got %q, want %q", line, got, want)
			}
		}
		if got := status(path + agent); got != "" && (len(got) != 3 || got[0] < '1' || got[0] > '5') {
			t.Errorf("%q: status %q", path+agent, got)
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
