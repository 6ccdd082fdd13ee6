package journal

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"jwksbot/runbook"
)

// eachEngineB is eachEngine for benchmarks.
func eachEngineB(b *testing.B, bench func(b *testing.B, url string)) {
	b.Run("sqlite", func(b *testing.B) { bench(b, sqliteURL(b)) })
	b.Run("postgres", func(b *testing.B) { bench(b, postgresURL(b)) })
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	at := func(p int) float64 { return float64(took[min(len(took)*p/100, len(took)-1)].Microseconds()) / 1000 }
	b.ReportMetric(at(50), "p50-ms")
	b.ReportMetric(at(99), "p99-ms")
}

// BenchmarkOpen is opening an existing journal, up to the first answer.
func BenchmarkOpen(b *testing.B) {
	eachEngineB(b, func(b *testing.B, url string) {
		create(b, open(b, url), pending("r1", "a"))
		var took []time.Duration
		for b.Loop() {
			begin := time.Now()
			j, err := Open(context.Background(), Settings{URL: url})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := j.Run(context.Background(), "r1"); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(begin))
			j.Close(context.Background())
		}
		report(b, took)
	})
}

// BenchmarkChange is one decision that does not start anything.
func BenchmarkChange(b *testing.B) {
	eachEngineB(b, func(b *testing.B, url string) {
		j := open(b, url)
		create(b, j, pending("r1", "a"))
		var took []time.Duration
		for b.Loop() {
			begin := time.Now()
			_, err := j.Change(context.Background(), "r1", func(r *runbook.Run) ([]runbook.AuditEntry, error) {
				r.Progress.Done++
				return []runbook.AuditEntry{{Actor: "U1", Kind: "view"}}, nil
			})
			if err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(begin))
		}
		report(b, took)
	})
}

// BenchmarkApproveToFirstStep is the time from the call that approves to the
// first call of advance, in another process's place (a second Journal).
func BenchmarkApproveToFirstStep(b *testing.B) {
	eachEngineB(b, func(b *testing.B, url string) {
		j, other := open(b, url), open(b, url)
		var mu sync.Mutex
		began := map[string]chan time.Time{}
		execute(b, j, func(ctx context.Context, r runbook.Run) (runbook.Transition, error) {
			if r.State == runbook.StateApproved {
				mu.Lock()
				began[r.ID] <- time.Now()
				mu.Unlock()
			}
			return forward(ctx, r)
		})
		eventually(b, "executing", j.Executing)
		warm := true
		var took []time.Duration
		for n := 0; b.Loop(); n++ {
			id := fmt.Sprintf("r%d", n)
			c := make(chan time.Time, 10)
			mu.Lock()
			began[id] = c
			mu.Unlock()
			create(b, other, pending(id, id))
			begin := time.Now()
			if _, err := approve(other, id, "U2"); err != nil {
				b.Fatal(err)
			}
			if d := (<-c).Sub(begin); !warm { // the first one opens the engine
				took = append(took, d)
			}
			warm = false
		}
		if len(took) > 0 {
			report(b, took)
		}
	})
}
