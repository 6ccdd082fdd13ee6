package runbook

import (
	"context"
	"errors"
	"testing"
	"time"
)

// settler is a watcher's memory.
type settler struct {
	rememberer
	settled map[string]bool
}

func (s *settler) Unsettled(context.Context, string) ([]Sighting, error) {
	var out []Sighting
	for _, k := range s.list {
		if !s.settled[k.Thumbprint] {
			out = append(out, k)
		}
	}
	return out, nil
}

func (s *settler) Settle(_ context.Context, _ string, thumbprints []string) error {
	for _, t := range thumbprints {
		s.settled[t] = true
	}
	return nil
}

// cachedSet is a store with one entry; the watcher's checks only list it.
type cachedSet struct {
	entryStore
	kid string
}

func (c *cachedSet) List(context.Context) (Listing, error) {
	return Listing{Shards: []Shard{{Name: "0001"}}, Entries: []RawEntry{{Name: "jwks:current", Type: "string", TTL: time.Hour, Value: []byte(c.kid)}}}, nil
}

func TestTheWatcherSpeaksOncePerRotation(t *testing.T) {
	live, cached := KeySet{}, &cachedSet{kid: "old"}
	live = keySet("old")
	unhealthy := false
	target := &Target{Name: "production", Entries: cached,
		Live: probeFunc(func(context.Context) Probe {
			if unhealthy {
				return Probe{Status: 503, Problem: "it answers HTTP 503"}
			}
			return Probe{Status: 200, Set: live}
		}),
		Decode: func(e RawEntry) Reading {
			return Reading{Format: "JSON key set", Content: ContentKeys, Set: keySet(string(e.Value))}
		}}
	clock := newClock()
	told, fail := 0, false
	w := NewWatcher(WatcherSettings{Target: target, Runner: NewRunner(clock, nil), Clock: clock, Every: time.Minute,
		Memory: &settler{settled: map[string]bool{}},
		Announce: func(_ context.Context, r Report) error {
			if fail {
				return errors.New("no Slack")
			}
			told++
			return nil
		}})
	look := func(want int, wantErr bool, when string) {
		t.Helper()
		if err := w.Look(t.Context()); (err != nil) != wantErr {
			t.Errorf("%s: error %v", when, err)
		}
		if told != want {
			t.Errorf("%s: the channel was told %d times, want %d", when, told, want)
		}
	}
	look(0, false, "cache and live agree")
	live = keySet("new")
	fail = true
	look(0, true, "rotated, Slack is down")
	fail = false
	look(1, false, "rotated, Slack is back")
	look(1, false, "the same rotation again")
	cached.kid = "new"
	look(1, false, "flushed")
	unhealthy = true
	look(1, true, "the provider is down")
	unhealthy = false
	live = keySet("newer")
	cached.kid = "newer"
	look(1, false, "rotated, the cache was quicker")
	cached.kid = "new"
	look(1, false, "an old copy came back: no rotation")
}
