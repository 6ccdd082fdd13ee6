package main

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// narrowest is the width below which the terminal breaks lines by itself: with
// an indent there would be no room left.
const narrowest = 40

// line prints a line. What is too long for the terminal goes on in the next
// lines, a little further to the right than it began.
func (p *printer) line(format string, args ...any) {
	text := words(format, args)
	p.put(len(text)-len(strings.TrimLeft(text, " "))+4, text)
}

// hang prints a line that goes on in a given column.
func (p *printer) hang(indent int, format string, args ...any) {
	p.put(indent, words(format, args))
}

// whole prints a line that is never broken: a command to copy.
func (p *printer) whole(format string, args ...any) { p.print(words(format, args)) }

func (p *printer) print(line string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.out, line)
	}
}

func (p *printer) put(indent int, text string) {
	if p.width < narrowest {
		p.print(text)
		return
	}
	for _, l := range foldHanging(text, p.width, min(indent, p.width/2)) {
		p.print(l)
	}
}

// paint is what colours a text without taking room.
var paint = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("\x1b\\[[0-9;]*m") })

func columnsOf(s string) int { return utf8.RuneCountInString(paint().ReplaceAllString(s, "")) }

// foldHanging breaks a text at blanks into lines of at most width columns; all
// but the first begin with an indent. Blanks within a line stay as they are,
// and a word that is longer than a line stays whole: it may be a kid to copy.
func foldHanging(text string, width, indent int) (lines []string) {
	line, bare := "", true // bare: no word stands on it yet
	for i, word := range strings.Split(text, " ") {
		next := line + " " + word
		if i == 0 {
			next = word
		}
		if !bare && word != "" && columnsOf(next) > width {
			lines = append(lines, strings.TrimRight(line, " "))
			next = strings.Repeat(" ", indent) + word
		}
		line, bare = next, bare && word == ""
	}
	return append(lines, strings.TrimRight(line, " "))
}
