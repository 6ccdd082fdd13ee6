package runbook

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
	Why   string   `json:"why"`   // one sentence
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
		req.RestoreOf, req.Reason = r.ID, "undo run "+r.ID
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
// likeliest first; none while a mitigation is under way.
func (r Run) NextSteps() []NextStep {
	return nil
}
