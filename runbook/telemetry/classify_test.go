package telemetry

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// corpus returns the lines, kids and classes of the sample file, in this order.
func corpus(t *testing.T) [][3]string {
	t.Helper()
	dir := os.Getenv("JWKSBOT_CORPUS")
	if dir == "" {
		t.Skip("JWKSBOT_CORPUS is not set: the samples of log lines are not read")
	}
	f, err := os.Open(filepath.Join(dir, "log-lines.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out [][3]string
	for in := bufio.NewScanner(f); in.Scan(); {
		cols := strings.Split(in.Text(), "\t")
		if len(cols) < 3 || cols[0] == "line" {
			continue
		}
		if cols[1] == "None" {
			cols[1] = ""
		}
		out = append(out, [3]string{cols[0], cols[1], cols[2]})
	}
	if len(out) == 0 {
		t.Fatal("log-lines.tsv has no lines")
	}
	return out
}

func newTestClassifier(t testing.TB, extra ...Pattern) *Classifier {
	t.Helper()
	c, err := NewClassifier(extra)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCorpus(t *testing.T) {
	c := newTestClassifier(t)
	for _, s := range corpus(t) {
		class, kid, _ := c.Line(s[0])
		if class != s[2] || kid != s[1] {
			t.Errorf("%s\n got %q, kid %q\nwant %q, kid %q", s[0], class, kid, s[2], s[1])
		}
	}
}

func TestExtraPatterns(t *testing.T) {
	c := newTestClassifier(t,
		Pattern{Class: "unknown_kid", Regexp: `AUTHZ-17 \[(?P<kid>[^\]]+)\]`},
		Pattern{Class: "expired", Regexp: `AUTHZ-18`},
		Pattern{Class: "refreshed", Regexp: `AUTHZ-19`},
	)
	for _, s := range []shape{
		{"AUTHZ-17 [k1] denied", "k1", "unknown_kid"},
		{"AUTHZ-17 [null] denied kid=k2", "k2", "unknown_kid"},
		{"AUTHZ-18 invalid signature kid=k3", "k3", "expired"}, // before the known ones
		{"AUTHZ-19", "", "refreshed"},
		{"AUTHZ-20", "", ""},
	} {
		if class, kid, ok := c.Line(s.line); class != s.class || kid != s.kid || ok != (s.class != "") {
			t.Errorf("%s: got %q, kid %q, %v", s.line, class, kid, ok)
		}
	}
}

func TestFailureClasses(t *testing.T) {
	for class, want := range map[string]bool{"unknown_kid": true, "expired": true, "cold_cache": false, "refreshed": false, "": false, "nope": false} {
		if Failure(class) != want {
			t.Errorf("Failure(%q) = %v", class, !want)
		}
	}
}

// Every class has a shape that shows it.
func TestEveryClassHasAShape(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range shapes {
		seen[s.class] = true
	}
	for class := range classes {
		if !seen[class] {
			t.Errorf("no shape of class %q", class)
		}
	}
}

func TestClassify(t *testing.T) {
	long := strings.Repeat("x", 3*maxLine)
	in := strings.Join([]string{
		"START",
		"JsonWebTokenError: invalid signature\r",
		"",
		"jwt expired " + long,
		long + " jwt expired", // beyond the cut
		`{"event":"unknown_kid","kid":"k1"}`,
		"no newline at the end: jwt expired",
	}, "\n")
	type found struct {
		line       int
		class, kid string
	}
	var got []found
	err := Classify(strings.NewReader(in), newTestClassifier(t), func(line int, class, kid string) error {
		got = append(got, found{line, class, kid})
		return nil
	})
	want := []found{{2, "bad_signature", ""}, {4, "expired", ""}, {6, "unknown_kid", "k1"}, {7, "expired", ""}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v\nwant %v", got, err, want)
	}
}

func TestClassifyEndsWithTheFirstError(t *testing.T) {
	c := newTestClassifier(t)
	full := errors.New("disk is full")
	n := 0
	err := Classify(strings.NewReader(strings.Repeat("jwt expired\n", 5)), c, func(int, string, string) error { n++; return full })
	if !errors.Is(err, full) || n != 1 {
		t.Errorf("%d calls, %v", n, err)
	}
	broken := io.MultiReader(strings.NewReader("jwt expired\n"), iotest.ErrReader(full))
	err = Classify(broken, c, func(int, string, string) error { return nil })
	if !errors.Is(err, full) || !strings.Contains(err.Error(), "reading line 2") {
		t.Errorf("error %v", err)
	}
}

// Anybody can make the authoriser log what they like. A pass that is quadratic
// in the length of a line would not end within the test's time limit.
func TestLongLinesOfStrangers(t *testing.T) {
	c := newTestClassifier(t)
	for _, part := range []string{"kid=", "kid ", "kid not found ", "kid: null ", "key id ", "unable to find key ", "no key ", `kid="`,
		"iss issuer got ", "key 'x' not ", "eyJ.", "no_kid", "    at ", "jwk unknown\n", `{"kid":`, "invalid_signature"} {
		text := strings.Repeat(part, maxLine/4/len(part))
		c.Line(text)
		findIssuer(text)
		sampleText(text)
	}
}
