package render

import (
	"strings"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/check"
)

// FormTarget is a target as the form needs it: what may be asked of it.
type FormTarget struct {
	Name       string
	AllowAll   bool // the whole group may be flushed
	Restart    bool // there is a function to restart
	Gateway    bool // there is a gateway whose cache can be flushed
	Bridge     bool // a flush goes by way of CommandBridge
	BreakGlass bool // a requester may act alone
}

// FormTargetOf says what a target has and allows.
func FormTargetOf(t *check.Target) FormTarget {
	return FormTarget{Name: t.Name, AllowAll: t.AllowAll, Restart: t.Function != nil, Gateway: t.API != nil,
		Bridge: t.Route == runbook.RouteBridge, BreakGlass: t.Policy.BreakGlass}
}

// FlushInput is what the request modal starts with. Of Request only what
// people can change in the form is read.
type FlushInput struct {
	Targets []FormTarget
	approve.Request
	Verdict string // the sentence of the last check, if there was one
}

// Advise ticks what the verdict recommends and the target has.
func (in *FlushInput) Advise(v runbook.Verdict, t FormTarget) {
	in.Restart = v.Advises(runbook.RestartAuthoriser) && t.Restart
	in.Gateway = v.Advises(runbook.FlushGateway) && t.Gateway
	in.NoFlush = !v.Advises(runbook.FlushCache) && (in.Restart || in.Gateway)
}

// Block ids of the modals' inputs; errors of a submission name them. Each
// block holds one element, of the same id.
const (
	blockTarget     = "target"
	blockTicket     = "ticket"
	blockReason     = "reason"
	blockScope      = "scope"
	blockAlso       = "also"
	blockOverride   = "override"
	blockBreakGlass = "break_glass"
)

// scopeNone is the choice of a restart or a gateway flush alone.
const scopeNone = "none"

// Values of the checkboxes.
const (
	alsoRestart = "restart"
	alsoGateway = "gateway"
	alsoDirect  = "direct"
)

// Lengths that the modal lets people type, in runes: what the service keeps.
const (
	maxTicketInput = 64
	maxReasonInput = 500
)

// FlushForm asks for what a request needs. Its private metadata is the
// channel and nothing else: everything that grants anything is looked up when
// the modal is submitted.
func FlushForm(in FlushInput) slack.ModalViewRequest {
	var blocks []slack.Block
	if in.Verdict != "" {
		blocks = append(blocks, section("*Last check:* "+prose(in.Verdict, limitVerdict)))
	}
	ticket := textInput(blockTicket, "Ticket", "INC-2026-0214-001", in.Ticket, "The incident (INC-…) or change (CHG-…) this belongs to.", maxTicketInput, false)
	reason := reasonInput(in.Reason)
	switch { // where the target is chosen, typing starts at what is missing
	case in.Target == "":
	case in.Ticket == "":
		focus(ticket)
	case in.Reason == "":
		focus(reason)
	}
	override := overrideInput(in.Override)
	if in.Target != "" && in.Ticket != "" && in.Reason != "" {
		focus(override)
	}
	blocks = append(blocks, targetSelect(namesWhere(in.Targets, always), in.Target), ticket, reason, scopeInput(in))
	if also := alsoInput(in); also != nil {
		blocks = append(blocks, also)
	}
	blocks = append(blocks, override)
	if breakGlass := breakGlassInput(in); breakGlass != nil {
		blocks = append(blocks, breakGlass)
	}
	blocks = append(blocks,
		contextLine("The checks run first unless they just did. Nothing is touched until somebody else approves exactly what will be touched."))
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: CallbackFlush, PrivateMetadata: runbook.Clip(in.Channel, limitPrivate),
		Title:  plainText("Request a mitigation", limitViewTitle),
		Submit: plainText("Ask for approval", limitViewTitle),
		Close:  plainText("Cancel", limitViewTitle),
		Blocks: slack.Blocks{BlockSet: blocks},
	}
}

func reasonInput(initial string) *slack.InputBlock {
	return textInput(blockReason, "Reason", "Keys were rotated at 02:40; sign-ins have failed since", initial, "The approvers and the record need it. Tokens and passwords are redacted.", maxReasonInput, true)
}

func overrideInput(initial string) *slack.InputBlock {
	return textInput(blockOverride, "Override (only against the verdict)", "Why it must be done although the checks advise against it", initial,
		"Leave it empty unless the checks advise against it, or it cannot be undone. A flush that would destroy the last good copy of the keys is refused in any case.", maxReasonInput, true).WithOptional(true)
}

// breakGlassInput is there only where some target lets a requester act alone.
func breakGlassInput(in FlushInput) slack.Block {
	allowed := namesWhere(in.Targets, func(t FormTarget) bool { return t.BreakGlass })
	if len(allowed) == 0 {
		return nil
	}
	hint := "It starts at once, whatever the verdict and without approval. It is recorded prominently, and the approvers are notified afterwards."
	if len(allowed) < len(in.Targets) {
		hint += " Allowed for: " + strings.Join(allowed, ", ") + "."
	}
	return textInput(blockBreakGlass, "Break glass (nobody can be asked)", "Why nobody can approve it now", in.BreakGlass, hint, maxReasonInput, true).WithOptional(true)
}

func namesWhere(targets []FormTarget, ok func(FormTarget) bool) []string {
	var out []string
	for _, t := range targets {
		if ok(t) {
			out = append(out, t.Name)
		}
	}
	return out
}

func textInput(id, label, placeholder, initial, hint string, longest int, multiline bool) *slack.InputBlock {
	e := slack.NewPlainTextInputBlockElement(plainText(placeholder, limitPlaceholder), id).
		WithInitialValue(runbook.Clip(initial, longest)).WithMaxLength(longest).WithMultiline(multiline)
	return slack.NewInputBlock(id, plainText(label, limitOption), plainText(hint, limitHint), e)
}

// focus puts the cursor into a text input when the modal opens; Slack allows
// it for one element of a view.
func focus(b *slack.InputBlock) {
	if e, ok := b.Element.(*slack.PlainTextInputBlockElement); ok {
		e.FocusOnLoad = true
	}
}

// choice is one option, offered only for some targets.
type choice struct {
	value, label, note string
	ok                 func(FormTarget) bool
}

// options are the choices that some target allows; where not all do, the note
// says which.
func options(in FlushInput, choices []choice) []*slack.OptionBlockObject {
	var out []*slack.OptionBlockObject
	for _, c := range choices {
		allowed := namesWhere(in.Targets, c.ok)
		if len(allowed) == 0 {
			continue
		}
		note := c.note
		if len(allowed) < len(in.Targets) {
			note = c.note + ". Only: " + strings.Join(allowed, ", ")
		}
		out = append(out, slack.NewOptionBlockObject(c.value, plainText(c.label, limitOption), plainText(note, limitOption)))
	}
	return out
}

func always(FormTarget) bool { return true }

// scopeInput offers the whole group only where some target allows it, and no
// flush at all only where there is something else to do.
func scopeInput(in FlushInput) slack.Block {
	all := options(in, []choice{
		{string(runbook.ScopeKeys), "Matching keys", "Only entries of this target that differ from the live keys", always},
		{string(runbook.ScopeAll), "⚠ Whole replication group", "Destroys everything in it for good, sessions included", func(t FormTarget) bool { return t.AllowAll }},
		{scopeNone, "No flush", "Only what is ticked below", func(t FormTarget) bool { return t.Restart || t.Gateway }},
	})
	if len(all) == 0 { // no target at all
		return section("There is nothing to flush.")
	}
	e := slack.NewRadioButtonsBlockElement(blockScope, all...)
	want := string(in.Scope)
	if in.NoFlush {
		want = scopeNone
	}
	e.InitialOption = all[0]
	for _, o := range all {
		if o.Value == want {
			e.InitialOption = o
		}
	}
	return slack.NewInputBlock(blockScope, plainText("What to flush", limitOption), nil, e)
}

// alsoInput offers what else may be done, nil where there is nothing.
func alsoInput(in FlushInput) slack.Block {
	all := options(in, []choice{
		{alsoRestart, "Also restart the authoriser", "After the flush; new environments do not hold old keys", func(t FormTarget) bool { return t.Restart }},
		{alsoGateway, "Also flush the gateway's authoriser cache", "Done last; its cached answers are dropped", func(t FormTarget) bool { return t.Gateway }},
		{alsoDirect, "Flush directly, not through CommandBridge", "jwksbot deletes the entries itself", func(t FormTarget) bool { return t.Bridge }},
	})
	if len(all) == 0 {
		return nil
	}
	ticked := map[string]bool{alsoRestart: in.Restart, alsoGateway: in.Gateway, alsoDirect: in.Direct}
	e := slack.NewCheckboxGroupsBlockElement(blockAlso, all...)
	for _, o := range all {
		if ticked[o.Value] {
			e.InitialOptions = append(e.InitialOptions, o)
		}
	}
	return slack.NewInputBlock(blockAlso, plainText("What else", limitOption), nil, e).WithOptional(true)
}
