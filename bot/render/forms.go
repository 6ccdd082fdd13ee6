package render

import (
	"cmp"
	"strings"

	"github.com/slack-go/slack"

	"jwksbot/runbook"
	"jwksbot/runbook/approve"
	"jwksbot/runbook/record"
)

// Small forms that ask for a reason, or for what a next step needs. Their
// private metadata names a run and what was pressed, which grants nothing: the
// service looks up who submits it and what the run is.

const (
	blockDeny  = "deny_reason"
	blockStop  = "stop_reason"
	blockForce = "force"
)

// DenyForm asks why a request is denied.
func DenyForm(ref PlanRef) slack.ModalViewRequest {
	return form(CallbackDeny, ref.String(), "Deny the request", "Deny",
		textInput(blockDeny, "Why not?", "What the requester should know or do instead", "", "It is shown on the card and kept in the record.", maxReasonInput, true))
}

// ReadDenyForm reads which plan is denied and why.
func ReadDenyForm(v slack.View) (ref PlanRef, reason string) {
	ref, _ = ParsePlanRef(v.PrivateMetadata)
	return ref, strings.TrimSpace(inputOf(v, blockDeny).Value)
}

// StopForm asks why a watch can end.
func StopForm(runID string) slack.ModalViewRequest {
	return form(CallbackStop, runID, "Stop watching", "Stop watching",
		textInput(blockStop, "Why can it stop?", "Confirmed by the on-call engineer of the API", "", "Nobody will be called if failures rise. Your reason is shown and kept in the record.", maxReasonInput, true))
}

// ReadStopForm reads which watch is to end and why.
func ReadStopForm(v slack.View) (runID, reason string) {
	return v.PrivateMetadata, strings.TrimSpace(inputOf(v, blockStop).Value)
}

// PickForm asks for a target; it remembers the thread, which grants nothing.
func PickForm(targets []string, channel, thread string) slack.ModalViewRequest {
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: CallbackPick, PrivateMetadata: channel + " " + thread,
		Title: plainText("Run JWKS check", limitViewTitle), Submit: plainText("Check", limitViewTitle), Close: plainText("Cancel", limitViewTitle),
		Blocks: slack.Blocks{BlockSet: []slack.Block{targetSelect(targets, targets[0])}},
	}
}

// ReadPickForm reads what was picked, and the thread to answer in.
func ReadPickForm(v slack.View) (channel, thread, target string) {
	channel, thread, _ = strings.Cut(v.PrivateMetadata, " ")
	return channel, thread, inputOf(v, blockTarget).SelectedOption.Value
}

func form(callback, private, title, submit string, blocks ...slack.Block) slack.ModalViewRequest {
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: callback, PrivateMetadata: runbook.Clip(private, limitPrivate),
		Title:  plainText(title, limitViewTitle),
		Submit: plainText(submit, limitViewTitle),
		Close:  plainText("Cancel", limitViewTitle),
		Blocks: slack.Blocks{BlockSet: blocks},
	}
}

// nextTitles name the forms of next steps.
var nextTitles = map[record.NextKind]string{
	record.NextRestart: "Restart authoriser", record.NextFlush: "Flush again", record.NextFlushDirect: "Flush directly",
	record.NextGateway: "Flush gateway cache", record.NextUndo: "Undo", record.NextRetry: "Try again", record.NextEscalate: "Escalate",
}

// NextForm asks for what a next step of a run needs: it is the same request as
// any other, prefilled, and needs its own approval.
func NextForm(r runbook.Run, kind record.NextKind, req approve.Request, breakGlass bool) slack.ModalViewRequest {
	private := r.ID + " " + string(kind)
	why := ""
	for _, s := range record.NextSteps(r) {
		if s.Kind == kind {
			why = " " + runbook.Capital(prose(s.Why, LimitSentence)) + "."
		}
	}
	about := section("*" + cmp.Or(nextTitles[kind], Quoted(string(kind), LimitName)) + "* after run " + Code(r.ID) + " on " + Quoted(r.Target, LimitName) + ", " + Code(r.Ticket) + "." + why)
	title := cmp.Or(nextTitles[kind], "Next step")
	reason := reasonInput(req.Reason)
	focus(reason)
	if kind == record.NextEscalate {
		return form(CallbackNext, private, title, "Call the team", about, reason,
			contextLine("The on-call team is called in the thread, and paged where that is configured. The watch continues."))
	}
	blocks := []slack.Block{about, reason}
	if req.RestoreOf != "" {
		blocks = append(blocks, forceInput(req.Force))
	} else {
		blocks = append(blocks, overrideInput("")) // no verdict is asked about an undo
	}
	if breakGlass {
		blocks = append(blocks, breakGlassInput(FlushInput{Targets: []FormTarget{{Name: r.Target, BreakGlass: true}}}))
	}
	return form(CallbackNext, private, title, "Ask for approval", append(blocks,
		contextLine("Nothing is touched until somebody else approves exactly what will be touched."))...)
}

func forceInput(ticked bool) slack.Block {
	o := slack.NewOptionBlockObject(blockForce, plainText("⚠ Overwrite newer values", limitOption), plainText("Otherwise an entry that was written since then stays", limitOption))
	e := slack.NewCheckboxGroupsBlockElement(blockForce, o)
	if ticked {
		e.InitialOptions = []*slack.OptionBlockObject{o}
	}
	return slack.NewInputBlock(blockForce, plainText("Newer values", limitOption), nil, e).WithOptional(true)
}

// NextAnswer is a submitted form of a next step.
type NextAnswer struct {
	Run                          string
	Kind                         record.NextKind
	Reason, Override, BreakGlass string
	Force                        bool
}

// ReadNextForm reads what is asked for. Problems are sentences keyed by block id,
// as those of ReadFlushForm.
func ReadNextForm(v slack.View) (NextAnswer, map[string]string) {
	id, kind, _ := strings.Cut(v.PrivateMetadata, " ")
	a := NextAnswer{Run: id, Kind: record.NextKind(kind), Reason: strings.TrimSpace(inputOf(v, blockReason).Value),
		Override: strings.TrimSpace(inputOf(v, blockOverride).Value), BreakGlass: strings.TrimSpace(inputOf(v, blockBreakGlass).Value),
		Force: len(inputOf(v, blockForce).SelectedOptions) > 0}
	if a.Reason == "" {
		return a, map[string]string{blockReason: "Say in a few words why: the approvers and the record need it."}
	}
	return a, nil
}
