package record

import (
	"slices"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/diagnose"
	"jwksbot/runbook/execute"
)

// NextKind is what may be done next about a run.
type NextKind string

// Next steps.
const (
	NextRestart     NextKind = "restart"
	NextFlush       NextKind = "flush"
	NextFlushDirect NextKind = "flush_direct"
	NextGateway     NextKind = "gateway"
	NextUndo        NextKind = "undo"
	NextRetry       NextKind = "retry"    // the same request again
	NextEscalate    NextKind = "escalate" // Service.Escalate, without a request
)

// NextStep is one thing that the runbook says about a run as it stands. All
// but NextEscalate are asked for with RequestFor and Service.Open, so that each
// gets its own approval.
type NextStep struct {
	Kind  NextKind `json:"kind"`
	Label string   `json:"label"` // what it is called
	Why   string   `json:"why"`   // half a sentence
	// Option is a step that may be taken any time, as opposed to one that the
	// runbook says next.
	Option bool `json:"option,omitempty"`
}

// RequestFor is what a next step asks for; by and via are who asks for
// it and where. ok is false for a step that is no request.
func RequestFor(r runbook.Run, kind NextKind, by string, via runbook.Via) (req approve.Request, ok bool) {
	req = approve.Request{Target: r.Target, Ticket: r.Ticket, By: by, Via: via, Channel: r.Post.Channel, NoFlush: true}
	switch kind {
	case NextRestart:
		req.Restart, req.Reason = true, "after run "+r.ID+": restart the authoriser"
	case NextGateway:
		req.Gateway, req.Reason = true, "after run "+r.ID+": empty the gateway's result cache"
	case NextFlush:
		req.NoFlush, req.Reason = false, "after run "+r.ID+": flush again"
	case NextFlushDirect:
		req.NoFlush, req.Direct, req.Reason = false, true, "after run "+r.ID+": flush directly"
	case NextUndo:
		req.RestoreOf, req.Reason = r.ID, runbook.Clip("undo of run "+r.ID+": "+r.Reason, approve.MaxReason)
	case NextRetry:
		req = again(r, req)
	default:
		return approve.Request{}, false
	}
	return req, true
}

// again asks for the same once more. An override or a broken glass has to be
// given anew: it was about another moment.
func again(r runbook.Run, req approve.Request) approve.Request {
	p := r.Plan
	req.Reason, req.Scope = r.Reason, p.Scope
	req.NoFlush, req.Restart, req.Gateway = !p.Has(runbook.FlushCache), p.Has(runbook.RestartAuthoriser), p.Has(runbook.FlushGateway)
	req.Direct = p.Route == runbook.RouteDirect
	if p.Restore != nil {
		req.RestoreOf, req.Force = p.Restore.Of, p.Restore.Force
	}
	return req
}

// NextSteps lists what the runbook says next about the run as it stands, the
// likeliest first; none while a mitigation is under way, or when nothing is left
// to do.
func NextSteps(r runbook.Run) []NextStep {
	switch r.State {
	case runbook.StateDenied, runbook.StateWithdrawn, runbook.StateExpired:
		return []NextStep{{Kind: NextRetry, Label: "Request again", Why: "the same request again, with new checks"}}
	case runbook.StateWatch, runbook.StateEscalate, runbook.StateDone, runbook.StateFailed:
	default:
		return nil
	}
	if r.State == runbook.StateFailed && r.EffectAt().IsZero() {
		return []NextStep{{Kind: NextRetry, Label: "Request again", Why: "nothing was touched"}}
	}
	var steps []NextStep
	add := func(more ...NextStep) {
		for _, s := range more {
			if !isVoid(r.Plan, s.Kind) && !slices.ContainsFunc(steps, func(old NextStep) bool { return old.Kind == s.Kind }) {
				steps = append(steps, s)
			}
		}
	}
	for _, f := range r.Findings() {
		add(afterFinding(r, f)...)
	}
	add(afterWatch(r)...)
	if r.State == runbook.StateWatch && !r.Escalation.Open() {
		add(NextStep{Kind: NextEscalate, Label: "Escalate now", Why: "call the on-call team without waiting for the limit", Option: true})
	}
	if undoable(r) {
		add(NextStep{Kind: NextUndo, Label: "Undo", Why: "write back what is still missing of what this run deleted", Option: true})
	}
	return steps
}

func afterFinding(r runbook.Run, f runbook.ReceiptFinding) []NextStep {
	again := NextStep{Kind: NextFlush, Label: "Flush again", Why: "old entries are left in the cache"}
	restart := NextStep{Kind: NextRestart, Label: "Restart the authoriser", Why: "it keeps old keys in memory"}
	switch f {
	case runbook.FoundLeft, runbook.FoundBrokeOff:
		if r.Plan.Route == runbook.RouteBridge {
			return []NextStep{{Kind: NextFlushDirect, Label: "Flush directly", Why: "CommandBridge did not remove the old entries"}}
		}
		return []NextStep{again}
	case runbook.FoundUnlisted:
		again.Why = "entries that the plan did not list hold old keys"
		return []NextStep{again}
	case runbook.FoundStale:
		again.Why = "old keys were written back; flush after the authoriser was restarted"
		if r.Restarted != nil {
			return []NextStep{again}
		}
		return []NextStep{restart, again}
	case runbook.FoundUnproven:
		restart.Why = "no new execution environment was seen since the last restart"
		return []NextStep{restart}
	case runbook.FoundRejected:
		return stillFailing(r, "a test sign-in was rejected")
	}
	return nil
}

// persists is the share of failures from which on something is left to do.
const persists = 0.01

// afterWatch is what the runbook says when failures go on.
func afterWatch(r runbook.Run) []NextStep {
	if r.Watch == nil || r.State == runbook.StateWatch && len(r.Watch.Points) < diagnose.RecentMinutes && r.Escalation == nil {
		return nil
	}
	recent, ok := execute.Share(r.Watch.Points[max(0, len(r.Watch.Points)-diagnose.RecentMinutes):])
	if !ok || recent.Ratio() < persists {
		return nil
	}
	return stillFailing(r, runbook.ExactPercent(recent.Ratio())+" of the last requests failed")
}

// stillFailing goes down the layers: the authoriser's memory, then the results
// that the gateway keeps.
func stillFailing(r runbook.Run, why string) []NextStep {
	var out []NextStep
	if r.Restarted == nil {
		out = append(out, NextStep{Kind: NextRestart, Label: "Restart the authoriser", Why: why + ": it may keep old keys in memory"})
	}
	if !did(r, runbook.FlushGateway) {
		out = append(out, NextStep{Kind: NextGateway, Label: "Flush the gateway's cache", Why: why + ": the gateway may repeat old denials"})
	}
	return out
}

func did(r runbook.Run, m runbook.Mitigation) bool {
	return slices.ContainsFunc(r.Receipts, func(rec runbook.Receipt) bool { return rec.Step == string(m) && rec.Status != runbook.StatusFail })
}

// undoable says that the run changed something that can be taken back.
func undoable(r runbook.Run) bool {
	_, flushed := r.FlushedAt()
	return flushed && !r.Plan.NoUndo || r.Restarted != nil && r.Plan.Restart != nil && r.Plan.Restart.Mode == runbook.RestartAlias
}

// isVoid says that there is nothing for the step to act on.
func isVoid(p runbook.Plan, kind NextKind) bool {
	switch kind {
	case NextRestart:
		return slices.Contains(p.Void, runbook.RestartAuthoriser)
	case NextGateway:
		return slices.Contains(p.Void, runbook.FlushGateway)
	}
	return false
}
