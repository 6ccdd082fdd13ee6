package runbook

import (
	"context"
	"fmt"
	"strings"
)

// authoriserState reads the function that the gateway really invokes, and what
// a restart of it would have to do.
type authoriserState struct {
	t     *Target
	setup *setupOnce
}

func (authoriserState) Name() string { return StepAuthoriser }

func (c authoriserState) Run(ctx context.Context, q Question) (Result, error) {
	notes := []string{}
	var invoked []GatewayAuthoriser
	if c.t.API != nil {
		// A setup that was read in part may name the function all the same.
		setup, err := c.setup.get(ctx)
		invoked = setup.lambdas()
		switch {
		case len(invoked) > 0:
		case err != nil:
			notes = append(notes, "what the gateway invokes is not known, $LATEST was looked at: "+oneLine(err))
		default:
			notes = append(notes, "the gateway invokes no Lambda authoriser: this function may not be asked at all")
		}
	}
	ev, err := c.inspect(ctx, invoked)
	if err != nil {
		return Result{Status: StatusError, Summary: strings.Join(append([]string{oneLine(err)}, notes...), "; ")}, err
	}
	if note := ev.mismatch(invoked); note != "" {
		notes = append(notes, note)
	}
	status, summary := ev.describe(q)
	if len(notes) > 0 {
		status, summary = StatusWarn, strings.Join(append([]string{summary}, notes...), "; ")
	}
	return Result{Status: status, Summary: summary, Evidence: Evidence{Function: &ev}}, nil
}

// inspect reads the function under the qualifier that the gateway invokes. The
// function's own name is known from its answer only: of several authorisers the
// one with that name counts.
func (c authoriserState) inspect(ctx context.Context, invoked []GatewayAuthoriser) (FunctionEvidence, error) {
	if len(invoked) == 1 {
		ev, err := c.t.Function.Inspect(ctx, invoked[0].Qualifier)
		if err == nil || invoked[0].Qualifier == "" {
			return ev, err
		}
		// An alias of another function is not to be found on this one.
		latest, errLatest := c.t.Function.Inspect(ctx, "")
		if errLatest != nil || latest.invokedBy(invoked[0]) {
			return ev, err
		}
		return latest, nil
	}
	ev, err := c.t.Function.Inspect(ctx, "")
	if err != nil {
		return ev, err
	}
	for _, a := range invoked {
		if a.Qualifier != "" && ev.invokedBy(a) {
			return c.t.Function.Inspect(ctx, a.Qualifier)
		}
	}
	return ev, nil
}

// mismatch says that the gateway invokes another function. A restart of the
// configured one would then change nothing, and is refused.
func (ev *FunctionEvidence) mismatch(invoked []GatewayAuthoriser) string {
	for _, a := range invoked {
		if ev.invokedBy(a) {
			ev.Invoked = a.Function
			return ""
		}
	}
	if len(invoked) == 0 {
		return ""
	}
	other, own := invoked[0].Function, ev.Function
	if functionName(other) == functionName(own) { // of another account or Region
		other, own = invoked[0].FunctionARN, ev.ARN
	}
	ev.Invoked = other
	ev.Mode = RestartNone
	other = quote(qualified(other, invoked[0].Qualifier))
	ev.Refusal = fmt.Sprintf("the gateway invokes %s, not %s: restarting %s would change nothing; set authoriser.function to what the gateway invokes",
		other, quote(own), quote(own))
	return "the gateway invokes " + other + ", not this function: set authoriser.function to it"
}

// lambdas are the Lambda authorisers of which it is known what they invoke.
func (s GatewaySetup) lambdas() (out []GatewayAuthoriser) {
	for _, a := range s.Authorisers {
		if a.Kind == LambdaAuthoriser && a.Function != "" {
			out = append(out, a)
		}
	}
	return out
}

// invokedBy says that the authoriser invokes this function. Accounts and Regions
// may have functions of the same name: where both ARNs are known they decide.
func (ev FunctionEvidence) invokedBy(a GatewayAuthoriser) bool {
	if ev.ARN != "" && a.FunctionARN != "" {
		return ev.ARN == a.FunctionARN
	}
	return functionName(ev.Function) == functionName(a.Function)
}

// functionName is the bare name in a function's name, ARN or alias ARN.
func functionName(s string) string {
	if _, rest, ok := strings.Cut(s, ":function:"); ok {
		s = rest
	}
	name, _, _ := strings.Cut(s, ":")
	return name
}

func (ev *FunctionEvidence) describe(q Question) (Status, string) {
	what := quote(qualified(functionName(ev.Function), ev.Qualifier))
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
	status := StatusOK
	if !ev.LastModified.IsZero() {
		what += ", last changed " + Duration(max(0, q.Until.Sub(ev.LastModified))) + " ago"
	}
	if ev.State != "" && ev.State != "Active" {
		status, what = StatusWarn, what+", state "+ev.State
	}
	if ev.UpdateStatus != "" && ev.UpdateStatus != "Successful" {
		status, what = StatusWarn, what+", last update "+ev.UpdateStatus
	}
	if ev.Refusal != "" {
		status = StatusWarn
	}
	return status, what + "; " + ev.restartText()
}

// restartText says what a restart would have to do, or why it is refused.
func (ev *FunctionEvidence) restartText() string {
	switch {
	case ev.Refusal != "":
		return "a restart would be refused: " + ev.Refusal
	case ev.Mode == RestartLatest:
		return "a restart would update the configuration of $LATEST and wait for it; environment, code and role stay as they are"
	case ev.Mode == RestartAlias:
		text := fmt.Sprintf("a restart would publish a new version of the same code and move alias %s to it", quote(ev.Qualifier))
		if ev.Provisioned > 0 {
			text += fmt.Sprintf(", with %s kept ready", plural(ev.Provisioned, "environment", "environments"))
		}
		return text
	}
	return "a restart is not possible"
}
