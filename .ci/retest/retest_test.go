package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOnceMore runs small packages through the real go test: which failures are
// run again, and what comes of it.
func TestOnceMore(t *testing.T) {
	for _, c := range []struct {
		name, file, code string
		args             []string
		err              string // "" when the suite passes
		again, flaky     bool
	}{
		{name: "passes", code: `func TestA(t *testing.T) {}`},
		{name: "passes alone", code: `func TestA(t *testing.T) { if first() { t.Fatal("unlucky") }; t.Log("lucky") }`, again: true, flaky: true},
		{name: "subtest passes alone", code: `func TestA(t *testing.T) { t.Run("b", func(t *testing.T) { if first() { t.Fatal("unlucky") }; t.Log("lucky") }) }`, again: true, flaky: true},
		{name: "fails twice", code: `func TestA(t *testing.T) { t.Fatal("broken") }`, err: "world TestA failed twice", again: true},
		{name: "is skipped then", code: `func TestA(t *testing.T) { if first() { t.Fatal("unlucky") }; t.Skip("not now") }`, err: "world TestA failed twice", again: true},
		{name: "panics", code: `func TestA(t *testing.T) { if first() { panic("lost") } }`, err: "world: a panic; this is not run again"},
		{name: "panics beside", code: `func TestA(t *testing.T) { t.Parallel(); if first() { go panic("lost"); select {} } }`, err: "world: a panic; this is not run again"},
		{name: "fatal error", code: `func TestA(t *testing.T) { if first() { var mu sync.Mutex; mu.Unlock() } }`, err: "world: a panic; this is not run again"},
		{name: "times out", args: []string{"-timeout=1s"}, code: `func TestA(t *testing.T) { if first() { select {} } }`, err: "world: a time-out; this is not run again"},
		{name: "races", args: []string{"-race"}, code: `func TestA(t *testing.T) { if first() { n := 0; var g sync.WaitGroup; g.Go(func() { n++ }); n++; g.Wait() } }`,
			err: "world: a data race; this is not run again"},
		{name: "exits", code: `func TestA(t *testing.T) { if first() { os.Exit(3) } }`, err: "world: TestA did not end; this is not run again"},
		{name: "fails beside its tests", code: `func TestMain(m *testing.M) { m.Run(); if first() { os.Exit(3) } }; func TestA(t *testing.T) {}`,
			err: "world: it failed beside its tests; this is not run again"},
		{name: "does not build", code: `func TestA(t *testing.T) { unknown() }`, err: "world: it does not build; this is not run again"},
		{name: "no such package", args: []string{"./none"}, code: `func TestA(t *testing.T) {}`, err: "./none: it does not build; this is not run again"},
		{name: "kill test", code: `func TestKilledAtOnce(t *testing.T) { if first() { t.Fatal("lost") } }`, err: "world: a property, kill or fuzz test: TestKilledAtOnce; this is not run again"},
		{name: "by its file", file: "plan_property_test.go", code: `func TestA(t *testing.T) { if first() { t.Fatal("lost") } }`, err: "world: a property, kill or fuzz test: TestA; this is not run again"},
		{name: "fuzz test", code: `func FuzzA(f *testing.F) { f.Add(1); f.Fuzz(func(t *testing.T, n int) { if first() { t.Fatal("lost") } }) }`,
			err: "world: a property, kill or fuzz test: FuzzA; this is not run again"},
		{name: "nothing to test", code: `var _ = first`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(world(t, c.file, c.code))
			var out bytes.Buffer
			r := &retest{suite: "plain", args: append([]string{"-count=1", "-vet=off", "."}, c.args...), out: &out, test: goTest, files: testFiles}
			got := ""
			if err := r.run(); err != nil {
				got = err.Error()
			}
			if got != c.err {
				t.Errorf("got %q, want %q\n%s", got, c.err, out.String())
			}
			if again := strings.Contains(out.String(), "== once more, alone: world TestA"); again != c.again {
				t.Errorf("run again: %v, want %v\n%s", again, c.again, out.String())
			}
			text := r.flakyText()
			for _, part := range []string{"FLAKY plain: world TestA", "unlucky", "passed alone", "lucky\n"} {
				if strings.Contains(text, part) != c.flaky {
					t.Errorf("%q in the flaky tests, want %v:\n%s", part, c.flaky, text)
				}
			}
		})
	}
}

// world makes a module with one test file and goes there.
func world(t *testing.T, file, code string) string {
	if file == "" {
		file = "a_test.go"
	}
	const kit = `package world

import (
	"os"
	"sync"
	"testing"
)

var _ sync.Mutex
var _ testing.TB

// first says whether it is called for the first time, also in another process.
func first() bool { return os.Mkdir("been", 0o755) == nil }

`
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module world\n\ngo 1.26\n", file: kit + code, "doc.go": "// Package world is tested.\npackage world\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestSummary: the longest package first, in go test's own words, and the flaky
// tests of each suite, added to what other suites wrote.
func TestSummary(t *testing.T) {
	events := `{"Action":"output","Package":"a","Output":"ok  \ta\t1.0s\n"}
{"Action":"pass","Package":"a","Elapsed":1}
{"Action":"run","Package":"b","Test":"TestB"}
{"Action":"skip","Package":"b","Test":"TestB/c"}
{"Action":"pass","Package":"b","Test":"TestB"}
{"Action":"output","Package":"b","Output":"FAIL\n"}
{"Action":"output","Package":"b","Output":"FAIL\tb\t3.0s\n"}
{"Action":"fail","Package":"b","Elapsed":3}
{"Action":"output","Package":"c","Output":"?   \tc\t[no test files]\n"}
{"Action":"skip","Package":"c"}
go: a word of go itself
`
	var out bytes.Buffer
	seen := results{out: &out}
	if err := seen.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	if want := "ok  \ta\t1.0s\nFAIL\nFAIL\tb\t3.0s\n?   \tc\t[no test files]\ngo: a word of go itself\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	dir := t.TempDir()
	for _, suite := range []string{"plain", "race"} {
		r := &retest{suite: suite, packages: seen.packages, flaky: []flake{{"b", &test{name: "TestB"}, &test{name: "TestB"}}}}
		if err := r.report(dir); err != nil {
			t.Fatal(err)
		}
	}
	summary, err := os.ReadFile(filepath.Join(dir, "summary"))
	if err != nil {
		t.Fatal(err)
	}
	half := "2 tests, 1 of them skipped, 1 flaky\n" +
		"FAIL  b  3.0s                                                    2 tests, 1 skipped\n" +
		"ok    a  1.0s                                                    0 tests\n" +
		"?     c  [no test files]                                         0 tests\n"
	if want := "\nplain: " + half + "\nrace: " + half; string(summary) != want {
		t.Errorf("got\n%s\nwant\n%s", summary, want)
	}
	flaky, err := os.ReadFile(filepath.Join(dir, "flaky"))
	if err != nil || strings.Count(string(flaky), "FLAKY ") != 2 {
		t.Errorf("%v: %s", err, flaky)
	}
}
