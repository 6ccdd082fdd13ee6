package check

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/diagnose"
)

// memory is what a rotation watcher keeps: the keys that were seen, and which
// of them need no word any more.
type memory interface {
	Seen(ctx context.Context, target string, keys []runbook.Key, at time.Time) error
	Unsettled(ctx context.Context, target string) ([]runbook.Sighting, error)
	Settle(ctx context.Context, target string, thumbprints []string) error
}

// poller is a live source that can ask whether anything changed at all: the
// answer is NotModified when the endpoint says that nothing did.
type poller interface {
	Poll(ctx context.Context) runbook.Probe
}

// RotationMonitor polls the live keys of a target and tells the channel, once per
// rotation, when a new key is live while the cache still has the old ones:
// before users notice.
type RotationMonitor struct {
	target   *Target
	runner   *Runner
	memory   memory
	clock    runbook.Clock
	every    time.Duration
	active   func() bool
	announce func(ctx context.Context, r Report) error
	last     []runbook.Key // what the newest full answer held
}

// RotationSettings are what a RotationMonitor needs.
type RotationSettings struct {
	Target *Target
	Runner *Runner
	Memory memory
	Clock  runbook.Clock
	Every  time.Duration // between two looks, give or take a tenth
	// Active says whether it is this process that watches; nil means it is.
	Active func() bool
	// Announce tells the channel; a failure is tried again at the next look.
	Announce func(ctx context.Context, r Report) error
}

// NewRotationMonitor returns a watcher that Watch runs.
func NewRotationMonitor(s RotationSettings) *RotationMonitor {
	if s.Active == nil {
		s.Active = func() bool { return true }
	}
	return &RotationMonitor{target: s.Target, runner: s.Runner, memory: s.Memory, clock: s.Clock, every: s.Every, active: s.Active, announce: s.Announce}
}

// Watch looks until the context ends. onError is told of what went wrong: the
// watcher's own failure never reaches the channel.
func (w *RotationMonitor) Watch(ctx context.Context, onError func(error)) error {
	for {
		jitter := 0.9 + rand.Float64()/5 // so that many bots never ask at once
		if err := w.clock.Wait(ctx, time.Duration(float64(w.every)*jitter)); err != nil {
			return err
		}
		if !w.active() {
			continue
		}
		if err := w.Look(ctx); err != nil && ctx.Err() == nil {
			onError(fmt.Errorf("rotation watcher of %q: %w", w.target.Name, err))
		}
	}
}

// poll asks conditionally where the source can, so that a look costs the
// identity provider next to nothing. "Nothing changed" is worth nothing without
// a key set from before.
func (w *RotationMonitor) poll(ctx context.Context) runbook.Probe {
	conditional, ok := w.target.Live.(poller)
	if !ok {
		return w.target.Live.Probe(ctx)
	}
	p := conditional.Poll(ctx)
	if p.NotModified && len(p.Set.Keys) == 0 && w.last == nil {
		return w.target.Live.Probe(ctx)
	}
	return p
}

// Look asks for the live keys once and follows up on keys that are new. A key
// is settled when the channel was told, or when the cache has it too.
func (w *RotationMonitor) Look(ctx context.Context) error {
	p := w.poll(ctx)
	if !p.Healthy() {
		return fmt.Errorf("live keys: %s", p.Problem)
	}
	if !p.NotModified || len(p.Set.Keys) > 0 { // the source may keep the set itself
		w.last = p.Set.Keys
	}
	if err := w.memory.Seen(ctx, w.target.Name, w.last, w.clock.Now()); err != nil {
		return err
	}
	open, err := w.memory.Unsettled(ctx, w.target.Name)
	if err != nil || len(open) == 0 {
		return err
	}
	report, err := w.runner.Check(ctx, w.target, Ask{Anew: true}, Silent{})
	if err != nil {
		return err
	}
	switch v := report.Diagnosis.Verdict; {
	case v.ID == diagnose.StaleCache, v.ID == diagnose.RekeyedKid, v.ID == diagnose.UnsupportedKey:
		if err := w.announce(ctx, report); err != nil {
			return fmt.Errorf("announce: %w", err)
		}
	case v.ID == diagnose.Inconclusive || diagnose.Forbids(v):
		return nil // nobody knows yet; look again
	}
	thumbprints := make([]string, len(open))
	for i, s := range open {
		thumbprints[i] = s.Thumbprint
	}
	return w.memory.Settle(ctx, w.target.Name, thumbprints)
}
