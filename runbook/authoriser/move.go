package authoriser

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"jwksbot/runbook"
)

// alias publishes $LATEST as a new version and moves the alias to it.
func (r *restart) alias(ctx context.Context, now standing) (runbook.RestartResult, error) {
	if now.version != nil && now.alias != nil && markedBy(now.version.Description, r.run) {
		return r.arrived(ctx, aws.ToString(now.version.Version), modified(now.version.LastModified))
	}
	if markedBy(now.latest.Description, r.run) {
		// This run was cut off after its first write. What it did not do yet
		// still needs the alias to be where it was.
		if now.alias == nil || aws.ToString(now.alias.RevisionId) != r.plan.AliasRevision || now.version == nil {
			return runbook.RestartResult{}, fmt.Errorf("function %q: alias %s was changed by somebody else after this run had updated $LATEST: the alias was left alone. Check again and request a new restart", r.name, r.plan.Qualifier)
		}
	}
	if _, _, err := r.update(ctx, now); err != nil {
		return runbook.RestartResult{}, err
	}
	number, err := r.publish(ctx, now.version)
	if err != nil {
		return runbook.RestartResult{}, fmt.Errorf("function %q: alias %s still points to version %s: %w", r.name, r.plan.Qualifier, r.plan.Version, err)
	}
	at, err := r.moveAlias(ctx, number, r.plan.AliasRevision)
	if err != nil {
		return runbook.RestartResult{}, fmt.Errorf("function %q: version %s was published and is not used, alias %s still points to version %s: %w", r.name, number, r.plan.Qualifier, r.plan.Version, err)
	}
	return r.arrived(ctx, number, at)
}

// arrived ends a restart whose alias points to the new version.
func (r *restart) arrived(ctx context.Context, number string, at time.Time) (runbook.RestartResult, error) {
	r.note("alias %s points to version %s, which equals version %s in all but its description", r.plan.Qualifier, number, r.plan.Version)
	result := runbook.RestartResult{Version: number, Previous: r.plan.Version, UpdatedAt: at, Proof: r.proof}
	err := r.awaitReady(ctx, r.plan.Provisioned)
	result.Proof = r.proof
	if err != nil {
		return result, fmt.Errorf("function %q: alias %s points to version %s, and its provisioned concurrency is not ready; requests are served by environments on demand: %w", r.name, r.plan.Qualifier, number, err)
	}
	return result, nil
}

// publishAttempts is how often a version is published when the revision of
// $LATEST moved in between, as it may after a lost answer.
const publishAttempts = 3

// publish makes a version of $LATEST that equals the old one in all but the
// description. When nothing changed since the last version, Lambda answers with
// that, so that a repetition finds what it published before.
func (r *restart) publish(ctx context.Context, old *lambda.GetFunctionConfigurationOutput) (string, error) {
	for attempt := 1; ; attempt++ {
		c, err := r.config(ctx, "")
		if err != nil {
			return "", err
		}
		if diff := differences(c, old); len(diff) > 0 || !markedBy(c.Description, r.run) {
			return "", fmt.Errorf("somebody else changed $LATEST after this run had updated it (%s): nothing was published. Check again and request a new restart", strings.Join(append(diff, "description"), ", "))
		}
		out, err := r.api.PublishVersion(ctx, &lambda.PublishVersionInput{
			FunctionName: aws.String(r.id), CodeSha256: aws.String(r.plan.CodeSHA), RevisionId: c.RevisionId,
		})
		switch code := codeOf(err); {
		case err == nil:
			return r.published(ctx, aws.ToString(out.Version), old)
		case code == "PreconditionFailedException" && attempt < publishAttempts:
			continue
		}
		return "", r.call(fmt.Sprintf("publishing a version of function %q", r.name), "PublishVersion", "").explain(err)
	}
}

// published waits until the new version can be used and holds it against the old
// one: what was published is read back, not assumed.
func (r *restart) published(ctx context.Context, number string, old *lambda.GetFunctionConfigurationOutput) (string, error) {
	r.tell("waiting until version " + number + " is ready")
	c, err := r.awaitVersion(ctx, number, func() {})
	if err != nil {
		return "", err
	}
	if number == aws.ToString(old.Version) || !markedBy(c.Description, r.run) {
		return "", fmt.Errorf("no new version was published, Lambda answered with version %s: the change of the description did not count as one. Deploy a new version the usual way", number)
	}
	if diff := differences(c, old); len(diff) > 0 {
		return "", fmt.Errorf("version %s was published and differs from version %s in: %s. It is not used. Find out who changed $LATEST in the meantime", number, aws.ToString(old.Version), strings.Join(diff, ", "))
	}
	return number, nil
}

// errMoved says that an alias has another revision than was read.
var errMoved = errors.New("somebody else changed the alias in the meantime. Check again and request a new restart")

// moveAlias points the alias to a version, if it still has the revision, and
// says when: just before, since the first environment of the version may start
// while the answer is on its way.
func (r *restart) moveAlias(ctx context.Context, number, revision string) (time.Time, error) {
	at := r.now()
	_, err := r.api.UpdateAlias(ctx, &lambda.UpdateAliasInput{
		FunctionName: aws.String(r.id), Name: aws.String(r.plan.Qualifier),
		FunctionVersion: aws.String(number), RevisionId: aws.String(revision),
	})
	if err == nil {
		return at, nil
	}
	if code := codeOf(err); code == "PreconditionFailedException" {
		a, readErr := r.Function.alias(ctx, r.plan.Qualifier)
		if readErr == nil && aws.ToString(a.FunctionVersion) == number && !isWeighted(a) {
			return at, nil // the answer to this run's own call was lost
		}
		return time.Time{}, errMoved
	}
	return time.Time{}, r.call(fmt.Sprintf("moving alias %s of function %q to version %s", r.plan.Qualifier, r.name, number), "UpdateAlias", "").explain(err)
}

func isWeighted(a *lambda.GetAliasOutput) bool {
	return a.RoutingConfig != nil && len(a.RoutingConfig.AdditionalVersionWeights) > 0
}

// MoveBack points the alias of the plan back to the version from before the
// restart of this run. It may be repeated. An alias that is no longer where the
// run left it is a [runbook.Refusal], and nothing was written.
func (f *Function) MoveBack(ctx context.Context, plan runbook.RestartPlan, run string) (runbook.RestartResult, error) {
	if plan.Mode != runbook.RestartAlias || plan.Qualifier == "" {
		return runbook.RestartResult{}, refuse(runbook.RefusedNothing, "There is nothing to move back: $LATEST of function %q was renewed, and no alias was moved.", f.name)
	}
	r := &restart{Function: f, plan: plan, run: run, tell: func(string) {}}
	a, err := f.alias(ctx, plan.Qualifier)
	if err != nil {
		return runbook.RestartResult{}, err
	}
	here := aws.ToString(a.FunctionVersion)
	if here == plan.Version {
		r.note("alias %s points to version %s", plan.Qualifier, plan.Version)
		return runbook.RestartResult{Version: plan.Version, Previous: here, UpdatedAt: f.clock.Now(), Proof: r.proof}, r.awaitReady(ctx, plan.Provisioned)
	}
	if err := r.mayMoveBack(ctx, a); err != nil {
		return runbook.RestartResult{}, err
	}
	at, err := r.moveAlias(ctx, plan.Version, aws.ToString(a.RevisionId))
	if errors.Is(err, errMoved) {
		return runbook.RestartResult{}, refuse(runbook.RefusedChanged, "Somebody else changed alias %s of function %q at the same time. It was left alone; check again.", plan.Qualifier, f.name)
	}
	if err != nil {
		return runbook.RestartResult{}, fmt.Errorf("function %q: alias %s was not moved back and points to version %s: %w", f.name, plan.Qualifier, here, err)
	}
	r.note("alias %s points to version %s again; environments of it that are still warm keep what they have in memory", plan.Qualifier, plan.Version)
	err = r.awaitReady(ctx, plan.Provisioned)
	return runbook.RestartResult{Version: plan.Version, Previous: here, UpdatedAt: at, Proof: r.proof}, err
}

// mayMoveBack refuses where somebody has moved the alias on, or where the way
// back is gone.
func (r *restart) mayMoveBack(ctx context.Context, a *lambda.GetAliasOutput) error {
	here, err := r.config(ctx, aws.ToString(a.FunctionVersion))
	if err != nil {
		return err
	}
	if isWeighted(a) || !markedBy(here.Description, r.run) {
		return refuse(runbook.RefusedChanged, "Alias %s of function %q was moved on since: it points to version %s, which this run did not publish, or shares its requests. It was left alone.", r.plan.Qualifier, r.name, aws.ToString(here.Version))
	}
	old, err := r.config(ctx, r.plan.Version)
	switch {
	case missing(codeOf(err)):
		return refuse(runbook.RefusedChanged, "Version %s of function %q does not exist any more, so alias %s cannot go back to it. It was left alone.", r.plan.Version, r.name, r.plan.Qualifier)
	case err != nil:
		return err
	case aws.ToString(old.CodeSha256) != r.plan.CodeSHA:
		return refuse(runbook.RefusedChanged, "Version %s of function %q has other code than when the plan was made. Alias %s was left alone.", r.plan.Version, r.name, r.plan.Qualifier)
	}
	return nil
}
