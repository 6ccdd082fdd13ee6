package cache

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook/cache/redistest"
)

// purgeKeys is how many of twice as many keys the benchmark deletes; the goal
// of the specification is stated for 1000000.
var purgeKeys = flag.Int("purge-keys", 100_000, "keys that BenchmarkPurge deletes, of twice as many")

func purgeDeletesByNameAlone(t *testing.T, w world) {
	ctx := testContext(t)
	const n = 7_000
	pipe := w.raw.Pipeline()
	for i := range n {
		pipe.Set(ctx, fmt.Sprintf("jwks:%d", i), "k", 0)
		pipe.Set(ctx, fmt.Sprintf("session:%d", i), "s", 0)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	var last int64
	deleted, err := w.store.Purge(ctx, nil, nil, func(n int64) {
		if n < last {
			t.Errorf("progress went back from %d to %d", last, n)
		}
		last = n
	})
	if err != nil {
		t.Fatal(err)
	}
	listed, err := listAll(ctx, w.store)
	if err != nil {
		t.Fatal(err)
	}
	if deleted != n || last != n || len(listed.Entries) != 0 || listed.Others != n {
		t.Errorf("deleted %d (progress %d), left %d and %d others", deleted, last, len(listed.Entries), listed.Others)
	}
}

// What this process may no longer do is not done, in the middle of a purge or
// of a deletion.
func TestNothingIsDeletedWithoutTheLease(t *testing.T) {
	r := redistest.Start(t, redistest.Options{Args: []string{"--enable-debug-command", "local"}})
	r.CLI(t, "debug", "populate", "20000", "jwks")
	s := newStore(t, Settings{URL: "redis://" + r.Addr, MaxEntries: 20000})
	ctx := testContext(t)
	errReplaced := errors.New("another process executes")
	l, takeAway := leaseOf(errReplaced)
	deleted, err := s.Purge(ctx, l, nil, func(int64) { takeAway() })
	if !errors.Is(err, errReplaced) || deleted == 0 || deleted > purgeScan+10 {
		t.Errorf("purged %d, error %v", deleted, err)
	}
	listed, err := listAll(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(listed.Entries))
	for i, e := range listed.Entries {
		names[i] = e.Name
	}
	saved, err := s.Snapshot(ctx, names)
	if err != nil {
		t.Fatal(err)
	}
	l, takeAway = leaseOf(errReplaced)
	err = s.Delete(ctx, saved, l, func([]Result) error { takeAway(); return nil })
	if left, lerr := listAll(ctx, s); !errors.Is(err, errReplaced) || lerr != nil || len(left.Entries) != len(saved)-batchOf {
		t.Errorf("%d of %d left, errors %v, %v", len(left.Entries), len(saved), err, lerr)
	}
	if err := s.Delete(ctx, saved, l, nil); !errors.Is(err, errReplaced) {
		t.Errorf("with a lease that is over: %v", err)
	}
}

// BenchmarkPurge deletes by prefix, and the same in the best polite way that
// was measured before (SCAN COUNT 10000 and one EVAL per page), in turns on
// one server.
func BenchmarkPurge(b *testing.B) {
	r := redistest.Start(b, redistest.Options{Args: []string{"--enable-debug-command", "local",
		"--slowlog-log-slower-than", "500", "--slowlog-max-len", "100000"}})
	s := newStore(b, Settings{URL: "redis://" + r.Addr})
	raw := redis.NewClient(&redis.Options{Addr: r.Addr})
	n := strconv.Itoa(*purgeKeys)
	var mine, peer, slowest, peerSlowest time.Duration
	var memory uint64
	for b.Loop() {
		b.StopTimer()
		prepare(b, r, n)
		peer += timed(func() { evalPerPage(b, raw) })
		peerSlowest = max(peerSlowest, slowestCommand(b, raw))
		prepare(b, r, n)
		runtime.GC()
		peak := watchMemory()
		b.StartTimer()
		mine += timed(func() {
			if deleted, err := s.Purge(context.Background(), nil, nil, nil); err != nil || deleted != int64(*purgeKeys) {
				b.Fatalf("deleted %d: %v", deleted, err)
			}
		})
		b.StopTimer()
		memory = max(memory, peak())
		slowest = max(slowest, slowestCommand(b, raw))
		b.StartTimer()
	}
	b.ReportMetric(float64(mine)/float64(peer), "x_eval_per_page")
	b.ReportMetric(float64(slowest.Microseconds())/1000, "ms_longest_command")
	// On a busy machine the server measures its own waiting for a CPU too:
	// compare with the other way in the same run.
	b.ReportMetric(float64(peerSlowest.Microseconds())/1000, "ms_longest_command_eval")
	b.ReportMetric(float64(memory)/(1<<20), "MiB_client")
}

func prepare(b *testing.B, r *redistest.Server, n string) {
	r.CLI(b, "flushall")
	r.CLI(b, "debug", "populate", n, "jwks", "64")
	r.CLI(b, "debug", "populate", n, "session", "64")
	r.CLI(b, "slowlog", "reset")
}

func timed(fn func()) time.Duration {
	start := time.Now()
	fn()
	return time.Since(start)
}

func evalPerPage(b *testing.B, raw *redis.Client) {
	ctx := context.Background()
	const script = `local n = 0
for i = 1, #KEYS, 1000 do n = n + redis.call('UNLINK', unpack(KEYS, i, math.min(i + 999, #KEYS))) end
return n`
	var cursor uint64
	for {
		names, next, err := raw.Scan(ctx, cursor, "jwks:*", 10000).Result()
		if err != nil {
			b.Fatal(err)
		}
		if len(names) > 0 {
			if err := raw.Eval(ctx, script, names).Err(); err != nil {
				b.Fatal(err)
			}
		}
		if cursor = next; cursor == 0 {
			return
		}
	}
}

func slowestCommand(b *testing.B, raw *redis.Client) time.Duration {
	entries, err := raw.SlowLogGet(context.Background(), -1).Result()
	if err != nil {
		b.Fatal(err)
	}
	var longest time.Duration
	for _, e := range entries {
		if len(e.Args) > 0 && !strings.EqualFold(e.Args[0], "debug") {
			longest = max(longest, e.Duration)
		}
	}
	return longest
}

// watchMemory samples what the Go runtime holds of the system's memory; the
// returned function ends it and tells the peak.
func watchMemory() func() uint64 {
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		var most uint64
		for {
			metrics.Read(samples)
			most = max(most, samples[0].Value.Uint64()-samples[1].Value.Uint64())
			select {
			case <-tick.C:
			case <-stop:
				peak <- most
				return
			}
		}
	}()
	return func() uint64 { close(stop); return <-peak }
}
