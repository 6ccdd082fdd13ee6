package telemetry

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
