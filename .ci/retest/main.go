// Retest runs go test, and runs a failed test once more, alone: if it passes
// then, the suite passes and the test is told as flaky, with both outputs. A
// flaky test stops nobody today; it is a defect to be mended next.
//
//	retest -suite NAME -reports DIR -- GO-TEST-FLAGS PACKAGES
//
// Flags of go test are written -name=value. A package is printed when it ends,
// as go test does: its ok line, and what its failed tests said. Two files in
// DIR are for the end of a longer script, each suite adds to them: "flaky" has
// the flaky tests, "summary" each package's last line and number of tests, the
// longest first.
//
// Some failures are not run again: a data race, a panic, a time-out of go test,
// a build that fails, a package that fails beside its tests, and a failed
// property, kill or fuzz test (see [once]): what such a test finds at random is
// a find, however seldom it comes.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

func main() {
	suite := flag.String("suite", "tests", "the name of the suite in the reports")
	reports := flag.String("reports", ".", "the directory of the files flaky and summary")
	flag.Parse()
	r := &retest{suite: *suite, args: flag.Args(), out: os.Stdout, test: goTest, files: testFiles}
	err := r.run()
	if rerr := r.report(*reports); rerr != nil {
		fmt.Fprintln(os.Stderr, "retest:", rerr)
		os.Exit(2)
	}
	if err != nil {
		fmt.Printf("FAIL %s: %v\n", *suite, err)
		os.Exit(1)
	}
}

// retest is one suite.
type retest struct {
	suite string
	args  []string // of go test
	out   io.Writer
	test  func(args []string, events func(io.Reader) error) (passed bool, err error)
	files func(pkg string) (map[string]string, error) // the file of each test

	packages []*result // of the first run
	flaky    []flake
}

// flake is a test that failed first and passed then.
type flake struct {
	pkg            string
	failed, passed *test
}

// run runs the suite, and once more what failed and may be. An error says why
// the suite failed.
func (r *retest) run() error {
	first := results{out: r.out}
	passed, err := r.test(r.args, first.read)
	r.packages = first.packages
	if err != nil || passed {
		return err
	}
	failed := first.failed()
	if len(failed) == 0 {
		return fmt.Errorf("go test failed, and no package of it")
	}
	if err := r.final(failed); err != nil {
		return err
	}
	for _, p := range failed {
		if err := r.again(p); err != nil {
			return err
		}
	}
	return nil
}

// final is an error when something failed that is not run again.
func (r *retest) final(failed []*result) error {
	for _, p := range failed {
		why := p.final()
		if why == "" {
			files, err := r.files(p.name)
			if err != nil {
				return err
			}
			why = p.find(files)
		}
		if why != "" {
			return fmt.Errorf("%s: %s; this is not run again", p.name, why)
		}
	}
	return nil
}

// again runs each failed test of a package alone. The first one that fails
// twice ends it.
func (r *retest) again(p *result) error {
	for _, t := range p.ended("fail") {
		fmt.Fprintf(r.out, "\n== once more, alone: %s %s\n", p.name, t.name)
		second := results{out: r.out}
		passed, err := r.test(r.alone(p.name, t.name), second.read)
		if err != nil {
			return err
		}
		u := second.result(p.name).test(t.name)
		if !passed || u.end != "pass" {
			return fmt.Errorf("%s %s failed twice", p.name, t.name)
		}
		r.flaky = append(r.flaky, flake{p.name, t, u})
	}
	return nil
}

// alone are the arguments of go test for one test.
func (r *retest) alone(pkg, name string) []string {
	var args []string
	for _, a := range r.args {
		if strings.HasPrefix(a, "-") {
			args = append(args, a)
		}
	}
	return append(args, "-count=1", "-run=^"+name+"$", pkg)
}

// goTest runs go test and hands over its events.
func goTest(args []string, events func(io.Reader) error) (passed bool, err error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	if err := events(out); err != nil {
		return false, err
	}
	err = cmd.Wait()
	if _, failed := err.(*exec.ExitError); failed {
		return false, nil
	}
	return err == nil, err
}
