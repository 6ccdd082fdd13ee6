package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// report adds the suite to the two files.
func (r *retest) report(dir string) error {
	if err := add(filepath.Join(dir, "flaky"), r.flakyText()); err != nil {
		return err
	}
	return add(filepath.Join(dir, "summary"), r.summaryText())
}

func add(file, text string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// flakyText is "" without a flaky test.
func (r *retest) flakyText() string {
	var b strings.Builder
	for _, f := range r.flaky {
		fmt.Fprintf(&b, "\nFLAKY %s: %s %s\n-- it failed:\n%s-- and passed alone:\n%s", r.suite, f.pkg, f.failed.name,
			f.failed.output.String(), f.passed.output.String())
	}
	return b.String()
}

// summaryText is go test's line of each package, the longest first.
func (r *retest) summaryText() string {
	var b strings.Builder
	tests, skipped := 0, 0
	packages := slices.Clone(r.packages)
	slices.SortStableFunc(packages, func(p, q *result) int { return cmp.Compare(q.seconds, p.seconds) })
	for _, p := range packages {
		tests, skipped = tests+len(p.tests)+p.subtests, skipped+p.skipped
		fmt.Fprintf(&b, "%-60s %5d tests", strings.ReplaceAll(p.line(), "\t", "  "), len(p.tests)+p.subtests)
		if p.skipped > 0 {
			fmt.Fprintf(&b, ", %d skipped", p.skipped)
		}
		b.WriteByte('\n')
	}
	return fmt.Sprintf("\n%s: %d tests, %d of them skipped, %d flaky\n%s", r.suite, tests, skipped, len(r.flaky), b.String())
}
