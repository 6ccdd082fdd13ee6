package render

import (
	"strings"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
	"jwksbot/runbook/diagnose"
)

// reportButtons put the request that the verdict calls for first. Where a flush
// would destroy the last good copy, or nothing here can help, none is offered.
func reportButtons(r check.Report) slack.Block {
	v := r.Diagnosis.Verdict
	value := runbook.Clip(r.Target, limitButtonValue)
	again := button(ActionCheckAgain, value, "Check again", slack.StyleDefault)
	details := button(ActionDetails, value, "Details", slack.StyleDefault)
	if wanted := wantedParts(r); len(wanted) > 0 {
		ask := button(ActionRequest+"_"+strings.Join(wanted, "_"), value, "Request "+wantedLabel(wanted), slack.StylePrimary)
		return slack.NewActionBlock("", ask, again, details)
	}
	if diagnose.Forbids(v) || v.ID == diagnose.Healthy || v.ID == diagnose.ManagedAuthoriser || r.Evidence.Cached == nil {
		return slack.NewActionBlock("", again, details)
	}
	return slack.NewActionBlock("", again, button(ActionRequestFlush, value, "Request flush anyway"+ellipsis, slack.StyleDefault), details)
}

// Parts of the action id of a request button: it says what was ticked when the
// button was made, whatever the last check says when it is pressed.
const (
	partFlush   = "flush"
	partRestart = "restart"
	partGateway = "gateway"
)

// wantedParts are what the verdict recommends and the target has.
func wantedParts(r check.Report) []string {
	v := r.Diagnosis.Verdict
	var parts []string
	if v.Advises(runbook.FlushCache) {
		parts = append(parts, partFlush)
	}
	if v.Advises(runbook.RestartAuthoriser) && configured(r, runbook.StepAuthoriser) {
		parts = append(parts, partRestart)
	}
	if v.Advises(runbook.FlushGateway) && configured(r, runbook.StepGateway) {
		parts = append(parts, partGateway)
	}
	return parts
}

func wantedLabel(parts []string) string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = strings.ReplaceAll(p, partGateway, "gateway flush")
	}
	return runbook.AndList(names)
}

// RequestOf is what a request button asks for.
func RequestOf(action, target string) (req approve.Request, ok bool) {
	rest, ok := strings.CutPrefix(action, ActionRequest+"_")
	if !ok {
		return req, false
	}
	req.Target, req.NoFlush = target, true
	for _, part := range strings.Split(rest, "_") {
		switch part {
		case partFlush:
			req.NoFlush = false
		case partRestart:
			req.Restart = true
		case partGateway:
			req.Gateway = true
		default:
			return approve.Request{}, false
		}
	}
	return req, true
}

// configured says whether the target has what a step reads.
func configured(r check.Report, step string) bool {
	for _, s := range r.Steps {
		if s.Step == step {
			return s.Status != runbook.StatusSkipped
		}
	}
	return false
}

// OnRun says that a button is about a run, which its value names.
func OnRun(action string) bool {
	switch action {
	case ActionApprove, ActionDeny, ActionWithdraw, ActionDenyReason, ActionRequestAgain, ActionStopWatch, ActionGotIt:
		return true
	}
	_, next := NextOfAction(action)
	return next
}
