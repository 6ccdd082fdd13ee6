package check

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/standin"
)

// settler is a watcher's memory.
type settler struct {
	rememberer
	settled map[string]bool
}

func (s *settler) Unsettled(context.Context, string) ([]runbook.Sighting, error) {
	var out []runbook.Sighting
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

func (c *cachedSet) List(_ context.Context, read func(runbook.RawEntry) runbook.Entry) (runbook.Listing, error) {
	e := read(runbook.RawEntry{Name: "jwks:current", Type: "string", TTL: time.Hour, Value: []byte(c.kid)})
	return runbook.Listing{Shards: []runbook.Shard{{Name: "0001"}}, Entries: []runbook.Entry{e}}, nil
}

func TestTheWatcherSpeaksOncePerRotation(t *testing.T) {
	live, cached := runbook.KeySet{}, &cachedSet{kid: "old"}
	live = standin.KeySet("old")
	unhealthy := false
	target := &Target{Name: "production", Entries: cached,
		Live: standin.ProbeFunc(func(context.Context) runbook.Probe {
			if unhealthy {
				return runbook.Probe{Status: 503, Problem: "it answers HTTP 503"}
			}
			return runbook.Probe{Status: 200, Set: live}
		}),
		Decode: func(e runbook.RawEntry, _ *budget.Budget) runbook.Reading {
			return runbook.Reading{Format: "JSON key set", Content: runbook.ContentKeys, Set: standin.KeySet(string(e.Value))}
		}}
	clock := standin.NewClock()
	told, fail := 0, false
	w := NewRotationMonitor(RotationSettings{Target: target, Runner: NewRunner(clock, nil), Clock: clock, Every: time.Minute,
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
	live = standin.KeySet("new")
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
	live = standin.KeySet("newer")
	cached.kid = "newer"
	look(1, false, "rotated, the cache was quicker")
	cached.kid = "new"
	look(1, false, "an old copy came back: no rotation")
}

// conditional is an endpoint that answers 304 while its set is the same.
type conditional struct {
	set    runbook.KeySet
	known  string
	polls  int
	full   atomic.Int32 // a check probes several times at once
	broken bool
}

func (c *conditional) Probe(context.Context) runbook.Probe {
	c.full.Add(1)
	return runbook.Probe{Status: 200, Set: c.set}
}

func (c *conditional) Poll(context.Context) runbook.Probe {
	c.polls++
	switch {
	case c.broken:
		return runbook.Probe{Status: 503, Problem: "it answers HTTP 503"}
	case c.known == runbook.MeaningOf(c.set):
		return runbook.Probe{Status: 304, NotModified: true}
	}
	c.known = runbook.MeaningOf(c.set)
	return runbook.Probe{Status: 200, Set: c.set}
}

// "Nothing changed" keeps the known keys in sight, as a full answer would, and
// hides no rotation.
func TestTheWatcherPollsConditionally(t *testing.T) {
	source, clock := &conditional{set: standin.KeySet("old")}, standin.NewClock()
	memory := &settler{settled: map[string]bool{}}
	target := &Target{Name: "production", Entries: &cachedSet{kid: "old"}, Live: source,
		Decode: func(e runbook.RawEntry, _ *budget.Budget) runbook.Reading {
			return runbook.Reading{Format: "JSON key set", Content: runbook.ContentKeys, Set: standin.KeySet(string(e.Value))}
		}}
	told := []runbook.VerdictID{}
	settings := RotationSettings{Target: target, Runner: NewRunner(clock, nil), Clock: clock, Every: time.Minute, Memory: memory,
		Announce: func(_ context.Context, r Report) error { told = append(told, r.Diagnosis.Verdict.ID); return nil }}
	w := NewRotationMonitor(settings)
	look := func(wantErr bool) {
		t.Helper()
		clock.Advance(time.Minute)
		if err := w.Look(t.Context()); (err != nil) != wantErr {
			t.Errorf("error %v", err)
		}
	}
	for range 3 {
		look(false)
	}
	if source.polls != 3 || source.full.Load() != probes { // the one check of the keys that were new
		t.Errorf("%d polls and %d full requests", source.polls, source.full.Load())
	}
	if memory.list[0].LastSeen != standin.T0.Add(3*time.Minute) {
		t.Errorf("last seen %s: an answer without news does not count as seen", memory.list[0].LastSeen)
	}
	source.broken = true
	look(true)
	source.broken, source.set = false, standin.KeySet("new")
	look(false)
	look(false)
	if len(told) != 1 || told[0] != diagnose.StaleCache {
		t.Errorf("told %v", told)
	}
	// A new watcher knows no keys yet: it must not take "nothing changed" for an answer.
	w = NewRotationMonitor(settings)
	look(false)
	if len(w.last) != 1 || w.last[0].Kid != "new" {
		t.Errorf("the new watcher holds %v", w.last)
	}
}

// Its own trouble goes to the log, never to the channel, and the waits are
// spread so that many bots never ask at once.
func TestTheWatchersFailureStaysInTheLog(t *testing.T) {
	clock := standin.NewClock()
	w := NewRotationMonitor(RotationSettings{Target: &Target{Name: "production", Live: &conditional{broken: true}}, Runner: NewRunner(clock, nil), Clock: clock, Every: time.Hour,
		Memory: &settler{settled: map[string]bool{}}, Announce: func(context.Context, Report) error { t.Error("the channel was told"); return nil }})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waits []time.Duration
	last := standin.T0
	clock.OnWait = func(n int) {
		waits = append(waits, clock.Now().Sub(last))
		if last = clock.Now(); n == 20 {
			cancel()
		}
	}
	failures := 0
	if err := w.Watch(ctx, func(error) { failures++ }); !errors.Is(err, context.Canceled) || failures != 19 {
		t.Errorf("ended with %v after %d failures", err, failures)
	}
	differ := false
	for _, d := range waits {
		differ = differ || d != waits[0]
		if d < 54*time.Minute || d > 66*time.Minute {
			t.Errorf("waited %s", d)
		}
	}
	if !differ {
		t.Error("every wait is the same: no jitter")
	}
}
