package drill

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"jwksbot/runbook"
)

// fastClock runs factor times faster than real time.
type fastClock struct {
	start  time.Time
	factor time.Duration
}

func newFastClock(factor time.Duration) fastClock { return fastClock{time.Now(), factor} }

func (c fastClock) Now() time.Time {
	return c.start.Add(time.Since(c.start) * c.factor).UTC()
}

func (c fastClock) Wait(ctx context.Context, d time.Duration) error {
	return runbook.SystemClock{}.Wait(ctx, d/c.factor)
}

func startWorld(t *testing.T, o Options) *World {
	t.Helper()
	if o.Clock == nil {
		o.Clock = newFastClock(60)
	}
	w, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w
}

// quietWorld is a healthy world with little traffic, which starts quickly.
func quietWorld(t *testing.T) *World {
	t.Helper()
	return startWorld(t, Options{Scenario: "healthy", RequestsPerMinute: 12})
}

// eventually polls until the condition holds, and ends the test with its last
// complaint when it never does.
func eventually(t *testing.T, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// signInsSucceed waits until nearly all sign-ins succeed (or fail). It looks at
// the newest minute that has requests: on a slow machine the traffic lags behind
// a fast clock.
func signInsSucceed(t *testing.T, w *World, want bool) {
	t.Helper()
	eventually(t, func() error {
		rate, ok := newestRate(w.State())
		switch {
		case !ok:
			return fmt.Errorf("no requests")
		case want && rate < 0.95, !want && rate > 0.3:
			return fmt.Errorf("success rate is %.2f", rate)
		}
		return nil
	})
}

func newestRate(s State) (rate float64, ok bool) {
	for _, m := range slices.Backward(s.Minutes) {
		if all := m.OK + m.Failed; all >= 10 {
			return float64(m.OK) / float64(all), true
		}
	}
	return 0, false
}

// deleteEntry deletes the cached key set as a flush does: on a connection of
// its own.
func deleteEntry(t *testing.T, w *World) {
	t.Helper()
	s := newStore(w.RedisAddr(), w.opts.RedisUsername, w.opts.RedisPassword)
	defer s.close()
	if err := s.del(t.Context(), w.KeyName()); err != nil {
		t.Fatal(err)
	}
}

func TestFlushHealsStaleCache(t *testing.T) {
	w := startWorld(t, Options{OtherKeys: 1200})
	signInsSucceed(t, w, false)
	s := w.State()
	if len(s.CachedKids) != 1 || len(s.LiveKids) != 1 || s.CachedKids[0] == s.LiveKids[0] {
		t.Fatalf("cached %q, live %q: want one each and different", s.CachedKids, s.LiveKids)
	}
	deleteEntry(t, w)
	signInsSucceed(t, w, true)
	if s := w.State(); !slices.Equal(s.CachedKids, s.LiveKids) {
		t.Errorf("after the flush: cached %q, live %q", s.CachedKids, s.LiveKids)
	}
}

func TestRotationBreaksHealthyWorld(t *testing.T) {
	w := startWorld(t, Options{Scenario: "healthy", KeyName: "jwks:eu-west-2_Drill0001"})
	signInsSucceed(t, w, true)
	before := w.State()
	if err := w.Rotate(Rotation{}); err != nil {
		t.Fatal(err)
	}
	signInsSucceed(t, w, false)
	s := w.State()
	if s.SigningKid == before.SigningKid || !slices.Equal(s.CachedKids, before.LiveKids) {
		t.Errorf("signing %q, cached %q; before: live %q", s.SigningKid, s.CachedKids, before.LiveKids)
	}
	deleteEntry(t, w)
	signInsSucceed(t, w, true)
}

// A cache that nobody flushes heals when its TTL ends, because the in-process
// Redis ages with the clock.
func TestStaleCacheHealsWhenItExpires(t *testing.T) {
	w := startWorld(t, Options{Clock: newFastClock(600), RequestsPerMinute: 30})
	signInsSucceed(t, w, false)
	signInsSucceed(t, w, true)
}

func TestWithLoginAndRealTime(t *testing.T) {
	begun := time.Now()
	w := startWorld(t, Options{Clock: runbook.SystemClock{}, RedisUsername: "app", RedisPassword: "drill-pass"})
	if s := w.State(); s.CacheNote != "" || len(s.CachedKids) != 1 {
		t.Errorf("cached %q (%s)", s.CachedKids, s.CacheNote)
	}
	checkTTL(t, w, begun)
}

// checkTTL holds the entry's TTL against 43 minutes at the start of the world,
// less what its clock has run since before that, however long that took.
func checkTTL(t *testing.T, w *World, begun time.Time) {
	t.Helper()
	const fresh = 43 * time.Minute
	ttl := time.Duration(w.State().CachedTTL) * time.Second
	if least := fresh - w.clock.Now().Sub(begun) - time.Second; ttl < least || ttl > fresh {
		t.Errorf("TTL is %v, want %v to %v", ttl, least, fresh)
	}
}

func TestUnknownScenario(t *testing.T) {
	_, err := Start(t.Context(), Options{Scenario: "sunshine"})
	const want = `start drill: unknown scenario "sunshine": use one of stale, healthy, `
	if err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
		t.Errorf("got %v", err)
	}
}

func TestUnreachableRedis(t *testing.T) {
	if _, err := Start(t.Context(), Options{RedisAddr: "127.0.0.1:1"}); err == nil {
		t.Error("started without a Redis")
	}
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	w, err := Start(t.Context(), Options{Clock: newFastClock(60)})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Rotate(Rotation{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() error {
		if n := runtime.NumGoroutine(); n > before {
			return fmt.Errorf("%d goroutines, %d before", n, before)
		}
		return nil
	})
}

func BenchmarkStart(b *testing.B) {
	for _, s := range Scenarios() {
		b.Run(s.Name, func(b *testing.B) {
			for b.Loop() {
				w, err := Start(b.Context(), Options{Scenario: s.Name, OtherKeys: 1200})
				if err != nil {
					b.Fatal(err)
				}
				_ = w.Close()
			}
		})
	}
}
