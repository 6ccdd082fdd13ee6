package telemetry

import (
	"io"
	"strings"
	"testing"
)

// millionLines is a log of a busy authoriser: mostly successes, with every
// kind of failure among them.
func millionLines() io.Reader {
	var b strings.Builder
	for i, s := range shapes {
		for range 9 {
			b.WriteString("2026-11-22T10:00:00.000Z\t3f2a9c1e-0000-4000-8000-000000000000\tINFO\t")
			b.WriteString(`{"level":"info","message":"token validated","kid":"abcdefghijklmnopqrsexample=","iss":"https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_A","aud":"api","ms":3}` + "\n")
		}
		b.WriteString(strings.ReplaceAll(s.line, "\n", " ") + "\n")
		_ = i
	}
	block := b.String()
	lines := strings.Count(block, "\n")
	readers := make([]io.Reader, 1+1_000_000/lines)
	for i := range readers {
		readers[i] = strings.NewReader(block)
	}
	return io.MultiReader(readers...)
}

func BenchmarkClassifyMillionLines(b *testing.B) {
	c := newTestClassifier(b)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := Classify(millionLines(), c, func(int, string, string) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(n), "found")
	}
}

// Failures alone are the worst case of an incident.
func BenchmarkLineFailures(b *testing.B) {
	c := newTestClassifier(b)
	for b.Loop() {
		for _, s := range shapes {
			c.Line(s.line)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(shapes)), "ns/line")
}
