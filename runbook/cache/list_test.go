package cache

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"jwksbot/runbook"
	"jwksbot/runbook/cache/redistest"
)

func TestListStopsAtItsLimits(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	ctx := testContext(t)
	raw := redis.NewClient(&redis.Options{Addr: r.Addr})
	for i := range 30 {
		raw.Set(ctx, fmt.Sprintf("jwks:%02d", i), strings.Repeat("k", 1000), 0)
		raw.Set(ctx, fmt.Sprintf("other:%02d", i), "o", 0)
	}
	for _, c := range []struct {
		entries   int
		bytes     int64
		want      int
		truncated bool
	}{{30, 30_000, 30, false}, {29, 0, 29, true}, {0, 10_500, 10, true}, {0, 0, 30, false}} {
		s := newStore(t, Settings{URL: "redis://" + r.Addr, MaxEntries: c.entries, MaxBytes: c.bytes})
		listed, err := listAll(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		if len(listed.Entries) != c.want || listed.Truncated != c.truncated || listed.Others != 30 {
			t.Errorf("limits %d, %d: %d entries, truncated %v, %d others; want %d, %v, 30",
				c.entries, c.bytes, len(listed.Entries), listed.Truncated, listed.Others, c.want, c.truncated)
		}
	}
}

func TestListOfLargeEntries(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	ctx := testContext(t)
	raw := redis.NewClient(&redis.Options{Addr: r.Addr})
	for name, size := range map[string]int{"jwks:1": firstRead - 1, "jwks:2": firstRead, "jwks:3": firstRead + 1, "jwks:4": maxValue, "jwks:5": maxValue + 1} {
		raw.Set(ctx, name, strings.Repeat("v", size), 0)
	}
	pipe := raw.Pipeline()
	for i := range maxParts + 1 {
		pipe.RPush(ctx, "jwks:6", i)
		pipe.HSet(ctx, "jwks:7", i, "v")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	listed, err := listAll(ctx, newStore(t, Settings{URL: "redis://" + r.Addr}))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{firstRead - 1, firstRead, firstRead + 1, maxValue, 0} {
		e := listed.Entries[i]
		if len(e.Value) != want || e.Bytes < want || want == 0 && e.Bytes != maxValue+1 {
			t.Errorf("%s: value of %d bytes, size %d; want %d", e.Name, len(e.Value), e.Bytes, want)
		}
	}
	if e := listed.Entries[5]; e.Parts != nil || e.Bytes == 0 {
		t.Errorf("an overlong list has %d parts, %d bytes", len(e.Parts), e.Bytes)
	}
}

func TestSnapshotRefusesTooMuch(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	r.CLI(t, "set", "jwks:1", strings.Repeat("abcdefghij", 30))
	r.CLI(t, "config", "set", "rdbcompression", "no")
	s := newStore(t, Settings{URL: "redis://" + r.Addr, MaxBytes: 200})
	_, err := s.Snapshot(testContext(t), []string{"jwks:1"})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("error = %v", err)
	}
}

// A snapshot comes in pages of their order, and ends where somebody cannot keep
// one.
func TestTakeInPages(t *testing.T) {
	r, ctx := redistest.Start(t, redistest.Options{}), testContext(t)
	raw := redis.NewClient(&redis.Options{Addr: r.Addr})
	defer raw.Close()
	var names, got []string
	pipe := raw.Pipeline()
	for i := range 2*pageEntries + 500 {
		names = append(names, fmt.Sprintf("jwks:%04d", i))
		pipe.Set(ctx, names[i], "v", 0)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	s := newStore(t, Settings{URL: "redis://" + r.Addr})
	var sizes []int
	if err := s.Take(ctx, append([]string{"jwks:absent"}, names...), func(page []runbook.Saved) error {
		sizes = append(sizes, len(page))
		for _, e := range page {
			got = append(got, e.Name)
		}
		return nil
	}); err != nil || !slices.Equal(got, names) || !slices.Equal(sizes, []int{pageEntries, pageEntries, 500}) {
		t.Errorf("%d names in pages of %v, %v", len(got), sizes, err)
	}
	full, pages := errors.New("the disk is full"), 0
	if err := s.Take(ctx, names, func([]runbook.Saved) error { pages++; return full }); !errors.Is(err, full) || pages != 1 {
		t.Errorf("%d pages after an error: %v", pages, err)
	}
}

// severalPatterns have a beginning in common, and more.
var severalPatterns = []string{"jwks:*", "jw[kt]s?-old:*", "jwks-old:*", "jwt:[a-c]"}

func listWithSeveralPatterns(t *testing.T, w world) {
	ctx := testContext(t)
	for _, n := range []string{"jwks:a", "jwks-old:b", "jwt:c", "jwks", "session"} {
		w.raw.Set(ctx, n, "v", 0)
	}
	w.store.settings.Patterns = severalPatterns
	listed, err := listAll(ctx, w.store)
	var names []string
	for _, e := range listed.Entries {
		names = append(names, e.Name)
	}
	if got := strings.Join(names, " "); err != nil || got != "jwks-old:b jwks:a jwt:c" || listed.Others != 2 {
		t.Errorf("names %q, others %d, error %v", got, listed.Others, err)
	}
}

// A small cache is read in four round trips: HELLO, CLUSTER SLOTS, SCAN with
// DBSIZE, values. Each costs a check its time on the wire.
func TestListNeedsFewRoundTrips(t *testing.T) {
	r := redistest.Start(t, redistest.Options{})
	for i := range 20 {
		r.CLI(t, "set", fmt.Sprintf("jwks:%d", i), "v")
	}
	addr, trips := countTrips(t, r.Addr)
	if listed, err := listAll(testContext(t), newStore(t, Settings{URL: "redis://" + addr})); err != nil || len(listed.Entries) != 20 {
		t.Fatalf("listed %d: %v", len(listed.Entries), err)
	}
	if n := trips.Load(); n != 4 {
		t.Errorf("%d round trips, want 4", n)
	}
}

// countTrips is a proxy that counts how often a request follows an answer.
func countTrips(t testing.TB, target string) (string, *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var trips atomic.Int32
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				return
			}
			var answered atomic.Bool
			answered.Store(true)
			go func() {
				_, _ = io.Copy(client, readerFunc(func(p []byte) (int, error) {
					n, err := server.Read(p)
					answered.Store(true)
					return n, err
				}))
				client.Close()
			}()
			go func() {
				_, _ = io.Copy(server, readerFunc(func(p []byte) (int, error) {
					n, err := client.Read(p)
					if n > 0 && answered.Swap(false) {
						trips.Add(1)
					}
					return n, err
				}))
				server.Close()
			}()
		}
	}()
	return l.Addr().String(), &trips
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
