package authoriser

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"jwksbot/runbook"
)

// restart is one carrying out of a plan.
type restart struct {
	*Function
	plan  runbook.RestartPlan
	run   string
	tell  func(string)
	proof []string
	ahead time.Duration // Lambda's clock before this one's, as far as an answer told
}

// Restart carries out the plan for a run and waits until it is finished. It may
// be repeated for the same run. A plan that no longer fits is a
// [runbook.Refusal], and nothing was written; any other error says how far it
// came. progress, which may be nil, is told in words what is waited for.
func (f *Function) Restart(ctx context.Context, plan runbook.RestartPlan, run string, progress func(string)) (runbook.RestartResult, error) {
	r := &restart{Function: f, plan: plan, run: run, tell: progress}
	if r.tell == nil {
		r.tell = func(string) {}
	}
	if run == "" || strings.ContainsAny(run, " |") {
		return runbook.RestartResult{}, fmt.Errorf("restart of function %q: %q is not the id of a run", f.name, run)
	}
	if plan.Function != f.name && plan.Function != f.id {
		return runbook.RestartResult{}, refuse(runbook.RefusedChanged, "The plan is about function %q, and the target's authoriser now is %q. Request a new restart.", plan.Function, f.name)
	}
	now, err := f.read(ctx, plan.Qualifier)
	if err != nil {
		return runbook.RestartResult{}, err
	}
	switch plan.Mode {
	case runbook.RestartLatest:
		return r.latest(ctx, now)
	case runbook.RestartAlias:
		return r.alias(ctx, now)
	}
	return runbook.RestartResult{}, refuse(runbook.RefusedUnsafe, "The plan holds no way to renew function %q. Check again and request a new restart.", f.name)
}

// latest renews the environments of $LATEST.
func (r *restart) latest(ctx context.Context, now standing) (runbook.RestartResult, error) {
	c, at, err := r.update(ctx, now)
	if err != nil {
		return runbook.RestartResult{}, err
	}
	if diff := differences(now.latest, c); len(diff) > 0 {
		r.note("beside the description, somebody else changed: %v", diff)
	} else {
		r.note("environment, role, layers, code and all else of the configuration are unchanged")
	}
	return runbook.RestartResult{Version: latest, Previous: latest, UpdatedAt: at, Proof: r.proof}, nil
}

func (r *restart) note(format string, args ...any) {
	r.proof = append(r.proof, fmt.Sprintf(format, args...))
}

// update changes the description of $LATEST, unless this run has done that
// already, and waits until Lambda has finished. at is the last moment, by
// Lambda's clock, at which that was not so yet: on a busy function all
// environments are new within a second, and one that started between the end and
// the look at it must count as new.
func (r *restart) update(ctx context.Context, now standing) (c *lambda.GetFunctionConfigurationOutput, at time.Time, err error) {
	if mine := markedBy(now.latest.Description, r.run); mine {
		at = modified(now.latest.LastModified)
	} else {
		if err := r.fits(now); err != nil {
			return nil, at, err
		}
		if err := r.mark(ctx, now.latest); err != nil {
			return nil, at, err
		}
		at = r.now()
	}
	r.tell("waiting until Lambda has finished the update of $LATEST")
	c, err = r.awaitVersion(ctx, "", func() { at = r.now() })
	if err != nil {
		return nil, at, fmt.Errorf("the update of $LATEST of function %q was accepted and its environments are not known to be renewed: %w", r.name, err)
	}
	if at.IsZero() {
		at = r.now()
	}
	r.note("update of $LATEST finished by %s (LastUpdateStatus %s)", clockTime(r.now()), c.LastUpdateStatus)
	return c, at, nil
}

// now is the time by Lambda's clock, by which log events are dated.
func (r *restart) now() time.Time { return r.clock.Now().Add(r.ahead) }

// fits holds the plan against the function as it stands.
func (r *restart) fits(now standing) error {
	if why := now.refusal(); why != "" {
		return refuse(runbook.RefusedUnsafe, "%s Nothing was changed.", why)
	}
	invoked := now.invoked()
	var changed string
	switch {
	case now.mode() != r.plan.Mode:
		changed = "it has to be renewed in another way"
	case r.plan.Mode == runbook.RestartAlias && aws.ToString(invoked.Version) != r.plan.Version:
		changed = fmt.Sprintf("alias %s points to version %s instead of %s", r.plan.Qualifier, aws.ToString(invoked.Version), r.plan.Version)
	case now.alias != nil && aws.ToString(now.alias.RevisionId) != r.plan.AliasRevision:
		changed = fmt.Sprintf("alias %s was changed", r.plan.Qualifier)
	case aws.ToString(invoked.CodeSha256) != r.plan.CodeSHA:
		changed = "it has other code"
	case aws.ToString(now.latest.RevisionId) != r.plan.Revision:
		changed = fmt.Sprintf("$LATEST has another revision, last modified at %s", clockTime(modified(now.latest.LastModified)))
	default:
		return nil
	}
	return r.moved(changed)
}

// moved refuses a plan that the world has left behind.
func (r *restart) moved(what string) error {
	return refuse(runbook.RefusedChanged, "Function %q was changed since the plan was made: %s. Nothing was changed by this run. Check again and request a new restart.", r.name, what)
}

// mark writes this run's mark into the description of $LATEST, and nothing else.
func (r *restart) mark(ctx context.Context, c *lambda.GetFunctionConfigurationOutput) error {
	out, err := r.api.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{
		FunctionName: aws.String(r.id),
		Description:  aws.String(marked(aws.ToString(c.Description), r.run, r.clock.Now())),
		RevisionId:   aws.String(r.plan.Revision),
		// Environment stays nil: whatever is sent there replaces all variables.
	})
	if err == nil {
		if accepted := modified(out.LastModified); !accepted.IsZero() {
			r.ahead = accepted.Sub(r.clock.Now())
		}
		return nil
	}
	code := codeOf(err)
	if code != "PreconditionFailedException" && code != "ResourceConflictException" {
		c := r.call(fmt.Sprintf("updating the description of function %q", r.name), "UpdateFunctionConfiguration", "")
		if denied(code) { // the first write
			return refuse(runbook.RefusedRestart, "Updating the description of function %q is not permitted: allow %s on %s.", r.name, c.action, c.resource)
		}
		return c.explain(err)
	}
	// An answer may have been lost, and the SDK asked again: then this is about
	// this run's own update.
	if again, readErr := r.config(ctx, ""); readErr == nil && markedBy(again.Description, r.run) {
		return nil
	}
	if code == "ResourceConflictException" {
		return refuse(runbook.RefusedUnsafe, "Somebody else is updating function %q right now. Nothing was changed by this run. Wait until that is finished, then check again.", r.name)
	}
	return r.moved("$LATEST has another revision")
}
