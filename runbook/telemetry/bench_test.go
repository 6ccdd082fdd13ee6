package telemetry

import (
	"io"
	"runtime"
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
		var heap uint64
		n, lines := 0, millionLines()
		err := Classify(lines, c, func(int, string, string) error {
			if n++; n%10_000 == 0 {
				heap = max(heap, liveHeap())
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(n), "found")
		b.ReportMetric(float64(heap)/(1<<20), "MiB-heap")
	}
}

// liveHeap is what the heap holds, garbage that was not collected yet included.
func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemoryIsFlat: how long a log is does not decide how much of it is held.
func TestMemoryIsFlat(t *testing.T) {
	c := newTestClassifier(t)
	line := strings.Repeat("x", 900) + " invalid signature kid=abc\n"
	const lines = 64 << 10 // 60 MiB
	before, most, n := liveHeap(), uint64(0), 0
	err := Classify(io.LimitReader(&endless{text: line}, int64(lines*len(line))), c, func(int, string, string) error {
		if n++; n%8192 == 0 {
			runtime.GC() // what is left is held
			most = max(most, liveHeap())
		}
		return nil
	})
	if err != nil || n != lines {
		t.Fatalf("%d lines found of %d: %v", n, lines, err)
	}
	t.Logf("the heap held %d KiB before and %d at most", before>>10, most>>10)
	if most > before+16<<20 {
		t.Errorf("the heap grew from %d to %d KiB while 60 MiB went through", before>>10, most>>10)
	}
}

// endless repeats a text.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(b []byte) (n int, _ error) {
	for n < len(b) {
		k := copy(b[n:], e.text[e.at:])
		n, e.at = n+k, (e.at+k)%len(e.text)
	}
	return n, nil
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
