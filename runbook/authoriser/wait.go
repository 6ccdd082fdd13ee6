package authoriser

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

const (
	// updateEvery and updateFor bound the wait for an update or a version. Lambda
	// needs seconds, with a VPC or SnapStart minutes.
	updateEvery = time.Second
	updateFor   = 10 * time.Minute
	// readyEvery and readyFor bound the wait for provisioned concurrency, which
	// takes some minutes.
	readyEvery = 3 * time.Second
	readyFor   = 15 * time.Minute
)

// poll asks until done, a lasting error, or the time is up. A call that failed
// for the moment is made again.
func (f *Function) poll(ctx context.Context, every, limit time.Duration, ask func() (done bool, err error)) error {
	end := f.clock.Now().Add(limit)
	for {
		done, err := ask()
		if done || err != nil && !passing(err) {
			return err
		}
		if !f.clock.Now().Before(end) {
			if err == nil {
				err = fmt.Errorf("still going on after %v: look at the function in the Lambda console", limit)
			}
			return err
		}
		if err := f.clock.Wait(ctx, every); err != nil {
			return err
		}
	}
}

// awaitVersion waits until $LATEST ("") or a version is active and its update
// finished. waiting is called when it was not at once.
func (f *Function) awaitVersion(ctx context.Context, qualifier string, waiting func()) (c *lambda.GetFunctionConfigurationOutput, err error) {
	err = f.poll(ctx, updateEvery, updateFor, func() (bool, error) {
		if c, err = f.config(ctx, qualifier); err != nil {
			return false, err
		}
		switch {
		case c.LastUpdateStatus == types.LastUpdateStatusFailed:
			return true, fmt.Errorf("the update of %s failed%s: see the function in the Lambda console", versionName(c), because(c.LastUpdateStatusReason))
		case c.State == types.StateFailed:
			return true, fmt.Errorf("%s is in state Failed%s: see the function in the Lambda console", versionName(c), because(c.StateReason))
		case c.LastUpdateStatus == types.LastUpdateStatusInProgress, c.State == types.StatePending:
			waiting()
			return false, nil
		}
		return true, nil
	})
	return c, err
}

// awaitReady waits until the alias's provisioned concurrency, which moved with
// it, is ready for the new version.
func (r *restart) awaitReady(ctx context.Context, wanted int) error {
	if wanted == 0 {
		return nil
	}
	// Not asked at once: right after the move the answer may still be about the
	// version from before.
	if err := r.clock.Wait(ctx, readyEvery); err != nil {
		return err
	}
	said := ""
	return r.poll(ctx, readyEvery, readyFor, func() (bool, error) {
		p, err := r.provisioned(ctx, r.plan.Qualifier)
		if err != nil {
			return false, err
		}
		if p == nil {
			r.note("alias %s has no provisioned concurrency any more", r.plan.Qualifier)
			return true, nil
		}
		have, want := aws.ToInt32(p.AvailableProvisionedConcurrentExecutions), aws.ToInt32(p.RequestedProvisionedConcurrentExecutions)
		switch p.Status {
		case types.ProvisionedConcurrencyStatusEnumReady:
			r.note("provisioned concurrency of alias %s is ready (%d of %d)", r.plan.Qualifier, have, want)
			return true, nil
		case types.ProvisionedConcurrencyStatusEnumFailed:
			return true, fmt.Errorf("provisioned concurrency of alias %s failed%s: see the function in the Lambda console, or move the alias back", r.plan.Qualifier, because(p.StatusReason))
		}
		if text := fmt.Sprintf("waiting for provisioned concurrency: %d of %d ready", have, want); text != said {
			said = text
			r.tell(text)
		}
		return false, nil
	})
}
