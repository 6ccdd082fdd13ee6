package runbook

import "slices"

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
	NextEscalate    NextKind = "escalate" // Desk.Escalate, without a request
)

// NextStep is one thing that the runbook says about a run as it stands. All
// but NextEscalate are asked for with Run.Request and Desk.Open, so that each
// gets its own approval.
type NextStep struct {
	Kind  NextKind `json:"kind"`
	Label string   `json:"label"` // of a button
	Why   string   `json:"why"`   // half a sentence
	// Option is a step that may be taken any time, as opposed to one that the
	// runbook says next.
	Option bool `json:"option,omitempty"`
}

// Request is what a next step asks for; by and via are who presses the button
// and where. ok is false for a step that is no request.
func (r Run) Request(kind NextKind, by string, via Via) (req Request, ok bool) {
	req = Request{Target: r.Target, Ticket: r.Ticket, By: by, Via: via, Channel: r.Post.Channel, NoFlush: true}
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
		req.RestoreOf, req.Reason = r.ID, clip("undo of run "+r.ID+": "+r.Reason, maxReason)
	case NextRetry:
		req = r.again(req)
	default:
		return Request{}, false
	}
	return req, true
}

// again asks for the same once more. An override or a broken glass has to be
// given anew: it was about another moment.
func (r Run) again(req Request) Request {
	p := r.Plan
	req.Reason, req.Scope = r.Reason, p.Scope
	req.NoFlush, req.Restart, req.Gateway = !p.Has(FlushCache), p.Has(RestartAuthoriser), p.Has(FlushGateway)
	req.Direct = p.Route == RouteDirect
	if p.Restore != nil {
		req.RestoreOf, req.Force = p.Restore.Of, p.Restore.Force
	}
	return req
}

// NextSteps lists what the runbook says next about the run as it stands, the
// likeliest first; none while a mitigation is under way, or when nothing is left
// to do.
func (r Run) NextSteps() []NextStep {
	switch r.State {
	case StateDenied, StateWithdrawn, StateExpired:
		return []NextStep{{Kind: NextRetry, Label: "Request again", Why: "the same request once more, checked anew"}}
	case StateWatch, StateEscalate, StateDone, StateFailed:
	default:
		return nil
	}
	if r.State == StateFailed && r.effectAt().IsZero() {
		return []NextStep{{Kind: NextRetry, Label: "Request again", Why: "nothing was touched"}}
	}
	var steps []NextStep
	add := func(more ...NextStep) {
		for _, s := range more {
			if !r.Plan.isVoid(s.Kind) && !slices.ContainsFunc(steps, func(old NextStep) bool { return old.Kind == s.Kind }) {
				steps = append(steps, s)
			}
		}
	}
	for _, f := range r.findings() {
		add(r.afterFinding(f)...)
	}
	add(r.afterWatch()...)
	if r.State == StateWatch && !r.Escalation.open() {
		add(NextStep{Kind: NextEscalate, Label: "Escalate now", Why: "call the on-call team without waiting for the limit", Option: true})
	}
	if r.undoable() {
		add(NextStep{Kind: NextUndo, Label: "Undo", Why: "write back what is still missing of what this run deleted", Option: true})
	}
	return steps
}

// findings are what the newest receipt of each step found.
func (r Run) findings() []ReceiptFinding {
	latest := map[string]ReceiptFinding{}
	var order []string
	for _, rec := range r.Receipts {
		step := rec.Step
		if step == stepConfirm {
			step = stepVerify // it looked again
			if rec.Finding == FoundNothing && !r.lookedAgain() {
				continue
			}
		}
		if _, known := latest[step]; !known {
			order = append(order, step)
		}
		latest[step] = rec.Finding
	}
	var out []ReceiptFinding
	for _, step := range order {
		if f := latest[step]; f != FoundNothing {
			out = append(out, f)
		}
	}
	return out
}

// lookedAgain says that the confirmation read the cache once more.
func (r Run) lookedAgain() bool {
	return r.Plan.Has(FlushCache) && (r.Plan.Restart != nil || r.Plan.Gateway != nil)
}

func (r Run) afterFinding(f ReceiptFinding) []NextStep {
	again := NextStep{Kind: NextFlush, Label: "Flush again", Why: "old entries are left in the cache"}
	restart := NextStep{Kind: NextRestart, Label: "Restart the authoriser", Why: "it keeps old keys in memory"}
	switch f {
	case FoundLeft, FoundBrokeOff:
		if r.Plan.Route == RouteBridge {
			return []NextStep{{Kind: NextFlushDirect, Label: "Flush directly", Why: "CommandBridge did not remove the old entries"}}
		}
		return []NextStep{again}
	case FoundUnlisted:
		again.Why = "entries that the plan did not list hold old keys"
		return []NextStep{again}
	case FoundStale:
		again.Why = "old keys were written back; flush after the authoriser was restarted"
		if r.Restarted != nil {
			return []NextStep{again}
		}
		return []NextStep{restart, again}
	case FoundUnproven:
		restart.Why = "no new execution environment was seen since the last restart"
		return []NextStep{restart}
	case FoundRejected:
		return r.stillFailing("a test sign-in was rejected")
	}
	return nil
}

// persists is the share of failures from which on something is left to do.
const persists = 0.01

// afterWatch is what the runbook says when failures go on.
func (r Run) afterWatch() []NextStep {
	if r.Watch == nil || r.State == StateWatch && len(r.Watch.Points) < recentMinutes && r.Escalation == nil {
		return nil
	}
	recent, ok := share(r.Watch.Points[max(0, len(r.Watch.Points)-recentMinutes):])
	if !ok || recent.ratio() < persists {
		return nil
	}
	return r.stillFailing(exact(recent.ratio()) + " of the last requests failed")
}

// stillFailing goes down the layers: the authoriser's memory, then the results
// that the gateway keeps.
func (r Run) stillFailing(why string) []NextStep {
	var out []NextStep
	if r.Restarted == nil {
		out = append(out, NextStep{Kind: NextRestart, Label: "Restart the authoriser", Why: why + ": it may keep old keys in memory"})
	}
	if !r.did(FlushGateway) {
		out = append(out, NextStep{Kind: NextGateway, Label: "Flush the gateway's cache", Why: why + ": the gateway may repeat old denials"})
	}
	return out
}

func (r Run) did(m Mitigation) bool {
	return slices.ContainsFunc(r.Receipts, func(rec Receipt) bool { return rec.Step == string(m) && rec.Status != StatusFail })
}

// undoable says that the run changed something that can be taken back.
func (r Run) undoable() bool {
	_, flushed := r.FlushedAt()
	return flushed && !r.Plan.NoUndo || r.Restarted != nil && r.Plan.Restart != nil && r.Plan.Restart.Mode == RestartAlias
}
