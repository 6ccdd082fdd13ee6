package standin

import (
	"context"
	"time"

	"jwksbot/runbook"
)

// Doors into the checks, so that a test decides when and how each one ends.
type (
	ProbeFunc func(context.Context) runbook.Probe
	LogsFunc  func(context.Context) (runbook.LogEvidence, error)
	NodesFunc struct {
		*Cache
		Answer func(context.Context) ([]string, error)
	}
	TrafficFunc func(context.Context) (runbook.TrafficEvidence, error)
)

// Probe calls f.
func (f ProbeFunc) Probe(ctx context.Context) runbook.Probe { return f(ctx) }

// Failures calls f.
func (f LogsFunc) Failures(ctx context.Context, _, _ time.Time, _ string) (runbook.LogEvidence, error) {
	return f(ctx)
}

// Nodes calls its function.
func (n NodesFunc) Nodes(ctx context.Context) ([]string, error) { return n.Answer(ctx) }

// Traffic calls f.
func (f TrafficFunc) Traffic(ctx context.Context, _ []string, _, _ time.Time) (runbook.TrafficEvidence, error) {
	return f(ctx)
}
