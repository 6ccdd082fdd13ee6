package render

import (
	"errors"
	"strings"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
)

// ReadFlushForm reads a submitted modal. Errors are sentences keyed by block
// id, as response_action errors wants them; who asks is not read from here.
func ReadFlushForm(v slack.View) (approve.Request, map[string]string) {
	req := approve.Request{
		Target:     inputOf(v, blockTarget).SelectedOption.Value,
		Ticket:     strings.ToUpper(strings.TrimSpace(inputOf(v, blockTicket).Value)),
		Reason:     strings.TrimSpace(inputOf(v, blockReason).Value),
		Override:   strings.TrimSpace(inputOf(v, blockOverride).Value),
		BreakGlass: strings.TrimSpace(inputOf(v, blockBreakGlass).Value),
		Via:        runbook.ViaSlack,
		Channel:    v.PrivateMetadata,
	}
	for _, o := range inputOf(v, blockAlso).SelectedOptions {
		switch o.Value {
		case alsoRestart:
			req.Restart = true
		case alsoGateway:
			req.Gateway = true
		case alsoDirect:
			req.Direct = true
		}
	}
	problems := map[string]string{}
	if req.Target == "" {
		problems[blockTarget] = "Choose a target."
	}
	var refusal *runbook.Refusal
	if err := approve.CheckTicket(req.Ticket); errors.As(err, &refusal) {
		problems[blockTicket] = refusal.Text
	}
	if req.Reason == "" {
		problems[blockReason] = "Say in a few words why: the approvers and the record need it."
	}
	parseScope(&req, inputOf(v, blockScope).SelectedOption.Value, problems)
	return req, problems
}

// parseScope reads what to flush.
func parseScope(req *approve.Request, scope string, problems map[string]string) {
	switch scope {
	case string(runbook.ScopeKeys), string(runbook.ScopeAll):
		req.Scope = runbook.Scope(scope)
	case "":
		req.Scope = runbook.ScopeKeys
	case scopeNone:
		req.Scope, req.NoFlush = runbook.ScopeKeys, true
		if !req.Restart && !req.Gateway {
			problems[blockScope] = "Without a flush there is nothing to do: tick something else to do, or choose what to flush."
		}
	default:
		problems[blockScope] = "Choose one of these."
	}
}

func inputOf(v slack.View, id string) slack.BlockAction {
	if v.State == nil {
		return slack.BlockAction{}
	}
	return v.State.Values[id][id]
}
