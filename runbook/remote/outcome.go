package remote

import (
	"context"
	"fmt"

	"jwksbot/runbook"
)

// runs is where a run is read.
type runs interface {
	Run(ctx context.Context, id string) (runbook.Run, error)
}

// outcome tells of a request that was carried out by a process that could not
// answer any more.
func outcome(ctx context.Context, from runs, r runbook.RemoteRequest) (Reply, error) {
	want, err := readRequest(r.Body)
	if err != nil {
		return Reply{}, err
	}
	run, err := from.Run(ctx, r.Run)
	if err != nil || want.Decide == nil {
		return Reply{Run: r.Run}, err
	}
	now := fmt.Sprintf("The run is now %s.", run.State)
	switch n := len(run.Approvals()); {
	case run.State == runbook.StatePending && n == 0:
		now = "Not approved: things changed since the request. Look at the new plan and decide again."
	case run.State == runbook.StatePending: // otherwise one would have been enough
		now = fmt.Sprintf("Counted: %d of %d approvals.", n, run.Required)
	}
	return Reply{Run: run.ID, Text: now}, nil
}
