package main

import (
	"bytes"
	"testing"
	"time"

	"jwksbot/runbook"
)

// Each next step of a run stands there with a command that requests exactly it.
func TestNextStepsAreCommands(t *testing.T) {
	base := runbook.Run{ID: "0214-x", Target: "production", Ticket: "INC-1"}
	flush := runbook.Plan{Steps: []runbook.Mitigation{runbook.FlushCache}}
	for name, c := range map[string]struct {
		run  func(*runbook.Run)
		want string
	}{
		"expired": {func(r *runbook.Run) {
			r.State = runbook.StateExpired
			r.Plan = runbook.Plan{Steps: []runbook.Mitigation{runbook.RestartAuthoriser, runbook.FlushGateway}}
		}, "  next: Request again (the same request again, with new checks)\n    jwksbot flush production --no-flush --restart --gateway --ticket INC-1 --reason '…'\n"},
		"the whole group expired": {func(r *runbook.Run) {
			r.State, r.Plan = runbook.StateExpired, flush
			r.Plan.Scope = runbook.ScopeAll
		}, "  next: Request again (the same request again, with new checks)\n    jwksbot flush production --scope=all --ticket INC-1 --reason '…'\n"},
		"an undo expired": {func(r *runbook.Run) {
			r.State = runbook.StateExpired
			r.Plan = runbook.Plan{Steps: []runbook.Mitigation{runbook.RestoreCache}, Restore: &runbook.RestorePlan{Of: "0213-y", Force: true}}
		}, "  next: Request again (the same request again, with new checks)\n    jwksbot restore 0213-y --force\n"},
		"done, and can be undone": {func(r *runbook.Run) {
			r.State, r.Plan = runbook.StateDone, flush
			r.Receipts = []runbook.Receipt{{Step: "flush-cache", Status: runbook.StatusOK, EndedAt: time.Unix(1, 0)}}
		}, "  possible: Undo (write back what is still missing of what this run deleted)\n    jwksbot restore 0214-x\n"},
		"done": {func(r *runbook.Run) { r.State = runbook.StateDone }, ""},
		"left by CommandBridge": {func(r *runbook.Run) {
			r.State, r.Plan = runbook.StateFailed, flush
			r.Plan.Route, r.Plan.NoUndo = runbook.RouteBridge, true
			r.Receipts = []runbook.Receipt{{Step: "flush-cache", Status: runbook.StatusOK, EndedAt: time.Unix(1, 0)}, {Step: "verify", Status: runbook.StatusFail, Finding: runbook.FoundLeft}}
		}, "  next: Flush directly (CommandBridge did not remove the old entries)\n    jwksbot flush production --direct --ticket INC-1 --reason '…'\n"},
	} {
		run := base
		c.run(&run)
		var out bytes.Buffer
		(&printer{out: &out}).next(run)
		if out.String() != c.want {
			t.Errorf("%s:\n%q, want\n%q", name, out.String(), c.want)
		}
	}
}
