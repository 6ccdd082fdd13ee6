package check

import (
	"context"
	"fmt"
	"strings"

	"jwksbot/runbook"
)

// authoriserState reads the function that the gateway really invokes, and what
// a restart of it would have to do.
type authoriserState struct {
	t     *Target
	setup *setupOnce
}

func (authoriserState) Name() string { return runbook.StepAuthoriser }

func (c authoriserState) Run(ctx context.Context, q Question) (Result, error) {
	notes := []string{}
	var invoked []runbook.GatewayAuthoriser
	if c.t.API != nil {
		// A setup that was read in part may name the function all the same.
		setup, err := c.setup.get(ctx)
		invoked = setup.Lambdas()
		switch {
		case len(invoked) > 0:
		case err != nil:
			notes = append(notes, "what the gateway invokes is not known, $LATEST was looked at: "+runbook.OneLine(err))
		default:
			notes = append(notes, "the gateway invokes no Lambda authoriser: this function may not be asked at all")
		}
	}
	ev, err := c.inspect(ctx, invoked)
	if err != nil {
		return Result{Status: runbook.StatusError, Summary: strings.Join(append([]string{runbook.OneLine(err)}, notes...), "; ")}, err
	}
	if note := mismatch(&ev, invoked); note != "" {
		notes = append(notes, note)
	}
	status, summary := describeFunction(&ev, q)
	if len(notes) > 0 {
		status, summary = runbook.StatusWarn, strings.Join(append([]string{summary}, notes...), "; ")
	}
	return Result{Status: status, Summary: summary, Evidence: runbook.Evidence{Function: &ev}}, nil
}

// inspect reads the function under the qualifier that the gateway invokes. The
// function's own name is known from its answer only: of several authorisers the
// one with that name counts.
func (c authoriserState) inspect(ctx context.Context, invoked []runbook.GatewayAuthoriser) (runbook.FunctionEvidence, error) {
	if len(invoked) == 1 {
		ev, err := c.t.Function.Inspect(ctx, invoked[0].Qualifier)
		if err == nil || invoked[0].Qualifier == "" {
			return ev, err
		}
		// An alias of another function is not to be found on this one.
		latest, errLatest := c.t.Function.Inspect(ctx, "")
		if errLatest != nil || latest.InvokedBy(invoked[0]) {
			return ev, err
		}
		return latest, nil
	}
	ev, err := c.t.Function.Inspect(ctx, "")
	if err != nil {
		return ev, err
	}
	for _, a := range invoked {
		if a.Qualifier != "" && ev.InvokedBy(a) {
			return c.t.Function.Inspect(ctx, a.Qualifier)
		}
	}
	return ev, nil
}

// mismatch says that the gateway invokes another function. A restart of the
// configured one would then change nothing, and is refused.
func mismatch(ev *runbook.FunctionEvidence, invoked []runbook.GatewayAuthoriser) string {
	for _, a := range invoked {
		if ev.InvokedBy(a) {
			ev.Invoked = a.Function
			return ""
		}
	}
	if len(invoked) == 0 {
		return ""
	}
	other, own := invoked[0].Function, ev.Function
	if runbook.FunctionName(other) == runbook.FunctionName(own) { // of another account or Region
		other, own = invoked[0].FunctionARN, ev.ARN
	}
	ev.Invoked = other
	ev.Mode = runbook.RestartNone
	other = runbook.Quote(runbook.Qualified(other, invoked[0].Qualifier))
	ev.Refusal = fmt.Sprintf("the gateway invokes %s, not %s: restarting %s would change nothing; set authoriser.function to what the gateway invokes",
		other, runbook.Quote(own), runbook.Quote(own))
	return "the gateway invokes " + other + ", not this function: set authoriser.function to it"
}

func describeFunction(ev *runbook.FunctionEvidence, q Question) (runbook.Status, string) {
	what := runbook.Quote(runbook.Qualified(runbook.FunctionName(ev.Function), ev.Qualifier))
	var details []string
	if ev.Version != "" && ev.Version != "$LATEST" {
		details = append(details, "version "+ev.Version)
	}
	if ev.Runtime != "" {
		details = append(details, ev.Runtime)
	}
	if len(details) > 0 {
		what += " (" + strings.Join(details, ", ") + ")"
	}
	status := runbook.StatusOK
	if !ev.LastModified.IsZero() {
		what += ", last changed " + runbook.Duration(max(0, q.Until.Sub(ev.LastModified))) + " ago"
	}
	if ev.State != "" && ev.State != "Active" {
		status, what = runbook.StatusWarn, what+", state "+ev.State
	}
	if ev.UpdateStatus != "" && ev.UpdateStatus != "Successful" {
		status, what = runbook.StatusWarn, what+", last update "+ev.UpdateStatus
	}
	if ev.Refusal != "" {
		status = runbook.StatusWarn
	}
	return status, what + "; " + ev.RestartText()
}

// Inspect reads the function as the gateway invokes it. A mitigation never
// starts half-known: where the check goes on without the gateway, this does not.
func (t *Target) Inspect(ctx context.Context) (*runbook.FunctionEvidence, error) {
	setup := &setupOnce{api: t.API}
	if t.API != nil {
		if _, err := setup.get(ctx); err != nil {
			return nil, fmt.Errorf("what the gateway invokes: %w", err)
		}
	}
	result, err := authoriserState{t, setup}.Run(ctx, Question{})
	if err != nil {
		return nil, err
	}
	return result.Evidence.Function, nil
}
