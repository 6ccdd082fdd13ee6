package drill

import (
	"strings"
	"testing"
)

// What a flush does in the worlds that differ from the stale one in more than
// what happened.
func TestFlushInOtherWorlds(t *testing.T) {
	t.Run("an encrypted entry", func(t *testing.T) {
		t.Parallel()
		w := startWorld(t, Options{Scenario: "unreadable"})
		signInsSucceed(t, w, false)
		deleteEntry(t, w)
		signInsSucceed(t, w, true)
		if value, err := w.store.get(t.Context(), w.KeyName()); err != nil || strings.Contains(value, "keys") {
			t.Errorf("stored %.40q, %v: not encrypted", value, err)
		}
	})
	t.Run("a negative marker", func(t *testing.T) {
		t.Parallel()
		w := startWorld(t, Options{Scenario: "negative"})
		signInsSucceed(t, w, false)
		deleteEntry(t, w) // the set alone is no cure
		marker := negativeName(w.State().SigningKid)
		if err := w.store.del(t.Context(), marker); err != nil {
			t.Fatal(err)
		}
		signInsSucceed(t, w, true)
	})
	t.Run("a key that cannot be parsed", func(t *testing.T) {
		t.Parallel()
		w := startWorld(t, Options{Scenario: "new-key-type"})
		signInsSucceed(t, w, true)
		deleteEntry(t, w)
		signInsSucceed(t, w, false) // the copy that worked is lost
		if got := w.State(); !strings.HasPrefix(got.LastError, "JwksValidationError: ") || got.CacheNote != "no entry" {
			t.Errorf("last error %q, cache note %q", got.LastError, got.CacheNote)
		}
	})
	t.Run("old keys in memory", func(t *testing.T) {
		t.Parallel()
		w := startWorld(t, Options{Scenario: "memory"})
		deleteEntry(t, w)
		signInsSucceed(t, w, false)
		if got := w.State(); got.CacheNote != "no entry" {
			t.Errorf("cache note %q: somebody asked the cache", got.CacheNote)
		}
	})
}

// A refetch limit ends by itself.
func TestRefetchLimitEnds(t *testing.T) {
	t.Parallel()
	w := startWorld(t, Options{Scenario: "throttled", Clock: newFastClock(240), RequestsPerMinute: 30})
	signInsSucceed(t, w, true)
}
