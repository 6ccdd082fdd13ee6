package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is a line of go test -json; go doc test2json tells of its fields.
type event struct {
	Action, Package, Test, Output, FailedBuild string
	Elapsed                                    float64 // seconds
}

// result is what became of a package.
type result struct {
	name     string
	end      string // "pass", "fail", "skip" without tests, "" while it runs
	unbuilt  bool
	seconds  float64
	output   strings.Builder // what belongs to no test, the last line among it
	tests    []*test         // top-level tests as they began
	subtests int
	skipped  int // tests and subtests
}

// test is a top-level test with everything that its subtests said.
type test struct {
	name   string
	end    string // "pass", "fail", "skip", "" while it runs
	output strings.Builder
}

// results collects events. What belongs to no package is printed at once, and
// a package when it ends.
type results struct {
	out      io.Writer
	packages []*result // as they began
}

func (r *results) read(events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		switch {
		case len(line) == 0:
		case json.Unmarshal(line, &e) != nil:
			fmt.Fprintf(r.out, "%s", line) // a complaint of go test itself
		default:
			r.take(e)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("events of go test: %w", err)
		}
	}
}

func (r *results) take(e event) {
	if e.Package == "" { // the compiler speaks
		fmt.Fprint(r.out, e.Output)
		return
	}
	p := r.result(e.Package)
	switch {
	case e.Test != "":
		p.take(e)
	case e.Action == "output":
		p.output.WriteString(e.Output)
	case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
		p.end, p.seconds, p.unbuilt = e.Action, e.Elapsed, e.FailedBuild != ""
		p.print(r.out)
	}
}

func (r *results) result(name string) *result {
	for _, p := range r.packages {
		if p.name == name {
			return p
		}
	}
	p := &result{name: name}
	r.packages = append(r.packages, p)
	return p
}

// take adds an event of a test or of one of its subtests.
func (p *result) take(e event) {
	name, _, sub := strings.Cut(e.Test, "/")
	t := p.test(name)
	switch e.Action {
	case "output":
		t.output.WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Action == "skip" {
			p.skipped++
		}
		if sub {
			p.subtests++
		} else {
			t.end = e.Action
		}
	}
}

func (p *result) test(name string) *test {
	for _, t := range p.tests {
		if t.name == name {
			return t
		}
	}
	t := &test{name: name}
	p.tests = append(p.tests, t)
	return t
}

// print is what go test without -v prints of the package.
func (p *result) print(out io.Writer) {
	if p.end == "fail" {
		for _, t := range p.tests {
			if t.end == "fail" || t.end == "" {
				fmt.Fprint(out, t.output.String())
			}
		}
		fmt.Fprint(out, p.output.String())
		return
	}
	fmt.Fprintln(out, p.line())
}

// line is the last line of the package: "ok  \tpackage\t1.2s".
func (p *result) line() string {
	text := strings.TrimRight(p.output.String(), "\n")
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// ended are the tests with that end.
func (p *result) ended(end string) (all []*test) {
	for _, t := range p.tests {
		if t.end == end {
			all = append(all, t)
		}
	}
	return all
}

// failed are the packages that did not pass; one whose end was never told is
// among them.
func (r *results) failed() (all []*result) {
	for _, p := range r.packages {
		if p.end != "pass" && p.end != "skip" {
			all = append(all, p)
		}
	}
	return all
}
