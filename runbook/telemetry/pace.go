package telemetry

import (
	"context"
	"fmt"

	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
)

// requestsPerSecond stays below the lowest quota of FilterLogEvents, five a
// second per account and Region (CloudWatch Logs quotas), which other readers
// of the account share.
const requestsPerSecond = 3

// A Pace is the limit of three requests a second that readers of the same
// account and Region keep together. A short reading does not wait.
type Pace struct{ limit *rate.Limiter }

// NewPace returns a limit for the readers that it is given to.
func NewPace() *Pace { return &Pace{rate.NewLimiter(requestsPerSecond, requestsPerSecond)} }

// middleware makes every attempt wait for its turn, also the SDK's own retries,
// which count against the same quota.
func (p *Pace) middleware(stack *middleware.Stack) error {
	wait := middleware.FinalizeMiddlewareFunc("RequestsPerSecond", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if err := p.limit.Wait(ctx); err != nil {
			if ctx.Err() == nil {
				err = context.DeadlineExceeded // the limiter gives up early when the turn comes after the deadline
			}
			return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("waiting for the limit of %d requests a second: %w", requestsPerSecond, err)
		}
		return next.HandleFinalize(ctx, in)
	})
	return stack.Finalize.Insert(wait, "Retry", middleware.After)
}
