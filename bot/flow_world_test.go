package bot

import (
	"context"
	"sync"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
)

// flowWorld is what the bot looks after: one cache entry that says "old",
// "fresh" or "none", and live keys that are the fresh ones. A flush is followed
// by an authoriser that fetches the live keys.
type flowWorld struct {
	mu      sync.Mutex
	entry   string
	live    runbook.Probe
	logs    runbook.LogEvidence
	gate    chan struct{} // the live keys answer when it is closed; nil: at once
	slow    chan struct{} // the logs do, which only checks read
	hold    chan struct{} // a deletion begins when it is closed; nil: at once
	deleted int
	failing int // of the 100 requests a minute, for a watch

	memory   bool // the authoriser fails although the cache holds the live keys
	restarts int
}

func (w *flowWorld) set(change func(*flowWorld)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

func (w *flowWorld) deletions() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.deleted
}

func (w *flowWorld) Probe(ctx context.Context) runbook.Probe {
	w.mu.Lock()
	gate, live := w.gate, w.live
	w.mu.Unlock()
	if gate != nil {
		<-gate // heeds no context, as the worst of steps
	}
	return live
}

func (w *flowWorld) Failures(context.Context, time.Time, time.Time, string) (runbook.LogEvidence, error) {
	w.mu.Lock()
	slow := w.slow
	w.mu.Unlock()
	if slow != nil {
		<-slow
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logs, nil
}

// watched is the same world as a watch reads it: minute by minute.
type watched struct{ *flowWorld }

func (w watched) Failures(_ context.Context, since, until time.Time, kid string) (runbook.LogEvidence, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ev := w.logs
	if w.entry != "old" && !w.memory { // after the flush
		ev = runbook.LogEvidence{Group: "/aws/lambda/x", Since: since, Until: until, Classes: map[string]int{}}
		for m := since.Truncate(time.Minute); m.Before(until); m = m.Add(time.Minute) {
			ev.PerMinute = append(ev.PerMinute, runbook.MinuteCount{At: m, Count: w.failing})
		}
	}
	return ev, nil
}

func (watched) Setup(context.Context) (runbook.GatewaySetup, error) {
	return runbook.GatewaySetup{Kind: runbook.RestAPI, ID: "a1b2c3", Name: "api", Stage: "prod",
		Authorisers: []runbook.GatewayAuthoriser{{ID: "au1", Name: "jwt", Kind: runbook.LambdaAuthoriser, Function: "fn", ResultTTL: 5 * time.Minute}}}, nil
}

func (watched) Traffic(_ context.Context, _ []string, since, until time.Time) (ev runbook.TrafficEvidence, err error) {
	for m := since.Truncate(time.Minute); m.Before(until); m = m.Add(time.Minute) {
		ev.Points = append(ev.Points, runbook.TrafficPoint{At: m, Hits: 99, Misses: 1})
	}
	return ev, nil
}

func (watched) FlushResults(context.Context) error { return nil }

func (watched) Gateway(_ context.Context, _ runbook.GatewaySetup, since, until time.Time) (points []runbook.GatewayPoint, err error) {
	for m := since.Truncate(time.Minute); m.Before(until); m = m.Add(time.Minute) {
		points = append(points, runbook.GatewayPoint{At: m, Requests: 100})
	}
	return points, nil
}

func (w *flowWorld) raw() runbook.RawEntry {
	return runbook.RawEntry{Name: entryName, Shard: "0002", Type: "string", TTL: time.Hour, Value: []byte(w.entry), Bytes: len(w.entry)}
}

func (w *flowWorld) List(_ context.Context, read func(runbook.RawEntry) runbook.Entry) (runbook.Listing, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := runbook.Listing{Shards: []runbook.Shard{{Name: "0001"}, {Name: "0002"}}, Others: 41210}
	if w.entry != "none" {
		l.Entries = []runbook.Entry{read(w.raw())}
	}
	return l, nil
}

func (w *flowWorld) Nodes(context.Context) ([]string, error) { return nil, nil }

func (w *flowWorld) decode(e runbook.RawEntry, _ *budget.Budget) runbook.Reading {
	set := setOf(oldKey, liveKey2)
	if string(e.Value) == "fresh" {
		set = setOf(liveKey, liveKey2)
	}
	return runbook.Reading{Format: "JSON key set", Content: runbook.ContentKeys, Set: set}
}

func (w *flowWorld) Snapshot(context.Context, []string) ([]runbook.Saved, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.entry == "none" {
		return nil, nil
	}
	return []runbook.Saved{{RawEntry: w.raw(), Payload: []byte(w.entry), At: time.Now()}}, nil
}

func (w *flowWorld) Take(ctx context.Context, names []string, page func([]runbook.Saved) error) error {
	saved, err := w.Snapshot(ctx, names)
	if err != nil || len(saved) == 0 {
		return err
	}
	return page(saved)
}

func (w *flowWorld) fate(s runbook.Saved) runbook.EntryFate {
	f := runbook.EntryFate{Name: s.Name, Shard: s.Shard, Fate: runbook.FateLeft}
	switch {
	case w.entry == "none":
		f.Fate = runbook.FateGone
	case w.entry != string(s.Payload) && runbook.SumOf([]byte(w.entry)) != s.Sum:
		f.Fate = runbook.FateRewritten
	}
	return f
}

func (w *flowWorld) Delete(ctx context.Context, saved []runbook.Saved, _ runbook.Lease, done func([]runbook.EntryFate) error) error {
	w.mu.Lock()
	hold := w.hold
	w.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range saved {
		f := w.fate(s)
		if f.Fate == runbook.FateLeft {
			f.Fate, w.entry, w.logs = runbook.FateDeleted, "fresh", *failuresOn("", 0)
			w.deleted++
		}
		if err := done([]runbook.EntryFate{f}); err != nil {
			return err
		}
	}
	return nil
}

func (w *flowWorld) Purge(context.Context, runbook.Lease, func(string) bool, func(int64)) (int64, error) {
	return 0, errReadOnly
}

func (w *flowWorld) FlushAll(context.Context) error { return errReadOnly }

// Restore writes back what is missing.
func (w *flowWorld) Restore(_ context.Context, saved []runbook.Saved, _ bool, _ time.Time) ([]runbook.EntryFate, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]runbook.EntryFate, len(saved))
	for i, s := range saved {
		out[i] = w.fate(s)
		if out[i].Fate == runbook.FateGone {
			w.entry, out[i].Fate = string(s.Payload), runbook.FateLeft
		}
	}
	return out, nil
}

func (w *flowWorld) Compare(_ context.Context, saved []runbook.Saved) ([]runbook.EntryFate, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]runbook.EntryFate, len(saved))
	for i, s := range saved {
		out[i] = w.fate(s)
	}
	return out, nil
}

// Inspect is the authoriser's function: $LATEST is invoked.
func (watched) Inspect(context.Context, string) (runbook.FunctionEvidence, error) {
	return runbook.FunctionEvidence{Function: "fn", Version: "$LATEST", Runtime: "nodejs24.x", State: "Active", UpdateStatus: "Successful",
		LastModified: time.Now().Add(-24 * time.Hour), Mode: runbook.RestartLatest, Revision: "r1", CodeSHA: "c1"}, nil
}

// Restart makes it forget what it had in memory.
func (w watched) Restart(_ context.Context, _ runbook.RestartPlan, _ string, progress func(string)) (runbook.RestartResult, error) {
	progress("waiting for the update")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.restarts++
	w.logs = *failuresOn("", 0)
	return runbook.RestartResult{Version: "$LATEST", Previous: "$LATEST", UpdatedAt: time.Now(), Proof: []string{"the update is finished"}}, nil
}

func (watched) MoveBack(context.Context, runbook.RestartPlan, string) (runbook.RestartResult, error) {
	return runbook.RestartResult{}, errReadOnly
}

func (watched) Streams(context.Context, time.Time) (runbook.LogStreams, error) {
	return runbook.LogStreams{New: 2, Newest: time.Now()}, nil
}
