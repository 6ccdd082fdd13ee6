package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLinesFoldOnATerminal(t *testing.T) {
	kid := strings.Repeat("k", 44)
	for _, c := range []struct {
		name   string
		width  int
		indent int
		text   string
		want   []string
	}{
		{"fits", 40, 4, "one two", []string{"one two"}},
		{"empty", 40, 4, "", []string{""}},
		{"hangs", 40, 6, "ok    one two three four five six seven eight", []string{"ok    one two three four five six seven", "      eight"}},
		{"blanks within a line stay", 40, 2, "a    b    c", []string{"a    b    c"}},
		{"an indent of its own stays", 40, 6, "    one two three four five six seven eight", []string{"    one two three four five six seven", "      eight"}},
		{"a long word stays whole", 40, 2, "the kid " + kid + " is live", []string{"the kid", "  " + kid, "  is live"}},
		{"colour takes no room", 40, 2, "\x1b[1;31m" + strings.Repeat("r", 20) + "\x1b[0m " + strings.Repeat("s", 19), []string{"\x1b[1;31m" + strings.Repeat("r", 20) + "\x1b[0m " + strings.Repeat("s", 19)}},
		{"letters count, not bytes", 40, 2, strings.Repeat("…", 20) + " " + strings.Repeat("…", 19), []string{strings.Repeat("…", 20) + " " + strings.Repeat("…", 19)}},
	} {
		if got := foldHanging(c.text, c.width, c.indent); !cmp.Equal(got, c.want) {
			t.Errorf("%s: %s", c.name, cmp.Diff(c.want, got))
		}
	}
}

// What is read by a program, and what is to be copied, is never folded.
func TestLinesStayWholeElsewhere(t *testing.T) {
	long := strings.Repeat("word ", 40) + "end"
	for _, c := range []struct {
		name  string
		width int
		print func(*printer)
	}{
		{"a pipe", 0, func(p *printer) { p.line("%s", long) }},
		{"a terminal too narrow", 20, func(p *printer) { p.line("%s", long) }},
		{"a command", 80, func(p *printer) { p.whole("%s", long) }},
	} {
		var out bytes.Buffer
		c.print(&printer{out: &out, width: c.width})
		if out.String() != long+"\n" {
			t.Errorf("%s: %q", c.name, out.String())
		}
	}
}
