package main

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"sync"
	"unicode/utf8"

	"jwksbot/runbook"
	"jwksbot/runbook/redact"
)

// Everything that the program prints goes through here: what came from outside
// can neither paint nor move on a terminal, and no password of a URL is shown.

// clean makes one line of text from outside.
func clean(s string) string { return runbook.Clean(redact.URLs(s)) }

// screen is a writer of clean lines. The letters that a write cuts off in the
// middle wait for the next one.
type screen struct {
	to io.Writer

	mu   sync.Mutex
	rest []byte
}

// Write cleans and passes on.
func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := append(s.rest, b...)
	whole := len(text)
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if at := len(text) - back; utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				whole = at
			}
			break
		}
	}
	s.rest = bytes.Clone(text[whole:])
	if _, err := io.WriteString(s.to, runbook.CleanText(redact.URLs(string(text[:whole])))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// painted is text of the program itself with the sequences that colour it.
type painted string

// words formats a line in which only what is painted may hold control characters.
func words(format string, args []any) string {
	for i, a := range args {
		switch a := a.(type) {
		case painted:
		case error:
			args[i] = clean(a.Error())
		case fmt.Stringer:
			args[i] = clean(a.String())
		default:
			if v := reflect.ValueOf(a); v.Kind() == reflect.String {
				args[i] = clean(v.String())
			}
		}
	}
	return fmt.Sprintf(format, args...)
}

// exactly is a writer of JSON, whose strings keep what they hold: what a terminal
// must not see is escaped. Every write holds whole documents.
type exactly struct{ to io.Writer }

// Write escapes and passes on.
func (e exactly) Write(b []byte) (int, error) {
	var out bytes.Buffer
	for _, r := range string(b) {
		switch {
		case r == '\n' || r == '\t' || runbook.Clean(string(r)) == string(r):
			out.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	if _, err := e.to.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}
