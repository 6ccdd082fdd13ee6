package render

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"jwksbot/runbook"
	"jwksbot/runbook/budget"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
)

// played gives evidence back as the sources of a target, so that reports are
// made by the real runner, with its own words.
type played struct {
	runbook.Evidence
	probes *atomic.Int32
}

func (p played) Probe(context.Context) runbook.Probe {
	return p.Live.Probes[int(p.probes.Add(1)-1)%len(p.Live.Probes)]
}

func (p played) List(_ context.Context, read func(runbook.RawEntry) runbook.Entry) (runbook.Listing, error) {
	if p.Cached == nil {
		return runbook.Listing{}, errors.New(p.Unread[runbook.StepCachedKeys])
	}
	l := runbook.Listing{Shards: p.Cached.Shards, Others: p.Cached.Others, Truncated: p.Cached.Truncated}
	for _, e := range p.Cached.Entries {
		l.Entries = append(l.Entries, read(runbook.RawEntry{Name: e.Name, Shard: e.Shard, Type: e.Type, TTL: e.TTL, Bytes: e.Bytes}))
	}
	return l, nil
}

func (p played) decode(raw runbook.RawEntry, _ *budget.Budget) runbook.Reading {
	for _, e := range p.Cached.Entries {
		if e.Name == raw.Name {
			return e.Reading
		}
	}
	return runbook.Reading{Content: runbook.ContentUnknown}
}

func (p played) Failures(context.Context, time.Time, time.Time, string) (runbook.LogEvidence, error) {
	if p.Logged == nil {
		return runbook.LogEvidence{}, errors.New(p.Unread[runbook.StepLoggedKeys])
	}
	return *p.Logged, nil
}

func (p played) Traffic(context.Context, []string, time.Time, time.Time) (runbook.TrafficEvidence, error) {
	return *p.Evidence.Traffic, nil
}

func (p played) Setup(context.Context) (runbook.GatewaySetup, error) {
	return p.Evidence.Gateway.GatewaySetup, nil
}

func (played) FlushResults(context.Context) error { return errReadOnly }

// played's traffic of the gateway has a type of its own: the field is called so too.
type playedMeter struct{ *runbook.GatewayEvidence }

func (m playedMeter) Gateway(context.Context, runbook.GatewaySetup, time.Time, time.Time) ([]runbook.GatewayPoint, error) {
	return m.Points, nil
}

func (m playedMeter) Denied(context.Context, time.Time, time.Time) (int, bool, error) {
	return *m.GatewayEvidence.Denied, m.AtLeast, nil
}

type playedFunction struct{ *runbook.FunctionEvidence }

func (f playedFunction) Inspect(context.Context, string) (runbook.FunctionEvidence, error) {
	return *f.FunctionEvidence, nil
}

func (playedFunction) Restart(context.Context, runbook.RestartPlan, string, func(string)) (runbook.RestartResult, error) {
	return runbook.RestartResult{}, errReadOnly
}

func (playedFunction) MoveBack(context.Context, runbook.RestartPlan, string) (runbook.RestartResult, error) {
	return runbook.RestartResult{}, errReadOnly
}

func (p played) Nodes(context.Context) ([]string, error) { return p.Evidence.Traffic.Nodes, nil }

func (played) Snapshot(context.Context, []string) ([]runbook.Saved, error)       { return nil, errReadOnly }
func (played) Take(context.Context, []string, func([]runbook.Saved) error) error { return errReadOnly }

func (played) Delete(context.Context, []runbook.Saved, runbook.Lease, func([]runbook.EntryFate) error) error {
	return errReadOnly
}

func (played) Purge(context.Context, runbook.Lease, func(string) bool, func(int64)) (int64, error) {
	return 0, errReadOnly
}

func (played) FlushAll(context.Context) error { return errReadOnly }

func (played) Restore(context.Context, []runbook.Saved, bool, time.Time) ([]runbook.EntryFate, error) {
	return nil, errReadOnly
}

func (played) Compare(context.Context, []runbook.Saved) ([]runbook.EntryFate, error) {
	return nil, errReadOnly
}

var errReadOnly = errors.New("a check changed something")

// reportOf makes the report that a check of this evidence leads to.
func reportOf(t *testing.T, e runbook.Evidence) check.Report {
	t.Helper()
	p := played{e, new(atomic.Int32)}
	target := &check.Target{Name: "production", Issuer: "https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_AbCdEfGhI", JWKSURL: e.Live.URL,
		Live: p, Entries: p, Decode: p.decode, Logs: p, Traffic: p}
	if e.Gateway != nil {
		target.API, target.Meter, target.Access = p, playedMeter{e.Gateway}, playedMeter{e.Gateway}
	}
	if e.Function != nil {
		target.Function = playedFunction{e.Function}
	}
	r, err := check.NewRunner(frozen{noon}, nil).Check(t.Context(), target, check.Ask{}, check.Silent{})
	if err != nil {
		t.Fatal(err)
	}
	// Probes are asked at once; their order and what they took is chance.
	r.Evidence.Live = e.Live
	r.Diagnosis = diagnose.Diagnose(r.Evidence)
	r.Duration = 1310 * time.Millisecond
	for i := range r.Steps {
		r.Steps[i].Duration = time.Duration(i*i*140+43) * time.Millisecond
	}
	return r
}
