package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// once matches the tests that are not run again, as "file:name": those that try
// what is random. A new one is named, or lies in a file that is named, for what
// it is: TestPlanProperty, or any test of plan_property_test.go.
var once = regexp.MustCompile(`(?i)fuzz|propert|kill|storm|zombie`)

var (
	raced    = regexp.MustCompile(`WARNING: DATA RACE|race detected during execution of test`)
	panicked = regexp.MustCompile(`(?m)^(panic: |fatal error: |SIGQUIT: )`)
)

// final says why nothing of a failed package is run again; "" if it may be.
func (p *result) final() string {
	said := p.output.String()
	for _, t := range p.tests {
		said += t.output.String()
	}
	switch unfinished := p.ended(""); {
	case p.unbuilt:
		return "it does not build"
	case strings.Contains(said, "panic: test timed out after"):
		return "a time-out"
	case raced.MatchString(said):
		return "a data race"
	case panicked.MatchString(said):
		return "a panic"
	case len(unfinished) > 0:
		return unfinished[0].name + " did not end"
	case len(p.ended("fail")) == 0:
		return "it failed beside its tests"
	}
	return ""
}

// find names a failed test that tries what is random; "" without one.
func (p *result) find(files map[string]string) string {
	for _, t := range p.ended("fail") {
		if once.MatchString(files[t.name] + ":" + t.name) {
			return "a property, kill or fuzz test: " + t.name
		}
	}
	return ""
}

// testFiles finds the file in which each test of a package is declared.
func testFiles(pkg string) (map[string]string, error) {
	out, err := exec.Command("go", "list", "-f", `{{$d := .Dir}}{{range .TestGoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}`, pkg).Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", pkg, err)
	}
	files := map[string]string{}
	for _, file := range strings.Fields(string(out)) {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, m := range declared.FindAllSubmatch(text, -1) {
			files[string(m[1])] = filepath.Base(file)
		}
	}
	return files, nil
}

var declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)
