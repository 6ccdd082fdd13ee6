package bot

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
)

// modalInput is what the request modal starts with.
type modalInput struct {
	Targets                          []string
	Target, Ticket, Reason, Override string
	AllowAll                         []string // targets whose whole group may be flushed
	Channel                          string   // where the card will stand
	Verdict                          string   // the sentence of the last check, if there was one
}

// Block ids of the modals' inputs; errors of a submission name them. Each
// block holds one element, of the same id.
const (
	blockTarget   = "target"
	blockTicket   = "ticket"
	blockReason   = "reason"
	blockScope    = "scope"
	blockOverride = "override"
	blockDeny     = "deny_reason"
)

// Lengths that the modal lets people type, in runes: what the desk keeps.
const (
	maxTicketInput = 64
	maxReasonInput = 500
)

// flushModal asks for what a request needs. Its private metadata is the
// channel and nothing else: everything that grants anything is looked up when
// the modal is submitted.
func flushModal(in modalInput) slack.ModalViewRequest {
	var blocks []slack.Block
	if in.Verdict != "" {
		blocks = append(blocks, section("*Last check:* "+prose(in.Verdict, limitVerdict)))
	}
	ticket := textInput(blockTicket, "Ticket", "INC-2026-0214-001", in.Ticket, "The incident (INC-…) or change (CHG-…) this belongs to.", maxTicketInput, false)
	reason := textInput(blockReason, "Reason", "Keys were rotated at 02:40, sign-ins fail since then", in.Reason, "The approvers and the record need it. Tokens and passwords are redacted.", maxReasonInput, true)
	switch { // where the target is chosen, typing starts at what is missing
	case in.Target == "":
	case in.Ticket == "":
		focus(ticket)
	case in.Reason == "":
		focus(reason)
	}
	blocks = append(blocks, targetInput(in), ticket, reason,
		scopeInput(in),
		textInput(blockOverride, "Override (only against the verdict)", "Why it must be done although the checks advise against it", in.Override,
			"Leave it empty unless the last check advised against a flush. A flush that would destroy the last good copy of the keys is refused in any case.", maxReasonInput, true).WithOptional(true),
		contextLine("The checks run first unless they just did. Nothing is touched before somebody else approves exactly what will be deleted."))
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: callbackFlush, PrivateMetadata: clip(in.Channel, limitPrivate),
		Title:  plainText("Request a flush", limitViewTitle),
		Submit: plainText("Ask for approval", limitViewTitle),
		Close:  plainText("Cancel", limitViewTitle),
		Blocks: slack.Blocks{BlockSet: blocks},
	}
}

func textInput(id, label, placeholder, initial, hint string, longest int, multiline bool) *slack.InputBlock {
	e := slack.NewPlainTextInputBlockElement(plainText(placeholder, limitPlaceholder), id).
		WithInitialValue(clip(initial, longest)).WithMaxLength(longest).WithMultiline(multiline)
	return slack.NewInputBlock(id, plainText(label, limitOption), plainText(hint, limitHint), e)
}

// focus puts the cursor into a text input when the modal opens; Slack allows
// it for one element of a view.
func focus(b *slack.InputBlock) {
	if e, ok := b.Element.(*slack.PlainTextInputBlockElement); ok {
		e.FocusOnLoad = true
	}
}

// targetInput lists the targets. A select holds 100 options and values of 75
// characters; what does not fit can still be named on the command line.
func targetInput(in modalInput) slack.Block {
	var options []*slack.OptionBlockObject
	var initial *slack.OptionBlockObject
	left := 0
	for _, name := range startingWith(in.Target, in.Targets) {
		if len(options) == limitOptions || len([]rune(name)) > limitOption || name == "" {
			left++
			continue
		}
		o := slack.NewOptionBlockObject(name, plainText(name, limitOption), nil)
		options = append(options, o)
		if name == in.Target || len(in.Targets) == 1 {
			initial = o
		}
	}
	if len(options) == 0 {
		return section("No target fits into this list: name it on the command line, as in `/jwks-flush TARGET INC-… reason`.")
	}
	e := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plainText("Choose a target", limitPlaceholder), blockTarget, options...)
	e.InitialOption = initial
	var hint *slack.TextBlockObject
	if left > 0 {
		hint = plainText(fmt.Sprintf("%d more targets are not listed: name one on the command line.", left), limitHint)
	}
	return slack.NewInputBlock(blockTarget, plainText("Target", limitOption), hint, e)
}

// startingWith puts the chosen target first, so that it is never cut off.
func startingWith(first string, all []string) []string {
	if len(all) <= limitOptions || !slices.Contains(all, first) {
		return all
	}
	return append([]string{first}, slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == first })...)
}

// scopeInput offers the whole group only where some target allows it.
func scopeInput(in modalInput) slack.Block {
	keys := slack.NewOptionBlockObject(string(runbook.ScopeKeys), plainText("Matching keys", limitOption),
		plainText("Only entries of this target that differ from the live keys", limitOption))
	options := []*slack.OptionBlockObject{keys}
	if len(in.AllowAll) > 0 {
		options = append(options, slack.NewOptionBlockObject(string(runbook.ScopeAll), plainText("Whole replication group", limitOption),
			plainText("Destroys everything in it. Allowed for: "+strings.Join(in.AllowAll, ", "), limitOption)))
	}
	e := slack.NewRadioButtonsBlockElement(blockScope, options...)
	e.InitialOption = keys
	return slack.NewInputBlock(blockScope, plainText("What to flush", limitOption), nil, e)
}

// parseFlushModal reads a submitted modal. Errors are sentences keyed by block
// id, as response_action errors wants them; who asks is not read from here.
func parseFlushModal(v slack.View) (runbook.Request, map[string]string) {
	req := runbook.Request{
		Target:   submitted(v, blockTarget).SelectedOption.Value,
		Scope:    runbook.Scope(submitted(v, blockScope).SelectedOption.Value),
		Ticket:   strings.ToUpper(strings.TrimSpace(submitted(v, blockTicket).Value)),
		Reason:   strings.TrimSpace(submitted(v, blockReason).Value),
		Override: strings.TrimSpace(submitted(v, blockOverride).Value),
		Via:      runbook.ViaSlack,
		Channel:  v.PrivateMetadata,
	}
	problems := map[string]string{}
	if req.Target == "" {
		problems[blockTarget] = "Choose the target to flush."
	}
	var refusal *runbook.Refusal
	if err := runbook.CheckTicket(req.Ticket); errors.As(err, &refusal) {
		problems[blockTicket] = refusal.Text
	}
	if req.Reason == "" {
		problems[blockReason] = "Say in a few words why: the approvers and the record need it."
	}
	switch req.Scope {
	case runbook.ScopeKeys, runbook.ScopeAll:
	case "":
		req.Scope = runbook.ScopeKeys
	default:
		problems[blockScope] = "Choose one of the two."
	}
	return req, problems
}

func submitted(v slack.View, id string) slack.BlockAction {
	if v.State == nil {
		return slack.BlockAction{}
	}
	return v.State.Values[id][id]
}

// denyModal asks why. Its private metadata is the opaque id of the run.
func denyModal(runID string) slack.ModalViewRequest {
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: callbackDeny, PrivateMetadata: clip(runID, limitPrivate),
		Title:  plainText("Deny the flush", limitViewTitle),
		Submit: plainText("Deny", limitViewTitle),
		Close:  plainText("Cancel", limitViewTitle),
		Blocks: slack.Blocks{BlockSet: []slack.Block{
			textInput(blockDeny, "Why not?", "What the requester should know or do instead", "", "It is shown on the card and kept in the record.", maxReasonInput, true),
		}},
	}
}

// parseDenyModal reads which run is denied and why.
func parseDenyModal(v slack.View) (runID, reason string) {
	return v.PrivateMetadata, strings.TrimSpace(submitted(v, blockDeny).Value)
}
